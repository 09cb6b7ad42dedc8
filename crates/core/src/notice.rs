//! What people must know without asking: dead letters, lost workers, queues over a limit, ticks that were missed.
//!
//! The store writes a [`Notice`] in the same step as the change that it tells of, while somebody wants them
//! ([`crate::port::notify`]). A scheduler takes the notices, puts alike ones together into letters and has them sent
//! ([`post`]).

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{JobId, WorkerId};
use crate::message::Gen;
use crate::name::{CronName, FunctionName, QueueName};
use crate::outcome::ErrorInfo;

mod letter;
pub mod post;

pub use letter::{Kind, Letter, SAMPLES_MAX, Sample, State, Subject, TEXT_CHARS_MAX};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// When, by the store's clock.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A job was given up.
    DeadLetter {
        /// The job.
        id: JobId,
        /// Its gen at death.
        gen_: Gen,
        /// Its function.
        function_name: FunctionName,
        /// Its queue.
        queue: QueueName,
        /// Attempts that it took.
        attempts: u32,
        /// Why.
        error: ErrorInfo,
    },
    /// The lease of a running job ended: its worker beats no more.
    WorkerLost {
        /// The job.
        id: JobId,
        /// Its function.
        function_name: FunctionName,
        /// Its queue.
        queue: QueueName,
        /// Who ran it.
        worker: WorkerId,
    },
    /// A tick of a cron entry came later than [`crate::limits::CRON_GRACE`]; the entry's misfire policy was applied.
    CronMissed {
        /// The entry.
        entry: CronName,
        /// The tick.
        tick: Timestamp,
    },
}

/// What a transition asks the store to note of its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It was given up.
    DeadLetter,
    /// Its worker was lost.
    WorkerLost(WorkerId),
}
