//! For people: look at jobs, queues and workers; pause and resume.

use std::collections::BTreeMap;

use super::Reply;
use crate::id::JobId;
use crate::name::QueueName;
use crate::view::{Cursor, Detail, JobFilter, JobPage, JobView, QueueView, WorkerView};

/// Wakes a watcher: one of its jobs changed. Wake-ups may be lost or doubled; a watcher polls as well.
pub trait Wakes: Send {
    /// The next job that changed; `None` when the connection ended: ask for a new watch.
    fn next(&mut self) -> std::pin::Pin<Box<dyn Future<Output = Option<JobId>> + Send + '_>>;
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

    /// Wakes for changes of these jobs (status and progress).
    fn watch(&self, ids: Vec<JobId>) -> Reply<'_, Box<dyn Wakes>>;

    /// Checks that the store answers; the time it took is the caller's to measure.
    fn ping(&self) -> Reply<'_, ()>;
}
