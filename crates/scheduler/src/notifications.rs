//! Who is told of what happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use longshore_core::Timestamp;
use longshore_core::message::Epoch;
use longshore_core::notice::post::{Addressee, Policy};
use longshore_core::port::notify::{ChannelPort, Retry};
use tokio::sync::Mutex;

use crate::daemon::Flights;

/// The first pause after a letter that was not taken; it doubles.
const PAUSE_MIN: Duration = Duration::from_secs(5);
/// The longest pause between two tries of a letter.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// The channels of a scheduler and how letters are made for them. Every scheduler of an installation should have the
/// same.
#[derive(Clone, Debug, Default)]
pub struct Notifications {
    /// Where letters go; with none, nothing is noted.
    pub channels: Vec<Arc<dyn ChannelPort>>,
    /// How letters are made and sent.
    pub policy: Policy,
}

/// The notifications of a running scheduler. What it remembers saves work and is needed for nothing.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    pub(crate) channels: Vec<Arc<dyn ChannelPort>>,
    pub(crate) addressees: Vec<Addressee>,
    pub(crate) policy: Policy,
    pub(crate) memory: Mutex<Memory>,
    /// Marks of letters are made one after the other: they change the same mailbox.
    pub(crate) marking: Mutex<()>,
    /// Letters under way.
    pub(crate) flights: Mutex<Flights>,
}

/// When things that need not be done in every pass were done last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// By shard: when it was told that its notices are wanted.
    pub(crate) wanted: BTreeMap<u16, Wanted>,
    pub(crate) looked_at: Option<Timestamp>,
    /// Since when it has looked without a gap.
    pub(crate) looks_since: Option<Timestamp>,
}

/// What a shard was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) at: Timestamp,
    /// The shard's epoch then, as far as it is known: after a wipe it is another.
    pub(crate) epoch: Option<Epoch>,
}

impl Notifier {
    pub(crate) fn new(notifications: Notifications) -> Self {
        Self {
            addressees: notifications
                .channels
                .iter()
                .map(|channel| channel.addressee())
                .collect(),
            channels: notifications.channels,
            policy: notifications.policy,
            ..Self::default()
        }
    }

    pub(crate) fn channel(&self, name: &str) -> Option<Arc<dyn ChannelPort>> {
        let at = self.addressees.iter().position(|channel| channel.name == name)?;
        self.channels.get(at).cloned()
    }
}

/// The pause before the next try of a letter that had this many; `None` when there is no sense in one.
pub(crate) fn pause(retry: Retry, attempts: u32) -> Option<Duration> {
    match retry {
        Retry::Never => None,
        Retry::After(pause) => Some(pause.max(PAUSE_MIN)),
        Retry::Later => {
            let mut pauses = ExponentialBuilder::default()
                .with_min_delay(PAUSE_MIN)
                .with_max_delay(PAUSE_MAX)
                .with_factor(2.0)
                .without_max_times()
                .build();
            let nth = usize::try_from(attempts.clamp(1, 64) - 1).unwrap_or_default();
            Some(pauses.nth(nth).unwrap_or(PAUSE_MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_minutes() {
        let pauses: Vec<_> = [1, 2, 3, 7, 8, 100]
            .map(|attempts| pause(Retry::Later, attempts).unwrap().as_secs())
            .into();
        assert_eq!(pauses, [5, 10, 20, 320, 600, 600]);
        assert_eq!(pause(Retry::Never, 1), None);
        let asked = Duration::from_secs(90);
        assert_eq!(pause(Retry::After(asked), 1), Some(asked));
    }
}
