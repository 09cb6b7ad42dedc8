//! Asks the store again when it did not answer: every call of its ports is idempotent.

use std::time::Duration;

use longshore_core::port::{Error, Reply};
use longshore_core::random::{Random, unit_f64};
use tokio::time::{Instant, timeout_at};

/// Waits between the tries; one try more than there are waits.
const WAITS: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
];
/// How long a question or command may take, all tries together.
pub(crate) const CALL_LIMIT: Limit = Limit::Each(Duration::from_secs(10));

/// How long the store is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// Until then.
    Until(Instant),
    /// For so long, every call.
    Each(Duration),
}

impl Limit {
    pub(crate) fn by(self) -> Instant {
        match self {
            Self::Until(by) => by,
            Self::Each(time) => Instant::now() + time,
        }
    }
}

/// Calls until there is an answer, the store refuses, or the tries or the time are used up.
pub(crate) async fn retrying<'a, T>(
    random: &dyn Random,
    limit: Limit,
    call: impl FnMut() -> Reply<'a, T>,
) -> Result<T, Error> {
    let (answer, _) = retrying_with_doubt(random, limit, call).await?;
    Ok(answer)
}

/// As [`retrying`]; answers as well whether the answer of an earlier try was lost, which may have done it.
pub(crate) async fn retrying_with_doubt<'a, T>(
    random: &dyn Random,
    limit: Limit,
    mut call: impl FnMut() -> Reply<'a, T>,
) -> Result<(T, bool), Error> {
    let by = limit.by();
    let mut in_doubt = false;
    for wait in WAITS {
        match in_time(by, call()).await {
            Err(error) if may_pass(&error) => {
                in_doubt |= matches!(error, Error::OutcomeUnknown { .. });
                // Between half of the wait and the whole: callers that failed together do not come back together.
                let spread = 0.5 + unit_f64(random.next_u64()) / 2.0;
                let again = Instant::now() + wait.mul_f64(spread);
                if again >= by {
                    return Err(in_the_end(error, in_doubt));
                }
                tracing::debug!(%error, "the store did not answer; asking again");
                tokio::time::sleep_until(again).await;
            }
            answer => {
                let answer = answer.map_err(|error| in_the_end(error, in_doubt))?;
                return Ok((answer, in_doubt));
            }
        }
    }
    let answer = in_time(by, call()).await;
    let answer = answer.map_err(|error| in_the_end(error, in_doubt))?;
    Ok((answer, in_doubt))
}

/// What a call comes to whose last try failed so. Once an answer was lost, no error may say that nothing was done.
fn in_the_end(error: Error, in_doubt: bool) -> Error {
    match &error {
        Error::Unavailable { server, .. }
        | Error::Refused { server, .. }
        | Error::Forbidden { server, .. }
            if in_doubt =>
        {
            tracing::debug!(%error, "an earlier try may have done it");
            Error::OutcomeUnknown { server }
        }
        _ => error,
    }
}

async fn in_time<T>(by: Instant, call: Reply<'_, T>) -> Result<T, Error> {
    timeout_at(by, call).await.unwrap_or_else(|_| Err(unanswered()))
}

/// What a call that was given up comes to.
pub(crate) const fn unanswered() -> Error {
    Error::OutcomeUnknown { server: "the store" }
}

/// A refusal (memory full, wrong type) does not pass within a second; being away may.
pub(crate) const fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. } | Error::OutcomeUnknown { .. })
}
