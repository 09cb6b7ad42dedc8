//! A job for later: after a delay, or at a time; and one that is called off in time.
//!
//! `cargo run -p longshore --features worker,embedded --example scheduled_job`
#![cfg_attr(
    not(test),
    expect(clippy::print_stdout, reason = "an example shows what it does")
)]

#[path = "support/fleet.rs"]
pub(crate) mod fleet;

use std::error::Error;

use fleet::{Fleet, Place};
use longshore::{Clock, Job, JobError, SystemClock, secs};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct DailyReport {
    day: String,
}

impl Job for DailyReport {
    const FUNCTION_NAME: &'static str = "daily_report";
    type Output = String;
}

async fn daily_report(job: DailyReport) -> Result<String, JobError> {
    Ok(format!("The report of {}", job.day))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::start(place, |worker| worker.register(daily_report)).await?;
    let report = |day: &str| {
        let day = day.to_owned();
        fleet.client.enqueue(DailyReport { day })
    };
    let soon = report("Monday").delay(secs(1)).await?;
    let at = SystemClock.now().after(secs(2));
    let timed = report("Tuesday").scheduled_at(at).await?;
    let never = report("Wednesday").delay(secs(3_600)).await?;
    for handle in [&soon, &timed, &never] {
        println!("{}: {}", handle.id(), handle.poll().await?.status);
    }
    println!("{}", soon.wait().await?);
    println!("{}", timed.wait().await?);
    println!("{:?}", never.cancel("not needed any more").await?);
    fleet.stop().await;
    Ok(())
}
