//! For the scheduler's daemons: what is due, expired, to be told, to be repaired. Each call takes a bounded bite
//! (`limit`) of one shard and is safe to make from any number of replicas at once.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Reply;
use super::cron::CronEntry;
use super::enqueue::ParentOutcome;
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::message::{Epoch, Gen};
use crate::name::{CronName, QueueName};
use crate::outcome::ErrorInfo;
use crate::priority::Priority;
use crate::spec::EdgePolicy;
use crate::status::JobStatus;
use crate::view::AttemptView;

/// A dispatch to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publishable {
    /// The job.
    pub id: JobId,
    /// Its gen.
    pub gen_: Gen,
    /// Queue.
    pub queue: QueueName,
    /// Priority.
    pub priority: Priority,
    /// Attempts so far.
    pub attempts: u32,
    /// Retries so far.
    pub retries: u32,
    /// Workers lost so far.
    pub losts: u32,
    /// Encoded envelope.
    pub envelope: Bytes,
}

/// Dispatches leased to the caller for [`crate::limits::OUTBOX_LEASE`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leased {
    /// The shard's epoch, for the messages.
    pub epoch: Epoch,
    /// The dispatches, most urgent first.
    pub jobs: Vec<Publishable>,
    /// How many rows were looked at: `limit` of them means that more may be due.
    pub looked_at: usize,
}

/// What a sweep over expired leases did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeasesExpired {
    /// Queued again.
    pub requeued: u32,
    /// Given up ("worker lost").
    pub failed: u32,
    /// Cancelled, because a cancel was requested.
    pub cancelled: u32,
    /// Nothing was expired because the sweep itself had been away: owners get this long to beat.
    pub paused_for: Duration,
}

/// A settled parent and a page of the children that are to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The parent.
    pub parent: JobId,
    /// How it ended.
    pub outcome: ParentOutcome,
    /// At most [`crate::limits::CHILDREN_PAGE`] children; empty when the set is (the row is gone then).
    pub children: Vec<JobId>,
}

/// A Blocked child whose edges are to be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenEdges {
    /// The child.
    pub child: JobId,
    /// Its open edges.
    pub edges: Vec<(JobId, EdgePolicy)>,
    /// Since when looks have found a parent of it unknown; `None` when the last found every one.
    pub unknown_since: Option<Timestamp>,
}

/// Messages of a queue and priority that were published before this are certainly out of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Logical queue.
    pub queue: QueueName,
    /// Priority.
    pub priority: Priority,
    /// The time.
    pub published_before: Timestamp,
}

/// A dead letter whose durable twin is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The job.
    pub id: JobId,
    /// Its gen at death.
    pub gen_: Gen,
    /// The shard's epoch.
    pub epoch: Epoch,
    /// When it was given up.
    pub dead_at: Timestamp,
    /// Queue.
    pub queue: QueueName,
    /// Encoded envelope.
    pub envelope: Bytes,
    /// Why.
    pub error: ErrorInfo,
    /// Attempts so far, and what is kept of them.
    pub attempts: u32,
    /// The last attempts.
    pub history: Vec<AttemptView>,
}

/// How the record behind an archived dead letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwinState {
    /// Failed with this gen: keep the twin.
    Keep,
    /// Requeued, discarded, or older than the record: drop the twin.
    Stale,
    /// No record, and the shard's epoch is the twin's: discarded or pruned; drop the twin.
    Dropped,
    /// No record, and another epoch: the store was wiped. It was rebuilt as Failed; keep the twin.
    Rebuilt,
}

/// What a requeue or discard did to one dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeadLetterChange {
    /// Done.
    Done,
    /// Not a dead letter (any more), or it died after `before`.
    NotDead,
    /// Its deadline has passed: it stays a dead letter, because it would only be Expired.
    PastDeadline,
    /// Has children that would be told "gone": they are told first; ask again.
    HasChildren,
}

/// A dead letter whose arguments a person has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditedLetter {
    /// The job.
    pub id: JobId,
    /// Its gen when it was read: a letter that was requeued meanwhile stays as it is.
    pub gen_: Gen,
    /// The envelope with the new arguments, encoded.
    pub envelope: Bytes,
}

/// Twins that requeue, discard or retention have made stale in a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removals {
    /// How many were ever counted. Only grows, unless the store is wiped or goes back in time.
    pub counted: u64,
    /// How many of them no lap of the keeper has looked for.
    pub pending: u64,
}

/// What a bite of retention freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Records deleted (a tombstone stays).
    pub jobs: u32,
    /// Parents whose children must be told "gone" first.
    pub held_by_children: u32,
}

/// Entries whose tick is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CronDue {
    /// The store's time: what is late is measured by it.
    pub now: Timestamp,
    /// The entries, the longest due first.
    pub entries: Vec<CronEntry>,
}

/// One fire of a cron entry.
#[derive(Clone, Debug, PartialEq)]
pub struct CronFire {
    /// The entry.
    pub name: CronName,
    /// Version as read.
    pub version: u64,
    /// `next_at` as read: the tick that fires.
    pub expected: Timestamp,
    /// The tick after it.
    pub next: Timestamp,
    /// The job, its id from [`JobId::from_cron_tick`]; `None` skips the tick.
    pub job: Option<super::enqueue::NewJob>,
    /// A job of the same shard that it takes the place of: cancelled in the same step, when the entry is as read.
    pub instead_of: Option<super::enqueue::CancelRequest>,
}

/// The scheduler's side of the store.
pub trait SchedulePort: Send + Sync {
    /// Leases up to `want` shards to `holder` for `ttl`: those it has are renewed first, in order of their number, and
    /// those above `want` are given back. Saves duplicate work; nothing depends on it. Shards that do not answer are left out;
    /// it fails when none does.
    fn lease_shards(&self, holder: String, want: usize, ttl: Duration) -> Reply<'_, Vec<u16>>;

