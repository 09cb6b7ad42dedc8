//! The measurements, one function each.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use longshore::Batch;
use longshore_backend::floor::Floor;
use longshore_core::{JobStatus, Priority};
use longshore_service::exit::ExitCode;

use super::cost::Meters;
use super::job::Updates;
use super::report::{Row, System};
use super::rig::Rig;
use crate::args::bench::{Bench, Mode};
use crate::failure::Failure;

/// How long the mode progress updates.
const PROGRESS: Duration = Duration::from_secs(10);
/// Critical jobs of the mode urgent, and the time between two of them.
const URGENT: usize = 100;
const URGENT_EVERY: Duration = Duration::from_millis(50);
/// Jobs that a chain or fan-out may have: as many as one enqueue takes.
const TOGETHER_MAX: usize = 50_000;

/// Measures one mode once.
pub(super) async fn measure(mode: Mode, rig: &Rig, meters: &Meters, options: &Bench) -> Result<Row, Failure> {
    let jobs = usize::try_from(options.jobs).unwrap_or(usize::MAX);
    match mode {
        Mode::Enqueue => enqueue(rig, meters, jobs).await,
        Mode::Drain => drain(rig, meters, jobs).await,
        Mode::EndToEnd => end_to_end(rig, meters, jobs).await,
        Mode::Latency => latency(rig, meters, jobs, options.rate).await,
        Mode::FanOut => fan_out(rig, meters, jobs.min(TOGETHER_MAX)).await,
        Mode::Chain => chain(rig, meters, jobs.min(TOGETHER_MAX)).await,
        Mode::Schedule => schedule(rig, meters, jobs).await,
        Mode::Promote => promote(rig, meters, jobs).await,
        Mode::Progress => progress(rig, meters, options).await,
        Mode::Urgent => urgent(rig, meters, jobs).await,
        Mode::HandOver => hand_over(rig, meters, jobs).await,
        Mode::Work => work(rig, meters, jobs).await,
        Mode::Memory => Err(Failure::usage("memory is measured apart")),
    }
}

/// Measures the floor of a mode once.
pub(super) async fn measure_floor(
    mode: Mode,
    floor: &Floor,
    meters: &Meters,
    options: &Bench,
) -> Result<Row, Failure> {
    let jobs = usize::try_from(options.jobs).unwrap_or(usize::MAX);
    let bundle = usize::from(options.bundle);
    let failed = |error| Failure::from_error(ExitCode::Unavailable, &error);
    if mode == Mode::Drain {
        floor.enqueue(jobs, bundle).await.map_err(failed)?;
    }
    let start = meters.start().await;
    let mut waits = None;
    match mode {
        Mode::Enqueue => floor.enqueue(jobs, bundle).await,
        Mode::Drain => floor.drain(jobs).await,
        Mode::Latency => floor
            .latency(jobs, every(options.rate))
            .await
            .map(|seen| waits = Some(seen)),
        _ => floor.end_to_end(jobs, bundle).await,
    }
    .map_err(failed)?;
    let row = Row::new(mode, System::Floor, jobs, &meters.stop(start).await);
    if mode == Mode::Enqueue {
        floor.drain(jobs).await.map_err(failed)?;
    }
    Ok(match waits {
        Some(waits) => row.with_waits(waits),
        None => row,
    })
}

fn every(rate: u32) -> Duration {
    Duration::from_secs(1) / rate.max(1)
}

async fn enqueue(rig: &Rig, meters: &Meters, jobs: usize) -> Result<Row, Failure> {
    let start = meters.start().await;
    rig.enqueue(jobs).await?;
    let row = Row::new(Mode::Enqueue, System::Longshore, jobs, &meters.stop(start).await);
    let worker = rig.worker().await?;
    rig.until_done(jobs).await?;
    worker.end().await?;
    Ok(row)
}

/// One half: nobody works here. The scheduler stays until what the client left to it is published; that is not measured.
async fn hand_over(rig: &Rig, meters: &Meters, jobs: usize) -> Result<Row, Failure> {
    let start = meters.start().await;
    rig.enqueue(jobs).await?;
    let row = Row::new(Mode::HandOver, System::Longshore, jobs, &meters.stop(start).await);
    rig.until_published().await?;
    Ok(row)
}

