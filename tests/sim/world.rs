//! What everybody in a simulation shares: the time, the dice, the history, and laws that the history checker does not
//! know.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::clock::{Clock, Timestamp, duration_millis};
use longshore_core::limits::LEASE;
use longshore_core::port::Ports;
use longshore_core::port::attempt::Grant;
use longshore_core::random::Random as _;
use longshore_core::{JobId, JobStatus, Nonce};
use longshore_testkit::factory::SeededRandom;
use longshore_testkit::history::{Event, Final, History, Ties, Verdict};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

/// When simulations begin.
const START: i64 = 1_780_000_000_000;

/// The wall clock: the runtime's, which a fault may put forward or back.
#[derive(Debug)]
pub(crate) struct SimClock {
    began: Instant,
    jumped: AtomicI64,
    highest: AtomicU64,
}

impl SimClock {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            jumped: AtomicI64::new(START),
            highest: AtomicU64::new(0),
        }
    }

    pub(crate) fn jump(&self, millis: i64) {
        self.now();
        self.jumped.fetch_add(millis, Ordering::SeqCst);
    }

    /// The latest time that it has shown: what was due then may run, although it went back since.
    fn highest(&self) -> Timestamp {
        Timestamp(self.now().millis().max(self.highest.load(Ordering::SeqCst)))
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let passed = duration_millis(self.began.elapsed());
        let now = passed.saturating_add_signed(self.jumped.load(Ordering::SeqCst));
        self.highest.fetch_max(now, Ordering::SeqCst);
        Timestamp(now)
    }
}

/// What the gates have seen the store say.
#[derive(Default)]
struct Told {
    /// Starts in the hands of a worker: when the grant was given, by the time that only goes on.
    grants: BTreeMap<(JobId, u64), Duration>,
    /// A job must not start before this, by the store's clock.
    due: BTreeMap<JobId, Timestamp>,
    /// Finishes that were accepted: one that is told again moves nothing.
    finished: BTreeSet<(JobId, u128)>,
}

pub(crate) struct World {
    pub(crate) clock: Arc<SimClock>,
    dice: SeededRandom,
    history: History,
    ties: Mutex<Ties>,
    /// The children that wait for a parent that failed.
    patient: Mutex<BTreeSet<(JobId, JobId)>>,
    told: Mutex<Told>,
    lines: Mutex<String>,
    faults: AtomicU64,
    /// Laws that were broken, beside those of the history checker.
    broken: Mutex<Vec<String>>,
    ports: Mutex<Option<Ports>>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::new(SimClock::new()),
            dice: SeededRandom::new(seed),
            history: History::default(),
            ties: Mutex::default(),
            patient: Mutex::default(),
            told: Mutex::default(),
            lines: Mutex::default(),
            faults: AtomicU64::new(0),
            broken: Mutex::default(),
            ports: Mutex::default(),
        })
    }

    /// Since the beginning, by the time that only goes on.
    pub(crate) fn passed(&self) -> Duration {
        self.clock.began.elapsed()
    }

    pub(crate) fn began(&self) -> Instant {
        self.clock.began
    }

    /// A number below a bound.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.dice.next_u64() % bound.max(1)
    }

    /// Whether it comes to pass, once in so many times.
    pub(crate) fn once_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap()]
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

    pub(crate) fn fault(&self, what: &str) {
        self.tell(what);
        self.count_fault();
    }

    pub(crate) fn count_fault(&self) {
        self.faults.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Ordering::SeqCst)
    }

    pub(crate) fn breaks(&self, law: String) {
        self.tell(&law);
        self.broken.lock().push(law);
    }

    pub(crate) fn broken(&self) -> Vec<String> {
        self.broken.lock().clone()
    }

    /// The whole story, line by line.
    pub(crate) fn story(&self) -> String {
        self.lines.lock().clone()
    }
}

/// What the gates see.
impl World {
    /// A claim was granted, whether its worker hears of it or not.
    pub(crate) fn granted(&self, job: JobId, grant: &Grant) {
        let mut told = self.told.lock();
        let early = told.due.get(&job).is_some_and(|due| self.clock.highest() < *due);
        told.grants
            .entry((job, grant.fence))
            .or_insert_with(|| self.passed());
        drop(told);
        if early {
            self.breaks(format!("job {job} was granted before its time"));
        }
    }

