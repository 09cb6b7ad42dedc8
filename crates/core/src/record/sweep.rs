//! The memory of a shard's sweep over leases: has anybody been here to see owners beat?

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::limits::LEASE;

/// When a shard's leases were last looked at. After an outage, a restart, a clock jump or a failover nobody could
/// beat; then leases that look over are left alone for one lease, so that living owners can say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sweep {
    /// The last look; `None` in a shard that has never been looked at, where nothing can have been missed.
    pub last: Option<Timestamp>,
    /// End of the pause, over or not.
    pub paused_until: Timestamp,
}

impl Sweep {
    /// Looks at the leases at `now`: how long they must be left alone still, or `None` when those that are over may
    /// be taken. The end of a pause counts as a look: whoever was told to wait comes back just then.
    pub fn look(&mut self, now: Timestamp) -> Option<Duration> {
        let seen = self.last.replace(now).map(|last| last.max(self.paused_until));
        if now < self.paused_until {
            let left = self.paused_until.since(now);
            // A clock that went back must not stretch the pause.
            if left > LEASE {
                self.paused_until = now.after(LEASE);
            }
            return Some(left.min(LEASE));
        }
        if seen.is_none_or(|seen| now.since(seen) <= LEASE / 2) {
            return None;
        }
        self.paused_until = now.after(LEASE);
        Some(LEASE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regular_sweep_never_pauses() {
        let mut sweep = Sweep::default();
        for second in 0..100 {
            assert_eq!(sweep.look(Timestamp(second * 14_000)), None);
        }
    }

    #[test]
    fn a_sweep_that_was_away_pauses_one_lease() {
        let mut sweep = Sweep::default();
        assert_eq!(sweep.look(Timestamp(1_000)), None);
        assert_eq!(sweep.look(Timestamp(101_000)), Some(LEASE));
        assert_eq!(sweep.look(Timestamp(111_000)), Some(Duration::from_secs(20)));
        assert_eq!(sweep.look(Timestamp(131_000)), None);
    }

    #[test]
    fn who_comes_back_at_the_end_of_the_pause_need_not_wait_again() {
        let mut sweep = Sweep::default();
        sweep.look(Timestamp(1_000));
        assert_eq!(sweep.look(Timestamp(101_000)), Some(LEASE));
        assert_eq!(sweep.look(Timestamp(131_000)), None);
    }

    #[test]
    fn a_clock_that_went_back_does_not_stretch_the_pause() {
        let mut sweep = Sweep::default();
        sweep.look(Timestamp(9_000_000));
        assert_eq!(sweep.look(Timestamp(9_100_000)), Some(LEASE));
        assert_eq!(sweep.look(Timestamp(1_000)), Some(LEASE));
        assert_eq!(sweep.look(Timestamp(31_000)), None);
    }
}
