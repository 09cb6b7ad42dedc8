//! For tests of services and handlers: jobs in one process, on a store of their own, under a clock that stands still until
//! the test moves it. No server, and nothing is left behind.
//!
//! ```
//! use longshore::testing::Bench;
//! use longshore::{Job, JobError, JobStatus, secs};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Greet {
//!     name: String,
//! }
//!
//! impl Job for Greet {
//!     const FUNCTION_NAME: &'static str = "greet";
//!     type Output = String;
//! }
//!
//! async fn greet(job: Greet) -> Result<String, JobError> {
//!     Ok(format!("Hello, {}", job.name))
//! }
//!
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
//! let bench = Bench::new()?;
//! let ann = Greet { name: "Ann".into() };
//! // What the service under test does:
//! let handle = bench.client().enqueue(ann).delay(secs(3_600)).await?;
//! assert_eq!(bench.enqueued::<Greet>().await?, [Greet { name: "Ann".into() }]);
//!
//! // Nothing is due yet; an hour later it is.
//! bench.drain(|worker| worker.register(greet)).await?;
//! assert_eq!(handle.status().await?, JobStatus::Scheduled);
//! bench.clock().advance(secs(3_600));
//! bench.drain(|worker| worker.register(greet)).await?;
//! assert_eq!(handle.wait().await?, "Hello, Ann");
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_backend::embedded::{Options, Store};
use longshore_core::clock::duration_millis;
use longshore_core::port::Ports;
use longshore_core::random::SystemRandom;
use longshore_core::{Clock, Envelope, Job, JobStatus, Timestamp, value};
use longshore_scheduler::{Intervals, Scheduler};
use longshore_worker::{Builder, Worker};
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::error::ClientError;
use crate::{JobFilter, JobView};

/// How often it is looked whether something is left to do.
const LOOK: Duration = Duration::from_millis(5);
/// How long a drain may take; a handler that hangs fails the test and does not hang it.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// A clock that moves only when it is told to. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct BenchClock(Arc<AtomicU64>);

impl BenchClock {
    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(duration_millis(by), Ordering::SeqCst);
    }
}

impl Clock for BenchClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Why a bench cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The temporary folder cannot be made or opened.
    #[error("no temporary store: {0}")]
    Store(String),
    /// The worker cannot be set up, for example because a state is missing.
    #[error(transparent)]
    Worker(#[from] longshore_worker::Error),
    /// The store does not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Something still ran after a minute.
    #[error("jobs still run after {0:?}; a handler hangs")]
    Hangs(Duration),
}

/// A store in a temporary folder, a client of it, and a clock.
pub struct Bench {
    client: Client,
    ports: Ports,
    clock: BenchClock,
    // The store closes before its folder goes.
    _store: Store,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// An empty bench; its clock stands at the time of the machine.
    ///
    /// # Errors
    /// When the temporary folder cannot be made.
    pub fn new() -> Result<Self, BenchError> {
        let failed = |error: &dyn std::fmt::Display| BenchError::Store(error.to_string());
        let clock = BenchClock(Arc::new(AtomicU64::new(
            longshore_core::SystemClock.now().millis(),
        )));
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        let options = Options {
            clock: Arc::new(clock.clone()),
            ..Options::default()
        };
        let store = Store::open(folder.path(), options).map_err(|error| failed(&error))?;
        let ports = store.ports();
        Ok(Self {
            client: Client::from_ports(ports.clone(), Arc::new(clock.clone()), Arc::new(SystemRandom)),
            ports,
            clock,
            _store: store,
            _folder: folder,
        })
    }

    /// The client to give to the service under test.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The time of client, store, worker and scheduler.
    pub const fn clock(&self) -> &BenchClock {
        &self.clock
    }

