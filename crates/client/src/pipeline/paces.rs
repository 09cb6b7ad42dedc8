//! How long functions take, so that a message never holds more work than one worker does in a moment.
//!
//! The store counts how long attempts took, by function. That is read again from time to time while jobs gather, never
//! while each travels alone, and nothing waits for it: until it is known, a job of the function travels alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use longshore_core::port::InspectPort;
use longshore_core::stats::{Statistics, StatisticsQuery};
use longshore_core::{Clock, FunctionName, Timestamp};

use super::retry::CALL_LIMIT;

/// The work that one message may hold.
pub(crate) const BUNDLE_TIME: Duration = Duration::from_millis(100);
/// A job takes at least as long as it takes to claim and to end it.
const LEAST: Duration = Duration::from_millis(1);
/// How far back attempts count.
const WINDOW: Duration = Duration::from_secs(10 * 60);
/// How long what was read counts as fresh.
const FRESH: u64 = 10_000;
/// Attempts below which nothing is known of a function.
const ATTEMPTS_MIN: u64 = 20;
/// The part of the attempts that took at most as long as is counted with.
const SHARE: f64 = 0.95;

/// What is known of the functions.
pub(crate) struct Paces {
    inspect: Arc<dyn InspectPort>,
    /// When it was asked for last, in milliseconds; 0 for never.
    asked: AtomicU64,
    known: RwLock<HashMap<FunctionName, Duration>>,
}

impl Paces {
    pub(crate) fn new(inspect: &Arc<dyn InspectPort>) -> Self {
        Self {
            inspect: Arc::clone(inspect),
            asked: AtomicU64::new(0),
            known: RwLock::default(),
        }
    }

    /// How long a job of the function takes: all of [`BUNDLE_TIME`] where nothing is known.
    pub(crate) fn of(&self, function: &FunctionName) -> Duration {
        // No code that can panic runs under this lock, so a poisoned one is whole.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(function).copied().unwrap_or(BUNDLE_TIME)
    }

    /// Reads it anew in the background when it is old.
    pub(crate) fn refresh(self: &Arc<Self>, clock: &dyn Clock) {
        let Timestamp(now) = clock.now();
        let asked = self.asked.load(Ordering::Acquire);
        let is_fresh = asked != 0 && now < asked.saturating_add(FRESH);
        let mine = || {
            let swapped = self
                .asked
                .compare_exchange(asked, now.max(1), Ordering::AcqRel, Ordering::Acquire);
            swapped.is_ok()
        };
        if !is_fresh && mine() {
            let paces = Arc::clone(self);
            tokio::spawn(async move { paces.read().await });
        }
    }

    async fn read(&self) {
        let asking = self.inspect.statistics(StatisticsQuery::over(WINDOW));
        match tokio::time::timeout_at(CALL_LIMIT.by(), asking).await {
            Ok(Ok(statistics)) => {
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = paces(&statistics);
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "how long functions take was not read; asked again later");
            }
            Err(_) => tracing::debug!("how long functions take was not read in time; asked again later"),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::stats::FunctionRow;

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
}
