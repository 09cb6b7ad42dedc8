//! A job that fails at first: transient errors are retried with growing delays, permanent ones are not.
//!
//! `cargo run -p longshore --features worker,embedded --example retry_configuration`
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
use longshore::{Job, JobError, WaitError, secs};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct CallApi {
    endpoint: String,
}

impl Job for CallApi {
    const FUNCTION_NAME: &'static str = "call_api";
    type Output = u32;
}

async fn call_api(job: CallApi, ctx: JobContext) -> Result<u32, JobError> {
    if !job.endpoint.starts_with("https://") {
        // Would not pass by itself: no retry.
        return Err(JobError::permanent(format_args!("{} is not https", job.endpoint)));
    }
    if ctx.attempt() < 3 {
        // An error with "connection" or "timeout" in its text counts as transient by itself; `?` does the same.
        return Err(JobError::transient("connection reset by peer"));
    }
    Ok(ctx.attempt())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::start(place, |worker| worker.register(call_api)).await?;
    let call = |endpoint: &str| {
        let endpoint = endpoint.to_owned();
        fleet
            .client
            .enqueue(CallApi { endpoint })
            .max_retries(5)
            .retry_delay(Duration::from_millis(200))
            .retry_backoff(2.0)
            .retry_jitter(true)
            .retry_delay_max(secs(30))
            .timeout(secs(30))
    };
    let handle = call("https://api.example.com/data").await?;
    println!("Done in attempt {}", handle.wait().await?);
    let view = fleet
        .client
        .view(handle.id())
        .await?
        .ok_or("the job is still kept")?;
    for attempt in view.full.unwrap_or_default().history {
        println!(
            "  attempt {}: {} ({})",
            attempt.number, attempt.outcome, attempt.error
        );
    }

    let handle = call("http://api.example.com/data").await?;
    match handle.wait().await {
        Err(WaitError::Failed { error, .. }) => println!("Given up at once: {}", error.message),
        other => println!("Unexpected: {other:?}"),
    }
    fleet.stop().await;
    Ok(())
}
