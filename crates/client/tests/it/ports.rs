//! The store's and broker's own ports with faults in front of them, and a count of what went through.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::dead::Operation;
use longshore_core::log::LogLine;
use longshore_core::message::{Gen, Message};
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::broker::Published;
use longshore_core::port::enqueue::{
    CancelReply, CancelRequest, EdgeSettled, EdgeSettlement, EnqueueReply, NewJob, ParentState, Registration,
};
use longshore_core::port::inspect::{QuarantineEntry, Wakes};
use longshore_core::port::schedule::DeadLetter;
use longshore_core::port::{EnqueuePort, Error, InspectPort, PublishPort, Reply};
use longshore_core::shard::Shards;
use longshore_core::stats::{Standing, Statistics, StatisticsQuery};
use longshore_core::view::{Cursor, Detail, JobFilter, JobPage, JobView, QueueView, WorkerView};
use longshore_core::{JobId, JobStatus, QueueName};

mod letters;

pub(crate) use letters::Letters;

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: the call goes through.
    Nothing,
    /// The store is away.
    Away,
    /// The call is done and its answer lost.
    ReplyLost,
}

/// Jobs whose records cannot be read.
#[derive(Default)]
struct Torn(Mutex<Vec<JobId>>);

impl Torn {
    fn tear(&self, id: JobId) {
        self.0.lock().unwrap().push(id);
    }

    /// What a call for these jobs comes to, when one of them is torn.
    fn meets(&self, ids: &[JobId]) -> Option<Error> {
        let torn = self.0.lock().unwrap();
        let met = ids.iter().find(|id| torn.contains(id))?;
        Some(Error::Corrupt(format!("job {met}: injected")))
    }
}

/// The store for producers.
pub(crate) struct Store {
    inner: Arc<dyn EnqueuePort>,
    faults: Mutex<VecDeque<Fault>>,
    away: AtomicBool,
    hangs: AtomicBool,
    claims_to_know_all: AtomicBool,
    aborts_first: AtomicBool,
    torn: Torn,
    pub(crate) enqueues: AtomicUsize,
    pub(crate) registers: AtomicUsize,
    pub(crate) verified: AtomicUsize,
}

/// What a store says that is away.
fn away() -> Error {
    Error::Unavailable {
        server: "embedded store",
        reason: "injected".to_owned(),
    }
}

/// What stands in for an answer that is lost.
const fn unanswered() -> Error {
    Error::OutcomeUnknown {
        server: "embedded store",
    }
}

impl Store {
    pub(crate) fn around(inner: Arc<dyn EnqueuePort>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            faults: Mutex::default(),
            away: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            claims_to_know_all: AtomicBool::new(false),
            aborts_first: AtomicBool::new(false),
            torn: Torn::default(),
            enqueues: AtomicUsize::new(0),
            registers: AtomicUsize::new(0),
            verified: AtomicUsize::new(0),
        })
    }

    /// The next calls that write go wrong like this, one each.
    pub(crate) fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// Every call fails from now on, or none.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// No call is answered from now on, nor done.
    pub(crate) fn set_hangs(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }

    /// Lookups answer "queued" for every job, as if it was deleted right after.
    pub(crate) fn claim_to_know_all(&self) {
        self.claims_to_know_all.store(true, Ordering::SeqCst);
    }

    /// Children are aborted right before they are verified, as by another enqueue of the same id.
    pub(crate) fn abort_first(&self) {
        self.aborts_first.store(true, Ordering::SeqCst);
    }

    /// Lookups of this job, and of others together with it, meet a record that cannot be read.
    pub(crate) fn tear(&self, id: JobId) {
        self.torn.tear(id);
    }

    fn through<'a, T: Send + 'a>(&self, call: Reply<'a, T>) -> Reply<'a, T> {
        if self.hangs.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        let fault = self.faults.lock().unwrap().pop_front();
        let fault = if self.away.load(Ordering::SeqCst) {
            Some(Fault::Away)
        } else {
            fault
        };
        Box::pin(async move {
            match fault {
                None | Some(Fault::Nothing) => call.await,
                Some(Fault::Away) => Err(away()),
                Some(Fault::ReplyLost) => {
                    call.await?;
                    Err(unanswered())
                }
            }
        })
    }
}

impl EnqueuePort for Store {
    fn shards(&self) -> Shards {
        self.inner.shards()
    }

    fn enqueue(&self, shard: u16, jobs: Vec<NewJob>) -> Reply<'_, EnqueueReply> {
        self.enqueues.fetch_add(1, Ordering::SeqCst);
        self.through(self.inner.enqueue(shard, jobs))
    }

    fn mark_published(&self, shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, ()> {
        self.inner.mark_published(shard, jobs)
    }

    fn statuses(&self, shard: u16, ids: Vec<JobId>) -> Reply<'_, Vec<Option<JobStatus>>> {
        if self.claims_to_know_all.load(Ordering::SeqCst) {
            return Box::pin(async move { Ok(vec![Some(JobStatus::Queued); ids.len()]) });
        }
        if self.hangs.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        if let Some(error) = self.torn.meets(&ids) {
            return Box::pin(std::future::ready(Err(error)));
        }
        self.inner.statuses(shard, ids)
    }

    fn register(&self, shard: u16, edges: Vec<Registration>) -> Reply<'_, Vec<ParentState>> {
        self.registers.fetch_add(1, Ordering::SeqCst);
        self.through(self.inner.register(shard, edges))
    }

    fn settle_edges(
        &self,
        shard: u16,
        edges: Vec<EdgeSettlement>,
        publish_within: Duration,
    ) -> Reply<'_, Vec<EdgeSettled>> {
        self.through(self.inner.settle_edges(shard, edges, publish_within))
    }

    fn edges_verified(&self, shard: u16, children: Vec<JobId>) -> Reply<'_, Vec<bool>> {
        self.verified.fetch_add(children.len(), Ordering::SeqCst);
        if !self.aborts_first.load(Ordering::SeqCst) {
            return self.through(self.inner.edges_verified(shard, children));
        }
        Box::pin(async move {
            self.inner.abort(shard, children.clone()).await?;
            self.inner.edges_verified(shard, children).await
        })
    }

    fn fail_blocked(&self, shard: u16, children: Vec<(JobId, ErrorInfo)>) -> Reply<'_, ()> {
        self.through(self.inner.fail_blocked(shard, children))
    }

    fn abort(&self, shard: u16, children: Vec<JobId>) -> Reply<'_, ()> {
        self.through(self.inner.abort(shard, children))
    }

    fn cancel(&self, shard: u16, jobs: Vec<CancelRequest>) -> Reply<'_, Vec<CancelReply>> {
        self.through(self.inner.cancel(shard, jobs))
    }
}

