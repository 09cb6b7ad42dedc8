//! For whoever keeps cron entries: people, and the scheduler that reads them from its configuration. The scheduler's
//! side (what is due, and its fire) is in [`super::schedule`].
//!
//! An entry belongs to the shard of its name ([`crate::shard::Shards::of_bytes`]), and so do the jobs of its ticks.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Reply;
use super::enqueue::{Enqueued, NewJob};
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::name::CronName;

/// A cron entry as the store keeps it. What the definition means is not the store's business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronEntry {
    /// Its name: the key.
    pub name: CronName,
    /// Raised by every change of the entry, never by a fire. An entry that is made anew under an old name goes on
    /// higher, because versions are at least the store's time in milliseconds.
    pub version: u64,
    /// Next tick.
    pub next_at: Timestamp,
    /// A paused entry is never due.
    pub paused: bool,
    /// Schedule, policies and job (`cron::Definition`, with the feature `cron`).
    pub definition: Bytes,
    /// The last job that it made.
    pub last: Option<CronJob>,
}

/// A job that an entry has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronJob {
    /// The job.
    pub id: JobId,
    /// When it was made, by the store's clock.
    pub fired_at: Timestamp,
}

/// An entry to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronPut {
    /// Its name.
    pub name: CronName,
    /// What it says.
    pub definition: Bytes,
    /// Its first tick.
    pub next_at: Timestamp,
    /// Only over this version (0: only if there is none); `None` writes over whatever is there.
    pub if_version: Option<u64>,
}

/// What became of a written entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CronWritten {
    /// Written, with this version. A paused entry stays paused.
    Written(u64),
    /// The entry says the same already: nothing changed, its next tick neither.
    Unchanged(u64),
    /// Another version is there, or none (0): nothing changed.
    Conflict(u64),
}

/// Keeps cron entries.
pub trait CronPort: Send + Sync {
    /// Makes or changes an entry.
    fn cron_put(&self, entry: CronPut) -> Reply<'_, CronWritten>;

    /// Takes an entry away; its jobs stay. Answers whether it was there.
    fn cron_remove(&self, name: CronName) -> Reply<'_, bool>;

    /// Pauses an entry, or resumes it with its next tick at `next_at`. One that is so already keeps its tick. Answers
    /// whether it is there.
    fn cron_pause(&self, name: CronName, paused: bool, next_at: Timestamp) -> Reply<'_, bool>;

    /// One entry.
    fn cron_entry(&self, name: CronName) -> Reply<'_, Option<CronEntry>>;

    /// A page of a shard's entries by name, beginning after `after`.
    fn cron_entries(&self, shard: u16, after: Option<CronName>, limit: usize) -> Reply<'_, Vec<CronEntry>>;

    /// Makes a job of an entry outside its schedule; the scheduler publishes it at once. `None` when there is no such
    /// entry.
    fn cron_run(&self, name: CronName, job: NewJob) -> Reply<'_, Option<Enqueued>>;
}
