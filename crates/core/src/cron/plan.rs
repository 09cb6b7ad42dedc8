//! Which ticks fire now, and which comes next.

use std::collections::VecDeque;
use std::time::Duration;

use super::policy::Misfire;
use super::schedule::Schedule;
use crate::clock::Timestamp;
use crate::limits::{CRON_CATCH_UP_MAX, CRON_GRACE, DURATION_MAX};

/// One move of an entry from a tick to a later one: a compare-and-set in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The tick that the entry stands at.
    pub tick: Timestamp,
    /// The tick that it moves to.
    pub next: Timestamp,
    /// Whether `tick` makes a job.
    pub fires: bool,
}

/// What to do with an entry that stands at `expected`: nothing before that time, else the steps that bring it past
/// `now`, in order. They follow from the arguments alone, so that every scheduler plans the same, and a scheduler
/// that goes on where another stopped fires no more than the policy says.
pub fn plan(schedule: &Schedule, misfire: Misfire, expected: Timestamp, now: Timestamp) -> Vec<Step> {
    if expected > now {
        return Vec::new();
    }
    let on_time_from = now.before(CRON_GRACE);
    let missed = expected < on_time_from;
    let mut upcoming = if missed {
        schedule.next(on_time_from.before(Duration::from_millis(1)))
    } else {
        Some(expected)
    };
    let mut on_time = Vec::new();
    while let Some(tick) = upcoming.filter(|tick| *tick <= now) {
        on_time.push(tick);
        upcoming = schedule.next(tick);
    }
    // A tick that no calendar has any more is looked for again in ten years.
    let upcoming = upcoming.unwrap_or(now.after(DURATION_MAX));
    let mut fires = match misfire {
        Misfire::All(most) if missed => newest(schedule, expected, on_time_from, most),
        Misfire::Once if missed && on_time.is_empty() => vec![expected],
        Misfire::Skip | Misfire::Once | Misfire::All(_) => Vec::new(),
    };
    fires.append(&mut on_time);
    steps(expected, &fires, upcoming)
}

/// From `expected` over every tick that fires to `upcoming`.
fn steps(expected: Timestamp, fires: &[Timestamp], upcoming: Timestamp) -> Vec<Step> {
    let nexts = fires.iter().skip(1).copied().chain([upcoming]);
    let firing = fires.iter().zip(nexts).map(|(tick, next)| Step {
        tick: *tick,
        next,
        fires: true,
    });
    let first = fires.first().copied().unwrap_or(upcoming);
    let passing = (first != expected).then_some(Step {
        tick: expected,
        next: first,
        fires: false,
    });
    passing.into_iter().chain(firing).collect()
}

/// The newest ticks in `[expected, end)`, at most `most`, in order. Looks back from `end` twice as far each time, so
/// that a year of missed seconds is not walked for the last ten.
fn newest(schedule: &Schedule, expected: Timestamp, end: Timestamp, most: u32) -> Vec<Timestamp> {
    let most = most.clamp(1, CRON_CATCH_UP_MAX) as usize;
    let mut back = Duration::from_secs(3_600);
    loop {
        let from = end.before(back).max(expected);
        let mut kept = VecDeque::with_capacity(most);
        let first = if from == expected {
            Some(expected)
        } else {
            schedule.next(from)
        };
        let mut ticks = std::iter::successors(first, |tick| schedule.next(*tick));
        while let Some(tick) = ticks.next().filter(|tick| *tick < end) {
            if kept.len() == most {
                kept.pop_front();
            }
            kept.push_back(tick);
        }
        if kept.len() == most || from == expected {
            return kept.into();
        }
        back *= 2;
    }
}
