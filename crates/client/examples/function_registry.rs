//! Handlers by name: a job survives every restart, because only its name and arguments are kept.
//!
//! `cargo run -p longshore --features worker,embedded --example function_registry`
#![cfg_attr(
    not(test),
    expect(clippy::print_stdout, reason = "an example shows what it does")
)]

#[path = "support/fleet.rs"]
pub(crate) mod fleet;

use std::error::Error;

use fleet::{Fleet, Place};
use longshore::worker::JobContext;
use longshore::{FunctionName, JobError, JobSpec, value};
use serde_json::{Value, json};

/// Takes whatever arguments come: nothing but the name binds it to the jobs.
async fn calculate_report(args: Value, ctx: JobContext) -> Result<Value, JobError> {
    let Some(user_id) = args.get("user_id").and_then(Value::as_str) else {
        return Err(JobError::permanent("user_id: is missing"));
    };
    ctx.progress(1.0, "Processing step 1/1");
    Ok(json!({ "status": "completed", "user_id": user_id }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    // Enqueued while no worker has the function: the job is put aside.
    let fleet = Fleet::start(place, |worker| {
        worker.register_named("something_else", calculate_report)
    })
    .await?;
    let args = value::encode("args", &json!({ "user_id": "user123" }))?;
    let spec = JobSpec::new(FunctionName::new("calculate_report")?, args);
    let handle = fleet.client.enqueue_spec(spec).name("Report").await?;
    let id = handle.id();
    println!("{}: {}", id, handle.poll().await?.status);
    fleet.stop().await;

    // Another process, another day.
    let fleet = Fleet::start(place, |worker| {
        worker.register_named("calculate_report", calculate_report)
    })
    .await?;
    let result = fleet.client.job(id).wait().await?;
    println!("{result}");
    if result != json!({ "status": "completed", "user_id": "user123" }) {
        return Err(format!("an unexpected result: {result}").into());
    }
    fleet.stop().await;
    Ok(())
}
