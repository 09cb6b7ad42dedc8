//! `longshore scheduler`.

use std::sync::Arc;

use futures_util::future::OptionFuture;
use longshore_core::port::Ports;
use longshore_core::{Clock as _, SystemClock};
use longshore_scheduler::{Intervals, Notifications, Retention, Scheduler};
use longshore_service::exit::ExitCode;
use longshore_service::metrics::read_fleet;
use tokio_util::sync::CancellationToken;

use crate::failpoint;
use crate::failure::Failure;
use crate::health;
use crate::notify;
use crate::setting::{Purpose, Setting};

/// Runs a replica until told to stop.
///
/// # Errors
/// When the servers cannot be reached at the start, or a second signal ends it.
pub(crate) async fn run(setting: &Setting) -> Result<(), Failure> {
    let Some(backend) = setting.connect(Purpose::Service).await? else {
        return Ok(());
    };
    if !backend.is_owner() {
        return Err(Failure::new(
            ExitCode::Unavailable,
            "the embedded store is in use by another process, which runs its own scheduler (`longshore dev`)",
        ));
    }
    let notifications = failpoint::notifications(notify::notifications(&setting.config)?)?;
    tracing::info!("scheduler started");
    let ports = failpoint::ports(backend.ports())?;
    tokio::select! {
        () = run_on(setting, ports, notifications, setting.stop.gentle.clone()) => {}
        () = setting.stop.force.cancelled() => {
            return Err(Failure::new(ExitCode::Forced, "ended by a second signal"));
        }
    }
    backend.close().await;
    Ok(())
}

/// Runs the daemons on these ports until `stop`.
pub(crate) async fn run_on(
    setting: &Setting,
    ports: Ports,
    notifications: Notifications,
    stop: CancellationToken,
) {
    let config = &setting.config.scheduler;
    let reading = setting.metrics().map(|metrics| {
        let clock = Arc::new(SystemClock);
        read_fleet(metrics, ports.clone(), clock, stop.clone())
    });
    let builder = Scheduler::builder(ports);
    let builder = match config.bundle_max {
        Some(jobs) => builder.bundle_max(jobs),
        None => builder,
    };
    let scheduler = builder
        .intervals(intervals(&config.intervals))
        .retention(retention(&config.retention))
        .hold_limit(config.hold_limit)
        .audit_rate(config.audit_rate)
        .cron(setting.config.cron.clone())
        .notifications(notifications)
        .shutdown(stop.clone())
        .build();
    setting.health.add(health::part(health::Scheduler {
        handle: scheduler.handle(),
        limits: setting.config.health.clone(),
        stop,
        since: SystemClock.now(),
    }));
    let reading = OptionFuture::from(reading);
    let (report, _) = tokio::join!(scheduler.run(), reading);
    if report.dropped > 0 {
        tracing::warn!(
            daemons = report.dropped,
            "daemons did not end in time; what they leased comes again"
        );
    }
}

fn intervals(from: &longshore_service::config::Intervals) -> Intervals {
    Intervals {
        dispatch_outbox: from.dispatch_outbox,
        promote_due: from.promote_due,
        promote_due_idle: from.promote_due_idle,
        expire_leases: from.expire_leases,
        expire_waiting: from.expire_waiting,
        tell_children: from.tell_children,
        verify_edges: from.verify_edges,
        audit_published: from.audit_published,
        keep_dead_letters: from.keep_dead_letters,
        prune_finished: from.prune_finished,
        release_parked: from.release_parked,
        fire_cron: from.fire_cron,
        apply_cron: from.apply_cron,
        send_notifications: from.send_notifications,
        compare_indexes: from.compare_indexes,
        lease_shards: from.lease_shards,
    }
}

fn retention(from: &longshore_service::config::Retention) -> Retention {
    Retention {
        completed: from.completed,
        failed: from.failed,
        cancelled: from.cancelled,
        expired: from.expired,
    }
}
