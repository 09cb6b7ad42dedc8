//! Hints from the store: a daemon looks at once and not at its next time. They may be lost; the timers carry the truth.

use std::sync::Arc;

use longshore_core::port::attempt::Hint;
use longshore_core::random::Random;
use tokio::time::sleep;

use crate::context::Context;
use crate::daemon::Daemon;
use crate::drive::back_off;

/// Listens, for ever.
pub(crate) async fn listen(context: Arc<Context>, random: Arc<dyn Random>) {
    let mut failures = 0;
    loop {
        match context.ports.schedule.ended_parents().await {
            Ok(mut hints) => {
                failures = 0;
                while let Some(hint) = hints.next().await {
                    if hint == Hint::ParentEnded {
                        context.wakes.wake(Daemon::TellChildren);
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "failed to listen for hints; trying again"),
        }
        failures += 1;
        sleep(back_off(failures, &*random)).await;
    }
}
