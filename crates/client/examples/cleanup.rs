//! Deleting what ended long ago. A scheduler does so by itself; this is for another retention, now.
//!
//! `cargo run -p longshore --features worker,embedded --example cleanup`
#![cfg_attr(
    not(test),
    expect(clippy::print_stdout, reason = "an example shows what it does")
)]

#[path = "support/fleet.rs"]
pub(crate) mod fleet;

use std::error::Error;
use std::time::Duration;

use fleet::{Fleet, Place};
use longshore::{Job, JobError, JobFilter, JobStatus, secs};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Quick;

impl Job for Quick {
    const FUNCTION_NAME: &'static str = "quick";
    type Output = ();
}

async fn quick(_job: Quick) -> Result<(), JobError> {
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::start(place, |worker| worker.register(quick)).await?;
    for _ in 0..3 {
        fleet.client.enqueue(Quick).await?.wait().await?;
    }

    // Nothing ended more than seven days ago.
    let cleaned = fleet.client.cleanup(secs(7 * 86_400)).await?;
    println!("Cleaned up {} old job results", cleaned.deleted);
    if cleaned.deleted != 0 {
        return Err(format!("{cleaned:?}").into());
    }
    // The last hundredth of a second stays.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let cleaned = fleet
        .client
        .cleanup(Duration::from_millis(10))
        .status(JobStatus::Completed)
        .await?;
    println!("Cleaned up {} old job results", cleaned.deleted);
    let left = fleet.client.list(JobFilter::default()).await?.jobs.len();
    if (cleaned.deleted, left) != (3, 0) {
        return Err(format!("{cleaned:?}, and {left} are left").into());
    }
    fleet.stop().await;
    Ok(())
}
