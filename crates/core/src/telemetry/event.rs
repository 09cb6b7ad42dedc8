//! What parts of Longshore tell an observer.

use std::time::Duration;

use crate::name::{FunctionName, QueueName};
use crate::priority::Priority;

/// Something happened. Texts in it come from small fixed sets, except for names of queues and functions, which
/// whoever counts by them must bound.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An enqueue ended.
    Enqueued {
        /// The job's queue.
        queue: &'a QueueName,
        /// Its function.
        function: &'a FunctionName,
        /// Its priority.
        priority: Priority,
        /// `created`, `existing`, `deferred`, `unrecorded` or `failed`.
        outcome: &'static str,
    },
    /// The broker answered for a message, or gave no answer in time.
    Published {
        /// The message's queue.
        queue: &'a QueueName,
        /// Its priority.
        priority: Priority,
        /// `confirmed`, `refused` or `unknown`.
        outcome: &'static str,
        /// How long that took.
        took: Duration,
    },
    /// A call to a server ended.
    Called {
        /// `redis`, `rabbitmq` or `embedded`.
        server: &'static str,
        /// The script or command.
        operation: &'static str,
        /// How long it took.
        took: Duration,
        /// It was answered, and not with an error.
        ok: bool,
    },
    /// A connection to a server was opened or lost.
    Connection {
        /// `redis` or `rabbitmq`.
        server: &'static str,
        /// Which of the process's connections.
        connection: &'static str,
        /// It is there now.
        connected: bool,
    },
    /// RabbitMQ holds publishers back, or does so no more.
    Blocked {
        /// Which of the process's connections.
        connection: &'static str,
        /// It does.
        blocked: bool,
    },
    /// An attempt started.
    Started {
        /// The job's queue.
        queue: &'a QueueName,
        /// Its function.
        function: &'a FunctionName,
        /// Its priority.
        priority: Priority,
        /// Since its message was published.
        waited: Duration,
        /// Its span, as a W3C `traceparent`; `None` when it is in no trace.
        traceparent: Option<&'a str>,
    },
    /// An attempt ended.
    Ended {
        /// The job's queue.
        queue: &'a QueueName,
        /// Its function.
        function: &'a FunctionName,
        /// `completed`, `failed`, `cancelled`, `expired`, `retried`, `snoozed`, `released` or `lost`.
        outcome: &'static str,
        /// How long its handler ran.
        ran: Duration,
        /// Its span, as a W3C `traceparent`; `None` when it is in no trace.
        traceparent: Option<&'a str>,
    },
    /// A handler panicked.
    Panicked {
        /// The job's queue.
        queue: &'a QueueName,
        /// Its function.
        function: &'a FunctionName,
    },
    /// Jobs were given back without a start.
    GivenBack {
        /// How many.
        jobs: u64,
    },
    /// A worker's slots; told when a number has changed.
    Slots {
        /// All.
        total: u64,
        /// In use.
        busy: u64,
        /// Jobs that wait in the worker for one.
        waiting: u64,
        /// Held by handlers that were aborted and have not ended.
        stuck: u64,
    },
    /// A pass of a daemon ended.
    Pass {
        /// The daemon.
        daemon: &'static str,
        /// Without an error.
        ok: bool,
        /// Rows that it moved.
        rows: u64,
        /// How long it took.
        took: Duration,
    },
    /// Leases of lost workers were over.
    LeasesExpired {
        /// Jobs that run again.
        requeued: u64,
        /// Jobs that were lost too often.
        failed: u64,
        /// Jobs that were to be cancelled.
        cancelled: u64,
    },
    /// An HTTP request was answered.
    Requested {
        /// Its method; `_OTHER` for what is none of HTTP's.
        method: &'static str,
        /// The route that took it, as it is written in the code; `None` when none did.
        route: Option<&'a str>,
        /// The status of the answer.
        status: u16,
        /// Until the head of the answer was ready.
        took: Duration,
        /// Its span, as a W3C `traceparent`; `None` when it is in no trace.
        traceparent: Option<&'a str>,
    },
    /// An event stream to a browser was opened or closed.
    Streams {
        /// Those that are open now.
        open: u64,
    },
    /// The protocol held an invariant.
    Repaired {
        /// How.
        repair: Repair,
        /// How often.
        count: u64,
    },
}

/// What holds an invariant when something has gone wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// A lost record was made anew from its message.
    RecordRebuilt,
    /// A message or job that nobody could handle was put into quarantine.
    Quarantined,
    /// The finish of an attempt whose job had another owner was refused.
    FinishRefused,
    /// A delivery of a job that is over, or of an older dispatch, was dropped.
    StartRefused,
    /// An index that disagreed with a record was put right.
    IndexRepaired,
    /// A fence was put above the last one, because the store's clock had gone back behind that.
    FenceRaised,
    /// A child was told of a parent's end by the sweep: nobody had told it.
    EdgeSettled,
    /// A tick that another scheduler had fired was not fired again.
    TickRefused,
    /// A message that the broker had lost was published again.
    MessageRepublished,
}

impl Repair {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::RecordRebuilt,
        Self::Quarantined,
        Self::FinishRefused,
        Self::StartRefused,
        Self::IndexRepaired,
        Self::FenceRaised,
        Self::EdgeSettled,
        Self::TickRefused,
        Self::MessageRepublished,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RecordRebuilt => "record_rebuilt",
            Self::Quarantined => "quarantined",
            Self::FinishRefused => "finish_refused",
            Self::StartRefused => "start_refused",
            Self::IndexRepaired => "index_repaired",
            Self::FenceRaised => "fence_raised",
            Self::EdgeSettled => "edge_settled",
            Self::TickRefused => "tick_refused",
            Self::MessageRepublished => "message_republished",
        }
    }

    /// The invariant that it holds.
    pub const fn invariant(self) -> &'static str {
        match self {
            Self::RecordRebuilt | Self::Quarantined => "I1",
            Self::FinishRefused => "I2",
            Self::StartRefused => "I3",
            Self::IndexRepaired => "I4",
            Self::FenceRaised => "I5",
            Self::EdgeSettled => "I6",
            Self::TickRefused => "I7",
            Self::MessageRepublished => "I8",
        }
    }

    /// What it is.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::RecordRebuilt => "A lost record was made anew from its message.",
            Self::Quarantined => "A message or job that nobody could handle was put into quarantine.",
            Self::FinishRefused => {
                "The finish of an attempt whose job had another owner was refused, and its result discarded."
            }
            Self::StartRefused => "A delivery of a job that is over, or of an older dispatch, was dropped.",
            Self::IndexRepaired => "An index that disagreed with a record was put right.",
            Self::FenceRaised => {
                "A fence was put above the last one, because the store's clock had gone back behind that."
            }
            Self::EdgeSettled => "A child was told of a parent's end by the sweep: nobody had told it.",
            Self::TickRefused => "A tick that another scheduler had fired was not fired again.",
            Self::MessageRepublished => "A message that the broker had lost was published again.",
        }
    }
}
