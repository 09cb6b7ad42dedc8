//! For producers: record jobs, tie them to their parents, cancel them.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Reply;
use crate::clock::Timestamp;
use crate::envelope::Envelope;
use crate::id::JobId;
use crate::message::{Epoch, Gen};
use crate::name::{FunctionName, QueueName};
use crate::outcome::ErrorInfo;
use crate::priority::Priority;
use crate::shard::Shards;
use crate::spec::{Dependency, EdgePolicy};
use crate::status::JobStatus;

/// A job to be recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewJob {
    /// The job.
    pub id: JobId,
    /// Encoded [`Envelope`].
    pub envelope: Bytes,
    /// [`Envelope::fingerprint`].
    pub fingerprint: u64,
    /// Handler.
    pub function_name: FunctionName,
    /// Name for people, when it is not the function's.
    pub name: Option<String>,
    /// Logical queue.
    pub queue: QueueName,
    /// Urgency.
    pub priority: Priority,
    /// Labels.
    pub tags: Vec<String>,
    /// Enqueue time by the producer's clock; listings sort by it.
    pub created_at: Timestamp,
    /// First due time; `None` or a past time means now.
    pub run_at: Option<Timestamp>,
    /// Must have started by then.
    pub expires_at: Option<Timestamp>,
    /// Must have ended by then.
    pub deadline: Option<Timestamp>,
    /// Parents; not empty makes the job Blocked.
    pub parents: Vec<Dependency>,
}

impl NewJob {
    /// The record of an envelope; `encoded` is the envelope's own encoding.
    pub fn from_envelope(envelope: &Envelope, encoded: Bytes) -> Self {
        Self {
            id: envelope.id,
            envelope: encoded,
            fingerprint: envelope.fingerprint(),
            function_name: envelope.function_name.clone(),
            name: envelope.name.clone(),
            queue: envelope.queue.clone(),
            priority: envelope.priority,
            tags: envelope.tags.clone(),
            created_at: envelope.created_at,
            run_at: envelope.run_at,
            expires_at: envelope.expires_at,
            deadline: envelope.deadline,
            parents: envelope.depends_on.clone(),
        }
    }
}

/// What became of one job of an enqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enqueued {
    /// Recorded now. `status` is Queued (in the outbox for the producer to publish within
    /// [`crate::limits::OUTBOX_GRACE`]), Scheduled, or Blocked.
    Created {
        /// Where it stands.
        status: JobStatus,
        /// Its first gen when Queued (1), else 0.
        gen_: Gen,
    },
    /// Known, with the same fingerprint: the existing job (a tombstone included).
    Existing {
        /// Where it stands.
        status: JobStatus,
        /// Its gen.
        gen_: Gen,
        /// Queued and not yet confirmed by the broker: publishing it (again) is right.
        unpublished: bool,
    },
    /// Known, with another fingerprint: the id is taken.
    Conflict,
}

/// Reply to an enqueue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnqueueReply {
    /// Epoch of the shard, for the messages.
    pub epoch: Epoch,
    /// One a job.
    pub jobs: Vec<Enqueued>,
}

/// One edge to be registered with its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The parent (its shard is the call's).
    pub parent: JobId,
    /// The child.
    pub child: JobId,
    /// The edge's policy: the parent remembers whether the child is told of a failure.
    pub policy: EdgePolicy,
}

/// How a parent stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ParentState {
    /// Not settled (live, or Failed while the edge waits for a requeue): the child is registered and will be told.
    Open,
    /// Settled; a tombstone counts.
    Settled(ParentOutcome),
    /// No record and no tombstone.
    Unknown,
    /// Lives, and has [`crate::limits::CHILDREN_MAX`] children to tell already: the child is not among them.
    Full,
}

