//! Why a cron entry is not kept as it was asked.

use longshore_core::cron::InvalidDefinition;
use longshore_core::envelope;
use longshore_core::name::{CronName, InvalidName};

use crate::error::ClientError;

/// Why a cron entry is not kept as it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// The entry is wrong; nothing was written. The error has every problem, each with its field and the fix.
    #[error(transparent)]
    Invalid(#[from] InvalidDefinition),
    /// The name is wrong.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// There is no such entry.
    #[error("name: there is no cron entry {0}")]
    NotFound(CronName),
    /// There is an entry of that name that says something else.
    #[error("name: there is a cron entry {0} that says something else; replace it, or choose another name")]
    Exists(CronName),
    /// Somebody else changed the entry.
    #[error("version: the cron entry {name} has version {found}, not {wanted}; read it again")]
    Changed {
        /// The entry.
        name: CronName,
        /// The version that was to be written over.
        wanted: u64,
        /// The version that is there; 0 for none.
        found: u64,
    },
    /// The job does not encode.
    #[error("the entry's job cannot be made")]
    Job(#[from] envelope::Error),
    /// The store did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl CronError {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Client(error) => error.is_retryable(),
            _ => false,
        }
    }
}
