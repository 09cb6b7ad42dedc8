//! `longshore bench`: what an installation does and what that costs, beside the least that its servers could cost.

mod cost;
mod job;
mod memory;
mod mode;
mod others;
mod report;
mod rig;
mod running;

use std::net::ToSocketAddrs as _;
use std::path::PathBuf;

use longshore_backend::floor::Floor;
use longshore_backend::gauge::Gauge;
use longshore_backend::{Backend, BackendConfig, Endpoints, checkup};
use longshore_service::config::{self, Origin};
use longshore_service::exit::ExitCode;

use crate::args::bench::{Bench, Mode};
use crate::failure::Failure;
use crate::output::{Out, warn};
use crate::setting::Setting;
use cost::Meters;
use rig::Rig;

/// Measures as the options say.
///
/// # Errors
/// When the queue holds other jobs, a server fails, or a measurement takes too long.
pub(crate) async fn run(setting: &Setting, options: &Bench, out: &mut Out) -> Result<(), Failure> {
    let (config, folder) = endpoints(setting)?;
    let ended = Box::pin(bench(setting, &config, options, out)).await;
    if let Some(folder) = folder {
        // What cannot be deleted is in the temporary folder of the machine, which is emptied by others.
        std::fs::remove_dir_all(folder).ok();
    }
    ended
}

/// Where to measure, and the folder to be deleted afterwards. An embedded store that somebody uses is left alone.
fn endpoints(setting: &Setting) -> Result<(BackendConfig, Option<PathBuf>), Failure> {
    let mut config = setting.backend_config()?;
    let is_default = matches!(setting.config.endpoints, config::Endpoints::Embedded(_))
        && setting.config.origin("embedded") == Origin::Default;
    if !is_default {
        return Ok((config, None));
    }
    let folder = std::env::temp_dir().join(format!("longshore-bench-{}", std::process::id()));
    config.endpoints = Endpoints::embedded(&folder);
    Ok((config, Some(folder)))
}

/// Measures, and takes down whatever it has set up, in whatever way the measurement ends.
async fn bench(
    setting: &Setting,
    config: &BackendConfig,
    options: &Bench,
    out: &mut Out,
) -> Result<(), Failure> {
    let (rig, meters) = tokio::select! {
        prepared = Box::pin(prepare(setting, config, options)) => prepared?,
        () = setting.stop.gentle.cancelled() => return Err(interrupted()),
    };
    // The floor empties its queues as it connects: only once it is known that the measurement may run.
    let floor = if options.floor {
        connect_floor(config).await.map(Some)
    } else {
        Ok(None)
    };
    let ended = match floor {
        Ok(floor) => {
            let ended = tokio::select! {
                ended = Box::pin(measure_all(&rig, floor.as_ref(), &meters, options, out)) => ended,
                () = setting.stop.gentle.cancelled() => Err(interrupted()),
            };
            ended.and(clean(floor).await)
        }
        Err(error) => Err(error),
    };
    if ended.is_err() {
        rig.cancel_left().await;
    }
    rig.close().await;
    ended
}

fn interrupted() -> Failure {
    Failure::new(ExitCode::Failure, "interrupted")
}

/// What every measurement needs; refuses a store that somebody uses and a queue with other people's jobs.
async fn prepare(
    setting: &Setting,
    config: &BackendConfig,
    options: &Bench,
) -> Result<(Rig, Meters), Failure> {
    let backend = Backend::connect(config).await?;
    if !backend.is_owner() {
        return Err(Failure::new(
            ExitCode::Unavailable,
            "the embedded store is in use by another process; leave --embedded out to measure one of its own",
        ));
    }
    // Each half of a measurement needs the rights of one role alone.
    if !options.modes.iter().any(|mode| mode.is_half()) {
        refuse_without_rights(config, &backend, options).await?;
    }
    let meters = Meters {
        gauge: Gauge::connect(config)
            .await
            .map_err(longshore_backend::ConnectError::from)?,
        broker: options.broker_pid.or_else(|| broker(setting)),
    };
    Ok((Rig::new(backend, config, options).await?, meters))
}

