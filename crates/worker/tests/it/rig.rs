//! A store in a folder of its own, a producer, and the part of a scheduler that publishes what is due.

use std::sync::Arc;
use std::time::Duration;

use longshore_backend::embedded::{Options, Store};
use longshore_core::message::{Gen, Message, MessageJob};
use longshore_core::port::Ports;
use longshore_core::port::enqueue::{Enqueued, NewJob};
use longshore_core::random::SystemRandom;
use longshore_core::view::{Detail, JobView};
use longshore_core::{
    Clock, Envelope, FunctionName, Job, JobError, JobId, JobSpec, JobStatus, SystemClock, value,
};
use longshore_worker::{Builder, Error, RunReport, State, Worker, WorkerStats};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The job of most cases.
#[derive(Serialize, Deserialize)]
pub(crate) struct Echo {
    pub(crate) text: String,
}

impl Job for Echo {
    const FUNCTION_NAME: &'static str = "echo";
    type Output = String;
}

pub(crate) fn echo(text: &str) -> JobSpec {
    spec(&Echo {
        text: text.to_owned(),
    })
}

pub(crate) fn spec<T: Job>(job: &T) -> JobSpec {
    named(T::FUNCTION_NAME, job)
}

pub(crate) fn named(function: &str, args: &impl Serialize) -> JobSpec {
    let mut spec = JobSpec::new(
        FunctionName::new(function).unwrap(),
        value::encode("args", args).unwrap(),
    );
    spec.retry_delay = Duration::from_millis(20);
    spec.retry_jitter = false;
    spec
}

/// A handler of [`Echo`] that ends with a permit of the worker's gate.
pub(crate) async fn gated(job: Echo, State(gate): State<Arc<Semaphore>>) -> Result<String, JobError> {
    gate.acquire().await?.forget();
    Ok(job.text)
}