    /// A finish was accepted, whether its worker hears of it or not. `wait` is what the job waits now. Who asks again is
    /// told the same, however long ago that was: it is no second end.
    pub(crate) fn accepted(&self, job: JobId, nonce: Nonce, status: JobStatus, wait: Option<Duration>) {
        let mut told = self.told.lock();
        if !told.finished.insert((job, nonce.0)) {
            return;
        }
        match wait.filter(|_| !status.is_terminal()) {
            Some(wait) => told.due.insert(job, self.clock.now().after(wait)),
            None => told.due.remove(&job),
        };
        drop(told);
        let claim = u64::try_from(nonce.0 >> 64).unwrap();
        self.saw(job, Event::Accepted { claim, status });
    }

    /// A job must not start before then.
    pub(crate) fn is_due(&self, job: JobId, at: Timestamp) {
        self.told.lock().due.insert(job, at);
    }

    /// A person queued a job again.
    pub(crate) fn requeued(&self, job: JobId) {
        // Nobody else may have seen that it had failed.
        let (status, stamp) = (JobStatus::Failed, String::new());
        self.saw(job, Event::Seen { status, stamp });
        self.saw(job, Event::Requeued);
        self.told.lock().due.remove(&job);
    }

    /// A handler starts. One that comes late, because its worker froze after the claim, is what fences are for: it
    /// belongs into the story alone.
    pub(crate) fn starts(&self, job: JobId, attempt: u32, fence: u64) {
        let granted = self.told.lock().grants.get(&(job, fence)).copied();
        let late = granted.is_some_and(|at| self.passed().saturating_sub(at) > LEASE);
        if late {
            self.tell(&format!("{job} starts late: attempt {attempt}, fence {fence}"));
        } else {
            self.saw(job, Event::Started { attempt, fence });
        }
    }
}

/// The store itself, past all faults: how jobs stand in truth.
impl World {
    pub(crate) fn is_kept_in(&self, ports: Ports) {
        *self.ports.lock() = Some(ports);
    }

    pub(crate) fn ports(&self) -> Ports {
        self.ports.lock().clone().expect("a store")
    }

    pub(crate) async fn status(&self, job: JobId) -> Option<JobStatus> {
        loop {
            let port = self.ports().enqueue;
            match port.statuses(port.shards().of(&job), vec![job]).await {
                Ok(statuses) => return statuses[0],
                // A disk that was full for a moment answers nothing until it was read anew.
                Err(_) => sleep(Duration::from_millis(500)).await,
            }
        }
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
}

/// What belongs together.
impl World {
    /// A child that is patient waits for a parent that failed until a person queues it again.
    pub(crate) fn depends(&self, child: JobId, parent: JobId, patient: bool) {
        self.ties.lock().parents.entry(child).or_default().push(parent);
        if patient {
            self.patient.lock().insert((child, parent));
        }
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

    /// Every job that may exist.
    pub(crate) fn jobs(&self) -> BTreeSet<JobId> {
        let children = self.ties.lock().parents.keys().copied().collect::<Vec<_>>();
        self.history.by_job().into_keys().chain(children).collect()
    }

    /// Whether a job waits, by way of its parents, for a person.
    pub(crate) fn waits_for_a_person(&self, job: JobId, ends: &BTreeMap<JobId, Option<JobStatus>>) -> bool {
        let status = |job| ends.get(&job).copied().flatten();
        if status(job) != Some(JobStatus::Blocked) {
            return false;
        }
        let parents = self.ties.lock().parents.get(&job).cloned();
        parents.unwrap_or_default().into_iter().any(|parent| {
            let failed = status(parent) == Some(JobStatus::Failed);
            failed && self.patient.lock().contains(&(job, parent)) || self.waits_for_a_person(parent, ends)
        })
    }

    pub(crate) fn judge(&self, ends: &BTreeMap<JobId, Option<JobStatus>>) -> Verdict {
        let end = |job| Final {
            waits_for_a_person: self.waits_for_a_person(job, ends),
            ..Final::of(ends.get(&job).copied().flatten())
        };
        // What is asked of an end looks at the ties as well.
        let ties = self.ties.lock().clone();
        self.history.check(end, &ties)
    }
}
