//! How one daemon tells another that there is work, sooner than its timer would.

use tokio::sync::Notify;

use crate::daemon::Daemon;

/// One bell a daemon. A bell that rings while its daemon works is heard when the pass ends.
#[derive(Debug, Default)]
pub(crate) struct Wakes([Notify; Daemon::ALL.len()]);

impl Wakes {
    /// Wakes a daemon.
    pub(crate) fn wake(&self, daemon: Daemon) {
        if let Some(bell) = self.0.get(daemon as usize) {
            bell.notify_one();
        }
    }

    /// Waits for a wake-up. Cancel-safe.
    pub(crate) async fn heard(&self, daemon: Daemon) {
        match self.0.get(daemon as usize) {
            Some(bell) => bell.notified().await,
            None => std::future::pending().await,
        }
    }
}
