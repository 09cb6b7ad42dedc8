//! `longshore queue peek`: the jobs that start next.

use longshore_core::clock::short_time;
use longshore_core::view::JobView;
use longshore_core::{Clock, SystemClock, Timestamp};
use serde_json::Value;

use crate::args::queue::QueuePeek;
use crate::board::short;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::job::document::summary;
use crate::output::{Column, Format, Give, Out, warn};

const COLUMNS: [Column<'static>; 5] = [
    Column::new("ID", Give::Nothing),
    Column::new("PRIORITY", Give::Nothing),
    Column::new("NAME", Give::DownTo(12)),
    Column::new("TRIES", Give::All(0)),
    Column::new("STANDS", Give::DownTo(16)),
];

/// Shows the first jobs of a queue.
///
/// # Errors
/// When the store does not answer, or nobody has named the queue.
pub(super) async fn run(fleet: &Fleet, options: &QueuePeek, out: &mut Out) -> Result<(), Failure> {
    let limit = usize::try_from(options.limit).unwrap_or(usize::MAX);
    let jobs = fleet.next_in_line(&options.queue, limit).await?;
    if jobs.is_empty() {
        super::known(fleet, &options.queue, "").await?;
    }
    if jobs.is_empty() && out.format == Format::Table {
        warn(format!("Nothing waits to start in {}.", options.queue));
        return Ok(());
    }
    let now = SystemClock.now();
    let rows: Vec<Value> = jobs.iter().map(summary).collect();
    let cells = jobs.iter().map(|job| {
        vec![
            job.id.to_string(),
            job.priority.to_string(),
            short(&job.name, 32),
            job.attempts.to_string(),
            stands(job, now),
        ]
    });
    Ok(out.rows(&COLUMNS, &rows, cells)?)
}

fn stands(job: &JobView, now: Timestamp) -> String {
    match job.published_at {
        Some(at) => format!("published {} ago", short_time(now.since(at))),
        None if job.parked.is_some() => "no worker has the function".to_owned(),
        None => "not published yet".to_owned(),
    }
}
