//! A complete worker: a contract, a handler with shared state and progress, a store in a folder, a clean stop.
//!
//! `cargo run -p longshore-worker --example reports`
//!
//! The contract would stand in a crate of its own that producers and workers share. The store is the embedded one; a
//! worker of a fleet gives `Worker::builder` a `BackendConfig` instead, and producers use the crate `longshore`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use longshore_backend::embedded::{Options, Store};
use longshore_core::message::{Message, MessageJob};
use longshore_core::port::Ports;
use longshore_core::port::enqueue::NewJob;
use longshore_core::random::SystemRandom;
use longshore_core::view::Detail;
use longshore_core::{
    Clock, Envelope, FunctionName, Job, JobError, JobId, JobSpec, JobStatus, SystemClock, value,
};
use longshore_worker::{JobContext, State, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// The contract.
#[derive(Serialize, Deserialize)]
struct CalculateReport {
    user: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Report {
    user: String,
    total: u64,
}

impl Job for CalculateReport {
    const FUNCTION_NAME: &'static str = "calculate_report";
    type Output = Report;
}

/// What handlers share.
#[derive(Clone)]
struct Accounts(Arc<HashMap<String, Vec<u64>>>);

async fn calculate_report(
    job: CalculateReport,
    ctx: JobContext,
    State(accounts): State<Accounts>,
) -> Result<Report, JobError> {
    let Some(items) = accounts.0.get(&job.user) else {
        return Err(JobError::permanent(format_args!("no account of {}", job.user)));
    };
    let mut total = 0;
    for (done, item) in (1_u32..).zip(items) {
        ctx.check_cancelled()?;
        total += item;
        let all = u32::try_from(items.len())?;
        ctx.progress(f64::from(done) / f64::from(all), "adding up")
            .field("items_processed", done);
        tokio::task::yield_now().await;
    }
    Ok(Report {
        user: job.user,
        total,
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    longshore_worker::install_panic_hook();
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path(), Options::default())?;
    let accounts = Accounts(Arc::new(HashMap::from([("ada".to_owned(), vec![1, 2, 39])])));

    let stop = CancellationToken::new();
    let worker = Worker::builder(store.ports())
        .state(accounts)
        .register(calculate_report)
        .slots(4)
        .shutdown(stop.clone())
        .build()?;
    let running = tokio::spawn(worker.run());

    let user = "ada".to_owned();
    let id = enqueue(&store.ports(), &CalculateReport { user }).await?;
    let report: Report = result(&store.ports(), id).await?;
    println!("{} has {}", report.user, report.total);

    stop.cancel();
    let ended = running.await??;
    println!(
        "{} attempt(s), clean stop: {}",
        ended.stats.started,
        ended.is_clean()
    );
    Ok(())
}

/// Records a job and publishes it; the crate `longshore` does this, and more, in one call.
async fn enqueue<T: Job>(ports: &Ports, job: &T) -> Result<JobId, Box<dyn Error>> {
    let now = SystemClock.now();
    let spec = JobSpec::new(FunctionName::new(T::FUNCTION_NAME)?, value::encode("args", job)?);
    let id = JobId::generate(now, 0, &SystemRandom);
    let envelope = Envelope::from_spec(&spec, id, now);
    let encoded = envelope.encode()?;
    let record = NewJob::from_envelope(&envelope, encoded.clone());
    let reply = ports.enqueue.enqueue(0, vec![record]).await?;
    let dispatch = MessageJob {
        id,
        gen_: 1,
        attempts: 0,
        retries: 0,
        losts: 0,
        envelope: encoded,
    };
    let message = Message {
        id: longshore_core::port::broker::message_id(),
        queue: envelope.queue,
        priority: envelope.priority,
        shard: 0,
        epoch: reply.epoch,
        published_at: now,
        norecord: false,
        jobs: vec![dispatch],
    };
    ports.publish.publish(vec![message]).await;
    ports.enqueue.mark_published(0, vec![(id, 1)]).await?;
    Ok(id)
}

/// Waits for a job's result.
async fn result<T: for<'de> Deserialize<'de>>(ports: &Ports, id: JobId) -> Result<T, Box<dyn Error>> {
    let mut changes = ports.inspect.watch(vec![id]).await?;
    loop {
        let views = ports.inspect.jobs(0, vec![id], Detail::Full).await?;
        let view = views.into_iter().next().flatten().ok_or("the job is gone")?;
        if view.status == JobStatus::Completed {
            let bytes = view
                .full
                .and_then(|full| full.result)
                .ok_or("no result is kept")?;
            return Ok(value::decode("result", &bytes)?);
        }
        if view.status.is_terminal() {
            return Err(format!("the job ended {}", view.status).into());
        }
        changes.next().await;
    }
}
