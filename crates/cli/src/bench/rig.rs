//! What a measurement runs on: a client, a scheduler unless a worker is measured alone, and a worker that comes and goes.

use std::time::Duration;

use longshore::{Batch, Client, Job as _};
use longshore_backend::{Backend, BackendConfig, Endpoints};
use longshore_core::port::enqueue::CancelReply;
use longshore_core::record::Index;
use longshore_core::view::JobFilter;
use longshore_core::{Clock as _, FunctionName, JobStatus, Priority, QueueName, SystemClock, Timestamp};
use longshore_scheduler::Scheduler;
use longshore_service::exit::ExitCode;
use longshore_worker::{BackendSource, Worker};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::job::{BenchJob, Seen, work};
use super::others;
use super::running::Running;
use crate::args::bench::{Bench, Mode};
use crate::failure::Failure;
use crate::output::warn;

/// Jobs of one call of `enqueue_many`.
const BATCH: usize = 5_000;
/// Jobs of a warm-up.
const WARM: usize = 200;
/// Jobs that are cancelled at once.
const PAGE: usize = 1_000;
/// How long a worker that stops waits for what it runs: all of it has ended, unless the measurement breaks off.
const DRAIN: Duration = Duration::from_secs(30);
/// How often it is looked whether everything has ended.
pub(super) const LOOK: Duration = Duration::from_millis(2);
/// How often it is looked whether everything is published.
const OUTBOX_LOOK: Duration = Duration::from_millis(100);

/// What a measurement runs on.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) client: Client,
    pub(super) seen: Seen,
    backend: Backend,
    /// Where a worker connects by itself; none where it shares the backend, so that there is one set of connections.
    servers: Option<BackendConfig>,
    queue: QueueName,
    max_workers: usize,
    text: String,
    /// Only half of the measurement runs here, and hands nothing over.
    only_works: bool,
    /// What was enqueued before is not ours.
    began: Timestamp,
    stop: CancellationToken,
    /// None beside a worker that is measured alone.
    scheduler: Option<JoinHandle<longshore_scheduler::Report>>,
}

impl Rig {
    /// # Errors
    /// When others use the queue, or the store does not answer.
    pub(super) async fn new(
        backend: Backend,
        config: &BackendConfig,
        options: &Bench,
    ) -> Result<Self, Failure> {
        others::refuse(&backend, options).await?;
        let builder = match options.bundle {
            0 => Client::builder(),
            jobs => Client::builder().bundle_max(usize::from(jobs)),
        };
        let client = builder
            .backend(&backend)
            .map_err(|error| Failure::from_error(ExitCode::Failure, &error))?;
        let stop = CancellationToken::new();
        let only_works = options.modes.iter().all(|mode| *mode == Mode::Work) && !options.modes.is_empty();
        // An embedded folder has one process, so that its scheduler is there or nowhere.
        let on_servers = matches!(config.endpoints, Endpoints::Servers { .. });
        let scheduler = (!only_works || !on_servers).then(|| {
            let builder = Scheduler::builder(backend.ports().clone()).shutdown(stop.clone());
            tokio::spawn(builder.build().run())
        });
        Ok(Self {
            client,
            seen: Seen::default(),
            backend,
            servers: (on_servers && !only_works).then(|| config.clone()),
            queue: options.queue.clone(),
            max_workers: usize::try_from(options.max_workers).unwrap_or(usize::MAX),
            only_works: options.modes.contains(&Mode::Work),
            began: SystemClock.now(),
            text: "x".repeat(usize::try_from(options.payload).unwrap_or(0)),
            stop,
            scheduler,
        })
    }

    /// A few jobs, so that queues, connections and scripts are there.
    pub(super) async fn warm_up(&self) -> Result<(), Failure> {
        let worker = self.worker().await?;
        self.enqueue(WARM).await?;
        self.until_done(WARM).await?;
        worker.end().await
    }

    pub(super) fn job(&self, number: usize) -> BenchJob {
        BenchJob {
            text: self.text.clone(),
            number,
            updates: None,
            is_slow: false,
        }
    }

    pub(super) fn queue(&self) -> &str {
        self.queue.as_str()
    }

    /// Hands jobs over.
    pub(super) async fn enqueue(&self, jobs: usize) -> Result<(), Failure> {
        self.enqueue_at(jobs, None).await
    }

    /// Hands jobs over that are due at a time.
    pub(super) async fn enqueue_at(&self, jobs: usize, due: Option<Timestamp>) -> Result<(), Failure> {
        for from in (0..jobs).step_by(BATCH) {
            let mut batch = Batch::new();
            for number in from..jobs.min(from + BATCH) {
                let job = batch.add(self.job(number)).queue(self.queue());
                if let Some(due) = due {
                    job.scheduled_at(due);
                }
            }
            self.client.enqueue_many(batch).await?;
        }
        Ok(())
    }

    /// Hands jobs over that are all due at the same moment, which it answers.
    pub(super) async fn enqueue_for_later(&self, jobs: usize) -> Result<Instant, Failure> {
        // Time to hand them all over before the first is due; slower than that, it is due at once and measured so.
        let ahead =
            Duration::from_secs(2) + Duration::from_micros(200) * u32::try_from(jobs).unwrap_or(u32::MAX);
        let due = Instant::now() + ahead;
        self.enqueue_at(jobs, Some(SystemClock.now().after(ahead)))
            .await?;
        Ok(due)
    }