/// The other half: nobody enqueues here. More may wait than are asked for.
async fn work(rig: &Rig, meters: &Meters, jobs: usize) -> Result<Row, Failure> {
    let worker = rig.worker_of(jobs).await?;
    let start = meters.start().await;
    rig.until_handled(jobs).await;
    let row = Row::new(Mode::Work, System::Longshore, jobs, &meters.stop(start).await);
    worker.end().await?;
    Ok(row)
}

/// The waits are those of the critical jobs; the row's jobs are the low ones.
async fn urgent(rig: &Rig, meters: &Meters, jobs: usize) -> Result<Row, Failure> {
    rig.enqueue_backlog(jobs).await?;
    let worker = rig.worker().await?;
    tokio::time::sleep(URGENT_EVERY).await;
    let start = meters.start().await;
    for number in 0..URGENT {
        rig.seen.called_now();
        let critical = rig.client.enqueue(rig.job(number)).queue(rig.queue());
        critical.priority(Priority::Critical).await?;
        tokio::time::sleep(URGENT_EVERY).await;
    }
    let row = Row::new(Mode::Urgent, System::Longshore, jobs, &meters.stop(start).await);
    rig.seen.hurry();
    rig.until_done(jobs + URGENT).await?;
    worker.end().await?;
    Ok(row.with_waits(rig.seen.take_waits()))
}

async fn drain(rig: &Rig, meters: &Meters, jobs: usize) -> Result<Row, Failure> {
    rig.enqueue(jobs).await?;
    let start = meters.start().await;
    let worker = rig.worker().await?;
    rig.until_done(jobs).await?;
    let row = Row::new(Mode::Drain, System::Longshore, jobs, &meters.stop(start).await);
    worker.end().await?;
    Ok(row)
}

async fn end_to_end(rig: &Rig, meters: &Meters, jobs: usize) -> Result<Row, Failure> {
    let worker = rig.worker().await?;
    let start = meters.start().await;
    tokio::try_join!(rig.enqueue(jobs), rig.until_done(jobs))?;
    let row = Row::new(Mode::EndToEnd, System::Longshore, jobs, &meters.stop(start).await);
    worker.end().await?;
    Ok(row)
}

/// Enqueues jobs one by one at a rate, whether or not the earlier ones were acknowledged.
async fn latency(rig: &Rig, meters: &Meters, jobs: usize, rate: u32) -> Result<Row, Failure> {
    let worker = rig.worker().await?;
    let mut ticks = tokio::time::interval(every(rate));
    let start = meters.start().await;
    let mut calls = FuturesUnordered::new();
    for number in 0..jobs {
        loop {
            tokio::select! {
                _ = ticks.tick() => break,
                Some(answer) = calls.next() => drop(answer?),
            }
        }
        rig.seen.called_now();
        calls.push(
            rig.client
                .enqueue(rig.job(number))
                .queue(rig.queue())
                .into_future(),
        );
    }
    while let Some(answer) = calls.next().await {
        answer?;
    }
    rig.until_done(jobs).await?;
    let row = Row::new(Mode::Latency, System::Longshore, jobs, &meters.stop(start).await);
    worker.end().await?;
    Ok(row.with_waits(rig.seen.take_waits()))
}

/// From the start of a worker, its connecting too, until the last of its children can run. That they all run is waited for, not measured.
async fn fan_out(rig: &Rig, meters: &Meters, jobs: usize) -> Result<Row, Failure> {
    let mut batch = Batch::new();
    let parent = batch.add(rig.job(0)).queue(rig.queue()).reference();
    for number in 1..=jobs {
        batch.add(rig.job(number)).queue(rig.queue()).depends_on([parent]);
    }
    rig.client.enqueue_many(batch).await?;
    // Before the worker: it may have run the parent when it is there.
    let start = meters.start().await;
    let worker = rig.worker().await?;
    rig.until_none_is(JobStatus::Blocked).await?;
    let row = Row::new(Mode::FanOut, System::Longshore, jobs, &meters.stop(start).await);
    rig.until_done(jobs + 1).await?;
    worker.end().await?;
    Ok(row)
}

