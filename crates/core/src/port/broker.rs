//! Messages out and in.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Reply;
use super::schedule::DeadLetter;
use crate::clock::Timestamp;
use crate::message::Message;
use crate::name::QueueName;
use crate::priority::Priority;

/// What the broker said of one published message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Published {
    /// Confirmed and routed: the broker has it.
    Confirmed,
    /// Not taken: returned as unroutable, nacked, or refused before it was sent. It stays in the outbox.
    Refused(String),
    /// No confirm came in time, or the connection ended: it may be there. It stays in the outbox.
    Unknown,
}

impl Published {
    /// Whether the broker has the message.
    pub const fn is_confirmed(&self) -> bool {
        matches!(self, Self::Confirmed)
    }
}

/// Messages waiting in the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// Logical queue.
    pub queue: QueueName,
    /// Priority, or `None` where one broker queue holds all (classic profile).
    pub priority: Option<Priority>,
    /// Messages ready for delivery.
    pub ready: u64,
    /// Consumers.
    pub consumers: u64,
    /// The broker queue was found deleted or was created anew at this time: what was published before is gone.
    pub recreated_at: Option<Timestamp>,
}

/// The outgoing side.
pub trait PublishPort: Send + Sync {
    /// Publishes messages, pipelined, and awaits every confirm of the batch; then reports on each, in order. Declares
    /// the topology of queues that it has not seen. Never fails as a whole: a broker that is away refuses each.
    fn publish(&self, messages: Vec<Message>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>>;

    /// Whether publishing is possible now: connected, and not blocked by the broker's resource alarm.
    fn is_ready(&self) -> bool;

    /// Copies dead letters to the archive, with confirms.
    fn archive(&self, letters: Vec<DeadLetter>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>>;
}

/// Where deliveries come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Jobs of a logical queue, all priorities.
    Jobs(QueueName),
    /// The archive of dead letters (`longshore.dead`).
    Archive,
    /// What the broker itself gave up (`longshore.dlx.inbox`).
    GivenUp,
}

/// One delivery. It owns its receipt, which [`Receipt::ack`] consumes; a delivery that is dropped unacknowledged comes
/// again when its subscription ends.
#[derive(Debug)]
pub struct Delivery {
    /// Delivered before (to anybody).
    pub redelivered: bool,
    /// What came.
    pub payload: Payload,
    /// The right to acknowledge it.
    pub receipt: Receipt,
}

/// What came.
#[derive(Debug)]
pub enum Payload {
    /// A message of jobs.
    Jobs(Message),
    /// A dead letter from the archive.
    Dead(DeadLetter),
    /// Bytes that are none of these, to be put into quarantine.
    Undecodable(Undecodable),
}

/// A message that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// The broker's message id, or one derived from the body.
    pub message_id: String,
    /// Why.
    pub reason: String,
    /// The body.
    pub body: Bytes,
    /// Headers, as text.
    pub headers: Vec<(String, String)>,
    /// Jobs that the headers still name, with their gens.
    pub jobs: Vec<(crate::id::JobId, crate::message::Gen)>,
    /// The schema is newer than this build's: give its jobs back rather than put them aside.
    pub newer_schema: bool,
}

/// Takes acknowledgements; gathers them into runs.
pub trait AckSink: Send + Sync {
    /// Acknowledges the delivery with this ticket. Void when its connection has ended: the message comes again.
    fn ack(&self, ticket: u64);
}

/// The right to acknowledge one delivery, once.
pub struct Receipt {
    sink: Arc<dyn AckSink>,
    ticket: u64,
}

impl Receipt {
    /// For backends: `ticket` means something to `sink` alone.
    pub fn new(sink: Arc<dyn AckSink>, ticket: u64) -> Self {
        Self { sink, ticket }
    }

    /// Acknowledges the delivery. Returns at once; acknowledgements travel in runs.
    pub fn ack(self) {
        self.sink.ack(self.ticket);
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt").finish_non_exhaustive()
    }
}

/// A running subscription. Dropping it ends it; unacknowledged deliveries come again (to anybody).
pub trait Subscription: Send {
    /// The next delivery; `None` when the subscription ended (connection lost, queue deleted): subscribe again.
    /// Cancel-safe.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Delivery>> + Send + '_>>;

    /// Stops new deliveries; what was delivered may still be acknowledged while this value lives.
    fn quiet(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The incoming side.
pub trait ConsumePort: Send + Sync {
    /// Subscribes, waiting for the connection if need be. `prefetch` bounds unacknowledged deliveries (per priority in
    /// the quorum profile). Broker queues that do not answer join later. Deliveries of higher priorities come first
    /// among those that are there.
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>>;

    /// What waits in the broker for these queues. A broker queue that does not answer is left out, never told empty.
    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>>;

    /// Dead letters in the archive that no subscription holds.
    fn archived(&self) -> Reply<'_, u64>;

    /// The broker's consumer time-out where it is known; deliveries must be acknowledged well before it.
    fn consumer_timeout(&self) -> std::time::Duration;
}

/// A fresh message id.
pub fn message_id() -> Uuid {
    Uuid::new_v4()
}
