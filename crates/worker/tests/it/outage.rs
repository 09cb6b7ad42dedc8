//! The store goes away and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore_core::port::attempt::{
    Beaten, Claim, Claimed, Finish, Finished, GiveBack, Hints, ProgressWrite, Quarantined, Rebuild,
};
use longshore_core::port::enqueue::ParentOutcome;
use longshore_core::port::{AttemptPort, Error, Ports, Reply};
use longshore_core::spec::Fencing;
use longshore_core::view::WorkerView;
use longshore_core::{JobError, JobId, JobStatus, Nonce, QueueName, WorkerId, limits};
use longshore_worker::{JobContext, State, Worker};

use crate::rig::{Echo, Rig, Running, echo, until};

/// The worker's side of a real store, that can be taken away.
struct Cut {
    store: Arc<dyn AttemptPort>,
    away: AtomicBool,
}

impl Cut {
    fn new(rig: &Rig) -> Arc<Self> {
        Arc::new(Self {
            store: rig.ports.attempt.clone(),
            away: AtomicBool::new(false),
        })
    }

    fn ports(self: &Arc<Self>, rig: &Rig) -> Ports {
        Ports {
            attempt: self.clone(),
            ..rig.ports.clone()
        }
    }

    fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn or<'a, T: Send + 'a>(&'a self, call: impl FnOnce() -> Reply<'a, T>) -> Reply<'a, T> {
        if self.away.load(Ordering::SeqCst) {
            let reason = "taken away".to_owned();
            return Box::pin(std::future::ready(Err(Error::Unavailable {
                server: "store",
                reason,
            })));
        }
        call()
    }
}

impl AttemptPort for Cut {
    fn step(
        &self,
        shard: u16,
        finishes: Vec<Finish>,
        claims: Vec<Claim>,
    ) -> Reply<'_, (Vec<Finished>, Vec<Claimed>)> {
        self.or(|| self.store.step(shard, finishes, claims))
    }

    fn rebuild(&self, shard: u16, jobs: Vec<Rebuild>) -> Reply<'_, Vec<Claimed>> {
        self.or(|| self.store.rebuild(shard, jobs))
    }

    fn beat(&self, shard: u16, claims: Vec<(JobId, Nonce)>) -> Reply<'_, Vec<Beaten>> {
        self.or(|| self.store.beat(shard, claims))
    }

    fn give_back(&self, shard: u16, jobs: Vec<GiveBack>) -> Reply<'_, ()> {
        self.or(|| self.store.give_back(shard, jobs))
    }

    fn progress(&self, shard: u16, updates: Vec<ProgressWrite>) -> Reply<'_, ()> {
        self.or(|| self.store.progress(shard, updates))
    }

    fn parents(&self, shard: u16, child: JobId) -> Reply<'_, Vec<(JobId, ParentOutcome)>> {
        self.or(|| self.store.parents(shard, child))
    }

    fn quarantine(&self, messages: Vec<Quarantined>) -> Reply<'_, ()> {
        self.or(|| self.store.quarantine(messages))
    }

    fn worker_beat(&self, worker: WorkerView) -> Reply<'_, Vec<QueueName>> {
        self.or(|| self.store.worker_beat(worker))
    }

    fn worker_gone(&self, worker: WorkerId) -> Reply<'_, ()> {
        self.or(|| self.store.worker_gone(worker))
    }

    fn hints(&self) -> Reply<'_, Box<dyn Hints>> {
        self.or(|| self.store.hints())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_cannot_be_told_is_told_when_the_store_is_back() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let handler = async |job: Echo, State(gate): State<Arc<tokio::sync::Semaphore>>| {
        gate.acquire().await?.forget();
        Ok::<_, JobError>(job.text)
    };
    let builder = Worker::builder(cut.ports(&rig)).slots(2).state(Arc::clone(&gate));
    let worker = Running::start(builder.register(handler));
    let first = rig.enqueue(echo("first")).await;
    rig.until(first, JobStatus::Running).await;
    cut.set_away(true);
    gate.add_permits(2);
    until("telling it fails", || worker.stats.snapshot().store_errors >= 2).await;
    let second = rig.enqueue(echo("second")).await;
    assert_eq!(rig.view(first).await.status, JobStatus::Running);
    cut.set_away(false);
    assert_eq!(rig.until(first, JobStatus::Completed).await.attempts, 1);
    rig.until(second, JobStatus::Completed).await;
    let report = worker.stop().await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.stats.started, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strictly_fenced_attempt_stops_before_its_lease_ends_and_another_goes_on() {
    async fn waits(_: Echo, ctx: JobContext) -> Result<String, JobError> {
        let began = tokio::time::Instant::now();
        ctx.cancelled().await;
        assert!(began.elapsed() < limits::LEASE);
        Err(JobError::transient("stopped"))
    }
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    let worker = Running::start(Worker::builder(cut.ports(&rig)).register(waits));
    let mut strict = echo("strict");
    strict.fencing = Fencing::Strict;
    let strict = rig.enqueue(strict).await;
    let guarded = rig.enqueue(echo("guarded")).await;
    for id in [strict, guarded] {
        rig.until(id, JobStatus::Running).await;
    }
    until("both run", || worker.stats.snapshot().busy == 2).await;
    cut.set_away(true);
    tokio::time::timeout(limits::LEASE, async {
        while worker.stats.snapshot().busy == 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the strict one stops in time");
    assert_eq!(worker.stats.snapshot().busy, 1);
    cut.set_away(false);
    rig.until_job(strict, |view| view.gen_ == 2).await;
    assert_eq!(rig.view(guarded).await.status, JobStatus::Running);
    worker.abandon();
}
