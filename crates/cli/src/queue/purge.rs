//! `longshore queue purge`: cancels everything that waits in a queue.

use indicatif::{ProgressBar, ProgressStyle};
use longshore_core::view::{Cursor, JobFilter};
use longshore_core::{Clock, JobStatus, QueueName, SystemClock};
use longshore_service::exit::ExitCode;
use serde_json::json;

use crate::args::queue::QueuePurge;
use crate::dlq::confirm;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::fleet::purge::Purged;
use crate::output::{Format, Out, warn};

/// Statuses in which a job waits.
const WAITING: [JobStatus; 4] = [
    JobStatus::Queued,
    JobStatus::Scheduled,
    JobStatus::Retrying,
    JobStatus::Blocked,
];

/// Cancels what waits, in bounded steps.
///
/// # Errors
/// When a status is one in which nothing waits or the queue is unknown (nothing is cancelled then), it is not confirmed,
/// or the store does not answer.
pub(super) async fn run(fleet: &Fleet, options: QueuePurge, out: &mut Out) -> Result<(), Failure> {
    let filter = filter(&options)?;
    let queue = &options.queue;
    let queues = fleet.queues().await?;
    let Some(view) = queues.get(queue) else {
        return Err(unknown(queue));
    };
    let counted = |status: &JobStatus| view.counts.get(status).copied().unwrap_or(0);
    let waiting: u64 = filter.statuses.iter().map(counted).sum();
    if options.dry_run {
        return Ok(match out.format {
            Format::Table => out.line(format!(
                "would cancel {waiting} jobs of {queue}; nothing was changed"
            )),
            Format::Json | Format::Jsonl => {
                out.json(&json!({ "dry_run": true, "queue": queue.as_str(), "jobs": waiting }))
            }
        }?);
    }
    confirm(format!("cancel {waiting} jobs of the queue {queue}"), options.yes).await?;
    if !view.paused {
        warn(format!(
            "workers go on meanwhile; `longshore queue pause {queue}` before a purge keeps further jobs from starting"
        ));
    }
    let purged = cancel_all(fleet, &filter, &options.reason, waiting).await?;
    Ok(match out.format {
        Format::Table => out.line(format!(
            "{} jobs cancelled, {} that had just started are told to stop, {} had ended",
            purged.cancelled, purged.stopping, purged.over
        )),
        Format::Json | Format::Jsonl => out.json(&json!({
            "queue": queue.as_str(),
            "cancelled": purged.cancelled,
            "stopping": purged.stopping,
            "over": purged.over,
        })),
    }?)
}

fn unknown(queue: &QueueName) -> Failure {
    Failure::new(
        ExitCode::NotFound,
        format!("the queue {queue} holds no job; list queues with `longshore queue ls`"),
    )
}

fn filter(options: &QueuePurge) -> Result<JobFilter, Failure> {
    if let Some(status) = options.status.iter().find(|status| !WAITING.contains(status)) {
        return Err(Failure::usage(format!(
            "--status: jobs that are {status} do not wait; use queued, scheduled, retrying or blocked \
             (`longshore job cancel` ends what runs)"
        )));
    }
    let statuses = match options.status.as_slice() {
        [] => WAITING.to_vec(),
        given => given.to_vec(),
    };
    Ok(JobFilter {
        statuses,
        queue: Some(options.queue.clone()),
        created_until: Some(SystemClock.now()),
        ..JobFilter::default()
    })
}

async fn cancel_all(
    fleet: &Fleet,
    filter: &JobFilter,
    reason: &str,
    waiting: u64,
) -> Result<Purged, Failure> {
    let bar = bar(waiting);
    let mut purged = Purged::default();
    let mut after: Option<Cursor> = None;
    loop {
        let step = fleet.purge_step(filter, after, reason).await?;
        purged.cancelled += step.purged.cancelled;
        purged.stopping += step.purged.stopping;
        purged.over += step.purged.over;
        bar.set_position(purged.cancelled + purged.stopping + purged.over);
        after = step.next;
        if !step.is_more {
            bar.finish_and_clear();
            return Ok(purged);
        }
    }
}

/// Drawn on stderr where that is a terminal, and nowhere else.
fn bar(jobs: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} jobs cancelled, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(jobs).with_style(style)
}
