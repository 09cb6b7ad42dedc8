//! For `longshore doctor`: whether what a store keeps agrees with itself, and what waits where. Every call takes a
//! bounded bite, and a repair is safe beside a fleet that works: the record is the truth, and rows follow it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Reply;
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::name::{FunctionName, QueueName};
use crate::priority::Priority;
use crate::record::Index;

/// In what a record and the indexes disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The record must have a row and has none: no daemon and no listing finds the job there.
    MissingRow,
    /// The row has another score than the record says: the job is found too early or too late.
    WrongScore,
    /// A row that no record has: its job is gone, or stands elsewhere.
    StrayRow,
    /// A job that has yet to run has lost its envelope. Nothing here can bring it back.
    NoEnvelope,
    /// What is under a job's key is no record. Nothing here can bring it back.
    Unreadable,
}

impl FaultKind {
    /// Whether a repair can put it right from what is stored.
    pub const fn is_repairable(self) -> bool {
        matches!(self, Self::MissingRow | Self::WrongScore | Self::StrayRow)
    }
}

/// One disagreement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IndexFault {
    /// What is wrong.
    pub kind: FaultKind,
    /// The index, as the store names it, for example `ready:default:1`; empty when it is the record itself.
    pub index: String,
    /// The job, or what stands in its place.
    pub job: String,
    /// Whether this call has put it right.
    pub repaired: bool,
}

/// What one bite of a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexLook {
    /// Records that were compared.
    pub records: u64,
    /// Rows that were compared.
    pub rows: u64,
    /// What is wrong. A fault may come twice while the store reorganises itself.
    pub faults: Vec<IndexFault>,
    /// Jobs among these records that wait for a worker that has their function.
    pub parked: BTreeMap<FunctionName, u64>,
    /// Where to go on, for this store alone to read; `None` at the end.
    pub next: Option<String>,
}

/// The first row of an index, or of one queue and priority of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexHead {
    /// The index.
    pub index: Index,
    /// Logical queue and priority, for [`Index::Ready`].
    pub queue: Option<(QueueName, Priority)>,
    /// Rows.
    pub rows: u64,
    /// The lowest score: since when the first job has been due, or will be.
    pub first_at: Timestamp,
    /// That job; `None` when what stands there is no id.
    pub first: Option<JobId>,
}

/// How a shard stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardState {
    /// The store's time.
    pub now: Timestamp,
    /// Indexes that have rows; [`Index::Parked`] and [`Index::Finished`] are left out.
    pub heads: Vec<IndexHead>,
    /// The scheduler that has leased the shard.
    pub scheduler: Option<String>,
    /// When a scheduler last looked at the shard's leases.
    pub swept_at: Option<Timestamp>,
    /// The job that has waited for the longest to be published a first time, and since when it could run. The time of its
    /// row moves on with each try; this one does not. Looked for in the first [`crate::limits::STATISTICS_LOOK`] rows
    /// of each urgency; jobs that workers gave back are left out, because they wait between two dispatches.
    #[serde(default)]
    pub unpublished: Option<(Timestamp, JobId)>,
}

/// How full the quarantine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineFill {
    /// Messages; at most [`crate::limits::QUARANTINE_MESSAGES_MAX`].
    pub messages: u64,
    /// Bytes of them; about [`crate::limits::QUARANTINE_BYTES_MAX`] at most.
    pub bytes: u64,
}

/// Looks into a store, and repairs it.
pub trait CheckupPort: Send + Sync {
    /// Compares records with their index rows, then rows with their records: a bite of about `limit` from `from` on,
    /// the beginning when that is `None`. With `repair` it puts right what can be put right.
    fn compare_index(
        &self,
        shard: u16,
        from: Option<String>,
        limit: usize,
        repair: bool,
    ) -> Reply<'_, IndexLook>;

    /// What waits in a shard, and whether a scheduler looks after it.
    fn shard_state(&self, shard: u16) -> Reply<'_, ShardState>;

    /// The jobs of a queue that are published and not claimed, the next to be delivered first: by priority, then by
    /// when they were published. At most `limit` of this shard.
    fn next_in_line(&self, shard: u16, queue: QueueName, limit: usize) -> Reply<'_, Vec<JobId>>;

    /// How full the quarantine is.
    fn quarantine_fill(&self) -> Reply<'_, QuarantineFill>;
}
