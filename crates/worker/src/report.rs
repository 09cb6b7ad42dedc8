//! What a worker leaves when it stops.

use longshore_core::JobId;

use crate::stats::Snapshot;

/// Why a worker stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopCause {
    /// Its shutdown token was cancelled.
    #[default]
    Asked,
    /// Too many handlers kept their slots after they were aborted ([`crate::Builder::stuck_max`]): these. The process
    /// should be started again.
    Stuck(Vec<JobId>),
}

/// How a worker stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Why it stopped.
    pub cause: StopCause,
    /// The counters at the end.
    pub stats: Snapshot,
    /// Attempts whose handler did not stop, even when it was aborted. Their leases end and others take the jobs over.
    pub left_running: Vec<JobId>,
    /// Attempts that ended but whose end could not be told to the store in time. Their leases end, and the jobs run
    /// again.
    pub left_unsettled: Vec<JobId>,
}

impl RunReport {
    /// Whether it was asked to stop, and every job was settled or handed back.
    pub const fn is_clean(&self) -> bool {
        matches!(self.cause, StopCause::Asked)
            && self.left_running.is_empty()
            && self.left_unsettled.is_empty()
    }
}
