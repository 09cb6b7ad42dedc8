//! Where a job stands.

use serde::{Deserialize, Serialize};

/// Where a job stands. `docs/reference/states.md` draws the transitions; [`crate::transition`] holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum JobStatus {
    /// Waits for parents.
    Blocked = 0,
    /// Waits for its first due time.
    Scheduled = 1,
    /// Due; in the outbox or in the broker.
    Queued = 2,
    /// Claimed by a worker that holds its lease.
    Running = 3,
    /// Failed with a transient error; waits for its next attempt.
    Retrying = 4,
    /// Ended well.
    Completed = 5,
    /// Given up: a dead letter.
    Failed = 6,
    /// Cancelled by request.
    Cancelled = 7,
    /// Its expiry or deadline passed first.
    Expired = 8,
}

impl JobStatus {
    /// Every status, in the order of a job's life.
    pub const ALL: [Self; 9] = [
        Self::Blocked,
        Self::Scheduled,
        Self::Queued,
        Self::Running,
        Self::Retrying,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// Whether the job has ended: nothing but a requeue of a dead letter leaves these.
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Expired
        )
    }

    /// The lower-case name used in output, filters and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The number under which Redis stores the status.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The status with this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl std::fmt::Display for JobStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "status: unknown value \"{0}\"; use blocked, scheduled, queued, running, retrying, completed, failed, cancelled or expired"
)]
pub struct UnknownStatus(pub String);

impl std::str::FromStr for JobStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownStatus(text.chars().take(64).collect()))
    }
}
