//! How long functions take, so that a message never holds more work than one worker does in a moment.
//!
//! The store counts how long attempts took, by function. Whoever publishes reads that again from time to time while jobs
//! gather, never while each travels alone, and nothing waits for it: until it is known, a job of the function travels
//! alone.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
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
/// The same while no function is known: the next reading says much.
const FRESH_UNKNOWN: u64 = 1_000;
/// How long what was read counts at all when no later reading succeeds, in milliseconds.
const KEPT: u64 = 5 * 60 * 1_000;
/// How long a reading may take.
const READING: Duration = Duration::from_secs(5);
/// Attempts below which nothing is known of a function.
const ATTEMPTS_MIN: u64 = 20;
/// The part of the attempts that took at most as long as is counted with.
const SHARE: f64 = 0.95;

/// What is known of the functions.
pub struct Paces {
    inspect: Arc<dyn InspectPort>,
    clock: Arc<dyn Clock>,
    /// When it was asked for last, in milliseconds; 0 for never.
    asked: AtomicU64,
    /// A reading is under way.
    reading: AtomicBool,
    known: RwLock<Known>,
}

/// A reading, until it ends or is dropped.
struct Reading(Arc<Paces>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.reading.store(false, Ordering::Release);
    }
}

#[derive(Default)]
struct Known {
    /// When it was read.
    at: Timestamp,
    paces: HashMap<FunctionName, Duration>,
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
    pub fn new(inspect: &Arc<dyn InspectPort>, clock: &Arc<dyn Clock>) -> Self {
        Self {
            inspect: Arc::clone(inspect),
            clock: Arc::clone(clock),
            asked: AtomicU64::new(0),
            reading: AtomicBool::new(false),
            known: RwLock::default(),
        }
    }

    /// How long a job of the function takes, 1 ms to [`BUNDLE_TIME`]: all of that where nothing is known, or nothing
    /// was read for five minutes.
    pub fn of(&self, function: &FunctionName) -> Duration {
        // No code that can panic runs under this lock, so a poisoned one is whole.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let pace = known.paces.get(function).copied();
        pace.filter(|_| is_within(KEPT, known.at.millis(), self.clock.now()))
            .unwrap_or(BUNDLE_TIME)
    }

    /// As [`Paces::of`], for a job that was tried before: one that failed or lost its worker is not like the others, and
    /// counts as long.
    pub fn of_tried(&self, function: &FunctionName, retries: u32, losts: u32) -> Duration {
        if retries > 0 || losts > 0 {
            BUNDLE_TIME
        } else {
            self.of(function)
        }
    }

    /// When what is known is more than ten seconds old (one, while nothing is) and nobody else was told so: what reads it
    /// anew, for the caller to spawn beside its own work. It gives up after five seconds, of which `sleep` knows the end.
    pub fn refresh<S, T>(self: &Arc<Self>, sleep: S) -> Option<impl Future<Output = ()> + Send + use<S, T>>
    where
        S: FnOnce(Duration) -> T + Send,
        T: Future<Output = ()> + Send,
    {
        if !self.is_old() || self.reading.swap(true, Ordering::AcqRel) {
            return None;
        }
        let paces = Reading(Arc::clone(self));
        Some(async move {
            let (mut reading, mut end) = (pin!(paces.0.read()), pin!(sleep(READING)));
            let read = poll_fn(|context| match reading.as_mut().poll(context) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => end.as_mut().poll(context).map(|()| None),
            });
            match read.await {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    tracing::debug!(%error, "how long functions take was not read; asked again later");
                }
                None => tracing::debug!("how long functions take was not read in time; asked again later"),
            }
        })
    }

    fn is_old(&self) -> bool {
        let asked = self.asked.load(Ordering::Acquire);
        let now = self.clock.now();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let fresh = fresh(&known.paces);
        drop(known);
        let mine = || {
            self.asked
                .compare_exchange(asked, now.millis().max(1), Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        };
        (asked == 0 || !is_within(fresh, asked, now)) && mine()
    }

    /// Reads it anew. When that fails, what was known stays.
    async fn read(&self) -> Result<(), port::Error> {
        let statistics = self.inspect.statistics(StatisticsQuery::over(WINDOW)).await?;
        let known = Known {
            at: self.clock.now(),
            paces: paces(&statistics),
        };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }
}

/// How long that counts as fresh, in milliseconds.
fn fresh(paces: &HashMap<FunctionName, Duration>) -> u64 {
    if paces.is_empty() { FRESH_UNKNOWN } else { FRESH }
}

/// Whether it is less than that many milliseconds since then; not when the clock went back behind it.
fn is_within(limit: u64, since: u64, Timestamp(now): Timestamp) -> bool {
    (since..since.saturating_add(limit)).contains(&now)
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
    fn a_reading_counts_for_its_time_and_not_when_the_clock_goes_back_behind_it() {
        let within = |now| is_within(FRESH, 50_000, Timestamp(now));
        assert_eq!(
            [49_999, 50_000, 59_999, 60_000].map(within),
            [false, true, true, false]
        );
    }

    #[test]
    fn while_nothing_is_known_it_is_read_again_soon() {
        assert_eq!(fresh(&HashMap::new()), FRESH_UNKNOWN);
        let known = paces(&Statistics {
            functions: vec![row("short", &[0; 30])],
            ..Statistics::default()
        });
        assert_eq!(fresh(&known), FRESH);
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
