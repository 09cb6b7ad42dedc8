//! A fleet whose members connect on their own, and the book that its handler keeps.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use longshore::{Batch, Client, ClientError, Job, JobError, JobHandle, JobStatus, Priority};
use longshore_backend::{Backend, BackendConfig, Endpoints, Profile};
use longshore_core::port::Ports;
use longshore_gateway::Gateway;
use longshore_scheduler::{Intervals, Scheduler};
use longshore_testkit::bundles;
use longshore_testkit::wait::eventually;
use longshore_worker::{JobContext, State, Worker, WorkerStats};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a whole test may wait for one thing.
pub(crate) const LONG: Duration = Duration::from_secs(180);

/// The seed of what is random in a test: `LONGSHORE_SOAK_SEED`, or another one each time.
pub(crate) fn seed() -> u64 {
    let text = std::env::var("LONGSHORE_SOAK_SEED").ok();
    text.map_or(u64::from(std::process::id()), |text| text.parse().unwrap())
}

/// What the handler does before it returns.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// Nothing.
    Quick,
    /// Takes a permit of the gate.
    Gated,
    /// Works this long, in milliseconds.
    Takes(u64),
}

/// The job: a number, by which the book knows it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) number: u64,
    pub(crate) pace: Pace,
}

impl Job for Step {
    const FUNCTION_NAME: &'static str = "step";
    type Output = u64;
}

/// What the handlers of all workers saw.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    starts: watch::Sender<Vec<u64>>,
    ends: watch::Sender<Vec<u64>>,
    gate: Arc<Semaphore>,
}

impl Book {
    fn new() -> Self {
        Self {
            starts: watch::Sender::new(Vec::new()),
            ends: watch::Sender::new(Vec::new()),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    /// Numbers of the jobs, one entry a start, in order.
    pub(crate) fn starts(&self) -> Vec<u64> {
        self.starts.borrow().clone()
    }

    /// Numbers of the jobs whose handler ran to its end, one entry a run, in order.
    pub(crate) fn ends(&self) -> Vec<u64> {
        self.ends.borrow().clone()
    }

    /// Lets this many gated jobs end, the oldest start first.
    pub(crate) fn open(&self, jobs: usize) {
        self.gate.add_permits(jobs);
    }

    /// How many different jobs ran to their end, and how many runs that took.
    pub(crate) fn runs(&self) -> (usize, usize) {
        let ends = self.ends.borrow();
        let mut jobs = ends.clone();
        jobs.sort_unstable();
        jobs.dedup();
        (jobs.len(), ends.len())
    }

    /// Waits until this many starts have been seen.
    pub(crate) async fn started(&self, count: usize) {
        let mut starts = self.starts.subscribe();
        let seen = tokio::time::timeout(LONG, starts.wait_for(|starts| starts.len() >= count)).await;
        assert!(seen.is_ok(), "{} of {count} starts", self.starts().len());
    }
}

async fn step(job: Step, ctx: JobContext, State(book): State<Book>) -> Result<u64, JobError> {
    book.starts.send_modify(|starts| starts.push(job.number));
    match job.pace {
        Pace::Quick => {}
        Pace::Gated => book.gate.acquire().await?.forget(),
        Pace::Takes(millis) => {
            let cancelled = ctx.cancellation_token();
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(millis)) => {}
                () = cancelled.cancelled() => return Err(JobError::transient("told to stop")),
            }
        }
    }
    book.ends.send_modify(|ends| ends.push(job.number));
    Ok(job.number)
}

fn producer(backend: &Backend, jobs: Option<usize>) -> Client {
    let builder = match jobs {
        Some(jobs) => Client::builder().bundle_max(jobs),
        None => Client::builder(),
    };
    builder.backend(backend).unwrap()
}

