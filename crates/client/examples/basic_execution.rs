//! One job: enqueue, poll, wait.
//!
//! `cargo run -p longshore --features worker,embedded --example basic_execution`
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
use longshore::{Job, JobError, Priority};
use serde::{Deserialize, Serialize};

/// The contract, shared by producer and worker.
#[derive(Serialize, Deserialize)]
struct CalculateReport {
    user_id: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Report {
    user_id: String,
    pages: u32,
}

impl Job for CalculateReport {
    const FUNCTION_NAME: &'static str = "calculate_report";
    type Output = Report;
}

/// The handler.
async fn calculate_report(job: CalculateReport, ctx: JobContext) -> Result<Report, JobError> {
    for step in 1..=10 {
        ctx.check_cancelled()?;
        ctx.progress(f64::from(step) / 10.0, format!("Processing step {step}/10"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(Report {
        user_id: job.user_id,
        pages: 10,
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::start(place, |worker| worker.register(calculate_report)).await?;
    let job = CalculateReport {
        user_id: "user123".to_owned(),
    };
    let handle = fleet
        .client
        .enqueue(job)
        .name("Calculate Report")
        .priority(Priority::High)
        .tag("user:user123")
        .metadata("report_type", "monthly")
        .await?;
    println!("Enqueued {}", handle.id());

    tokio::time::sleep(Duration::from_millis(500)).await;
    let result = handle.poll().await?;
    println!("Status: {}", result.status);
    println!(
        "Progress: {:.0}%",
        result.progress.fraction.unwrap_or(0.0) * 100.0
    );

    let report = handle.wait().await?;
    println!("The report of {} has {} pages", report.user_id, report.pages);
    fleet.stop().await;
    Ok(())
}
