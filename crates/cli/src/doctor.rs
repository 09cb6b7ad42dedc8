//! `longshore doctor`: what is wrong, why it matters, what to do; and with `--fix`, the repair.

mod index;
mod report;
mod waits;

use std::collections::BTreeSet;

use longshore_backend::Backend;
use longshore_backend::checkup::{self, Finding, Severity};
use longshore_core::port::Ports;
use longshore_core::port::broker::Depth;
use longshore_core::{QueueName, WorkerId};
use longshore_service::config::Endpoints;
use longshore_service::exit::ExitCode;

use crate::args::doctor::Doctor;
use crate::failure::Failure;
use crate::output::Out;
use crate::setting::{Purpose, Setting};
use report::Report;

/// Looks at everything, and tells.
///
/// # Errors
/// When errors were found and not repaired, or told to stop.
pub(crate) async fn run(setting: &Setting, options: Doctor, out: &mut Out) -> Result<(), Failure> {
    let mut report = Report::default();
    let config = setting.backend_config()?;
    if let Some(redis) = checkup::redis(&config).await {
        report.take(redis);
    }
    match setting.connect(Purpose::Doctor).await {
        Ok(Some(backend)) => {
            let looked = examine(setting, &backend, options, &mut report).await;
            backend.close().await;
            if let Err(failure) = looked {
                report.findings.push(unreadable(&failure));
            }
        }
        Ok(None) => return Err(crate::interrupted()),
        // What the look at Redis has told needs no second word.
        Err(_) if report.errors() > 0 => {}
        Err(failure) if failure.code == ExitCode::Config && report.servers.is_empty() => return Err(failure),
        Err(failure) => report.findings.push(unreadable(&failure)),
    }
    report.print(out)?;
    match report.errors() {
        0 => Ok(()),
        errors => Err(Failure::new(ExitCode::Unhealthy, advice(errors, options.fix))),
    }
}

fn advice(errors: usize, fix: bool) -> String {
    let next = if fix {
        "what stands with them is for a person"
    } else {
        "`longshore doctor --fix` repairs indexes and topology; the rest is for a person"
    };
    format!("{errors} error(s) found: {next}")
}

fn unreadable(failure: &Failure) -> Finding {
    if failure.code == ExitCode::Denied {
        return Finding::new(
            Severity::Error,
            "store",
            failure.message.clone(),
            "what this user may not read was not checked; it says nothing of the servers",
            "run `longshore doctor` as the scheduler's user (`scheduler` of deploy/)",
        );
    }
    Finding::new(
        Severity::Error,
        "store",
        failure.message.clone(),
        "what cannot be read cannot be checked",
        "put right what stands above first, then run `longshore doctor` again",
    )
}

async fn examine(
    setting: &Setting,
    backend: &Backend,
    options: Doctor,
    report: &mut Report,
) -> Result<(), Failure> {
    let ports = backend.ports();
    let queues = queues(ports).await?;
    let depths = depths(setting, backend, &queues, options.fix, report).await?;
    let endpoints = &setting.config.endpoints;
    waits::run(ports, endpoints, depths.as_deref(), report).await?;
    if options.quick {
        return Ok(());
    }
    let stop = &setting.stop.gentle;
    crate::unless(stop, index::run(ports, options.fix, report)).await
}

/// Queues that hold jobs, are paused, or have a worker.
async fn queues(ports: &Ports) -> Result<BTreeSet<QueueName>, Failure> {
    let mut queues: BTreeSet<_> = asked(ports.inspect.queues()).await?.into_keys().collect();
    for worker in asked(ports.inspect.workers()).await? {
        queues.extend(worker.queues);
    }
    Ok(queues)
}

/// What is in the broker; looks at it on the way where it is a server.
async fn depths(
    setting: &Setting,
    backend: &Backend,
    queues: &BTreeSet<QueueName>,
    fix: bool,
    report: &mut Report,
) -> Result<Option<Vec<Depth>>, Failure> {
    let queues: Vec<_> = queues.iter().cloned().collect();
    if let Endpoints::Embedded(folder) = &setting.config.endpoints {
        report.embedded(folder, backend.ports()).await?;
        return Ok(Some(asked(backend.ports().consume.depths(queues)).await?));
    }
    let config = setting.backend_config()?;
    let looked = checkup::rabbitmq(&config, backend.shards(), &queues, fix).await;
    let depths = looked.as_ref().filter(|broker| broker.latency.is_some());
    let depths = depths.map(|broker| broker.depths.clone());
    if let Some(broker) = looked {
        report.take(broker);
    }
    Ok(depths)
}

/// A port's answer, its error told as the client tells it.
async fn asked<T>(reply: longshore_core::port::Reply<'_, T>) -> Result<T, Failure> {
    reply
        .await
        .map_err(|error| longshore::ClientError::from(error).into())
}

/// A worker or scheduler by name.
fn joined(names: &[WorkerId]) -> String {
    names
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
