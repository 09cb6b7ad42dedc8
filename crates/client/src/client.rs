//! The client: everything starts here.

use std::collections::BTreeMap;
use std::sync::Arc;

use longshore_backend::{Backend, Endpoints};
use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::log::LogLine;
use longshore_core::port::enqueue::{CancelReply, CancelRequest};
use longshore_core::port::schedule::DeadLetterChange;
use longshore_core::port::{Error, Ports};
use longshore_core::random::Random;
use longshore_core::stats::{Statistics, StatisticsQuery};
use longshore_core::view::{Detail, JobFilter, JobView, QueueView, WorkerView};
use longshore_core::{Clock, Job, JobId, JobSpec, QueueName};

use crate::batch::{Batch, EnqueueMany};
use crate::builder::{ClientBuilder, Settings};
use crate::cleanup::Cleanup;
use crate::dead_letters::DeadLetters;
use crate::enqueue::Enqueue;
use crate::error::{ClientError, ConnectError};
use crate::handle::JobHandle;
use crate::list::List;
use crate::options::Draft;
use crate::pipeline::Pipeline;
use crate::pipeline::retry::{CALL_LIMIT, retrying, retrying_with_doubt};
use crate::quarantine::Quarantine;
use crate::read::Reader;
use crate::why::AskWhy;

/// Longest reason of a cancel, in bytes.
pub(crate) const REASON_BYTES_MAX: usize = 1024;

/// Hands jobs over and looks after them. Cheap to clone; clones share connections and round trips.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    ports: Ports,
    /// Ours to close, when we connected it.
    backend: Option<Backend>,
    settings: Settings,
    pipeline: Pipeline,
    reader: Reader,
}

impl Client {
    /// Connects with the default settings: `("amqp://…", "redis://…")`, `"embedded://FOLDER"`, or [`Endpoints`].
    ///
    /// # Errors
    /// When a URL is wrong, or a server or folder cannot be used. Errors never show credentials.
    pub async fn connect<E>(endpoints: E) -> Result<Self, ConnectError>
    where
        E: TryInto<Endpoints>,
        ConnectError: From<E::Error>,
    {
        Self::builder().connect(endpoints).await
    }

    /// Starts to set a client up.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client of ports of any making, with the default settings.
    pub fn from_ports(ports: Ports, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let settings = Settings {
            clock,
            random,
            ..Settings::default()
        };
        Self::new(ports, None, settings)
    }

    pub(crate) fn new(ports: Ports, backend: Option<Backend>, settings: Settings) -> Self {
        let pipeline = Pipeline::new(&ports, &settings);
        let reader = Reader::new(ports.enqueue.shards(), &ports.inspect);
        Self {
            inner: Arc::new(Inner {
                ports,
                backend,
                settings,
                pipeline,
                reader,
            }),
        }
    }

