//! Asks the store again when it did not answer: every call of its ports is idempotent.

use std::time::Duration;

use longshore_core::port::{Error, Reply};
use longshore_core::random::{Random, unit_f64};

/// Waits between the tries; one try more than there are waits.
const WAITS: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
];

/// Calls until there is an answer, the store refuses, or the tries are used up.
pub(crate) async fn retrying<'a, T>(
    random: &dyn Random,
    mut call: impl FnMut() -> Reply<'a, T>,
) -> Result<T, Error> {
    for wait in WAITS {
        match call().await {
            Err(error) if may_pass(&error) => {
                tracing::debug!(%error, "the store did not answer; asking again");
                // Between half of the wait and the whole: callers that failed together do not come back together.
                let spread = 0.5 + unit_f64(random.next_u64()) / 2.0;
                tokio::time::sleep(wait.mul_f64(spread)).await;
            }
            answer => return answer,
        }
    }
    call().await
}

/// A refusal (memory full, wrong type) does not pass within a second; being away may.
pub(crate) const fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. } | Error::OutcomeUnknown { .. })
}
