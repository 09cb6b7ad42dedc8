//! A recurring job: made, run by hand, paused, removed.
//!
//! `cargo run -p longshore --features worker,embedded,cron --example recurring_job`
#![cfg_attr(
    not(test),
    expect(clippy::print_stdout, reason = "an example shows what it does")
)]

#[path = "support/fleet.rs"]
pub(crate) mod fleet;

use std::error::Error;

use fleet::{Fleet, Place};
use longshore::cron::{Overlap, Schedule};
use longshore::{Clock, Job, JobError, JobFilter, SystemClock};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct CollectMetrics {
    source: String,
}

impl Job for CollectMetrics {
    const FUNCTION_NAME: &'static str = "collect_metrics";
    type Output = String;
}

async fn collect_metrics(job: CollectMetrics) -> Result<String, JobError> {
    Ok(format!("The metrics of {}", job.source))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    // A preview asks nobody.
    let nightly = Schedule {
        expression: "30 2 * * MON-FRI".parse()?,
        zone: "Europe/Berlin".parse()?,
    };
    for tick in nightly.ticks(SystemClock.now()).take(3) {
        println!("{nightly}: {}", nightly.zone.show(tick));
    }

    let fleet = Fleet::start(place, |worker| worker.register(collect_metrics)).await?;
    let cron = fleet.client.cron();
    let source = "the shop".to_owned();
    let entry = cron
        .add("metrics", "* * * * * *", CollectMetrics { source })
        .overlap(Overlap::Skip)
        .await?;
    println!("{}: next at {:?}", entry.name, entry.next_at);
    let by_hand = cron.run_now("metrics").await?;
    println!("{}", by_hand.wait().await?);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    cron.pause("metrics").await?;
    let filter = JobFilter {
        tags: vec!["cron:metrics".to_owned()],
        ..JobFilter::default()
    };
    for job in fleet.client.list(&filter).await?.jobs {
        println!("{}: {}", job.id, job.status);
    }
    println!("removed: {}", cron.remove("metrics").await?);
    fleet.stop().await;
    Ok(())
}
