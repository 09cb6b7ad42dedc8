//! Waiting for a condition: polls until it holds or a deadline passes, and says what was missing.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Pause after the first failed probe; it doubles up to [`POLL_MAX`].
const POLL_MIN: Duration = Duration::from_millis(5);
/// Longest pause between two probes.
const POLL_MAX: Duration = Duration::from_millis(100);

/// What a probe may return: `Some`, `Ok` and `true` end the wait, everything else goes on.
pub trait Probe {
    /// The value handed back when the condition holds.
    type Value;

    /// The value, or what was seen instead.
    ///
    /// # Errors
    ///
    /// The state that was seen, for the message of [`WaitError`].
    fn into_outcome(self) -> Result<Self::Value, String>;
}

impl<T> Probe for Option<T> {
    type Value = T;

    fn into_outcome(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing yet".to_owned())
    }
}

impl<T, E: fmt::Display> Probe for Result<T, E> {
    type Value = T;

    fn into_outcome(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

impl Probe for bool {
    type Value = ();

    fn into_outcome(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("false".to_owned()) }
    }
}

/// A condition that did not hold in time. `Debug` reads like `Display`, so that `unwrap` in a test is readable.
#[derive(Clone, thiserror::Error)]
#[error("waited {deadline:?} for {what}, last seen: {last}")]
pub struct WaitError {
    what: String,
    deadline: Duration,
    last: String,
}

impl fmt::Debug for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Calls `probe` until it succeeds, with short pauses between, and returns its value.
///
/// The probe is called at least once. A probe that hangs is abandoned at the deadline.
///
/// # Errors
///
/// [`WaitError`] with `what` and the last thing seen, once `deadline` has passed.
pub async fn eventually<F, Fut>(
    deadline: Duration,
    what: &str,
    mut probe: F,
) -> Result<<Fut::Output as Probe>::Value, WaitError>
where
    F: FnMut() -> Fut,
    Fut: Future,
    Fut::Output: Probe,
{
    let end = Instant::now() + deadline;
    let mut pause = POLL_MIN;
    let mut last = "the first look did not return".to_owned();
    loop {
        match tokio::time::timeout_at(end, probe())
            .await
            .map(Probe::into_outcome)
        {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => last = seen,
            Err(_) => {}
        }
        if Instant::now() + pause >= end {
            return Err(WaitError {
                what: what.to_owned(),
                deadline,
                last,
            });
        }
        sleep(pause).await;
        pause = (pause * 2).min(POLL_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_that_appears_later_is_returned() {
        let mut looks = 0;
        let value = eventually(Duration::from_secs(5), "three looks", || {
            looks += 1;
            let seen = (looks == 3).then_some(looks);
            async move { seen }
        })
        .await;
        assert_eq!(value.unwrap(), 3);
    }

    #[tokio::test]
    async fn the_failure_names_the_condition_and_the_last_thing_seen() {
        let error = eventually(Duration::from_millis(20), "the queue to drain", || async {
            Err::<(), _>("7 messages left")
        })
        .await
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "waited 20ms for the queue to drain, last seen: 7 messages left"
        );
    }

    #[tokio::test]
    async fn a_probe_that_hangs_does_not_outlive_the_deadline() {
        let error = eventually(
            Duration::from_millis(20),
            "an answer",
            std::future::pending::<bool>,
        )
        .await
        .unwrap_err();
        assert!(
            error.to_string().contains("the first look did not return"),
            "{error}"
        );
    }
}