/// A measurement hands over, schedules and works off. Whoever may not do one of these would wait for it without end.
async fn refuse_without_rights(
    config: &BackendConfig,
    backend: &Backend,
    options: &Bench,
) -> Result<(), Failure> {
    let queues = [options.queue.clone()];
    let Some(looked) = checkup::rabbitmq(config, backend.shards(), &queues, true).await else {
        return Ok(());
    };
    if looked.forbidden.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        ExitCode::Denied,
        format!(
            "bench hands over, schedules and works off, and this user of RabbitMQ may not {}; run it as the scheduler's user \
             (`scheduler` of deploy/)",
            looked.forbidden.join("; nor ")
        ),
    ))
}

async fn clean(floor: Option<Floor>) -> Result<(), Failure> {
    let Some(floor) = floor else {
        return Ok(());
    };
    let cleaned = floor.clean().await;
    cleaned.map_err(|error| Failure::from_error(ExitCode::Unavailable, &error))
}

async fn connect_floor(config: &BackendConfig) -> Result<Floor, Failure> {
    Floor::connect(config).await.map_err(|error| {
        let code = match error {
            longshore_backend::floor::Error::Embedded | longshore_backend::floor::Error::Cluster => {
                ExitCode::Usage
            }
            _ => ExitCode::Unavailable,
        };
        let mut failure = Failure::from_error(code, &error);
        failure.message = format!("--floor: {}", failure.message);
        failure
    })
}

/// RabbitMQ's process, when it runs here.
fn broker(setting: &Setting) -> Option<u32> {
    let config::Endpoints::Servers { amqp, .. } = &setting.config.endpoints else {
        return None;
    };
    let url = url::Url::parse(amqp.expose()).ok()?;
    let port = url
        .port()
        .unwrap_or(if url.scheme() == "amqps" { 5671 } else { 5672 });
    let addresses = (url.host_str()?.trim_matches(['[', ']']), port)
        .to_socket_addrs()
        .ok()?;
    addresses.into_iter().find_map(cost::listener)
}

/// Every mode in turn, the floor before Longshore, and all that again.
async fn measure_all(
    rig: &Rig,
    floor: Option<&Floor>,
    meters: &Meters,
    options: &Bench,
    out: &mut Out,
) -> Result<(), Failure> {
    let modes = match options.modes.as_slice() {
        [] => &Mode::DEFAULT,
        modes => modes,
    };
    // The other half may be at work already.
    if !modes.iter().any(|mode| mode.is_half()) {
        in_time("the warm-up", options, Box::pin(rig.warm_up())).await?;
    }
    let mut rows = Vec::new();
    for run in 1..=options.repeat {
        for &mode in modes.iter().filter(|mode| **mode != Mode::Memory) {
            warn(format!("{} ({run} of {})", mode.name(), options.repeat));
            if let Some(floor) = floor.filter(|_| mode.has_floor()) {
                let row = mode::measure_floor(mode, floor, meters, options);
                rows.push(in_time(mode.name(), options, Box::pin(row)).await?);
            }
            let row = mode::measure(mode, rig, meters, options);
            rows.push(in_time(mode.name(), options, Box::pin(row)).await?);
        }
    }
    if !rows.is_empty() {
        report::tell(&rows, out)?;
    }
    if modes.contains(&Mode::Memory) {
        let weigh = memory::run(rig, meters.gauge.as_ref(), options, out);
        in_time(Mode::Memory.name(), options, Box::pin(weigh)).await?;
    }
    Ok(())
}

async fn in_time<T>(
    name: &str,
    options: &Bench,
    measurement: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let limit = options.time_limit;
    tokio::time::timeout(limit, measurement)
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(
                ExitCode::Failure,
                format!("{name}: did not end within {limit:?}; use fewer --jobs or a longer --time-limit"),
            ))
        })
}
