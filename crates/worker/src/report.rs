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

impl std::fmt::Display for StopCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Asked => f.write_str("asked"),
            Self::Stuck(jobs) => write!(f, "stuck: {}", ids(jobs)),
        }
    }
}

/// Jobs as people can copy them.
pub(crate) fn ids(jobs: &[JobId]) -> String {
    let ids: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    ids.join(", ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_names_its_jobs_as_people_can_copy_them() {
        let id = "0193f0a1-7c5e-8001-9313-0242ac120002";
        let job: JobId = id.parse().unwrap();
        assert_eq!(StopCause::Asked.to_string(), "asked");
        assert_eq!(
            StopCause::Stuck(vec![job, job]).to_string(),
            format!("stuck: {id}, {id}")
        );
    }
}