    /// Gives every shard lease of `holder` back.
    fn release_shards(&self, holder: String) -> Reply<'_, ()>;

    /// Due outbox rows: leased, with their envelopes.
    fn lease_outbox(&self, shard: u16, limit: usize) -> Reply<'_, Leased>;

    /// Moves the next try of outbox rows to now + `by`: [`crate::limits::OUTBOX_LEASE`] while their publish is under
    /// way, less when the broker has said that it did not take them.
    fn extend_outbox(&self, shard: u16, jobs: Vec<(JobId, Gen)>, by: Duration) -> Reply<'_, ()>;

    /// Due Scheduled and Retrying jobs → Queued, gen + 1, already leased.
    fn promote(&self, shard: u16, limit: usize) -> Reply<'_, Leased>;

    /// Running jobs whose lease is over.
    fn expire_leases(&self, shard: u16, limit: usize) -> Reply<'_, LeasesExpired>;

    /// Jobs past their expiry or deadline → Expired. Answers how many.
    fn expire_waiting(&self, shard: u16, limit: usize) -> Reply<'_, u32>;

    /// Hints for the scheduler ([`super::attempt::Hint::ParentEnded`]; others may come and mean nothing to it): children
    /// are told at once and not at the next look.
    fn ended_parents(&self) -> Reply<'_, Box<dyn super::attempt::Hints>>;

    /// Settled parents with children to tell, each with a page; rows come again after a lease unless told.
    fn relations(&self, shard: u16, limit: usize) -> Reply<'_, Vec<Relation>>;

    /// These children of `parent` were told. Answers whether more wait.
    fn relations_told(&self, shard: u16, parent: JobId, children: Vec<JobId>) -> Reply<'_, bool>;

    /// Blocked children whose `edges` row is due, leased to the caller: they come again after
    /// [`crate::limits::OUTBOX_LEASE`] unless they are verified. At most `limit` of them, and about
    /// [`crate::limits::EDGES_LOOK_MAX`] edges; none means that none are due.
    fn open_edges(&self, shard: u16, limit: usize) -> Reply<'_, Vec<OpenEdges>>;

    /// A look at these Blocked children found a parent of each unknown. The store remembers since when, until
    /// [`super::enqueue::EnqueuePort::edges_verified`] says otherwise.
    fn parents_unknown(&self, shard: u16, children: Vec<JobId>) -> Reply<'_, ()>;

    /// Queued and published jobs that are certainly out of the broker (published before their queue's watermark, or
    /// without one never): leased for a republish with the same gen. Never a paused queue.
    fn audit(&self, shard: u16, watermarks: Vec<Watermark>, limit: usize) -> Reply<'_, Leased>;

    /// Failed jobs without a durable twin.
    fn dead_uncopied(&self, shard: u16, limit: usize) -> Reply<'_, Vec<DeadLetter>>;

    /// The broker confirmed these twins. One whose letter was requeued, discarded or pruned meanwhile, or died again, is
    /// stale and counts as a removal: the lap for that one may have passed before the twin was there.
    fn dead_copied(&self, shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, ()>;

    /// How the records behind archived twins stand; rebuilds what a wipe took.
    fn dead_twins(&self, shard: u16, twins: Vec<DeadLetter>) -> Reply<'_, Vec<TwinState>>;

    /// Messages that the broker gave up: a Running record counts a lost, a Queued one goes to the outbox. Answers
    /// which ids are unknown.
    fn broker_gave_up(&self, shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, Vec<JobId>>;

    /// Dead letters → Queued, retries, losts and attempts' count reset, gen + 1; only those that died before
    /// `before`.
    fn requeue(&self, shard: u16, ids: Vec<JobId>, before: Timestamp) -> Reply<'_, Vec<DeadLetterChange>>;

    /// As [`SchedulePort::requeue`], with another envelope in the place of the old one, in one step. The record keeps
    /// the fingerprint of what was asked for, so that the same enqueue again is still the same job.
    /// The same edit again is told that it is done.
    fn requeue_edited(&self, shard: u16, letters: Vec<EditedLetter>) -> Reply<'_, Vec<DeadLetterChange>>;

    /// Deletes dead letters, leaving tombstones.
    fn discard(&self, shard: u16, ids: Vec<JobId>, before: Timestamp) -> Reply<'_, Vec<DeadLetterChange>>;

    /// How many twins were made stale by requeue, discard or retention. `swept` says that a lap of the keeper is over that
    /// began when so many were counted, 0 that none is: what was counted since then waits for the next lap, whoever makes
    /// it. A number that is larger than the store's own, as from before a wipe, says nothing.
    fn removals_pending(&self, shard: u16, swept: u64) -> Reply<'_, Removals>;

    /// Deletes terminal jobs that ended longer ago than their status' retention.
    fn prune(&self, shard: u16, retention: BTreeMap<JobStatus, Duration>, limit: usize) -> Reply<'_, Pruned>;

    /// Releases parked jobs that a live worker can run: it has their function, consumes their queue, and does not drain.
    fn unpark(&self, shard: u16) -> Reply<'_, u32>;

    /// Entries of this shard whose tick is due and that are not paused.
    fn cron_due(&self, shard: u16, limit: usize) -> Reply<'_, CronDue>;

    /// Compare-and-set of the tick, and the job, in one step; the job's outbox row is due at once. Answers whether this
    /// call fired.
    fn cron_fire(&self, shard: u16, fire: CronFire) -> Reply<'_, bool>;
}