    /// Until no job has this status any more.
    pub(super) async fn until_none_is(&self, status: JobStatus) -> Result<(), Failure> {
        while count(&self.client, &self.queue, |other| other == status).await? > 0 {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Hands jobs over that each take a while and are less urgent than others.
    pub(super) async fn enqueue_backlog(&self, jobs: usize) -> Result<(), Failure> {
        self.seen.take_time();
        for from in (0..jobs).step_by(BATCH) {
            let mut batch = Batch::new();
            for _ in from..jobs.min(from + BATCH) {
                // No number that anybody waits for.
                let mut job = self.job(usize::MAX);
                job.is_slow = true;
                batch.add(job).queue(self.queue()).priority(Priority::Low);
            }
            self.client.enqueue_many(batch).await?;
        }
        Ok(())
    }

    /// A worker that takes jobs from now on. On servers it has connections of its own, which its control loop's thread
    /// looks after, as those of a process that is a worker.
    pub(super) async fn worker(&self) -> Result<Running, Failure> {
        self.begin(usize::MAX, DRAIN).await
    }

    /// The same for so many jobs at most; what it has taken beyond them goes back when it stops.
    pub(super) async fn worker_of(&self, jobs: usize) -> Result<Running, Failure> {
        self.begin(jobs, Duration::ZERO).await
    }

    async fn begin(&self, most: usize, drain: Duration) -> Result<Running, Failure> {
        self.seen.count_anew(most);
        let stop = CancellationToken::new();
        let source = match &self.servers {
            Some(config) => BackendSource::from(config.clone()),
            None => BackendSource::from(self.backend.clone()),
        };
        let worker = Worker::builder(source)
            .state(self.seen.clone())
            .register(work)
            .queue(self.queue())
            .max_workers(self.max_workers)
            .drain_deadline(drain)
            .shutdown(stop.clone())
            .build()?;
        Running::begin(worker, stop).await
    }

    /// Until so many handlers of this worker have ended.
    pub(super) async fn until_handled(&self, jobs: usize) {
        while self.seen.done() < jobs {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Until so many handlers of this worker have ended and the store knows of no open job any more.
    pub(super) async fn until_done(&self, jobs: usize) -> Result<(), Failure> {
        self.until_handled(jobs).await;
        while open(&self.client, &self.queue).await? > 0 {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Until every job that was handed over is published and marked as such: whoever works it off has no scheduler.
    pub(super) async fn until_published(&self) -> Result<(), Failure> {
        self.client.flush().await;
        while self.has_outbox().await? {
            tokio::time::sleep(OUTBOX_LOOK).await;
        }
        Ok(())
    }

    async fn has_outbox(&self) -> Result<bool, Failure> {
        let ports = self.backend.ports();
        for shard in ports.enqueue.shards().all() {
            let state = ports.checkup.shard_state(shard).await;
            let heads = state.map_err(longshore::ClientError::from)?.heads;
            if heads.iter().any(|head| head.index == Index::Outbox) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Cancels what a measurement that breaks off has enqueued and not finished; what cannot be cancelled is told.
    pub(super) async fn cancel_left(&self) {
        if self.only_works {
            return;
        }
        match self.cancelled().await {
            Ok(0) => {}
            Ok(jobs) => warn(format!("{jobs} jobs that were left are cancelled")),
            Err(failure) => warn(format!(
                "jobs may be left in the queue {queue}, and cannot be cancelled now: {}; `longshore queue purge {queue}` cancels them",
                failure.message,
                queue = self.queue
            )),
        }
    }

    async fn cancelled(&self) -> Result<u64, Failure> {
        let function = FunctionName::new(BenchJob::FUNCTION_NAME).map_err(longshore::ClientError::from)?;
        let filter = JobFilter {
            statuses: JobStatus::ALL
                .into_iter()
                .filter(|status| !status.is_terminal())
                .collect(),
            function_name: Some(function),
            queue: Some(self.queue.clone()),
            created_from: Some(self.began),
            ..JobFilter::default()
        };
        let (mut cancelled, mut after) = (0, None);
        loop {
            let page = self.client.list(filter.clone()).after(after).limit(PAGE).await?;
            let ids: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
            let replies = self.client.cancel_many(&ids, "the measurement broke off").await?;
            let is_cancelled =
                |reply: &&CancelReply| matches!(reply, CancelReply::Cancelled | CancelReply::Requested);
            cancelled += replies.iter().filter(is_cancelled).count() as u64;
            after = page.next;
            if after.is_none() {
                return Ok(cancelled);
            }
        }
    }

    /// Ends everything.
    pub(super) async fn close(self) {
        self.stop.cancel();
        if let Some(scheduler) = self.scheduler {
            // Its report says what a scheduler did; nobody asks here.
            drop(scheduler.await);
        }
        self.client.close().await;
        self.backend.close().await;
    }
}

/// Open jobs of the queue.
async fn open(client: &Client, queue: &QueueName) -> Result<u64, Failure> {
    count(client, queue, |status| !status.is_terminal()).await
}

/// Jobs of the queue whose status is `wanted`.
async fn count(
    client: &Client,
    queue: &QueueName,
    wanted: impl Fn(JobStatus) -> bool,
) -> Result<u64, Failure> {
    let queues = client.queues().await?;
    let counts = queues.get(queue).map(|view| &view.counts).into_iter().flatten();
    Ok(counts
        .filter(|(status, _): &(&JobStatus, &u64)| wanted(**status))
        .map(|(_, count)| count)
        .sum())
}
