//! What the outside world must offer, split by who asks: [`enqueue`] for producers, [`attempt`] for workers,
//! [`schedule`] for the scheduler's daemons, [`inspect`] for people, [`checkup`] for the doctor, [`cron`] for keepers of
//! cron entries, [`notify`] for who tells people, [`access`] for the gateway, [`broker`] for messages.
//!
//! Every port is object-safe and works on batches: one boxed future a batch, not a job. Batches of the store ports
//! belong to one shard, and replies come in the order of the requests. Every call is idempotent: a call whose outcome
//! is unknown (a time-out) may be made again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::telemetry::Telemetry;

pub mod access;
pub mod attempt;
pub mod broker;
pub mod checkup;
pub mod cron;
pub mod enqueue;
pub mod inspect;
pub mod notify;
pub mod schedule;

pub use access::AccessPort;
pub use attempt::AttemptPort;
pub use broker::{ConsumePort, PublishPort};
pub use checkup::CheckupPort;
pub use cron::CronPort;
pub use enqueue::EnqueuePort;
pub use inspect::InspectPort;
pub use notify::NotifyPort;
pub use schedule::SchedulePort;

/// The answer of a port.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Everything a backend offers. Cheap to clone.
#[derive(Clone)]
pub struct Ports {
    /// For producers.
    pub enqueue: Arc<dyn EnqueuePort>,
    /// For workers.
    pub attempt: Arc<dyn AttemptPort>,
    /// For the scheduler.
    pub schedule: Arc<dyn SchedulePort>,
    /// For people.
    pub inspect: Arc<dyn InspectPort>,
    /// For the doctor.
    pub checkup: Arc<dyn CheckupPort>,
    /// For keepers of cron entries.
    pub cron: Arc<dyn CronPort>,
    /// For who tells people.
    pub notify: Arc<dyn NotifyPort>,
    /// For the gateway.
    pub access: Arc<dyn AccessPort>,
    /// Messages out.
    pub publish: Arc<dyn PublishPort>,
    /// Messages in.
    pub consume: Arc<dyn ConsumePort>,
    /// Who is told of what happens: nobody, unless the process observes.
    pub telemetry: Telemetry,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// Why a port could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server cannot be reached; nothing was done.
    #[error("{server} is not reachable: {reason}")]
    Unavailable {
        /// `Redis`, `RabbitMQ` or `embedded store`.
        server: &'static str,
        /// What was tried, without credentials.
        reason: String,
    },
    /// The request was sent and no answer came: it may have been done. Ask again.
    #[error("{server} did not answer in time; the outcome is unknown")]
    OutcomeUnknown {
        /// `Redis`, `RabbitMQ` or `embedded store`.
        server: &'static str,
    },
    /// The server refuses (out of memory, read-only replica, wrong type); nothing was done.
    #[error("{server} refused: {reason}")]
    Refused {
        /// `Redis`, `RabbitMQ` or `embedded store`.
        server: &'static str,
        /// What the server said.
        reason: String,
    },
    /// The server does not let this user do that. It passes once somebody gives the user the right. Nothing was done,
    /// unless the right lacked in the middle of a script, which the reason then says: a part may have been done, and the
    /// same call, made again with the right, does the whole.
    #[error("{server} does not let {} do this ({what}): {reason}", named(user))]
    Forbidden {
        /// `Redis` or `RabbitMQ`.
        server: &'static str,
        /// The user; empty when it is not known.
        user: String,
        /// What was asked for: a command and its key, a queue or an exchange.
        what: String,
        /// What the server said.
        reason: String,
    },
    /// What is stored cannot be read.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
    /// The port was closed.
    #[error("the connection was closed")]
    Closed,
}

/// A user in a sentence.
fn named(user: &str) -> String {
    if user.is_empty() {
        "this user".to_owned()
    } else {
        format!("the user \"{user}\"")
    }
}

impl Error {
    /// Whether the same call may succeed later, without anybody changing rights.
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::OutcomeUnknown { .. } | Self::Refused { .. }
        )
    }
}
