//! A worker of a fleet: handlers with shared state and progress, servers by URLs from the environment, and a clean stop
//! when it is told to end.
//!
//! `AMQP_URL=amqp://127.0.0.1 REDIS_URL=redis://127.0.0.1 cargo run -p longshore --features worker --example worker`
//!
//! Beside it run `longshore scheduler` and the services that enqueue; the contract stands in a crate that all share.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use longshore::worker::{CancellationToken, JobContext, State, Worker, install_panic_hook};
use longshore::{Job, JobError};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

/// The contract.
#[derive(Serialize, Deserialize)]
struct CalculateReport {
    user_id: String,
}

impl Job for CalculateReport {
    const FUNCTION_NAME: &'static str = "calculate_report";
    type Output = u64;
}

/// What handlers share; a pool of connections, usually.
#[derive(Clone)]
struct Accounts(Arc<HashMap<String, Vec<u64>>>);

async fn calculate_report(
    job: CalculateReport,
    ctx: JobContext,
    State(accounts): State<Accounts>,
) -> Result<u64, JobError> {
    let Some(items) = accounts.0.get(&job.user_id) else {
        return Err(JobError::permanent(format_args!("no account of {}", job.user_id)));
    };
    let (mut total, all) = (0, u32::try_from(items.len())?);
    for (done, item) in (1_u32..).zip(items) {
        ctx.check_cancelled()?;
        total += item;
        ctx.progress(f64::from(done) / f64::from(all), "adding up")
            .field("items_processed", done);
        tokio::task::yield_now().await;
    }
    Ok(total)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    install_panic_hook();
    let urls = (std::env::var("AMQP_URL")?, std::env::var("REDIS_URL")?);
    let accounts = Accounts(Arc::new(HashMap::from([("ada".to_owned(), vec![1, 2, 39])])));
    let ended = Worker::builder(urls)
        .state(accounts)
        .register(calculate_report)
        .max_workers(4)
        .shutdown(told_to_end()?)
        .run()
        .await?;
    println!(
        "{} attempt(s), clean stop: {}",
        ended.stats.started,
        ended.is_clean()
    );
    Ok(())
}

/// Cancelled by SIGTERM or Ctrl-C: the worker takes no more jobs then, and lets those it runs end.
fn told_to_end() -> Result<CancellationToken, std::io::Error> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = CancellationToken::new();
    let end = told.clone();
    drop(tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        end.cancel();
    }));
    Ok(told)
}
