//! When an expression ticks in its time zone.

use std::time::Duration;

use chrono::{DateTime, LocalResult, TimeZone};
use chrono_tz::{GapInfo, Tz};
use serde::{Deserialize, Serialize};

use super::expression::Expression;
use super::zone::Zone;
use crate::clock::Timestamp;
use crate::limits::DURATION_MAX;

/// An expression in a time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// When, on the clock on the wall.
    #[serde(rename = "e")]
    pub expression: Expression,
    /// Whose wall.
    #[serde(rename = "z")]
    pub zone: Zone,
}

impl Schedule {
    /// The first tick later than `after`; `None` when there is none before the year 5000.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let millis = i64::try_from(after.millis()).ok()?;
        let start = DateTime::from_timestamp_millis(millis)?.with_timezone(&self.zone.0);
        let found = if self.expression.is_fixed() {
            self.next_fixed(&start)
        } else {
            self.next_interval(&start)
        };
        let tick = found?.timestamp();
        u64::try_from(tick).ok()?.checked_mul(1_000).map(Timestamp)
    }

    /// As [`Schedule::next`]; where there is none, a time far ahead at which to look again.
    pub fn next_or_far(&self, after: Timestamp) -> Timestamp {
        self.next(after).unwrap_or(after.after(DURATION_MAX))
    }

    /// Every tick later than `after`, in order.
    pub fn ticks(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.next(after), |tick| self.next(*tick))
    }

    /// Times of day on the wall, each once: walks the wall's clock and asks when it shows that time.
    ///
    /// The answer never falls with the wall's time, because a repeated time means its first showing and a skipped
    /// one the gap's end: the first answer after `start` is the next tick.
    fn next_fixed(&self, start: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        let mut wall = start.naive_local();
        loop {
            wall = self.expression.cron.find_next_occurrence(&wall, false).ok()?;
            let at = match self.zone.0.from_local_datetime(&wall) {
                LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at,
                LocalResult::None => GapInfo::new(&wall, &self.zone.0)?.end?,
            };
            if at > *start {
                return Some(at);
            }
        }
    }

    /// An interval follows elapsed time. `croner` promises a later time; an entry that ticked in place would fire
    /// without end, so a promise that is broken is not passed on.
    fn next_interval(&self, start: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        let nudges = [0, 1, 60, 3_600, 86_400].map(Duration::from_secs);
        nudges.iter().find_map(|nudge| {
            let from = *start + *nudge;
            let found = self.expression.cron.find_next_occurrence(&from, false).ok()?;
            (found > *start).then_some(found)
        })
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.expression, self.zone)
    }
}
