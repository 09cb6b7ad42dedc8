//! What travels through the broker: one message carries 1 to 64 jobs of one queue, one priority and one shard.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::id::JobId;
use crate::name::QueueName;
use crate::priority::Priority;

/// Counts dispatches of a job: every transition into Queued raises it. A message with an older one is stale.
pub type Gen = u32;

/// Identifies one life of a shard's data: a wiped or new shard draws another.
pub type Epoch = u64;

/// One job of a message. The counts are those at dispatch: they survive the loss of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageJob {
    /// The job.
    pub id: JobId,
    /// The dispatch this message belongs to.
    pub gen_: Gen,
    /// Attempts started before this dispatch.
    pub attempts: u32,
    /// Retries used before this dispatch.
    pub retries: u32,
    /// Workers lost before this dispatch.
    pub losts: u32,
    /// The encoded [`crate::Envelope`].
    pub envelope: Bytes,
}

/// A message to or from the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The message's own id (not a job's).
    pub id: Uuid,
    /// Logical queue.
    pub queue: QueueName,
    /// Priority of every job inside.
    pub priority: Priority,
    /// Shard of every job inside.
    pub shard: u16,
    /// Epoch of that shard when the message was made; 0 when the producer could not know (`norecord`).
    pub epoch: Epoch,
    /// When it was handed to the broker.
    pub published_at: Timestamp,
    /// Published although the record could not be written: always rebuilt unless tombstoned.
    pub norecord: bool,
    /// The jobs, at least one.
    pub jobs: Vec<MessageJob>,
    /// W3C trace context of its publish; `None` when that is not traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}