/// The broker's outgoing side.
pub(crate) struct Broker {
    inner: Arc<dyn PublishPort>,
    refuses: AtomicBool,
    hangs: AtomicBool,
    pub(crate) messages: AtomicUsize,
    pub(crate) jobs: AtomicUsize,
}

impl Broker {
    pub(crate) fn around(inner: Arc<dyn PublishPort>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            refuses: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            messages: AtomicUsize::new(0),
            jobs: AtomicUsize::new(0),
        })
    }

    pub(crate) fn set_refuses(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    pub(crate) fn set_hangs(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::SeqCst);
    }
}

impl PublishPort for Broker {
    fn publish(&self, messages: Vec<Message>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        Box::pin(async move {
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if self.refuses.load(Ordering::SeqCst) {
                let refused = Published::Refused("injected".to_owned());
                return vec![refused; messages.len()];
            }
            let jobs = messages.iter().map(|message| message.jobs.len()).sum();
            self.messages.fetch_add(messages.len(), Ordering::SeqCst);
            self.jobs.fetch_add(jobs, Ordering::SeqCst);
            self.inner.publish(messages).await
        })
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }

    fn archive(&self, letters: Vec<DeadLetter>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        self.inner.archive(letters)
    }
}

/// The store's side for people: looks at jobs that go wrong.
pub(crate) struct Looks {
    inner: Arc<dyn InspectPort>,
    away: AtomicBool,
    /// So many looks for all of a job fail.
    full_fails: AtomicUsize,
    torn: Torn,
}

impl Looks {
    pub(crate) fn around(inner: Arc<dyn InspectPort>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            away: AtomicBool::new(false),
            full_fails: AtomicUsize::new(0),
            torn: Torn::default(),
        })
    }

    /// Every look fails from now on, or none.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// The next looks for all of a job fail.
    pub(crate) fn fail_full(&self, looks: usize) {
        self.full_fails.store(looks, Ordering::SeqCst);
    }

    /// Looks at this job, and at others together with it, meet a record that cannot be read.
    pub(crate) fn tear(&self, id: JobId) {
        self.torn.tear(id);
    }
}

impl InspectPort for Looks {
    fn jobs(&self, shard: u16, ids: Vec<JobId>, detail: Detail) -> Reply<'_, Vec<Option<JobView>>> {
        let fails = |left: usize| left.checked_sub(1);
        let full = detail == Detail::Full
            && self
                .full_fails
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails)
                .is_ok();
        if full || self.away.load(Ordering::SeqCst) {
            let error = Error::Unavailable {
                server: "embedded store",
                reason: "injected".to_owned(),
            };
            return Box::pin(std::future::ready(Err(error)));
        }
        if let Some(error) = self.torn.meets(&ids) {
            return Box::pin(std::future::ready(Err(error)));
        }
        self.inner.jobs(shard, ids, detail)
    }

    fn log(&self, shard: u16, id: JobId, after: u64) -> Reply<'_, Vec<LogLine>> {
        self.inner.log(shard, id, after)
    }

    fn list(&self, filter: JobFilter, after: Option<Cursor>, limit: usize) -> Reply<'_, JobPage> {
        self.inner.list(filter, after, limit)
    }

    fn queues(&self) -> Reply<'_, BTreeMap<QueueName, QueueView>> {
        self.inner.queues()
    }

    fn set_paused(&self, queue: QueueName, paused: bool) -> Reply<'_, ()> {
        self.inner.set_paused(queue, paused)
    }

    fn workers(&self) -> Reply<'_, Vec<WorkerView>> {
        self.inner.workers()
    }

    fn statistics(&self, query: StatisticsQuery) -> Reply<'_, Statistics> {
        self.inner.statistics(query)
    }

    fn standing(&self) -> Reply<'_, Standing> {
        self.inner.standing()
    }

    fn watch(&self, ids: Vec<JobId>) -> Reply<'_, Box<dyn Wakes>> {
        self.inner.watch(ids)
    }

    fn quarantined(&self, after: Option<String>, limit: usize) -> Reply<'_, Vec<QuarantineEntry>> {
        self.inner.quarantined(after, limit)
    }

    fn drop_quarantined(&self, message_ids: Vec<String>) -> Reply<'_, Vec<bool>> {
        self.inner.drop_quarantined(message_ids)
    }

    fn begin_operation(&self, operation: Operation) -> Reply<'_, Operation> {
        self.inner.begin_operation(operation)
    }

    fn save_operation(&self, operation: Operation) -> Reply<'_, ()> {
        self.inner.save_operation(operation)
    }

    fn operations(&self) -> Reply<'_, Vec<Operation>> {
        self.inner.operations()
    }

    fn ping(&self) -> Reply<'_, ()> {
        self.inner.ping()
    }
}
