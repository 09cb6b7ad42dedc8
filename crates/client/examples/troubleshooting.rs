//! A job does not start, runs for too long, or fails: what to ask.
//!
//! `cargo run -p longshore --features worker,embedded --example troubleshooting`
#![cfg_attr(
    not(test),
    expect(clippy::print_stdout, reason = "an example shows what it does")
)]

#[path = "support/fleet.rs"]
pub(crate) mod fleet;

use std::error::Error;
use std::time::Duration;

use fleet::{Fleet, Place};
use longshore::worker::JobContext;
use longshore::{Clock, DeadFilter, Job, JobError, JobStatus, Reason, SystemClock};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Import {
    broken: bool,
}

impl Job for Import {
    const FUNCTION_NAME: &'static str = "import";
    type Output = ();
}

async fn import(job: Import, ctx: JobContext) -> Result<(), JobError> {
    if job.broken {
        return Err(JobError::permanent("the file is not CSV"));
    }
    ctx.cancelled().await;
    Err(JobError::cancelled())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::start(place, |worker| worker.register(import)).await?;
    let client = &fleet.client;

    // "Job not starting": is anybody there, how long is the queue, and what does the job itself wait for?
    client.pause("default").await?;
    let job = client.enqueue(Import { broken: false }).await?;
    println!("Workers: {}", client.workers().await?.len());
    let queue_size = client.queue_size("default").await?;
    if queue_size > 100 {
        println!("The queue is large: {queue_size}");
    }
    let why = job.why().await?;
    for obstacle in &why.obstacles {
        println!("{}; {}", obstacle.explanation, obstacle.remedy);
    }
    let is_paused = |reason: &Reason| matches!(reason, Reason::QueuePaused { .. });
    if !why.obstacles.iter().any(|obstacle| is_paused(&obstacle.reason)) {
        return Err(format!("the pause is not among the reasons: {why:?}").into());
    }
    client.resume("default").await?;

    // "Job stuck in running state": since when, and an end to it.
    let started_at = loop {
        if let Some(at) = job.poll().await?.started_at {
            break at;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    println!("Running for: {:?}", SystemClock.now().since(started_at));
    job.cancel("it takes too long").await?;
    if let Err(ended) = job.wait().await {
        println!("{ended}");
    }

    // "High failure rate": how many, and of which kinds.
    let broken = client.enqueue(Import { broken: true }).await?;
    if let Err(ended) = broken.wait().await {
        println!("{ended}");
    }
    let queues = client.queues().await?;
    let failed: u64 = queues
        .values()
        .filter_map(|queue| queue.counts.get(&JobStatus::Failed))
        .sum();
    println!("Failed: {failed}");
    for group in client.dead_letters().groups(&DeadFilter::default()).await? {
        let error = group.example.error.unwrap_or_default();
        println!("{} times {}: {}", group.count, error.error_type, error.message);
    }
    if failed != 1 {
        return Err(format!("{failed} jobs have failed").into());
    }
    fleet.stop().await;
    Ok(())
}
