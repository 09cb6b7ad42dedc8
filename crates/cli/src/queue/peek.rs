//! `longshore queue peek`: the jobs that start next.

use longshore::{Client, ClientError};
use longshore_core::clock::short_time;
use longshore_core::port::Ports;
use longshore_core::view::{Detail, JobFilter, JobView};
use longshore_core::{Clock, JobStatus, QueueName, SystemClock, Timestamp};
use serde_json::Value;

use crate::args::queue::QueuePeek;
use crate::board::short;
use crate::failure::Failure;
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
/// When the store does not answer.
pub(super) async fn run(
    client: &Client,
    ports: &Ports,
    options: &QueuePeek,
    out: &mut Out,
) -> Result<(), Failure> {
    let limit = usize::try_from(options.limit).unwrap_or(usize::MAX);
    let jobs = in_line(client, ports, &options.queue, limit).await?;
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

/// Published jobs by priority and age; when they are fewer than asked for, those that are to be published.
async fn in_line(
    client: &Client,
    ports: &Ports,
    queue: &QueueName,
    limit: usize,
) -> Result<Vec<JobView>, ClientError> {
    let mut jobs = Vec::new();
    for shard in ports.enqueue.shards().all() {
        let ids = ports.checkup.next_in_line(shard, queue.clone(), limit).await?;
        let views = ports.inspect.jobs(shard, ids, Detail::Summary).await?;
        // One that has been claimed meanwhile is no longer in line.
        let waits = |job: &JobView| job.status == JobStatus::Queued && job.published_at.is_some();
        jobs.extend(views.into_iter().flatten().filter(waits));
    }
    jobs.sort_unstable_by_key(|job| (std::cmp::Reverse(job.priority), job.published_at, job.id));
    jobs.truncate(limit);
    if jobs.len() < limit && has_more(ports, queue, jobs.len()).await? {
        jobs.extend(unpublished(client, queue, limit - jobs.len()).await?);
    }
    Ok(jobs)
}

/// Whether more jobs wait in the queue than these: a walk through the listing is worth it. Those whose function no worker
/// has are neither published nor in the outbox.
async fn has_more(ports: &Ports, queue: &QueueName, seen: usize) -> Result<bool, ClientError> {
    let queues = ports.inspect.queues().await?;
    let queued = queues
        .get(queue)
        .and_then(|view| view.counts.get(&JobStatus::Queued).copied());
    Ok(queued.unwrap_or(0) > u64::try_from(seen).unwrap_or(u64::MAX))
}

/// The newest jobs that are not published, the most urgent first; looks at one page.
async fn unpublished(client: &Client, queue: &QueueName, limit: usize) -> Result<Vec<JobView>, ClientError> {
    let filter = JobFilter {
        statuses: vec![JobStatus::Queued],
        queue: Some(queue.clone()),
        ..JobFilter::default()
    };
    let mut page = client.list(&filter).limit(1_000).await?.jobs;
    page.retain(|job| job.published_at.is_none());
    page.sort_unstable_by_key(|job| {
        (
            job.parked.is_some(),
            std::cmp::Reverse(job.priority),
            job.outbox_at,
            job.id,
        )
    });
    page.truncate(limit);
    Ok(page)
}
