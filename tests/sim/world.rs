//! What everybody in a simulation shares: the time, the dice, the history.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::clock::{Clock, Timestamp, duration_millis};
use longshore_core::random::Random as _;
use longshore_core::{JobId, JobStatus};
use longshore_testkit::factory::SeededRandom;
use longshore_testkit::history::{Event, Final, History, Ties, Verdict};
use parking_lot::Mutex;
use tokio::time::Instant;

/// When simulations begin.
const START: u64 = 1_780_000_000_000;

/// The wall clock: the runtime's, which a fault may put forward.
#[derive(Debug)]
pub(crate) struct SimClock {
    began: Instant,
    jumped: AtomicU64,
}

impl SimClock {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            jumped: AtomicU64::new(0),
        }
    }

    pub(crate) fn jump(&self, by: Duration) {
        self.jumped.fetch_add(duration_millis(by), Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let passed = duration_millis(self.began.elapsed());
        Timestamp(START + passed + self.jumped.load(Ordering::SeqCst))
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<SimClock>,
    dice: SeededRandom,
    history: History,
    ties: Mutex<Ties>,
    lines: Mutex<String>,
    faults: AtomicU64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::new(SimClock::new()),
            dice: SeededRandom::new(seed),
            history: History::default(),
            ties: Mutex::default(),
            lines: Mutex::default(),
            faults: AtomicU64::new(0),
        })
    }

    pub(crate) fn began(&self) -> Instant {
        self.clock.began
    }

    /// Since the beginning, by the clock that only goes forward evenly.
    pub(crate) fn passed(&self) -> Duration {
        self.clock.began.elapsed()
    }

    /// A number below a bound.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.dice.next_u64() % bound.max(1)
    }

    /// Something happened to a job.
    pub(crate) fn saw(&self, job: JobId, event: Event) {
        self.tell(&format!("{job} {event}"));
        self.history.saw(job, event);
    }

    /// Something else happened that belongs into the story.
    pub(crate) fn tell(&self, what: &str) {
        let at = duration_millis(self.passed());
        writeln!(self.lines.lock(), "{at:>9} {what}").unwrap();
    }

    pub(crate) fn count_fault(&self) {
        self.faults.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Ordering::SeqCst)
    }

    pub(crate) fn depends(&self, child: JobId, parent: JobId) {
        self.ties.lock().parents.entry(child).or_default().push(parent);
    }

    pub(crate) fn ticked(&self, tick: u64, job: JobId) {
        let mut ties = self.ties.lock();
        let made = ties.ticks.entry(("cron".to_owned(), tick)).or_default();
        if !made.contains(&job) {
            made.push(job);
        }
    }

    pub(crate) fn ticks(&self) -> usize {
        self.ties.lock().ticks.len()
    }

    /// The whole story, line by line.
    pub(crate) fn story(&self) -> String {
        self.lines.lock().clone()
    }

    pub(crate) fn jobs(&self) -> Vec<JobId> {
        self.history.by_job().into_keys().collect()
    }

    pub(crate) fn judge(&self, status: impl Fn(JobId) -> Option<JobStatus>) -> Verdict {
        self.history
            .check(|job| Final::of(status(job)), &self.ties.lock())
    }
}