/// How a parent ended, for its children.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ParentOutcome {
    /// Completed, with its result when that is at most [`crate::limits::PARENT_RESULT_BYTES_MAX`], still kept, and
    /// among the first [`crate::limits::PARENT_RESULTS_BYTES_MAX`] of the child.
    Completed {
        /// The result.
        result: Option<Bytes>,
    },
    /// Given up.
    Failed,
    /// Cancelled or expired.
    Cancelled,
    /// Deleted by retention or discard.
    Gone,
}

/// Tells one child of one parent's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeSettlement {
    /// The child (its shard is the call's).
    pub child: JobId,
    /// The parent.
    pub parent: JobId,
    /// How the parent ended.
    pub outcome: ParentOutcome,
}

/// What settling an edge did to the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EdgeSettled {
    /// The edge is closed (or kept open by its policy), others are open.
    Waiting,
    /// It was the last: the child is Queued with this gen and in the outbox.
    Released {
        /// The new gen.
        gen_: Gen,
    },
    /// It was the last: the child waits for its due time.
    Scheduled,
    /// By policy the child was cancelled.
    Cancelled,
    /// The child is not Blocked, is unknown, or has no such open edge: nothing to do.
    Nothing,
}

/// A request to cancel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// The job.
    pub id: JobId,
    /// Why, and by whom; at most 1 KiB.
    pub reason: String,
}

/// What a cancel did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelReply {
    /// The job had not started and is Cancelled now.
    Cancelled,
    /// The job runs: its worker is told, and nothing but success can end it otherwise any more.
    Requested,
    /// The job had ended already.
    AlreadyFinished(JobStatus),
    /// No such job.
    Unknown,
}

/// The producer's side of the store.
pub trait EnqueuePort: Send + Sync {
    /// The installation's shards.
    fn shards(&self) -> Shards;

    /// Records jobs of one shard. Blocked children get a row in `edges`, Queued ones a row in the outbox at
    /// now + [`crate::limits::OUTBOX_GRACE`].
    fn enqueue(&self, shard: u16, jobs: Vec<NewJob>) -> Reply<'_, EnqueueReply>;

    /// The broker confirmed these dispatches: `outbox` → `ready`, where the job is still Queued with that gen.
    fn mark_published(&self, shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, ()>;

    /// How these jobs stand (tombstones count); `None` for unknown ones.
    fn statuses(&self, shard: u16, ids: Vec<JobId>) -> Reply<'_, Vec<Option<JobStatus>>>;

    /// Registers children with parents of this shard. Registering twice is the same as once.
    fn register(&self, shard: u16, edges: Vec<Registration>) -> Reply<'_, Vec<ParentState>>;

    /// Tells children of this shard how parents ended. A released child's outbox row is due after `publish_within`:
    /// zero when the scheduler publishes it, [`crate::limits::OUTBOX_GRACE`] when the caller does.
    fn settle_edges(
        &self,
        shard: u16,
        edges: Vec<EdgeSettlement>,
        publish_within: Duration,
    ) -> Reply<'_, Vec<EdgeSettled>>;

    /// Every parent of these children is registered: their `edges` rows move to the next verification. Answers of each
    /// whether the job is known (tombstones count): one that is not was taken back by [`EnqueuePort::abort`] meanwhile,
    /// or lost.
    fn edges_verified(&self, shard: u16, children: Vec<JobId>) -> Reply<'_, Vec<bool>>;

    /// Fails Blocked children whose parent is unknown ("parent unknown").
    fn fail_blocked(&self, shard: u16, children: Vec<(JobId, ErrorInfo)>) -> Reply<'_, ()>;

    /// Removes jobs that this caller has just created, that are still Blocked and whose edges were never verified: an
    /// enqueue that found an unknown parent takes itself back, unless another one of the same id was acknowledged.
    /// Leaves no tombstone.
    fn abort(&self, shard: u16, children: Vec<JobId>) -> Reply<'_, ()>;

    /// Cancels jobs.
    fn cancel(&self, shard: u16, jobs: Vec<CancelRequest>) -> Reply<'_, Vec<CancelReply>>;
}