/// One producer, and the workers and schedulers that a test adds, each with its own connections unless the store is
/// embedded.
pub(crate) struct Rig {
    pub(crate) client: Client,
    pub(crate) book: Book,
    backend: Backend,
    config: BackendConfig,
    embedded: bool,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Rig {
    /// A fleet without workers and schedulers yet.
    pub(crate) async fn servers(amqp: &str, redis: &str, profile: Profile) -> Self {
        let mut config = BackendConfig::new(Endpoints::servers(amqp, redis).unwrap());
        config.profile = profile;
        Self::start(config, false).await
    }

    /// The same in one folder.
    pub(crate) async fn embedded(folder: &std::path::Path) -> Self {
        Self::start(BackendConfig::new(Endpoints::embedded(folder)), true).await
    }

    async fn start(config: BackendConfig, embedded: bool) -> Self {
        let backend = Backend::connect(&config).await.unwrap();
        Self {
            client: producer(&backend, bundles::most()),
            book: Book::new(),
            backend,
            config,
            embedded,
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        }
    }

    async fn connect(&self) -> Backend {
        if self.embedded {
            self.backend.clone()
        } else {
            Backend::connect(&self.config).await.unwrap()
        }
    }

    /// Another producer, which puts up to so many jobs into a message; by what is known of their function when nothing is
    /// said.
    pub(crate) fn bundling(&self, jobs: Option<usize>) -> Client {
        producer(&self.backend, jobs)
    }

    /// Adds a worker of queue `default`.
    pub(crate) async fn worker(&mut self, slots: usize) -> Arc<WorkerStats> {
        let worker = Worker::builder(self.connect().await)
            .state(self.book.clone())
            .register(step)
            .max_workers(slots)
            .drain_deadline(Duration::from_millis(100))
            .cancel_grace(Duration::from_millis(100))
            .shutdown(self.stop.clone())
            .build()
            .unwrap();
        let stats = worker.stats();
        self.tasks.spawn(async move { drop(worker.run().await.unwrap()) });
        stats
    }

    /// Adds a scheduler.
    pub(crate) async fn scheduler(&mut self, intervals: Intervals) {
        let mut scheduler = Scheduler::builder(self.connect().await.ports().clone())
            .intervals(intervals)
            .shutdown(self.stop.clone());
        if let Some(most) = bundles::most() {
            scheduler = scheduler.bundle_max(most);
        }
        self.tasks.spawn(async move { drop(scheduler.run().await) });
    }

    /// Adds a gateway on a port of its own; gives its address.
    pub(crate) async fn gateway(&mut self) -> SocketAddr {
        let backend = self.connect().await;
        let client = Client::builder().backend(&backend).unwrap();
        let gateway = Gateway::builder(client, backend.ports().clone()).build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = self.stop.clone();
        self.tasks
            .spawn(async move { gateway.serve(listener, stop).await.unwrap() });
        address
    }

    /// The producer's own ports.
    pub(crate) fn client_ports(&self) -> &Ports {
        self.backend.ports()
    }

    /// Enqueues jobs with the numbers `numbers`.
    pub(crate) async fn enqueue(
        &self,
        numbers: std::ops::Range<u64>,
        pace: Pace,
        priority: Priority,
    ) -> Vec<JobHandle<serde_json::Value>> {
        let mut batch = Batch::new();
        for number in numbers {
            batch.add(Step { number, pace }).priority(priority);
        }
        self.client
            .enqueue_many(batch)
            .await
            .unwrap()
            .into_iter()
            .collect()
    }

    /// Jobs by status, or what keeps the store from saying so.
    pub(crate) async fn counts(&self) -> Result<BTreeMap<JobStatus, u64>, ClientError> {
        let queues = self.client.queues().await?;
        let counts = queues.into_values().flat_map(|queue| queue.counts);
        Ok(counts.filter(|(_, count)| *count > 0).collect())
    }

    /// Waits until the broker has confirmed the messages of these jobs, which wait.
    pub(crate) async fn published(&self, jobs: &[JobHandle<serde_json::Value>]) {
        eventually(LONG, "every job has its message", || async {
            for job in jobs {
                let view = self
                    .client
                    .view(job.id())
                    .await
                    .map_err(|error| error.to_string())?;
                if view.as_ref().is_none_or(|view| view.published_at.is_none()) {
                    return Err(format!("{view:?}"));
                }
            }
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Waits until the store knows no jobs but completed ones, and gives their number.
    pub(crate) async fn all_completed(&self, at_least: u64) -> u64 {
        eventually(LONG, "all jobs are completed", || async {
            let counts = self.counts().await.map_err(|error| error.to_string())?;
            let completed = counts.get(&JobStatus::Completed).copied().unwrap_or(0);
            if counts.len() == 1 && completed >= at_least {
                Ok(completed)
            } else {
                Err(format!("{counts:?}"))
            }
        })
        .await
        .unwrap()
    }

    /// Ends everything.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.client.close().await;
        self.backend.close().await;
    }
}
