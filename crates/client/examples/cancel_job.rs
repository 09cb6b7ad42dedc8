//! Cancelling: a job that waits never starts, one that runs is told to stop.
//!
//! `cargo run -p longshore --features worker,embedded --example cancel_job`
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
use longshore::{CancelReply, Job, JobError, JobStatus, WaitError, secs};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct LongCalculation;

impl Job for LongCalculation {
    const FUNCTION_NAME: &'static str = "long_calculation";
    type Output = ();
}

async fn long_calculation(_job: LongCalculation, ctx: JobContext) -> Result<(), JobError> {
    for step in 0..600 {
        // Ends the handler when somebody wants it to end; what is half done can be cleaned up before.
        ctx.check_cancelled()?;
        ctx.progress(f64::from(step) / 600.0, format!("Step {step}/600"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::start(place, |worker| worker.register(long_calculation)).await?;
    let waiting = fleet.client.enqueue(LongCalculation).delay(secs(3_600)).await?;
    let running = fleet.client.enqueue(LongCalculation).await?;

    // What a button "Cancel This Job" does.
    let reply = waiting.cancel("cancelled by user123").await?;
    println!("before it started: {reply:?}");
    if reply != CancelReply::Cancelled {
        return Err(format!("an unexpected reply: {reply:?}").into());
    }

    let mut events = running.progress();
    while let Some(event) = events.next().await {
        if event?.status == JobStatus::Running {
            break;
        }
    }
    println!(
        "while it runs: {:?}",
        running.cancel("cancelled by user123").await?
    );
    match running.wait().await {
        Err(WaitError::Cancelled { reason, .. }) => println!("Job cancelled: {reason}"),
        other => return Err(format!("an unexpected end: {other:?}").into()),
    }
    fleet.stop().await;
    Ok(())
}
