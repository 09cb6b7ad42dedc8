//! Signals to the process, as tokens.
//!
//! SIGTERM or SIGINT: stop gently. A second one of either: stop at once. SIGHUP is ignored: a worker whose terminal
//! closes goes on, and nothing is read anew without a restart.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What signals ask for. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Cancelled by the first SIGTERM or SIGINT: take nothing new, drain.
    pub gentle: CancellationToken,
    /// Cancelled by the second one: end now.
    pub force: CancellationToken,
}

/// Listens from now on. Needs a running tokio runtime; call it once, early.
///
/// # Errors
/// When the operating system refuses a handler.
pub fn listen() -> io::Result<Stop> {
    let stop = Stop::default();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // A handler that does nothing is what keeps the process alive.
    let mut hangup = signal(SignalKind::hangup())?;
    let told = stop.clone();
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                _ = hangup.recv() => {
                    tracing::debug!("SIGHUP is ignored");
                    continue;
                }
            };
            if told.gentle.is_cancelled() {
                tracing::warn!(signal = name, "second signal: ending now");
                told.force.cancel();
                return;
            }
            tracing::info!(signal = name, "stopping; send it again to end at once");
            told.gentle.cancel();
        }
    });
    Ok(stop)
}
