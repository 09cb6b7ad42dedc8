//! Looking at what failed for good, and trying it again.
//!
//! `cargo run -p longshore --features worker,embedded --example dead_letters`
#![cfg_attr(
    not(test),
    expect(clippy::print_stdout, reason = "an example shows what it does")
)]

#[path = "support/fleet.rs"]
pub(crate) mod fleet;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fleet::{Fleet, Place};
use longshore::worker::State;
use longshore::{DeadFilter, Job, JobError, WaitError};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct SendMail {
    to: String,
}

impl Job for SendMail {
    const FUNCTION_NAME: &'static str = "send_mail";
    type Output = ();
}

/// Whether the cause of the failures is gone.
type Mended = Arc<AtomicBool>;

async fn send_mail(job: SendMail, State(mended): State<Mended>) -> Result<(), JobError> {
    if mended.load(Ordering::SeqCst) {
        return Ok(());
    }
    Err(JobError::permanent(format_args!("no such mailbox: {}", job.to)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&Place::from_environment()?).await
}

pub(crate) async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let mended = Mended::default();
    let state = Arc::clone(&mended);
    let fleet = Fleet::start(place, |worker| worker.state(state).register(send_mail)).await?;
    let mut handles = Vec::new();
    for to in ["a@example.com", "b@example.com"] {
        handles.push(fleet.client.enqueue(SendMail { to: to.to_owned() }).await?);
    }
    for handle in &handles {
        match handle.wait().await {
            Err(WaitError::Failed { .. }) => {}
            other => return Err(format!("an unexpected end: {other:?}").into()),
        }
    }

    let letters = fleet.client.dead_letters();
    let page = letters.page(&DeadFilter::default(), None, 100).await?;
    for job in &page.jobs {
        let error = job.error.clone().ok_or("a dead letter has an error")?;
        println!("Job: {}", job.name);
        println!("Error type: {}", error.error_type);
        println!("Error: {}", error.message);
        println!(
            "Traceback: {}",
            error.traceback.unwrap_or_default().lines().count()
        );
    }
    if page.jobs.len() != handles.len() {
        return Err(format!("{} dead letters, not {}", page.jobs.len(), handles.len()).into());
    }

    // The cause is gone: both run again, their retries restored.
    mended.store(true, Ordering::SeqCst);
    let ids: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
    println!("{:?}", letters.requeue(&ids).await?);
    for handle in &handles {
        handle.wait().await?;
    }
    println!("{} are left", letters.count(&DeadFilter::default()).await?);
    fleet.stop().await;
    Ok(())
}
