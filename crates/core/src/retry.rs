//! When the next attempt is due, and whether there is one.

use std::time::Duration;

use crate::envelope::Envelope;
use crate::outcome::{FailureKind, JobError, Outcome};
use crate::random::{Random, unit_f64};

/// The delay before retry number `retry` (the first is 1).
///
/// `min(retry_delay_max, retry_delay × retry_backoff^(retry − 1))`; with jitter, half of that plus a uniformly random
/// part of the other half: "equal jitter" of the AWS Architecture Blog, "Exponential Backoff And Jitter" (2015), which
/// spreads a crowd while never coming back at once.
pub fn delay(envelope: &Envelope, retry: u32, random: &dyn Random) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "a delay of 2^53 ms is 285,000 years")]
    let (first, cap) = (envelope.retry_delay_ms as f64, envelope.retry_delay_max_ms as f64);
    // Zero times an infinite factor is not a number, and a minimum takes the cap for it.
    if envelope.retry_delay_ms == 0 {
        return Duration::ZERO;
    }
    let exponent = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX);
    let grown = (first * envelope.retry_backoff.powi(exponent)).min(cap).max(0.0);
    let spread = if envelope.retry_jitter {
        grown / 2.0 + unit_f64(random.next_u64()) * grown / 2.0
    } else {
        grown
    };
    Duration::from_secs_f64(spread / 1_000.0)
}

/// What a handler's error means for the job, given the `retries` it has used so far.
pub fn decide(error: JobError, envelope: &Envelope, retries: u32, random: &dyn Random) -> Outcome {
    let (kind, info) = error.into_parts();
    let error = info.bounded();
    let left = retries < envelope.max_retries;
    match kind {
        FailureKind::Snooze(delay) => Outcome::Snooze {
            delay: delay.min(crate::limits::DURATION_MAX),
        },
        FailureKind::Cancelled => Outcome::Cancelled,
        FailureKind::Transient if left => Outcome::Retry {
            delay: delay(envelope, retries + 1, random),
            error,
        },
        FailureKind::RateLimited(delay) if left => Outcome::Retry {
            delay: delay.min(crate::limits::DURATION_MAX),
            error,
        },
        FailureKind::Transient | FailureKind::RateLimited(_) | FailureKind::Permanent => {
            Outcome::Failed { error }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::JobId;
    use crate::name::FunctionName;
    use crate::random::SystemRandom;
    use crate::spec::JobSpec;

    #[derive(Debug)]
    struct Fixed(u64);
    impl Random for Fixed {
        fn next_u64(&self) -> u64 {
            self.0
        }
    }

    fn envelope() -> Envelope {
        let mut spec = JobSpec::new(
            FunctionName::new("f").unwrap(),
            crate::value::encode("args", &()).unwrap(),
        );
        spec.retry_delay = Duration::from_secs(2);
        spec.retry_delay_max = Duration::from_secs(60);
        spec.retry_jitter = false;
        spec.max_retries = 2;
        Envelope::from_spec(
            &spec,
            JobId::generate(Timestamp(1), 0, &SystemRandom),
            Timestamp(1),
        )
    }

    #[test]
    fn delays_double_up_to_the_cap() {
        let seconds: Vec<_> = (1..=7)
            .map(|retry| delay(&envelope(), retry, &Fixed(0)).as_secs())
            .collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(delay(&envelope(), u32::MAX, &Fixed(0)).as_secs(), 60);
    }

    #[test]
    fn a_delay_of_zero_stays_zero_however_often_it_grows() {
        let mut at_once = envelope();
        at_once.retry_delay_ms = 0;
        for retry in [1, 2, 1_025, u32::MAX] {
            assert_eq!(
                delay(&at_once, retry, &Fixed(u64::MAX)),
                Duration::ZERO,
                "{retry}"
            );
        }
    }

    #[test]
    fn jitter_stays_between_half_and_the_whole() {
        let mut jittered = envelope();
        jittered.retry_jitter = true;
        assert_eq!(delay(&jittered, 1, &Fixed(0)), Duration::from_secs(1));
        let longest = delay(&jittered, 1, &Fixed(u64::MAX));
        assert!(longest > Duration::from_millis(1_999) && longest <= Duration::from_secs(2));
    }

    #[test]
    fn retries_run_out_and_permanent_errors_use_none() {
        let envelope = envelope();
        let transient = |retries| decide(JobError::transient("later"), &envelope, retries, &Fixed(0));
        assert!(matches!(transient(0), Outcome::Retry { .. }));
        assert!(matches!(transient(1), Outcome::Retry { .. }));
        assert!(matches!(transient(2), Outcome::Failed { .. }));
        assert!(matches!(
            decide(JobError::permanent("no"), &envelope, 0, &Fixed(0)),
            Outcome::Failed { .. }
        ));
    }

    #[test]
    fn snooze_needs_no_retries_and_rate_limits_give_their_own_delay() {
        let envelope = envelope();
        let wait = Duration::from_secs(7);
        assert_eq!(
            decide(JobError::snooze(wait), &envelope, 99, &Fixed(0)),
            Outcome::Snooze { delay: wait }
        );
        assert!(matches!(
            decide(JobError::rate_limited(wait), &envelope, 0, &Fixed(0)),
            Outcome::Retry { delay, .. } if delay == wait
        ));
    }
}
