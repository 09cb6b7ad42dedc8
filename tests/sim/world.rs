//! What everybody in a simulation shares: the time, the dice, the history.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use longshore_core::clock::{Clock, Timestamp, duration_millis};
use longshore_core::port::Ports;
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
    /// The highest fence that a start of each job has shown.
    fences: Mutex<BTreeMap<JobId, u64>>,
    ports: OnceLock<Ports>,
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
            fences: Mutex::default(),
            ports: OnceLock::new(),
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

    /// A handler starts. One that comes late, because its worker froze after the claim, and has a lower fence than its
    /// successor, is what fences are for: it belongs into the story alone.
    pub(crate) fn starts(&self, job: JobId, attempt: u32, fence: u64) {
        let mut fences = self.fences.lock();
        let highest = fences.entry(job).or_default();
        if fence < *highest {
            self.tell(&format!("{job} starts late: attempt {attempt}, fence {fence}"));
        } else {
            *highest = fence;
            self.saw(job, Event::Started { attempt, fence });
        }
    }

    /// The store itself, past all faults: how jobs stand in truth.
    pub(crate) fn is_kept_in(&self, ports: Ports) {
        assert!(self.ports.set(ports).is_ok(), "one store");
    }

    pub(crate) async fn status(&self, job: JobId) -> Option<JobStatus> {
        let port = &self.ports.get().expect("a store").enqueue;
        port.statuses(port.shards().of(&job), vec![job]).await.unwrap()[0]
    }

    /// Looks at a job's parents, just before it starts.
    pub(crate) async fn look_at_parents(&self, job: JobId) {
        let parents = self.ties.lock().parents.get(&job).cloned();
        for parent in parents.unwrap_or_default() {
            if let Some(status) = self.status(parent).await.filter(|status| status.is_terminal()) {
                let stamp = String::new();
                self.saw(parent, Event::Seen { status, stamp });
            }
        }
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