    /// The arguments of the jobs of this type that wait, the oldest first.
    ///
    /// # Errors
    /// When the store does not answer, or arguments are of another shape.
    pub async fn enqueued<T: Job>(&self) -> Result<Vec<T>, ClientError> {
        let filter = JobFilter {
            statuses: vec![
                JobStatus::Queued,
                JobStatus::Scheduled,
                JobStatus::Retrying,
                JobStatus::Blocked,
            ],
            ..JobFilter::default()
        };
        let mut jobs = Vec::new();
        let mut listed = self.client.list(&filter).stream();
        while let Some(job) = listed.next().await {
            let job = job?;
            if job.function_name.as_str() == T::FUNCTION_NAME
                && let Some(full) = self.client.view(job.id).await?.and_then(|job| job.full)
            {
                jobs.push(decoded(&full.envelope)?);
            }
        }
        jobs.reverse();
        Ok(jobs)
    }

    /// Runs everything that is due, and what follows from it, with the handlers that `register` adds; time stands still.
    /// Retries and scheduled jobs stay until [`BenchClock::advance`] makes them due; what is paused, or waits for a
    /// function that is not registered, stays as it is.
    ///
    /// # Errors
    /// When no worker can be set up, or something hangs.
    pub async fn drain(&self, register: impl FnOnce(Builder) -> Builder) -> Result<(), BenchError> {
        let stop = CancellationToken::new();
        let worker = register(Worker::builder(self.ports.clone()))
            .clock(Arc::new(self.clock.clone()))
            .shutdown(stop.clone())
            .build()?;
        let scheduler = Scheduler::builder(self.ports.clone())
            .clock(Arc::new(self.clock.clone()))
            .intervals(Intervals::all(LOOK))
            .shutdown(stop.clone());
        let settled = async {
            let settled = tokio::time::timeout(DRAIN_MAX, self.settled()).await;
            stop.cancel();
            settled.unwrap_or(Err(BenchError::Hangs(DRAIN_MAX)))
        };
        let (ran, _, settled) = tokio::join!(worker.run(), scheduler.run(), settled);
        ran?;
        settled
    }

    /// Waits until two looks, one after the other, find nothing to do.
    async fn settled(&self) -> Result<(), BenchError> {
        let mut calm = 0;
        while calm < 3 {
            tokio::time::sleep(LOOK * 2).await;
            calm = if self.is_busy().await? { 0 } else { calm + 1 };
        }
        Ok(())
    }

    async fn is_busy(&self) -> Result<bool, ClientError> {
        let paused = self.client.queues().await?;
        let is_paused = |job: &JobView| paused.get(&job.queue).is_some_and(|queue| queue.paused);
        let now = self.clock.now();
        let filter = JobFilter {
            statuses: vec![
                JobStatus::Queued,
                JobStatus::Running,
                JobStatus::Scheduled,
                JobStatus::Retrying,
                JobStatus::Blocked,
            ],
            ..JobFilter::default()
        };
        let mut listed = self.client.list(&filter).stream();
        while let Some(job) = listed.next().await {
            let job = job?;
            let is_busy = match job.status {
                JobStatus::Running => true,
                JobStatus::Queued => !is_paused(&job) && job.parked.is_none(),
                JobStatus::Blocked => self.is_released(&job).await?,
                _ => job.run_at.is_some_and(|at| at <= now),
            };
            if is_busy {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a parent has ended in a way that its child is yet to be told of.
    async fn is_released(&self, job: &JobView) -> Result<bool, ClientError> {
        for (parent, _) in &job.open_parents {
            let parent = self.client.summary(*parent).await?;
            let status = parent.map(|parent| parent.status);
            // A dead parent may keep its child waiting for a requeue.
            if status.is_some_and(|status| status.is_terminal() && status != JobStatus::Failed) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn decoded<T: Job>(envelope: &[u8]) -> Result<T, ClientError> {
    let invalid = |problem: String| ClientError::Invalid {
        field: "args",
        problem,
    };
    let envelope = Envelope::decode(envelope).map_err(|error| invalid(error.to_string()))?;
    value::decode("args", &envelope.args).map_err(|error| invalid(error.to_string()))
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
