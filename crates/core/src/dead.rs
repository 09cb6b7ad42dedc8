//! Dead letters as people handle them: which ones are meant, which failures are alike, and an operation on many.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::name::{FunctionName, QueueName};
use crate::status::JobStatus;
use crate::view::{JobFilter, JobView};

mod fingerprint;

pub use fingerprint::Fingerprint;

/// Which dead letters are meant; all conditions hold together, and none means every dead letter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadFilter {
    /// This function.
    pub function_name: Option<FunctionName>,
    /// This queue.
    pub queue: Option<QueueName>,
    /// All of these tags.
    pub tags: Vec<String>,
    /// Errors like this one.
    pub fingerprint: Option<Fingerprint>,
    /// Given up at or after.
    pub died_from: Option<Timestamp>,
    /// Given up before.
    pub died_until: Option<Timestamp>,
}

impl DeadFilter {
    /// Whether it has no condition.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What a listing can be asked for of it; [`DeadFilter::matches`] tells the rest.
    pub fn jobs(&self) -> JobFilter {
        JobFilter {
            statuses: vec![JobStatus::Failed],
            function_name: self.function_name.clone(),
            queue: self.queue.clone(),
            tags: self.tags.clone(),
            ..JobFilter::default()
        }
    }

    /// Whether a job is a dead letter that is meant.
    pub fn matches(&self, job: &JobView) -> bool {
        let died_at = job.finished_at.unwrap_or_default();
        self.jobs().matches(job)
            && self.died_from.is_none_or(|from| died_at >= from)
            && self.died_until.is_none_or(|until| died_at < until)
            && self
                .fingerprint
                .is_none_or(|fingerprint| fingerprint == Fingerprint::of(job.error.as_ref()))
    }
}

/// The identity of an operation on many dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub u64);

impl std::fmt::Display for OperationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text that is no operation's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not the id of an operation; it has 1 to 16 hexadecimal digits, as `longshore dlq ops` prints it"
)]
pub struct InvalidOperationId(pub String);

impl std::str::FromStr for OperationId {
    type Err = InvalidOperationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16)
            .ok()
            .filter(|_| digits)
            .map(Self)
            .ok_or_else(|| InvalidOperationId(text.chars().take(64).collect()))
    }
}

/// What an operation does with each job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Queued again, with fresh counts.
    Requeue,
    /// Deleted; a tombstone stays.
    Discard,
    /// Not of dead letters: every job that matches and has not ended is cancelled.
    Cancel,
}

impl OperationKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requeue => "requeue",
            Self::Discard => "discard",
            Self::Cancel => "cancel",
        }
    }
}

/// Which jobs an operation cancels, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelWhich {
    /// The jobs; those that have ended are never meant.
    pub jobs: JobFilter,
    /// What their records tell as the reason.
    pub reason: String,
}

/// A requeue or discard of every dead letter that matches, or a cancel of every job that does, as the store remembers it.
/// It touches only what died, or was enqueued, before its start, so that one that is run again after a crash touches
/// nothing twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Which.
    pub id: OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// With which dead letters; without a condition for a cancel.
    pub filter: DeadFilter,
    /// When it began, by the store's clock.
    pub started_at: Timestamp,
    /// How many matched at its start; `None` until they are counted.
    pub total: Option<u64>,
    /// How many of them are dead letters no more, or are cancelled or asked to stop.
    pub done: u64,
    /// How many stay, because their deadline has passed or their children must be told first.
    pub kept: u64,
    /// When it came to its end; `None` while it runs or was interrupted.
    pub ended_at: Option<Timestamp>,
    /// What a cancel is of; `None` for operations on dead letters.
    #[serde(default)]
    pub cancels: Option<CancelWhich>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_id_reads_back() {
        let id = OperationId(0x1f);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("1F".parse(), Ok(id));
        for wrong in ["", "+1", "xyz", "00000000000000001"] {
            assert!(wrong.parse::<OperationId>().is_err(), "{wrong}");
        }
    }
}
