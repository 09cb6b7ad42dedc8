//! `longshore job cleanup`: deletes what ended long ago, now, beside the scheduler's own retention.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use longshore_core::limits::DURATION_MAX;
use longshore_core::view::JobFilter;
use longshore_core::{Clock, JobStatus, SystemClock};
use longshore_service::exit::ExitCode;
use serde_json::json;

use crate::args::dlq::Cleanup;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::output::{Format, Out};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Deletes ended jobs of every shard in bounded steps.
///
/// # Errors
/// When the days or a status are wrong (nothing is deleted then), jobs stay because their children must be told first,
/// or the store does not answer.
pub(super) async fn run(fleet: &Fleet, options: Cleanup, out: &mut Out) -> Result<(), Failure> {
    let keep = retention(&options.retention_days)?;
    let statuses = statuses(options.status)?;
    let over = count(fleet, &statuses, keep).await?;
    if options.dry_run {
        return Ok(match out.format {
            Format::Table => out.line(format!(
                "would delete up to {over} jobs; nothing was changed. Tombstones stay for seven days or more."
            )),
            Format::Json | Format::Jsonl => out.json(&json!({ "dry_run": true, "jobs": over })),
        }?);
    }
    let bar = bar(over);
    let mut deleted = 0;
    let held = loop {
        let step = fleet.clean(keep, &statuses).await?;
        deleted += step.deleted;
        bar.set_position(deleted);
        if step.deleted == 0 {
            break step.held_by_children;
        }
    };
    bar.finish_and_clear();
    match out.format {
        Format::Table => out.line(format!("{deleted} jobs deleted"))?,
        Format::Json | Format::Jsonl => out.json(&json!({ "deleted": deleted, "held_by_children": held }))?,
    }
    if held > 0 {
        return Err(Failure::new(
            ExitCode::Failure,
            format!(
                "{held} jobs stay until their children are told that they are gone, which a scheduler does; run it again then"
            ),
        ));
    }
    Ok(())
}

fn retention(days: &str) -> Result<Duration, Failure> {
    let most = DURATION_MAX.as_secs() / DAY;
    let days: u64 = days
        .parse()
        .ok()
        .filter(|days| (1..=most).contains(days))
        .ok_or_else(|| {
            Failure::usage(format!(
                "--retention-days: \"{days}\" is no number of days from 1 to {most}; \
                 use 1 to keep what ended within the last day"
            ))
        })?;
    Ok(Duration::from_secs(days * DAY))
}

fn statuses(given: Vec<JobStatus>) -> Result<Vec<JobStatus>, Failure> {
    let ended: Vec<_> = JobStatus::ALL
        .into_iter()
        .filter(|status| status.is_terminal())
        .collect();
    if let Some(live) = given.iter().find(|status| !status.is_terminal()) {
        return Err(Failure::usage(format!(
            "--status: jobs that are {live} have not ended and are never deleted; \
             use completed, failed, cancelled or expired"
        )));
    }
    Ok(if given.is_empty() { ended } else { given })
}

/// How many jobs ended that long ago.
async fn count(fleet: &Fleet, statuses: &[JobStatus], keep: Duration) -> Result<u64, Failure> {
    let ended_until = SystemClock.now().before(keep);
    let filter = JobFilter {
        statuses: statuses.to_vec(),
        // What ended before was enqueued before; producers' clocks may be ahead.
        created_until: Some(ended_until.after(Duration::from_secs(DAY))),
        ..JobFilter::default()
    };
    let (mut count, mut after) = (0, None);
    loop {
        let page = fleet.list(&filter, after, 1_000).await?;
        let over = |at: longshore_core::Timestamp| at <= ended_until;
        count += page
            .jobs
            .iter()
            .filter(|job| job.finished_at.is_some_and(over))
            .count() as u64;
        after = page.next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

/// Drawn on stderr where that is a terminal, and nowhere else.
fn bar(jobs: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} jobs deleted, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(jobs).with_style(style)
}