pub(crate) struct Rig {
    pub(crate) ports: Ports,
    pub(crate) store: Store,
    _folder: tempfile::TempDir,
    pump: JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let ports = store.ports();
        let pump = tokio::spawn(pump(ports.clone()));
        Self {
            ports,
            store,
            _folder: folder,
            pump,
        }
    }

    pub(crate) fn worker(&self) -> Builder {
        Worker::builder(self.ports.clone())
    }

    /// Records and publishes a job.
    pub(crate) async fn enqueue(&self, spec: JobSpec) -> JobId {
        let now = SystemClock.now();
        let id = spec.id.unwrap_or_else(|| JobId::generate(now, 0, &SystemRandom));
        let envelope = Envelope::from_spec(&spec, id, now);
        let encoded = envelope.encode().unwrap();
        let shard = self.ports.enqueue.shards().of(&id);
        let new = NewJob::from_envelope(&envelope, encoded.clone());
        let reply = self.ports.enqueue.enqueue(shard, vec![new]).await.unwrap();
        let Enqueued::Created { status, gen_ } = reply.jobs[0] else {
            panic!("{:?}", reply.jobs);
        };
        if status == JobStatus::Queued {
            let job = MessageJob {
                id,
                gen_,
                attempts: 0,
                retries: 0,
                losts: 0,
                envelope: encoded,
            };
            publish(&self.ports, shard, reply.epoch, &envelope, vec![job]).await;
        }
        id
    }

    pub(crate) async fn view(&self, id: JobId) -> JobView {
        self.find(id).await.expect("the job is known")
    }

    async fn find(&self, id: JobId) -> Option<JobView> {
        let shard = self.ports.enqueue.shards().of(&id);
        let views = self
            .ports
            .inspect
            .jobs(shard, vec![id], Detail::Full)
            .await
            .unwrap();
        views.into_iter().next().unwrap()
    }

    /// Waits until the job has this status.
    pub(crate) async fn until(&self, id: JobId, status: JobStatus) -> JobView {
        self.until_job(id, |view| view.status == status).await
    }

    pub(crate) async fn until_job(&self, id: JobId, wanted: impl Fn(&JobView) -> bool) -> JobView {
        let began = tokio::time::Instant::now();
        loop {
            // A job without a record is known once a worker has it.
            let view = self.find(id).await;
            if let Some(view) = view.as_ref().filter(|view| wanted(view)) {
                return view.clone();
            }
            assert!(began.elapsed() < PATIENCE, "still {view:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A worker that runs in the background.
pub(crate) struct Running {
    pub(crate) stop: CancellationToken,
    pub(crate) stats: Arc<WorkerStats>,
    task: JoinHandle<Result<RunReport, Error>>,
}

impl Running {
    pub(crate) fn start(builder: Builder) -> Self {
        Self::start_on(&Handle::current(), builder)
    }

    /// Its handlers run on this runtime.
    pub(crate) fn start_on(handlers: &Handle, builder: Builder) -> Self {
        let stop = CancellationToken::new();
        let worker = builder.shutdown(stop.clone()).build().unwrap();
        let stats = worker.stats();
        let task = handlers.spawn(worker.run());
        Self { stop, stats, task }
    }

    /// Does not wait for its drain.
    pub(crate) fn abandon(self) {
        self.stop.cancel();
    }

    pub(crate) async fn stop(self) -> RunReport {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until it has stopped.
    pub(crate) async fn ended(self) -> RunReport {
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("the worker stops").unwrap().unwrap()
    }
}

/// Waits until `wanted` holds.
pub(crate) async fn until(what: &str, wanted: impl Fn() -> bool) {
    until_after(Duration::ZERO, what, wanted).await;
}

/// Waits until `wanted` holds, which cannot be before `delay`.
pub(crate) async fn until_after(delay: Duration, what: &str, wanted: impl Fn() -> bool) {
    let began = tokio::time::Instant::now();
    while !wanted() {
        assert!(began.elapsed() < delay + PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the job has a record.
pub(crate) async fn until_known(rig: &Rig, id: JobId) {
    let began = tokio::time::Instant::now();
    let shard = rig.ports.enqueue.shards().of(&id);
    while rig.ports.enqueue.statuses(shard, vec![id]).await.unwrap() == [None] {
        assert!(began.elapsed() < PATIENCE, "{id} stays unknown");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn publish(ports: &Ports, shard: u16, epoch: u64, like: &Envelope, jobs: Vec<MessageJob>) {
    let dispatches: Vec<(JobId, Gen)> = jobs.iter().map(|job| (job.id, job.gen_)).collect();
    let message = Message {
        traceparent: None,
        id: longshore_core::port::broker::message_id(),
        queue: like.queue.clone(),
        priority: like.priority,
        shard,
        epoch,
        published_at: SystemClock.now(),
        norecord: false,
        jobs,
    };
    let published = ports.publish.publish(vec![message]).await;
    assert!(published[0].is_confirmed(), "{published:?}");
    ports.enqueue.mark_published(shard, dispatches).await.unwrap();
}

/// Publishes what is due, as the scheduler does.
async fn pump(ports: Ports) {
    let mut every = tokio::time::interval(Duration::from_millis(10));
    loop {
        every.tick().await;
        for shard in ports.enqueue.shards().all() {
            for leased in [
                ports.schedule.promote(shard, 100).await,
                ports.schedule.lease_outbox(shard, 100).await,
            ] {
                let leased = leased.unwrap();
                for due in leased.jobs {
                    let envelope = Envelope::decode(&due.envelope).unwrap();
                    let job = MessageJob {
                        id: due.id,
                        gen_: due.gen_,
                        attempts: due.attempts,
                        retries: due.retries,
                        losts: due.losts,
                        envelope: due.envelope,
                    };
                    publish(&ports, shard, leased.epoch, &envelope, vec![job]).await;
                }
            }
        }
    }
}
