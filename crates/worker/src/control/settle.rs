//! What the end of an attempt means for the job.

use std::time::Duration;

use longshore_core::outcome::{ErrorInfo, FailureKind, Outcome};
use longshore_core::random::Random;
use longshore_core::{Envelope, JobError, retry};

use crate::execute::Ending;

/// Why an attempt was told to stop. A later reason takes the place of an earlier one when it is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StopReason {
    /// The worker stops.
    Drain,
    /// Its run time limit is over.
    Timeout,
    /// The job's deadline is over.
    Deadline,
    /// Ownership cannot be proven any more, and the job asked for strict fencing.
    Fence,
    /// The job was cancelled.
    Cancel,
    /// Another worker owns the job, or it has ended.
    Lost,
}

/// The outcome to report; `None` when the attempt's end is nobody's business any more.
pub(super) fn outcome(
    ending: Ending,
    stop: Option<StopReason>,
    envelope: &Envelope,
    (limit, retries): (Duration, u32),
    random: &dyn Random,
) -> Option<Outcome> {
    if stop == Some(StopReason::Lost) {
        return None;
    }
    Some(match (ending, stop) {
        (Ending::Value(result), _) => Outcome::Completed { result },
        (_, Some(StopReason::Cancel)) => Outcome::Cancelled,
        (Ending::Panicked(info), _) => {
            let error = JobError::with_info(FailureKind::Permanent, info);
            retry::decide(error, envelope, retries, random)
        }
        (_, Some(StopReason::Deadline)) => Outcome::Expired,
        (_, Some(StopReason::Timeout)) => retry::decide(timed_out(limit), envelope, retries, random),
        (Ending::Error(error), Some(_)) => match error.kind() {
            FailureKind::Snooze(_) => retry::decide(error, envelope, retries, random),
            _ => Outcome::Released,
        },
        (Ending::Error(error), None) => retry::decide(error, envelope, retries, random),
        (Ending::Aborted, _) => Outcome::Released,
    })
}

fn timed_out(timeout: Duration) -> JobError {
    let info = ErrorInfo::new(
        "timeout",
        format!("the attempt ran longer than its timeout of {timeout:?}"),
    );
    JobError::with_info(FailureKind::Transient, info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use longshore_core::random::SystemRandom;
    use longshore_core::{FunctionName, JobId, JobSpec, Timestamp};

    fn decide(ending: Ending, stop: Option<StopReason>) -> Option<Outcome> {
        let args = longshore_core::value::encode("args", &()).unwrap();
        let spec = JobSpec::new(FunctionName::new("f").unwrap(), args);
        let id = JobId::generate(Timestamp(1), 0, &SystemRandom);
        let envelope = Envelope::from_spec(&spec, id, Timestamp(1));
        outcome(
            ending,
            stop,
            &envelope,
            (Duration::from_secs(1), 0),
            &SystemRandom,
        )
    }

    fn interrupted() -> Ending {
        Ending::Error(JobError::permanent("interrupted"))
    }

    #[test]
    fn success_counts_whatever_the_attempt_was_told_unless_another_owns_it() {
        let value = || Ending::Value(Bytes::from_static(&[0xc0]));
        for stop in [
            None,
            Some(StopReason::Cancel),
            Some(StopReason::Timeout),
            Some(StopReason::Drain),
        ] {
            assert!(
                matches!(decide(value(), stop), Some(Outcome::Completed { .. })),
                "{stop:?}"
            );
        }
        assert_eq!(decide(value(), Some(StopReason::Lost)), None);
    }

    #[test]
    fn a_stopping_worker_releases_whatever_the_handler_said() {
        assert_eq!(
            decide(interrupted(), Some(StopReason::Drain)),
            Some(Outcome::Released)
        );
        assert_eq!(
            decide(Ending::Aborted, Some(StopReason::Drain)),
            Some(Outcome::Released)
        );
        let snooze = Ending::Error(JobError::snooze(Duration::from_secs(1)));
        assert!(matches!(
            decide(snooze, Some(StopReason::Drain)),
            Some(Outcome::Snooze { .. })
        ));
    }

    #[test]
    fn a_timeout_is_retried_a_deadline_expires_and_a_cancel_cancels() {
        assert!(matches!(
            decide(Ending::Aborted, Some(StopReason::Timeout)),
            Some(Outcome::Retry { error, .. }) if error.error_type == "timeout"
        ));
        assert_eq!(
            decide(interrupted(), Some(StopReason::Deadline)),
            Some(Outcome::Expired)
        );
        assert_eq!(
            decide(interrupted(), Some(StopReason::Cancel)),
            Some(Outcome::Cancelled)
        );
    }

    #[test]
    fn a_panic_is_permanent() {
        let panic = Ending::Panicked(ErrorInfo::new("panic", "boom"));
        assert!(matches!(
            decide(panic, None),
            Some(Outcome::Failed { error }) if error.error_type == "panic" && error.message == "boom"
        ));
    }
}
