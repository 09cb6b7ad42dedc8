//! `longshore queue`: list, peek, pause, resume, purge.

mod peek;
mod purge;

use std::collections::BTreeSet;
use std::time::Duration;

use longshore::{QueueRow, Statistics, StatisticsQuery};
use longshore_core::{JobStatus, QueueName};
use longshore_service::exit::ExitCode;
use serde_json::json;

use crate::args::queue::Queue;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::output::{Column, Format, Give, Out, warn};
use crate::similar::did_you_mean;
use crate::stats::{self, figure};

/// What rates are over; the headings say so.
const WINDOW: Duration = Duration::from_secs(300);

/// Runs one of the commands.
///
/// # Errors
/// When the store does not answer.
pub(crate) async fn run(fleet: &Fleet, command: Queue, out: &mut Out) -> Result<(), Failure> {
    match command {
        Queue::Ls => list(fleet, out).await,
        Queue::Peek(options) => peek::run(fleet, &options, out).await,
        Queue::Purge(options) => purge::run(fleet, options, out).await,
        Queue::Pause { queue, create } => {
            if !create {
                let more = format!("; `longshore queue pause {queue} --create` pauses one before it is used");
                known(fleet, &queue, &more).await?;
            }
            fleet.set_paused(&queue, true).await?;
            told(&queue, true, out)
        }
        Queue::Resume { queue } => {
            known(fleet, &queue, "").await?;
            fleet.set_paused(&queue, false).await?;
            told(&queue, false, out)
        }
    }
}

/// A mistyped name must not make a queue that stays paused and that nobody misses.
async fn known(fleet: &Fleet, queue: &QueueName, more: &str) -> Result<(), Failure> {
    let mut known: BTreeSet<QueueName> = fleet.queues().await?.into_keys().collect();
    known.insert(QueueName::default());
    known.extend(
        fleet
            .workers()
            .await?
            .into_iter()
            .flat_map(|worker| worker.queues),
    );
    if known.contains(queue) {
        return Ok(());
    }
    let meant = did_you_mean(queue.as_str(), known.iter().map(QueueName::as_str));
    Err(Failure::new(
        ExitCode::NotFound,
        format!(
            "no job and no worker has named the queue {queue}.{meant} `longshore queue ls` lists queues{more}"
        ),
    ))
}

fn told(queue: &QueueName, paused: bool, out: &mut Out) -> Result<(), Failure> {
    Ok(match (out.format, paused) {
        (Format::Json | Format::Jsonl, _) => out.json(&json!({ "queue": queue.as_str(), "paused": paused })),
        (Format::Table, true) => out.line(format!(
            "{queue} is paused; resume it with `longshore queue resume {queue}`"
        )),
        (Format::Table, false) => out.line(format!("{queue} is resumed")),
    }?)
}

async fn list(fleet: &Fleet, out: &mut Out) -> Result<(), Failure> {
    let statistics = fleet.statistics(&StatisticsQuery::over(WINDOW)).await?;
    let queues: Vec<&QueueRow> = statistics
        .queues
        .iter()
        .filter(|row| row.queue.is_some())
        .collect();
    if queues.is_empty() && out.format == Format::Table {
        warn(
            "There is no queue yet: one begins with its first job. Hand one over with `longshore enqueue FUNCTION [JSON]`.",
        );
        return Ok(());
    }
    let rows: Vec<_> = queues
        .iter()
        .map(|row| stats::queue_document(&statistics, row))
        .collect();
    let heads: Vec<String> = COUNTED.map(|status| status.as_str().to_uppercase()).to_vec();
    let counts = COUNTED
        .into_iter()
        .zip(0..)
        .zip(&heads)
        .map(|((status, place), head)| Column::new(head, Give::All(rank(&queues, status, place))));
    // Told first of all where there are any: nothing but another worker starts them.
    let is_parked = queues.iter().any(|row| row.parked > 0);
    let parked = Column::new("PARKED", Give::All(if is_parked { 202 } else { 0 }));
    let columns: Vec<Column<'_>> = FIRST.into_iter().chain([parked]).chain(counts).collect();
    let cells = queues.iter().map(|row| cells(&statistics, row));
    Ok(out.rows(&columns, &rows, cells)?)
}

/// What stands before the counts. Jobs that wait to be run now are the length.
const FIRST: [Column<'_>; 7] = [
    Column::new("QUEUE", Give::DownTo(12)),
    Column::new("STATE", Give::Nothing),
    Column::new("QUEUED", Give::Nothing),
    Column::new("OLDEST", Give::Nothing),
    Column::new("IN 5m", Give::All(200)),
    Column::new("OUT 5m", Give::All(201)),
    Column::new("FAILED% 5m", Give::All(199)),
];

/// What is counted besides those that wait.
const COUNTED: [JobStatus; 8] = [
    JobStatus::Blocked,
    JobStatus::Scheduled,
    JobStatus::Running,
    JobStatus::Retrying,
    JobStatus::Completed,
    JobStatus::Failed,
    JobStatus::Cancelled,
    JobStatus::Expired,
];

fn cells(statistics: &Statistics, row: &QueueRow) -> Vec<String> {
    let tally = &row.tally;
    let first = [
        row.queue.as_ref().map(ToString::to_string).unwrap_or_default(),
        if row.paused { "paused" } else { "open" }.to_owned(),
        figure::count(row.length()),
        figure::time(statistics.age(row)),
        figure::rate(statistics.per_second(tally.enqueued)),
        figure::rate(statistics.per_second(tally.ended())),
        figure::share(tally.failure_rate()),
    ];
    let counts = COUNTED.map(|status| figure::count(count(row, status)));
    first
        .into_iter()
        .chain([figure::count(row.parked)])
        .chain(counts)
        .collect()
}

/// A narrow terminal does without the counts that are zero everywhere, then without those of jobs that have ended.
fn rank(queues: &[&QueueRow], status: JobStatus, place: u8) -> u8 {
    let is_used = queues.iter().any(|row| count(row, status) > 0);
    place + if status.is_terminal() { 0 } else { 50 } + if is_used { 100 } else { 0 }
}

fn count(row: &QueueRow, status: JobStatus) -> u64 {
    row.jobs.get(&status).copied().unwrap_or(0)
}
