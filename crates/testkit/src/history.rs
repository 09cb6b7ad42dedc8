//! What clients and handlers saw, and whether it keeps the promises.
//!
//! Everybody who takes part in a test with faults appends [`Event`]s: in the process ([`History::saw`]) or, from
//! another one, as lines of a file ([`History::read`]). When the faults are over and the fleet has come to rest, the
//! test tells how every job stands ([`Final`]), and [`History::check`] says which invariants of the protocol were
//! broken, with the whole history of each job that broke one.

use std::collections::BTreeMap;
use std::fmt;

use longshore_core::{JobId, JobStatus};
use parking_lot::Mutex;

mod check;
mod line;

pub use check::{Invariant, Verdict, Violation};
pub use line::InvalidLine;

/// What somebody saw of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its enqueue was acknowledged.
    Acknowledged,
    /// Its handler started, with the number of the attempt and the fence.
    Started {
        /// From 1.
        attempt: u32,
        /// Higher than that of every start before.
        fence: u64,
    },
    /// Its handler came to its end.
    Ended {
        /// The attempt.
        attempt: u32,
    },
    /// A worker was told that its finish was accepted, with the status that it led to.
    Accepted {
        /// Whose finish: the claim's nonce or fence.
        claim: u64,
        /// Where the job stands by it.
        status: JobStatus,
    },
    /// Somebody read how it stands. `stamp` tells one end from another: the time of the end, or its result.
    Seen {
        /// Where it stands.
        status: JobStatus,
        /// Empty while it has not ended.
        stamp: String,
    },
    /// Somebody who asked for its cancel was told that it is cancelled or will be: nothing but a handler that completes
    /// may still come before that.
    CancelTold,
    /// A person queued it again: what was terminal is no longer.
    Requeued,
    /// The store lost or forgot a part of its past: what comes is another history.
    StoreWentBack,
}

/// How a job stands when everything has come to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Final {
    /// `None`: no record and no tombstone.
    pub status: Option<JobStatus>,
    /// The job waits for a person: its parent failed.
    pub waits_for_a_person: bool,
    /// It is beyond what is promised: the store lost it while it waited there.
    pub excused: bool,
}

impl Final {
    /// A job that stands so, and to which no exception applies.
    pub const fn of(status: Option<JobStatus>) -> Self {
        Self {
            status,
            waits_for_a_person: false,
            excused: false,
        }
    }
}

/// What must hold between jobs.
#[derive(Clone, Debug, Default)]
pub struct Ties {
    /// Parents of a job, all of which must have ended before it starts.
    pub parents: BTreeMap<JobId, Vec<JobId>>,
    /// Jobs that one tick of a cron entry made, by entry and tick.
    pub ticks: BTreeMap<(String, u64), Vec<JobId>>,
}

/// Events of many jobs in the order in which they were appended.
#[derive(Debug, Default)]
pub struct History(Mutex<Vec<(JobId, Event)>>);

impl History {
    /// Somebody saw this.
    pub fn saw(&self, job: JobId, event: Event) {
        self.0.lock().push((job, event));
    }

    /// Appends what another process wrote: lines of the form `JOB EVENT…`, see [`Event`]'s `Display`. A last line
    /// without a line break is left out: its writer was killed over it.
    ///
    /// # Errors
    ///
    /// A line that is none of these.
    pub fn read(&self, text: &str) -> Result<(), InvalidLine> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let (job, event) = line::parse(line)?;
            self.saw(job, event);
        }
        Ok(())
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was seen of each job.
    pub fn by_job(&self) -> BTreeMap<JobId, Vec<Event>> {
        let mut jobs: BTreeMap<JobId, Vec<Event>> = BTreeMap::new();
        for (job, event) in self.0.lock().iter() {
            jobs.entry(*job).or_default().push(event.clone());
        }
        jobs
    }

    /// Decides. `ends` tells how each job stands now that everything has come to rest.
    pub fn check(&self, ends: impl Fn(JobId) -> Final, ties: &Ties) -> Verdict {
        check::check(&self.0.lock(), ends, ties)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acknowledged => f.write_str("acknowledged"),
            Self::Started { attempt, fence } => write!(f, "started {attempt} {fence}"),
            Self::Ended { attempt } => write!(f, "ended {attempt}"),
            Self::Accepted { claim, status } => write!(f, "accepted {claim} {status}"),
            Self::Seen { status, stamp } => write!(f, "seen {status} {stamp}"),
            Self::CancelTold => f.write_str("cancel-told"),
            Self::Requeued => f.write_str("requeued"),
            Self::StoreWentBack => f.write_str("store-went-back"),
        }
    }
}
