//! How the lanes to the broker do: who confirms, and who is to be spared.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::message::Message;
use longshore_core::port::broker::Published;
use longshore_core::{Priority, QueueName, Timestamp};

/// The pause of a row whose lane has just refused for the first time; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause of a refused row: as long as the lease of one whose fate is unknown.
const PAUSE_MAX: Duration = longshore_core::limits::OUTBOX_LEASE;

/// Messages of one queue and priority: they end in the same queue of the broker, and share its fate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lane(QueueName, Priority);

impl Lane {
    pub(super) fn of(message: &Message) -> Self {
        Self(message.queue.clone(), message.priority)
    }
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

/// What may be published of a lane now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Everything.
    All,
    /// One message, to see whether the lane is well again.
    Probe,
    /// Nothing: it has not confirmed what it has.
    None,
}

/// Every lane that is in use or not well. A lane that is both idle and well is forgotten.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<HashMap<Lane, Health>>);

#[derive(Debug, Default)]
struct Health {
    /// Groups of messages without their answers.
    under_way: u32,
    /// It keeps confirms back.
    slow: bool,
    /// The pause of what it refuses; zero while it refuses nothing.
    pause: Duration,
    /// Until when the pause stays what it is: many groups that are refused together count once.
    pause_until: Timestamp,
}

impl Lanes {
    fn all(&self) -> MutexGuard<'_, HashMap<Lane, Health>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn turn(&self, lane: &Lane) -> Turn {
        match self.all().get(lane) {
            Some(health) if health.slow && health.under_way > 0 => Turn::None,
            Some(health) if health.slow => Turn::Probe,
            _ => Turn::All,
        }
    }

    /// A group of messages is on its way.
    pub(super) fn begins(&self, lane: &Lane) {
        self.all().entry(lane.clone()).or_default().under_way += 1;
    }

    /// A pass has waited long enough for a group of the lane.
    pub(super) fn is_slow(&self, lane: &Lane) {
        if let Some(health) = self.all().get_mut(lane) {
            health.slow = true;
        }
    }

    /// A group has its answers.
    pub(super) fn ends(&self, lane: &Lane, answers: &[Published]) {
        let mut all = self.all();
        let Some(health) = all.get_mut(lane) else { return };
        health.under_way = health.under_way.saturating_sub(1);
        health.slow = answers.contains(&Published::Unknown);
        if answers.iter().all(Published::is_confirmed) {
            health.pause = Duration::ZERO;
            if health.under_way == 0 {
                all.remove(lane);
            }
        }
    }

    /// How long a row that the lane has not taken pauses: 1 s at first, twice as long each time, at most 30 s.
    pub(super) fn pause(&self, lane: &Lane, now: Timestamp) -> Duration {
        let mut all = self.all();
        let health = all.entry(lane.clone()).or_default();
        if health.pause.is_zero() || now >= health.pause_until {
            health.pause = (health.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            health.pause_until = now.after(health.pause);
        }
        health.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> Lane {
        Lane(QueueName::default(), Priority::Low)
    }

    fn refused() -> Published {
        Published::Refused("no room".to_owned())
    }

    #[test]
    fn a_lane_that_keeps_confirms_back_gets_one_message_at_a_time() {
        let lanes = Lanes::default();
        lanes.begins(&lane());
        assert_eq!(lanes.turn(&lane()), Turn::All);
        lanes.is_slow(&lane());
        assert_eq!(lanes.turn(&lane()), Turn::None);
        lanes.ends(&lane(), &[Published::Confirmed, Published::Unknown]);
        assert_eq!(lanes.turn(&lane()), Turn::Probe);
        lanes.begins(&lane());
        assert_eq!(lanes.turn(&lane()), Turn::None);
        lanes.ends(&lane(), &[Published::Confirmed]);
        assert_eq!(lanes.turn(&lane()), Turn::All);
        assert!(lanes.all().is_empty(), "a lane that is well is forgotten");
    }

    #[test]
    fn the_pause_of_refused_rows_doubles_to_half_a_minute_and_ends_with_a_confirm() {
        let lanes = Lanes::default();
        let mut now = Timestamp(1_000);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            lanes.begins(&lane());
            lanes.ends(&lane(), &[refused()]);
            let pause = lanes.pause(&lane(), now);
            assert_eq!(lanes.pause(&lane(), now), pause, "refused together, counted once");
            assert_eq!(
                lanes.turn(&lane()),
                Turn::All,
                "a lane that answers is no slow one"
            );
            pauses.push(pause.as_secs());
            now = now.after(pause);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        lanes.begins(&lane());
        lanes.ends(&lane(), &[Published::Confirmed]);
        assert_eq!(lanes.pause(&lane(), now), PAUSE_MIN);
    }
}