/// The waits are from one start to the next.
async fn chain(rig: &Rig, meters: &Meters, jobs: usize) -> Result<Row, Failure> {
    let mut batch = Batch::new();
    let mut last = None;
    for number in 0..jobs {
        let job = batch.add(rig.job(number)).queue(rig.queue()).depends_on(last);
        last = Some(job.reference());
    }
    rig.client.enqueue_many(batch).await?;
    rig.seen.watch_starts();
    let start = meters.start().await;
    let worker = rig.worker().await?;
    rig.until_done(jobs).await?;
    let row = Row::new(Mode::Chain, System::Longshore, jobs, &meters.stop(start).await);
    worker.end().await?;
    let starts = rig.seen.take_starts();
    let hops = starts.iter().zip(starts.iter().skip(1));
    Ok(row.with_waits(hops.map(|(one, next)| next.duration_since(*one)).collect()))
}

/// From the moment at which all jobs are due until none is scheduled any more; nobody works meanwhile.
async fn promote(rig: &Rig, meters: &Meters, jobs: usize) -> Result<Row, Failure> {
    let due = rig.enqueue_for_later(jobs).await?;
    tokio::time::sleep_until(due).await;
    let start = meters.start().await;
    rig.until_none_is(JobStatus::Scheduled).await?;
    let row = Row::new(Mode::Promote, System::Longshore, jobs, &meters.stop(start).await);
    let worker = rig.worker().await?;
    rig.until_done(jobs).await?;
    worker.end().await?;
    Ok(row)
}

/// The waits are from the moment at which all jobs are due to the start of each.
async fn schedule(rig: &Rig, meters: &Meters, jobs: usize) -> Result<Row, Failure> {
    let due = rig.enqueue_for_later(jobs).await?;
    rig.seen.watch_starts();
    let worker = rig.worker().await?;
    tokio::time::sleep_until(due).await;
    let start = meters.start().await;
    rig.until_done(jobs).await?;
    let row = Row::new(Mode::Schedule, System::Longshore, jobs, &meters.stop(start).await);
    worker.end().await?;
    let starts = rig.seen.take_starts();
    Ok(row.with_waits(
        starts
            .iter()
            .map(|start| start.saturating_duration_since(due))
            .collect(),
    ))
}

/// As many jobs as the worker has slots share the rate; the row's jobs are updates.
async fn progress(rig: &Rig, meters: &Meters, options: &Bench) -> Result<Row, Failure> {
    let (rate, slots) = (options.rate, options.max_workers.min(options.rate));
    // One job updates at most ten times a second; what is more would be coalesced and not measured.
    let jobs = slots.max(rate.div_ceil(10)).min(options.max_workers);
    let every = Duration::from_secs(1) * jobs / rate.max(1);
    let every = every.max(Duration::from_millis(100));
    let count = u32::try_from(PROGRESS.as_millis() / every.as_millis().max(1)).unwrap_or(u32::MAX);
    let updates = Updates {
        count,
        every_ms: u64::try_from(every.as_millis()).unwrap_or(u64::MAX),
    };
    let worker = rig.worker().await?;
    let mut batch = Batch::new();
    for number in 0..jobs {
        let mut job = rig.job(usize::try_from(number).unwrap_or(0));
        job.updates = Some(updates);
        batch.add(job).queue(rig.queue());
    }
    let start = meters.start().await;
    rig.client.enqueue_many(batch).await?;
    rig.until_done(usize::try_from(jobs).unwrap_or(usize::MAX))
        .await?;
    let cost = meters.stop(start).await;
    worker.end().await?;
    let written = usize::try_from(u64::from(jobs) * u64::from(count)).unwrap_or(usize::MAX);
    Ok(Row::new(Mode::Progress, System::Longshore, written, &cost))
}
