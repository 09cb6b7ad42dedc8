//! Progress as it happens, with a message and fields of the job's own.
//!
//! `cargo run -p longshore --features worker,embedded --example progress`
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
use longshore::{Job, JobError};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Import {
    items: u32,
}

impl Job for Import {
    const FUNCTION_NAME: &'static str = "import";
    type Output = u32;
}

async fn import(job: Import, ctx: JobContext) -> Result<u32, JobError> {
    ctx.progress(0.0, "Fetching data...");
    tokio::time::sleep(Duration::from_millis(300)).await;
    for item in 1..=job.items {
        ctx.check_cancelled()?;
        let fraction = 0.3 + 0.7 * f64::from(item) / f64::from(job.items);
        ctx.progress(fraction, format!("Processing item {item}/{}", job.items))
            .field("items_processed", item);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(job.items)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::start(place, |worker| worker.register(import)).await?;
    let handle = fleet.client.enqueue(Import { items: 60 }).await?;
    let mut updates = handle.progress();
    while let Some(event) = updates.next().await {
        let event = event?;
        let fraction = event.progress.fraction.unwrap_or(0.0);
        let filled = (1..=20)
            .filter(|step| f64::from(*step) / 20.0 <= fraction)
            .count();
        println!(
            "[{:<20}] {:>3.0}% {} {}",
            "#".repeat(filled),
            fraction * 100.0,
            event.status,
            event.progress.message
        );
    }
    println!("Imported {} items", handle.wait().await?);
    fleet.stop().await;
    Ok(())
}
