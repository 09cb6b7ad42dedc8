//! How long functions take, so that a message never holds more work than one worker does in a moment.
//!
//! The store counts how long attempts took, by function. Whoever publishes reads that again from time to time while jobs
//! gather, never while each travels alone, and nothing waits for it: until it is known, a job of the function travels
//! alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::limits::{BUNDLE_BYTES_MAX, BUNDLE_JOBS_MAX};
use crate::port::{self, InspectPort};
use crate::stats::{Statistics, StatisticsQuery};
use crate::{Clock, FunctionName, Timestamp};

/// The work that one message may hold.
pub const BUNDLE_TIME: Duration = Duration::from_millis(100);
/// A job takes at least as long as it takes to claim and to end it.
const LEAST: Duration = Duration::from_millis(1);
/// How far back attempts count.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// How long what was read counts as fresh, in milliseconds.
const FRESH: u64 = 10_000;
/// Attempts below which nothing is known of a function.
const ATTEMPTS_MIN: u64 = 20;
/// The part of the attempts that took at most as long as is counted with.
const SHARE: f64 = 0.95;

/// What is known of the functions.
pub struct Paces {
    inspect: Arc<dyn InspectPort>,
    /// When it was asked for last, in milliseconds; 0 for never.
    asked: AtomicU64,
    known: RwLock<HashMap<FunctionName, Duration>>,
}

impl std::fmt::Debug for Paces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paces")
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

impl Paces {
    /// Knows nothing yet.
    pub fn new(inspect: &Arc<dyn InspectPort>) -> Self {
        Self {
            inspect: Arc::clone(inspect),
            asked: AtomicU64::new(0),
            known: RwLock::default(),
        }
    }

    /// How long a job of the function takes, 1 ms to [`BUNDLE_TIME`]: all of that where nothing is known.
    pub fn of(&self, function: &FunctionName) -> Duration {
        // No code that can panic runs under this lock, so a poisoned one is whole.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(function).copied().unwrap_or(BUNDLE_TIME)
    }

    /// Whether what is known is more than ten seconds old and nobody else was told so: then the caller calls
    /// [`Paces::read`], beside its own work.
    pub fn is_old(&self, clock: &dyn Clock) -> bool {
        let Timestamp(now) = clock.now();
        let asked = self.asked.load(Ordering::Acquire);
        let is_fresh = asked != 0 && now < asked.saturating_add(FRESH);
        let mine = || {
            self.asked
                .compare_exchange(asked, now.max(1), Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        };
        !is_fresh && mine()
    }

    /// Reads it anew.
    ///
    /// # Errors
    /// When the store does not answer. What was known stays.
    pub async fn read(&self) -> Result<(), port::Error> {
        let statistics = self.inspect.statistics(StatisticsQuery::over(WINDOW)).await?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = paces(&statistics);
        Ok(())
    }
}

fn paces(statistics: &Statistics) -> HashMap<FunctionName, Duration> {
    let rows = statistics.functions.iter();
    rows.filter(|row| row.tally.run.count() >= ATTEMPTS_MIN)
        .filter_map(|row| {
            let time = row.tally.run.quantile(SHARE)?.clamp(LEAST, BUNDLE_TIME);
            Some((row.function.clone()?, time))
        })
        .collect()
}

/// What a message holds already, and so whether one more job fits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    jobs: usize,
    bytes: usize,
    work: Duration,
}

impl Load {
    /// Takes in one more job of `bytes` that takes `work`, unless there would then be more than `jobs_max` of them (1 to
    /// [`BUNDLE_JOBS_MAX`]), than [`BUNDLE_BYTES_MAX`] bytes or than [`BUNDLE_TIME`] of work. Answers whether it did. The
    /// first always fits.
    pub fn takes(&mut self, bytes: usize, work: Duration, jobs_max: usize) -> bool {
        let fits = self.jobs == 0
            || (self.jobs < jobs_max.clamp(1, BUNDLE_JOBS_MAX)
                && self.bytes + bytes <= BUNDLE_BYTES_MAX
                && self.work + work <= BUNDLE_TIME);
        if fits {
            self.jobs += 1;
            self.bytes += bytes;
            self.work += work;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::FunctionRow;

    fn row(name: &str, times: &[u64]) -> FunctionRow {
        let mut row = FunctionRow {
            function: FunctionName::new(name).ok(),
            ..FunctionRow::default()
        };
        for millis in times {
            row.tally.run.add(Duration::from_millis(*millis));
        }
        row
    }

    #[test]
    fn a_function_counts_with_its_slow_attempts_and_one_that_ran_seldom_not_at_all() {
        let statistics = Statistics {
            functions: vec![
                row("short", &[0; 30]),
                row("mixed", &[&[1; 27][..], &[60; 3]].concat()),
                row("long", &[5_000; 30]),
                row("seldom", &[0; 5]),
            ],
            ..Statistics::default()
        };
        let found = paces(&statistics);
        let of = |name: &str| found.get(&FunctionName::new(name).unwrap()).copied();
        assert_eq!(of("short"), Some(LEAST));
        assert!(of("mixed").unwrap() > Duration::from_millis(50));
        assert_eq!(of("long"), Some(BUNDLE_TIME));
        assert_eq!(of("seldom"), None);
    }

    #[test]
    fn a_message_holds_no_more_jobs_bytes_or_work_than_it_may() {
        let fit = |jobs_max, bytes, work| {
            let mut load = Load::default();
            (0..100).take_while(|_| load.takes(bytes, work, jobs_max)).count()
        };
        assert_eq!(fit(7, 1, Duration::ZERO), 7);
        assert_eq!(fit(1_000, 1, Duration::ZERO), BUNDLE_JOBS_MAX);
        assert_eq!(fit(64, BUNDLE_BYTES_MAX / 2, Duration::ZERO), 2);
        assert_eq!(fit(64, 1, BUNDLE_TIME / 4), 4);
        assert_eq!(fit(64, 2 * BUNDLE_BYTES_MAX, 2 * BUNDLE_TIME), 1);
    }
}
