//! How many jobs share a message, or a call of the store, in a run of the tests. `TEST_BUNDLES` says it: a number up to 64,
//! or `by-run-time`. What comes by chance follows from `TEST_BUNDLES_SEED`.

use longshore_core::limits::BUNDLE_JOBS_MAX;
use longshore_core::random::Random;

use crate::factory::SeededRandom;

/// What producers and schedulers of a run are told: how many jobs a message may have. `None` leaves them their defaults.
///
/// # Panics
///
/// When `TEST_BUNDLES` says neither.
pub fn most() -> Option<usize> {
    match chosen() {
        Some(Bundles::UpTo(jobs)) => Some(jobs),
        Some(Bundles::ByRunTime) | None => None,
    }
}

/// The same of one process that enqueues and ends. It has not lived long enough to know run times, and by them all that it
/// has would travel alone: it is told any number up to 64 in that mode, by a number that somebody drew.
///
/// # Panics
///
/// When `TEST_BUNDLES` says neither.
pub fn most_of_a_producer(drawn: u64) -> Option<usize> {
    drawn_of(chosen()?, drawn)
}

fn drawn_of(bundles: Bundles, drawn: u64) -> Option<usize> {
    match bundles {
        Bundles::UpTo(jobs) => Some(jobs),
        Bundles::ByRunTime => usize::try_from(drawn % BUNDLE_JOBS_MAX as u64 + 1).ok(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bundles {
    UpTo(usize),
    ByRunTime,
}

#[expect(
    clippy::panic,
    reason = "a run with a setting that means nothing tests nothing"
)]
fn chosen() -> Option<Bundles> {
    let text = std::env::var("TEST_BUNDLES").ok()?;
    match parse(&text) {
        Some(bundles) => Some(bundles),
        None => panic!("TEST_BUNDLES is {text:?}: use 1 to {BUNDLE_JOBS_MAX}, or by-run-time"),
    }
}

#[expect(clippy::panic, reason = "another seed than was asked for tells nothing")]
fn seed() -> u64 {
    let Ok(text) = std::env::var("TEST_BUNDLES_SEED") else {
        return rand::random();
    };
    match text.parse() {
        Ok(seed) => seed,
        Err(error) => panic!("TEST_BUNDLES_SEED is {text:?}: {error}"),
    }
}

fn parse(text: &str) -> Option<Bundles> {
    if text == "by-run-time" {
        return Some(Bundles::ByRunTime);
    }
    let jobs = text.parse().ok()?;
    (1..=BUNDLE_JOBS_MAX)
        .contains(&jobs)
        .then_some(Bundles::UpTo(jobs))
}

/// The company of a request in a call: requests about jobs that nobody knows, before it and after it. Alone unless
/// `TEST_BUNDLES` says so; any number up to 64 by run time.
#[derive(Debug)]
pub(crate) struct Company {
    bundles: Option<Bundles>,
    random: SeededRandom,
}

impl Company {
    /// By the seed of `TEST_BUNDLES_SEED`, or any other, which is said: the output of a test that fails is shown.
    #[expect(clippy::print_stderr, reason = "it is for who reads why a test failed")]
    pub(crate) fn new() -> Self {
        let (bundles, seed) = (chosen(), seed());
        if bundles.is_some() {
            eprintln!("TEST_BUNDLES_SEED={seed}");
        }
        Self {
            bundles,
            random: SeededRandom::new(seed),
        }
    }

    /// How many come before, and after.
    pub(crate) fn strangers(&self) -> (usize, usize) {
        let jobs = match self.bundles {
            None => 1,
            Some(Bundles::UpTo(jobs)) => jobs,
            Some(Bundles::ByRunTime) => 1 + self.below(BUNDLE_JOBS_MAX),
        };
        let before = self.below(jobs);
        (before, jobs - 1 - before)
    }

    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.random.next_u64() % bound.max(1) as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_jobs_or_run_times_can_be_asked_for() {
        assert_eq!(parse("1"), Some(Bundles::UpTo(1)));
        assert_eq!(parse("64"), Some(Bundles::UpTo(64)));
        assert_eq!(parse("by-run-time"), Some(Bundles::ByRunTime));
        for wrong in ["", "0", "65", "all"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_producer_by_run_time_is_told_any_number() {
        let told = |drawn| drawn_of(Bundles::ByRunTime, drawn);
        assert_eq!([told(0), told(63), told(64)], [Some(1), Some(64), Some(1)]);
        assert_eq!(drawn_of(Bundles::UpTo(7), 63), Some(7));
    }

    #[test]
    fn a_call_has_as_many_requests_as_was_said() {
        let company = |bundles| Company {
            bundles,
            random: SeededRandom::new(1),
        };
        let calls = |bundles| {
            let company = company(bundles);
            let calls = (0..100).map(|_| company.strangers());
            calls
                .map(|(before, after)| before + after + 1)
                .collect::<Vec<_>>()
        };
        assert!(calls(None).iter().all(|call| *call == 1));
        assert!(calls(Some(Bundles::UpTo(64))).iter().all(|call| *call == 64));
        let mixed = calls(Some(Bundles::ByRunTime));
        assert!(mixed.iter().any(|call| *call < 10) && mixed.iter().any(|call| *call > 50));
        assert_eq!(mixed, calls(Some(Bundles::ByRunTime)), "a seed says all of it");
    }
}
