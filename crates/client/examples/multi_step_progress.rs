//! One bar over several steps, each with its share.
//!
//! `cargo run -p longshore --features worker,embedded --example multi_step_progress`
#![cfg_attr(
    not(test),
    expect(clippy::print_stdout, reason = "an example shows what it does")
)]

#[path = "support/fleet.rs"]
pub(crate) mod fleet;

use std::error::Error;

use fleet::{Fleet, Place};
use longshore::worker::JobContext;
use longshore::{Job, JobError};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct ComplexTask {
    numbers: Vec<u64>,
}

impl Job for ComplexTask {
    const FUNCTION_NAME: &'static str = "complex_task";
    type Output = u64;
}

async fn complex_task(job: ComplexTask, ctx: JobContext) -> Result<u64, JobError> {
    // Step 1: fetch data (0-30 %). How long it takes is not known: the bar says what it waits for.
    ctx.stage("Fetching data...");
    let data = job.numbers;
    let total = u32::try_from(data.len())?;
    ctx.progress(0.3, "Data fetched");

    // Step 2: process data (30-70 %).
    let mut sum = 0;
    for (done, number) in (1_u32..).zip(&data) {
        ctx.check_cancelled()?;
        sum += number * number;
        let part = f64::from(done) / f64::from(total);
        ctx.progress(0.3 + 0.4 * part, "Processing data...")
            .field("current_item", number)
            .field("items_processed", done);
    }
    ctx.progress(0.7, "Data processed");

    // Step 3: save results (70-100 %).
    ctx.progress(0.7, "Saving results...");
    ctx.progress(1.0, "Complete!");
    Ok(sum)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::start(place, |worker| worker.register(complex_task)).await?;
    let numbers = (1..=50).collect();
    let handle = fleet.client.enqueue(ComplexTask { numbers }).await?;
    let sum = handle.wait().await?;
    let last = handle.poll().await?.progress;
    println!("{sum}: {} {:?}", last.message, last.fields);
    if sum != 42_925 || last.fraction != Some(1.0) || last.message != "Complete!" {
        return Err(format!("an unexpected end: {sum}, {last:?}").into());
    }
    fleet.stop().await;
    Ok(())
}