    /// Enqueues a job: set its fields, then await.
    ///
    /// Concurrent enqueues of one client travel together. An enqueue that is dropped before it answered may have
    /// been done; give the job an id of your own where that matters.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a job is handed over; `enqueue(Report { … })` reads so"
    )]
    pub fn enqueue<T: Job>(&self, job: T) -> Enqueue<T::Output> {
        Enqueue::new(self.clone(), Draft::of(&job))
    }

    /// Enqueues an untyped job; its fields may still be changed, then await.
    pub fn enqueue_spec(&self, spec: JobSpec) -> Enqueue<serde_json::Value> {
        Enqueue::new(self.clone(), Draft::from_spec(spec))
    }

    /// Enqueues many jobs, which may depend on each other: await for their handles, in the order in which they were
    /// added.
    pub fn enqueue_many(&self, batch: Batch) -> EnqueueMany {
        EnqueueMany::new(self.clone(), batch)
    }

    /// The handle of a job by its id, its result as JSON. Nothing is looked up yet.
    pub fn job(&self, id: JobId) -> JobHandle<serde_json::Value> {
        JobHandle::new(self.clone(), id, None)
    }

    /// The handle of a job of type `T` by its id. Nothing is looked up yet.
    pub fn job_as<T: Job>(&self, id: JobId) -> JobHandle<T::Output> {
        JobHandle::new(self.clone(), id, None)
    }

    /// Everything that is known of a job; `None` when it never was or its retention is over.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn view(&self, id: JobId) -> Result<Option<JobView>, ClientError> {
        self.look(id, Detail::Full).await
    }

    /// [`Client::view`] without the job's arguments, result and history: cheap, whatever the job carries.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn summary(&self, id: JobId) -> Result<Option<JobView>, ClientError> {
        self.look(id, Detail::Summary).await
    }

    /// What a job's handler has said ([`JobContext::log`](https://docs.rs/longshore-worker)), the oldest first: the last
    /// [`longshore_core::limits::LOG_LINES_MAX`] lines of all attempts. Empty for a job that nobody knows.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn log(&self, id: JobId) -> Result<Vec<LogLine>, ClientError> {
        self.log_after(id, 0).await
    }

    /// [`Client::log`] from the line after that number on: for whoever has seen the lines up to it.
    ///
    /// # Errors
    /// As for [`Client::log`].
    pub async fn log_after(&self, id: JobId, number: u64) -> Result<Vec<LogLine>, ClientError> {
        let ports = self.ports();
        let shard = ports.enqueue.shards().of(&id);
        Ok(ports.inspect.log(shard, id, number).await?)
    }

    pub(crate) async fn look(&self, id: JobId, detail: Detail) -> Result<Option<JobView>, ClientError> {
        self.inner.reader.view(id, detail).await
    }

    /// Why a job does not run: what holds it, and what would unblock it. Await the answer. A job that nobody knows and
    /// a server that is away are answers, not errors.
    pub fn why(&self, id: JobId) -> AskWhy {
        AskWhy::new(self.clone(), id)
    }

    /// Lists jobs, the newest first.
    pub fn list(&self, filter: impl std::borrow::Borrow<JobFilter>) -> List {
        List::new(self.clone(), filter.borrow().clone())
    }

    /// How many jobs of a queue wait to be run now. A queue that does not exist has none.
    ///
    /// # Errors
    /// When the name is none, or the store does not answer.
    pub async fn queue_size(&self, queue: impl AsRef<str>) -> Result<u64, ClientError> {
        let queue = QueueName::new(queue)?;
        Ok(self.queues().await?.get(&queue).map_or(0, QueueView::size))
    }

    /// Every queue that holds jobs or is paused.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn queues(&self) -> Result<BTreeMap<QueueName, QueueView>, ClientError> {
        Ok(self.asking(|ports| ports.inspect.queues()).await?)
    }

    /// Lets no job of a queue start until [`Client::resume`]. What runs goes on; the pause outlives every process.
    ///
    /// # Errors
    /// When the name is none, or the store does not answer.
    pub async fn pause(&self, queue: impl AsRef<str>) -> Result<(), ClientError> {
        self.set_paused(queue.as_ref(), true).await
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// When the name is none, or the store does not answer.
    pub async fn resume(&self, queue: impl AsRef<str>) -> Result<(), ClientError> {
        self.set_paused(queue.as_ref(), false).await
    }

    async fn set_paused(&self, queue: &str, paused: bool) -> Result<(), ClientError> {
        let queue = QueueName::new(queue)?;
        let set = self.asking(|ports| ports.inspect.set_paused(queue.clone(), paused));
        Ok(set.await?)
    }

    /// Live workers.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn workers(&self) -> Result<Vec<WorkerView>, ClientError> {
        Ok(self.asking(|ports| ports.inspect.workers()).await?)
    }

    /// What happened in a window up to now: throughput, failures and percentiles of wait and run times, step by step, by
    /// function and by queue; and how jobs stand now. It costs what the window holds, not what the store does.
    ///
    /// # Errors
    /// When the window or step is out of range, or the store does not answer.
    pub async fn statistics(
        &self,
        query: impl std::borrow::Borrow<StatisticsQuery>,
    ) -> Result<Statistics, ClientError> {
        let query = query.borrow();
        query.check().map_err(|error| ClientError::Invalid {
            field: error.field,
            problem: error.problem,
        })?;
        Ok(self
            .asking(|ports| ports.inspect.statistics(query.clone()))
            .await?)
    }

    /// Cancels many jobs, as [`Client::cancel`] does one: what became of each, in the order of the ids. Interrupted, it is
    /// safe to do again.
    ///
    /// # Errors
    /// When the reason is too long, or the store does not answer; some may be cancelled then.
    pub async fn cancel_many(
        &self,
        ids: &[JobId],
        reason: impl Into<String>,
    ) -> Result<Vec<CancelReply>, ClientError> {
        let reason = checked_reason(reason.into())?;
        let mut replies: BTreeMap<JobId, CancelReply> = BTreeMap::new();
        for shard in self.inner.ports.enqueue.shards().all() {
            let ours: Vec<JobId> = ids
                .iter()
                .copied()
                .filter(|id| self.shard_of(*id) == shard)
                .collect();
            for bite in ours.chunks(SCRIPT_JOBS_MAX) {
                let requests = bite.iter().map(|id| CancelRequest {
                    id: *id,
                    reason: reason.clone(),
                });
                let requests: Vec<_> = requests.collect();
                let cancelled = self.asking(|ports| ports.enqueue.cancel(shard, requests.clone()));
                replies.extend(bite.iter().copied().zip(cancelled.await?));
            }
        }
        let reply = |id| replies.get(id).copied().unwrap_or(CancelReply::Unknown);
        Ok(ids.iter().map(reply).collect())
    }

    /// Cancels a job, wherever it stands. `reason` says why, and by whom: at most 1 KiB.
    ///
    /// # Errors
    /// When the reason is too long, or the store does not answer.
    pub async fn cancel(&self, id: JobId, reason: impl Into<String>) -> Result<CancelReply, ClientError> {
        let reason = checked_reason(reason.into())?;
        let shard = self.shard_of(id);
        let request = CancelRequest { id, reason };
        let replies = self.asking(|ports| ports.enqueue.cancel(shard, vec![request.clone()]));
        Ok(replies.await?.first().copied().unwrap_or(CancelReply::Unknown))
    }

    /// Deletes jobs that ended at least `keep` ago, in bounded steps: await it. A scheduler does so by itself, by its
    /// own retention (seven days unless configured).
    pub fn cleanup(&self, keep: std::time::Duration) -> Cleanup {
        Cleanup::new(self.clone(), keep)
    }

    /// The dead letters: jobs that were given up.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.clone())
    }

    /// The messages that nobody could handle, with their raw bytes.
    pub fn quarantine(&self) -> Quarantine {
        Quarantine::new(self.clone())
    }

    /// Deletes messages from the quarantine by their ids. Answers of each whether it was there.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn drop_quarantined(&self, message_ids: Vec<String>) -> Result<Vec<bool>, ClientError> {
        let dropped = self.asking(|ports| ports.inspect.drop_quarantined(message_ids.clone()));
        Ok(dropped.await?)
    }

    /// Sends a dead letter (a Failed job) back to its queue, with its retries restored.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn requeue(&self, id: JobId) -> Result<DeadLetterChange, ClientError> {
        let changes = self.dead_letters().requeue(&[id]).await?;
        Ok(changes.first().copied().unwrap_or(DeadLetterChange::NotDead))
    }

    /// Waits until the store was told of everything that the broker has confirmed. An enqueue answers before that;
    /// a process that ends without it costs a duplicate message a job, which workers drop.
    pub async fn flush(&self) {
        self.inner.pipeline.stages.marks.flush().await;
    }

    /// [`Client::flush`], then closes the connections of every clone. A backend that was given to the client stays
    /// open.
    pub async fn close(&self) {
        self.flush().await;
        if let Some(backend) = &self.inner.backend {
            backend.close().await;
        }
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.inner.ports
    }

    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.inner.pipeline
    }

    pub(crate) fn created_by(&self) -> Option<&str> {
        self.inner.settings.created_by.as_deref()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn shard_of(&self, id: JobId) -> u16 {
        self.inner.ports.enqueue.shards().of(&id)
    }

    /// Asks the store, again when it does not answer.
    pub(crate) async fn asking<'a, T>(
        &'a self,
        mut call: impl FnMut(&'a Ports) -> longshore_core::port::Reply<'a, T>,
    ) -> Result<T, Error> {
        retrying(&*self.inner.settings.random, CALL_LIMIT, || {
            call(&self.inner.ports)
        })
        .await
    }

    /// As [`Client::asking`]; answers as well whether the answer of an earlier try was lost, which may have done it.
    pub(crate) async fn asking_with_doubt<'a, T>(
        &'a self,
        mut call: impl FnMut(&'a Ports) -> longshore_core::port::Reply<'a, T>,
    ) -> Result<(T, bool), Error> {
        retrying_with_doubt(&*self.inner.settings.random, CALL_LIMIT, || {
            call(&self.inner.ports)
        })
        .await
    }
}

fn checked_reason(reason: String) -> Result<String, ClientError> {
    if reason.len() <= REASON_BYTES_MAX {
        return Ok(reason);
    }
    let problem = format!(
        "{} bytes are over the limit of {REASON_BYTES_MAX}; shorten it",
        reason.len()
    );
    Err(ClientError::Invalid {
        field: "reason",
        problem,
    })
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}
