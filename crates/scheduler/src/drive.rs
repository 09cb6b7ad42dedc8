//! Runs one daemon: by its timer, by wake-ups, and with a growing pause while it fails.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use longshore_core::random::{Random, unit_f64};
use longshore_core::telemetry::Event;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;

use crate::context::Context;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::names;
use crate::status::{Done, Status};
use crate::trouble::Trouble;

/// The pause after a first error; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The longest pause after a pass whose messages the broker did not confirm: each row has a pause of its own, and the
/// next ones may be of another queue.
const UNCONFIRMED_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long after the last row a daemon counts as busy.
const BUSY: Duration = Duration::from_secs(5);

/// What a driver needs besides the daemons' context.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    pub(crate) context: Arc<Context>,
    pub(crate) trouble: Arc<Trouble>,
    pub(crate) random: Arc<dyn Random>,
}

impl Driver {
    /// Runs a daemon until the scheduler stops.
    pub(crate) async fn run(self, daemon: Daemon, status: watch::Sender<Status>) {
        let mut held = self.context.held.clone();
        let mut busy_until = Instant::now();
        while !self.context.is_stopping() {
            let shards = held.borrow_and_update().shards.clone();
            let result = self.seen(daemon, &shards).await;
            let trouble = match &result {
                Ok(done) => done.trouble(),
                Err(error) => Some(error.clone()),
            };
            self.trouble.tell(daemon, trouble.as_ref());
            let is_unconfirmed = matches!(result, Err(Error::Unconfirmed { .. }));
            if matches!(result, Ok(done) if done.rows > 0) {
                busy_until = Instant::now() + BUSY;
            }
            let more = matches!(result, Ok(done) if done.more);
            status.send_modify(|status| status.record(self.context.clock.now(), result));
            if more {
                tokio::task::yield_now().await;
                continue;
            }
            let errors = status.borrow().errors_in_a_row;
            let pause = if errors > 0 {
                let pause = back_off(errors, self.random.as_ref());
                if is_unconfirmed {
                    pause.min(UNCONFIRMED_PAUSE_MAX)
                } else {
                    pause
                }
            } else {
                self.context
                    .settings
                    .intervals
                    .of(daemon, Instant::now() < busy_until)
            };
            tokio::select! {
                () = sleep(pause) => {}
                // A daemon that fails is not hurried.
                () = self.context.wakes.heard(daemon), if errors == 0 || is_unconfirmed => {}
                changed = held.changed(), if errors == 0 => if changed.is_err() { return },
                () = self.context.stop.cancelled() => {}
            }
        }
    }
}

impl Driver {
    /// One pass, with a span around it, and told to whoever observes.
    async fn seen(&self, daemon: Daemon, shards: &[u16]) -> Result<Done, Error> {
        let telemetry = &self.context.ports.telemetry;
        if !telemetry.is_on() {
            return pass(daemon, &self.context, shards).await;
        }
        let span = tracing::debug_span!(
            target: "longshore::trace",
            parent: None,
            "pass",
            otel.name = daemon.name(),
            longshore.scheduler.daemon = daemon.name(),
            longshore.scheduler.rows = tracing::field::Empty,
        );
        let began = Instant::now();
        let result = pass(daemon, &self.context, shards).instrument(span.clone()).await;
        let rows = result.as_ref().map_or(0, |done| done.rows);
        // Numbers without a sign are texts in OpenTelemetry's hands.
        span.record(names::ROWS, i64::try_from(rows).unwrap_or(i64::MAX));
        if let Err(error) = &result {
            telemetry.failed(&span, error.name());
        }
        telemetry.observe(&Event::Pass {
            daemon: daemon.name(),
            ok: result.is_ok(),
            rows,
            took: began.elapsed(),
        });
        result
    }
}

/// One pass; a panic in it is contained. Messages that the broker did not confirm fail it only when it confirmed none
/// and no others wait behind them: what was put off has a pause of its own, and must not hold up the rest.
pub(crate) async fn pass(daemon: Daemon, context: &Context, shards: &[u16]) -> Result<Done, Error> {
    if shards.is_empty() && !daemon.lets_go() {
        return Ok(Done::default());
    }
    let pass: BoxFuture<'_, _> = Box::pin(daemon.pass(context, shards));
    AssertUnwindSafe(pass)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(Error::Panicked(text.unwrap_or_else(|| "no message".to_owned())))
        })
        .and_then(|done| match done.trouble() {
            Some(error) if done.rows == 0 && !done.more => Err(error),
            _ => Ok(done),
        })
}

/// Doubles with every error in a row; half of it is random, so that replicas do not come back in step.
pub(crate) fn back_off(errors: u32, random: &dyn Random) -> Duration {
    let whole = PAUSE_MIN
        .saturating_mul(1 << errors.saturating_sub(1).min(16))
        .min(PAUSE_MAX);
    whole / 2 + (whole / 2).mul_f64(unit_f64(random.next_u64()))
}

#[cfg(test)]
mod tests {
    use longshore_core::random::SystemRandom;

    use super::*;

    #[test]
    fn the_pause_grows_and_stays_below_five_seconds() {
        for errors in 1..40 {
            let pause = back_off(errors, &SystemRandom);
            assert!(
                pause >= PAUSE_MIN / 2 && pause <= PAUSE_MAX,
                "{errors}: {pause:?}"
            );
        }
        assert!(back_off(6, &SystemRandom) >= PAUSE_MAX / 2);
    }
}
