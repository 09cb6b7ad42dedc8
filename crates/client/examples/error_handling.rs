//! Which errors are tried again, and how a handler says so itself.
//!
//! `cargo run -p longshore --features worker,embedded --example error_handling`
#![cfg_attr(
    not(test),
    expect(clippy::print_stdout, reason = "an example shows what it does")
)]

#[path = "support/fleet.rs"]
pub(crate) mod fleet;

use std::error::Error;
use std::io;
use std::time::Duration;

use fleet::{Fleet, Place};
use longshore::worker::JobContext;
use longshore::{Job, JobError, WaitError};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Risky {
    what: String,
}

impl Job for Risky {
    const FUNCTION_NAME: &'static str = "robust_task";
    type Output = u32;
}

#[derive(Debug, thiserror::Error)]
#[error("the order {order} was shipped already")]
struct AlreadyShipped {
    order: u32,
}

async fn robust_task(job: Risky, ctx: JobContext) -> Result<u32, JobError> {
    match (job.what.as_str(), ctx.attempt()) {
        // Errors of the operating system and time-outs may pass: `?` is enough, and the job is tried again.
        ("connection", 1) => Err(io::Error::from(io::ErrorKind::ConnectionReset))?,
        // So may errors whose text says so.
        ("keyword", 1) => Err(JobError::transient("the service is temporarily unavailable")),
        // Everything else is permanent: the job becomes a dead letter at once.
        ("value", _) => {
            let count: u32 = "twelve".parse()?;
            Ok(count)
        }
        ("own", _) => Err(AlreadyShipped { order: 7 })?,
        // A handler that knows better says so.
        ("surely", _) => Err(JobError::permanent(
            "connection refused by the licence server, for good",
        )),
        (_, attempt) => Ok(attempt),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::start(place, |worker| worker.register(robust_task)).await?;
    for (what, retried) in [
        ("connection", true),
        ("keyword", true),
        ("value", false),
        ("own", false),
        ("surely", false),
    ] {
        let what = what.to_owned();
        let handle = fleet
            .client
            .enqueue(Risky { what: what.clone() })
            .retry_delay(Duration::from_millis(100))
            .await?;
        let was_retried = match handle.wait().await {
            Ok(attempt) => {
                println!("{what}: done in attempt {attempt}");
                attempt > 1
            }
            Err(WaitError::Failed { error, .. }) => {
                println!("{what}: given up, {}: {}", error.error_type, error.message);
                false
            }
            Err(other) => return Err(other.into()),
        };
        if was_retried != retried {
            return Err(format!("{what} was retried: {was_retried}").into());
        }
    }
    fleet.stop().await;
    Ok(())
}
