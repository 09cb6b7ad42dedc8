//! Time-outs, priorities, tags, metadata, and data in pieces.
//!
//! `cargo run -p longshore --features worker,embedded --example best_practices`
#![cfg_attr(
    not(test),
    expect(clippy::print_stdout, reason = "an example shows what it does")
)]

#[path = "support/fleet.rs"]
pub(crate) mod fleet;

use std::error::Error;

use fleet::{Fleet, Place};
use longshore::worker::JobContext;
use longshore::{Job, JobError, JobFilter, Priority, WaitError, secs};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct CallExternalApi;

impl Job for CallExternalApi {
    const FUNCTION_NAME: &'static str = "call_external_api";
    type Output = ();
}

/// An endpoint that never answers.
async fn call_external_api(_job: CallExternalApi) -> Result<(), JobError> {
    std::future::pending().await
}

#[derive(Serialize, Deserialize)]
struct ProcessOrders {
    orders: u32,
}

impl Job for ProcessOrders {
    const FUNCTION_NAME: &'static str = "process_orders";
    type Output = u64;
}

/// A large data set, chunk by chunk: each is gone before the next comes.
async fn process_orders(job: ProcessOrders, ctx: JobContext) -> Result<u64, JobError> {
    const CHUNK: u32 = 1_000;
    let mut sum = 0;
    let mut done = 0;
    while done < job.orders {
        ctx.check_cancelled()?;
        let chunk: Vec<u64> = (done..job.orders.min(done + CHUNK)).map(u64::from).collect();
        sum += chunk.iter().sum::<u64>();
        done += CHUNK.min(job.orders - done);
        ctx.progress(
            f64::from(done) / f64::from(job.orders),
            format!("Processing {done}/{}", job.orders),
        );
    }
    let who = ctx.metadata().get("user_id").and_then(|who| who.as_str());
    ctx.log(format!("for {}", who.unwrap_or("nobody")));
    Ok(sum)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let register =
        |worker: longshore::worker::Builder| worker.register(call_external_api).register(process_orders);
    let fleet = Fleet::start(place, register).await?;
    let client = &fleet.client;

    // A time-out for what waits for somebody else.
    let call = client
        .enqueue(CallExternalApi)
        .timeout(secs(1))
        .max_retries(0)
        .await?;
    // People wait for it: before everything else.
    let report = client
        .enqueue(ProcessOrders { orders: 10_500 })
        .name("User Report")
        .priority(Priority::High)
        .tag("order")
        .tag("user:123")
        .metadata("user_id", "user123")
        .metadata("report_type", "monthly")
        .await?;
    // Nobody waits for it: after everything else.
    let upkeep = client
        .enqueue(ProcessOrders { orders: 10 })
        .name("Cleanup")
        .priority(Priority::Low)
        .await?;

    println!("{} {}", report.wait().await?, upkeep.wait().await?);
    match call.wait().await {
        Err(WaitError::Failed { error, .. }) if error.error_type == "timeout" => {
            println!("{}", error.message);
        }
        other => return Err(format!("an unexpected end: {other:?}").into()),
    }
    let filter = JobFilter {
        tags: vec!["user:123".to_owned()],
        ..JobFilter::default()
    };
    let tagged = client.list(&filter).await?.jobs;
    let names: Vec<_> = tagged.iter().map(|job| job.name.as_str()).collect();
    println!("of user 123: {names:?}");
    if names != ["User Report"] {
        return Err(format!("unexpected jobs: {names:?}").into());
    }
    fleet.stop().await;
    Ok(())
}
