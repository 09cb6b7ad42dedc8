//! Why a pass of a daemon did not do all of its work.

use longshore_core::cron::InvalidDefinition;
use longshore_core::name::CronName;
use longshore_core::{envelope, port};

/// Why a pass of a daemon did not do all of its work. What it left is done by a later pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A port failed.
    #[error(transparent)]
    Port(#[from] port::Error),
    /// Nothing can be published now: the broker is not connected, or has a resource alarm.
    #[error("the broker takes no messages now: it is not connected, or has a resource alarm")]
    BrokerNotReady,
    /// The broker did not confirm every message; what it did not confirm is published again later.
    #[error("the broker did not confirm {count} of {of} messages: {reason}")]
    Unconfirmed {
        /// Messages without a confirm.
        count: usize,
        /// Messages that were published.
        of: usize,
        /// What was said of the first of them.
        reason: String,
    },
    /// A lap of the archive ended before it had seen every dead letter that was there; the next pass begins another.
    #[error("a lap of the archive saw only {seen} of {of} dead letters")]
    LapCutShort {
        /// Dead letters that it saw.
        seen: u64,
        /// How many were there when it began.
        of: u64,
    },
    /// A cron entry of the configuration file was changed by somebody else at the same moment; the next pass tries again.
    #[error("the cron entry {0} changed while it was written")]
    CronChanged(CronName),
    /// The job of a cron entry does not encode.
    #[error(transparent)]
    CronJob(#[from] envelope::Error),
    /// A cron entry of the configuration file cannot be written.
    #[error(transparent)]
    CronEntry(#[from] InvalidDefinition),
    /// A pass panicked: a bug, contained.
    #[error("the daemon panicked: {0}")]
    Panicked(String),
}

impl Error {
    /// Its kind, in a word that never changes.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Port(_) => "server",
            Self::BrokerNotReady => "broker_not_ready",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::LapCutShort { .. } => "lap_cut_short",
            Self::CronChanged(_) => "cron_changed",
            Self::CronJob(_) | Self::CronEntry(_) => "cron_entry",
            Self::Panicked(_) => "panic",
        }
    }

    /// Whether it tells of a server that is away, rather than of this daemon's own work.
    pub(crate) const fn is_outage(&self) -> bool {
        match self {
            Self::Port(error) => error.is_retryable(),
            Self::BrokerNotReady | Self::Unconfirmed { .. } | Self::LapCutShort { .. } => true,
            Self::CronChanged(_) | Self::CronJob(_) | Self::CronEntry(_) | Self::Panicked(_) => false,
        }
    }
}
