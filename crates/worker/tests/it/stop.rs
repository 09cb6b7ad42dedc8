//! Attempts that are told to stop: timeout, cancel, a worker that drains.

use std::future::pending;
use std::time::Duration;

use longshore_core::port::enqueue::{CancelReply, CancelRequest};
use longshore_core::{JobError, JobId, JobStatus};
use longshore_worker::JobContext;

use crate::rig::{Echo, Rig, Running, echo, until};

async fn stubborn(_: Echo) -> Result<String, JobError> {
    pending::<()>().await;
    Ok(String::new())
}

async fn polite(_: Echo, ctx: JobContext) -> Result<String, JobError> {
    ctx.cancelled().await;
    ctx.check_cancelled()?;
    Ok(String::new())
}

async fn cancel(rig: &Rig, id: JobId) -> CancelReply {
    let shard = rig.ports.enqueue.shards().of(&id);
    let request = CancelRequest {
        id,
        reason: "not needed".to_owned(),
    };
    rig.ports.enqueue.cancel(shard, vec![request]).await.unwrap()[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_over_its_timeout_is_aborted_and_counts_as_a_transient_error() {
    let rig = Rig::new();
    let worker = Running::start(
        rig.worker()
            // One aborted handler must not count as one that never stops.
            .max_workers(1)
            .cancel_grace(Duration::from_millis(20))
            .register(stubborn),
    );
    let mut spec = echo("x");
    spec.timeout = Some(Duration::from_millis(50));
    spec.max_retries = 1;
    let id = rig.enqueue(spec).await;
    let view = rig.until(id, JobStatus::Failed).await;
    assert_eq!((view.attempts, view.retries), (2, 1));
    assert_eq!(view.error.unwrap().error_type, "timeout");
    assert!(worker.stop().await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_without_a_timeout_has_that_of_its_worker() {
    let rig = Rig::new();
    let builder = rig.worker().job_timeout(Duration::from_millis(50));
    let worker = Running::start(builder.register(polite));
    let mut spec = echo("x");
    spec.max_retries = 0;
    let id = rig.enqueue(spec).await;
    let view = rig.until(id, JobStatus::Failed).await;
    let error = view.error.unwrap();
    assert_eq!(error.error_type, "timeout");
    assert!(error.message.contains("50ms"), "{}", error.message);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_whose_deadline_passes_expires() {
    let rig = Rig::new();
    let worker = Running::start(rig.worker().register(polite));
    let mut spec = echo("x");
    let now = longshore_core::Clock::now(&longshore_core::SystemClock);
    spec.deadline = Some(now.after(Duration::from_millis(300)));
    let id = rig.enqueue(spec).await;
    rig.until(id, JobStatus::Expired).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_reaches_a_handler_that_listens() {
    let rig = Rig::new();
    let worker = Running::start(rig.worker().register(polite));
    let id = rig.enqueue(echo("x")).await;
    rig.until(id, JobStatus::Running).await;
    assert_eq!(cancel(&rig, id).await, CancelReply::Requested);
    rig.until(id, JobStatus::Cancelled).await;
    assert_eq!(worker.stop().await.stats.cancelled, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_does_not_listen_is_aborted_after_the_grace() {
    let rig = Rig::new();
    let worker = Running::start(
        rig.worker()
            .cancel_grace(Duration::from_millis(20))
            .register(stubborn),
    );
    let id = rig.enqueue(echo("x")).await;
    rig.until(id, JobStatus::Running).await;
    cancel(&rig, id).await;
    rig.until(id, JobStatus::Cancelled).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_hands_back_what_runs_and_what_waits_without_using_an_attempt() {
    let rig = Rig::new();
    let builder = rig
        .worker()
        .max_workers(1)
        .prefetch(4)
        .drain_deadline(Duration::from_millis(50));
    let worker = Running::start(builder.register(polite));
    let first = rig.enqueue(echo("1")).await;
    rig.until(first, JobStatus::Running).await;
    let second = rig.enqueue(echo("2")).await;
    until("the second waits", || worker.stats.snapshot().waiting == 1).await;
    let report = worker.stop().await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.stats.released, report.stats.given_back), (1, 1));
    for id in [first, second] {
        let view = rig.until(id, JobStatus::Queued).await;
        assert_eq!((view.attempts, view.retries, view.losts), (0, 0, 0));
        assert_eq!(view.gen_, 2);
    }
    assert!(rig.ports.inspect.workers().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_lets_attempts_end_by_themselves_before_its_deadline() {
    let rig = Rig::new();
    let open = tokio_util::sync::CancellationToken::new();
    let gate = open.clone();
    let handler = move |job: Echo| {
        let gate = gate.clone();
        async move {
            gate.cancelled().await;
            Ok(job.text)
        }
    };
    let worker = Running::start(rig.worker().register(handler));
    let id = rig.enqueue(echo("x")).await;
    rig.until(id, JobStatus::Running).await;
    worker.stop.cancel();
    open.cancel();
    let report = worker.stop().await;
    assert_eq!(report.stats.completed, 1);
    rig.until(id, JobStatus::Completed).await;
}
