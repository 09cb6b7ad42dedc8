//! Clocks for tests: one that stands still, one that runs ahead of the machine's, and one that takes a server with it.

mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::clock::{Clock, SystemClock, Timestamp, duration_millis};

pub use server::ServerClock;

/// A clock that moves only when it is told to. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(start.millis())))
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(duration_millis(by), Ordering::SeqCst);
    }

    /// Puts the clock to `now`, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.millis(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// A clock that stands at a moment in 2026.
    fn default() -> Self {
        Self::new(Timestamp(1_780_000_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// The machine's clock plus an offset that grows when the test lets time pass. Clones share the offset.
#[derive(Clone, Debug, Default)]
pub struct AheadClock(Arc<AtomicU64>);

impl AheadClock {
    /// Moves the clock further ahead and answers the whole offset.
    pub fn advance(&self, by: Duration) -> Duration {
        let by = duration_millis(by);
        Duration::from_millis(self.0.fetch_add(by, Ordering::SeqCst) + by)
    }
}

impl Clock for AheadClock {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().millis() + self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(Timestamp(5));
        let same = clock.clone();
        clock.advance(Duration::from_millis(7));
        assert_eq!(same.now(), Timestamp(12));
    }

    #[test]
    fn an_ahead_clock_runs_and_is_moved() {
        let clock = AheadClock::default();
        let before = clock.now();
        assert_eq!(clock.advance(Duration::from_secs(60)), Duration::from_secs(60));
        assert!(clock.now().since(before) >= Duration::from_secs(60));
    }
}
