//! Why a job does not run: the answer, and the pure function that finds it among the facts ([`explain`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{JobId, WorkerId};
use crate::name::{FunctionName, QueueName};
use crate::spec::EdgePolicy;
use crate::status::JobStatus;

mod answer;
mod text;

pub use answer::explain;

/// Parents that one answer names.
pub const PARENTS_PAGE: usize = 100;

/// Why a job does not run, or that it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The job.
    pub id: JobId,
    /// Where it stands; `None` when no record of it could be read.
    pub status: Option<JobStatus>,
    /// What holds it, in the order in which it must pass: the first must go before the next one matters. Never empty.
    pub obstacles: Vec<Obstacle>,
}

/// One reason, in words as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Obstacle {
    /// The reason, with its facts.
    #[serde(flatten)]
    pub reason: Reason,
    /// The reason as a sentence.
    pub explanation: String,
    /// What would unblock it, as a sentence.
    pub remedy: String,
}

/// A reason, with the facts that make it one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Its first start is due later.
    DueLater {
        /// When it is due.
        #[serde(rename = "due_at_ms")]
        due_at: Timestamp,
    },
    /// It failed, and waits for its next attempt.
    InBackoff {
        /// When the next attempt is due.
        #[serde(rename = "due_at_ms")]
        due_at: Timestamp,
        /// Number of the next attempt.
        attempt: u32,
        /// What the last attempt ended with.
        last_error: Option<String>,
    },
    /// It is due, and no scheduler has promoted it yet.
    Overdue {
        /// When it was due.
        #[serde(rename = "due_at_ms")]
        due_at: Timestamp,
    },
    /// It waits for other jobs.
    WaitsForParents {
        /// One page of them.
        parents: Vec<Parent>,
        /// How many it waits for.
        total: usize,
        /// Where the next page begins; `None` on the last.
        next: Option<usize>,
    },
    /// Its queue is paused.
    QueuePaused {
        /// The queue.
        queue: QueueName,
    },
    /// It is put aside until a worker that has its function registers.
    Parked {
        /// The function.
        function_name: FunctionName,
    },
    /// No live worker has its function. One that drains does not count.
    NoWorkerHasFunction {
        /// The function.
        function_name: FunctionName,
        /// Live workers.
        live: usize,
    },
    /// Live workers have its function, and none of them consumes its queue. One that drains does not count.
    NoWorkerHasQueue {
        /// The queue.
        queue: QueueName,
        /// Live workers that have the function.
        with_function: usize,
    },
    /// The broker, or its queue, does not answer.
    BrokerUnreachable {
        /// What was tried.
        problem: String,
    },
    /// The store does not answer: nothing is known of the job.
    StoreUnreachable {
        /// What was tried.
        problem: String,
    },
    /// It is due, and the broker has not confirmed it.
    InOutbox {
        /// When the scheduler publishes it next.
        #[serde(rename = "publish_at_ms")]
        publish_at: Option<Timestamp>,
    },
    /// Every slot that could run it is in use, as the workers told with their last beat.
    SlotsBusy {
        /// Workers that could run it.
        workers: usize,
        /// Their slots.
        slots: u32,
        /// How many jobs are before it.
        line: Line,
    },
    /// It is in the broker, and slots are free as the workers told with their last beat.
    Undelivered {
        /// When the broker confirmed it.
        #[serde(rename = "published_at_ms")]
        published_at: Timestamp,
        /// Messages of its priority that the broker has not delivered; `None` when that is not known.
        ready: Option<u64>,
        /// How many jobs are before it.
        line: Line,
    },
    /// It runs.
    Running {
        /// Where; `None` when the store does not say.
        worker: Option<WorkerId>,
        /// Since when.
        #[serde(rename = "since_ms")]
        since: Option<Timestamp>,
        /// Number of the attempt.
        attempt: u32,
        /// When its lease ends unless the worker beats.
        #[serde(rename = "lease_until_ms")]
        lease_until: Option<Timestamp>,
    },
    /// It is marked Running and its lease is over: its worker is gone, frozen or cut off.
    LeaseOver {
        /// Who ran it.
        worker: Option<WorkerId>,
        /// When the lease ended.
        #[serde(rename = "lease_until_ms")]
        lease_until: Timestamp,
    },
    /// It runs, and was asked to stop.
    BeingCancelled {
        /// Where; `None` when the store does not say.
        worker: Option<WorkerId>,
        /// Why it is to stop.
        cancel_reason: String,
    },
    /// Its expiry or deadline passed first.
    Expired {
        /// When.
        #[serde(rename = "finished_at_ms")]
        finished_at: Option<Timestamp>,
    },
    /// It has ended: Completed, Failed or Cancelled.
    Finished {
        /// How.
        ended: JobStatus,
        /// When.
        #[serde(rename = "finished_at_ms")]
        finished_at: Option<Timestamp>,
        /// Its error, or why it was cancelled.
        detail: Option<String>,
    },
    /// It has ended, and its record was deleted when its retention was over.
    Pruned {
        /// How it ended.
        ended: JobStatus,
    },
    /// Nobody knows it.
    Unknown,
}

/// A job that another one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The parent.
    pub id: JobId,
    /// Where it stands, deleted records included; `None` when nobody knows it.
    pub status: Option<JobStatus>,
    /// What its end means for the child.
    pub policy: EdgePolicy,
}

/// A place in the line of a queue. An estimate: workers hold jobs that they have not started, and the broker tells no
/// order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Queued jobs of the queue before it: those of a higher priority, and those of its own that were published first.
    pub ahead: u64,
    /// Whether there may be more: the count looks at a bounded number of jobs.
    pub or_more: bool,
}

/// Of the broker, as far as it could be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerFact {
    /// It answered for the job's queue: messages of the job's priority that it has not delivered.
    Ready(u64),
    /// It is away, or the job's queue in it does not answer.
    Unreachable(String),
    /// It was not asked, or whoever asks may not (a guest of an embedded store).
    Unasked,
}

/// What [`explain`] decides on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The job.
    pub id: JobId,
    /// When the facts were gathered.
    pub now: Timestamp,
    /// Its record.
    pub job: Option<crate::view::JobView>,
    /// How it ended, when only that is left of it.
    pub tombstone: Option<JobStatus>,
    /// One page of the parents that it waits for.
    pub parents: Vec<Parent>,
    /// At which of the open parents the page begins.
    pub parents_from: usize,
    /// Whether its queue is paused.
    pub paused: bool,
    /// Live workers.
    pub workers: Vec<crate::view::WorkerView>,
    /// The broker.
    pub broker: BrokerFact,
    /// Its place in the line.
    pub line: Line,
}

/// How late a due job may be before that is worth a word: a scheduler looks every second.
const LATE: Duration = Duration::from_secs(5);

impl Why {
    /// The answer when the store does not answer.
    pub fn store_unreachable(id: JobId, problem: String, now: Timestamp) -> Self {
        Self {
            id,
            status: None,
            obstacles: vec![Reason::StoreUnreachable { problem }.told(now)],
        }
    }
}

#[cfg(test)]
mod tests;
