//! For people: look at jobs, queues and workers; pause and resume.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Reply;
use super::attempt::Quarantined;
use crate::clock::Timestamp;
use crate::dead::Operation;
use crate::id::JobId;
use crate::name::QueueName;
use crate::stats::{Standing, Statistics, StatisticsQuery};
use crate::view::{Cursor, Detail, JobFilter, JobPage, JobView, QueueView, WorkerView};

/// Wakes a watcher: one of its jobs changed. Wake-ups may be lost or doubled; a watcher polls as well.
pub trait Wakes: Send {
    /// The next job that changed; `None` when the connection ended: ask for a new watch.
    fn next(&mut self) -> std::pin::Pin<Box<dyn Future<Output = Option<JobId>> + Send + '_>>;
}

/// A message in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineEntry {
    /// When it was put aside, by the store's clock; `None` when an older build did it.
    pub at: Option<Timestamp>,
    /// The message.
    pub message: Quarantined,
}

/// What people see.
pub trait InspectPort: Send + Sync {
    /// Jobs by id, all in one shard; `None` for unknown ones.
    fn jobs(&self, shard: u16, ids: Vec<JobId>, detail: Detail) -> Reply<'_, Vec<Option<JobView>>>;

    /// A page of jobs that match, newest first, over all shards.
    fn list(&self, filter: JobFilter, after: Option<Cursor>, limit: usize) -> Reply<'_, JobPage>;

    /// Every queue that holds jobs or is paused.
    fn queues(&self) -> Reply<'_, BTreeMap<QueueName, QueueView>>;

    /// Pauses or resumes a queue, durably, in every shard.
    fn set_paused(&self, queue: QueueName, paused: bool) -> Reply<'_, ()>;

    /// Live workers.
    fn workers(&self) -> Reply<'_, Vec<WorkerView>>;

    /// What happened in a window up to now, and how jobs stand. A query out of its bounds ([`StatisticsQuery::check`]) is
    /// refused. Costs what the window holds, not what the store does: no job is looked for.
    fn statistics(&self, query: StatisticsQuery) -> Reply<'_, Statistics>;

    /// How jobs stand now: their counts, paused queues, and since when the oldest waiting job of each queue could run.
    /// Statistics, metrics and alarms tell of the same age. Costs a bounded look at each queue.
    fn standing(&self) -> Reply<'_, Standing>;

    /// Wakes for changes of these jobs (status and progress).
    fn watch(&self, ids: Vec<JobId>) -> Reply<'_, Box<dyn Wakes>>;

    /// Messages in quarantine, by message id from `after` on: at most `limit`, and at most
    /// [`crate::limits::QUARANTINE_PAGE_MAX`]; none at the end.
    fn quarantined(&self, after: Option<String>, limit: usize) -> Reply<'_, Vec<QuarantineEntry>>;

    /// Deletes messages from the quarantine by their message ids. Answers of each whether it was there.
    fn drop_quarantined(&self, message_ids: Vec<String>) -> Reply<'_, Vec<bool>>;

    /// Remembers an operation on many dead letters, its start set to the store's time; answers the one that is
    /// remembered, which is another when its id is known. The store remembers
    /// [`crate::limits::OPERATIONS_MAX`] of them.
    fn begin_operation(&self, operation: Operation) -> Reply<'_, Operation>;

    /// Remembers how an operation stands now.
    fn save_operation(&self, operation: Operation) -> Reply<'_, ()>;

    /// The operations that are remembered, the newest first.
    fn operations(&self) -> Reply<'_, Vec<Operation>>;

    /// Checks that the store answers; the time it took is the caller's to measure.
    fn ping(&self) -> Reply<'_, ()>;
}
