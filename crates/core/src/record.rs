//! What the store remembers of a job, and of a shard.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{JobId, Nonce, WorkerId};
use crate::limits::HISTORY_ATTEMPTS;
use crate::message::Gen;
use crate::name::{FunctionName, QueueName};
use crate::port::enqueue::NewJob;
use crate::priority::Priority;
use crate::spec::EdgePolicy;
use crate::status::JobStatus;
use crate::view::AttemptView;

mod index;
mod sweep;
mod view;

pub use index::{Index, Indexes};
pub use sweep::Sweep;

/// What the store remembers of a job, without its payload, result, error and progress, which have places of their
/// own. Only the functions of [`crate::transition`] change it; the index rows it must have follow from it
/// ([`Record::indexes`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// Where it stands.
    pub status: JobStatus,
    /// Dispatches so far: every transition into Queued raises it.
    pub gen_: Gen,
    /// Attempts started, without undone starts.
    pub attempts: u32,
    /// Retries used.
    pub retries: u32,
    /// Workers lost.
    pub losts: u32,
    /// Owner of the running claim.
    pub owner: Option<Nonce>,
    /// Who runs it.
    pub worker: Option<WorkerId>,
    /// The last fence that was given out.
    pub fence: u64,
    /// When the running claim's lease ends.
    pub lease_until: Option<Timestamp>,
    /// Next time that the sweep publishes it, while it waits in the outbox.
    pub outbox: Option<Timestamp>,
    /// When the broker confirmed the dispatch in force.
    pub published_at: Option<Timestamp>,
    /// Waits for a worker that has this function; in no outbox.
    pub parked: Option<FunctionName>,
    /// How often it was given back because a worker could not run it, since its last start.
    pub give_backs: u32,
    /// When it is due, while it is Scheduled or Retrying; when it will be, while it is Blocked.
    pub run_at: Option<Timestamp>,
    /// Must have started by then.
    pub expires_at: Option<Timestamp>,
    /// Must have ended by then.
    pub deadline: Option<Timestamp>,
    /// A cancel was requested: why.
    pub cancel: Option<String>,
    /// When it was enqueued, by the producer's clock.
    pub created_at: Timestamp,
    /// When it came into its status, by the store's clock.
    pub entered_at: Timestamp,
    /// When the last attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The last accepted finish: whose, and into which status. The same nonce again gets the same answer.
    pub finished_by: Option<(Nonce, JobStatus)>,
    /// Parents that are not done, while it is Blocked.
    pub open_parents: BTreeMap<JobId, EdgePolicy>,
    /// When the open edges are verified next, while it is Blocked.
    pub edges_at: Option<Timestamp>,
    /// How often its edges were verified.
    pub edges_verified: u32,
    /// Children that wait to be told of its end.
    pub children: u32,
    /// Those among `children` that stay when it fails, because it may be requeued.
    pub children_waiting: u32,
    /// The row that makes the children be told.
    pub rel: Option<Rel>,
    /// The dead letter has a durable twin.
    pub dead_copied: bool,
    /// [`crate::Envelope::fingerprint`].
    pub fingerprint: u64,
    /// Handler.
    pub function_name: FunctionName,
    /// Name for people, when it is not the function's.
    pub name: Option<String>,
    /// Logical queue.
    pub queue: QueueName,
    /// Urgency.
    pub priority: Priority,
    /// Labels.
    pub tags: Vec<String>,
    /// The last attempts that did not complete, oldest first, at most [`HISTORY_ATTEMPTS`].
    pub history: Vec<AttemptView>,
    // What came later stands at the end: records are stored as arrays.
    /// The gen whose message the broker gave up, when that was counted.
    #[serde(default)]
    pub gave_up_gen: Option<Gen>,
    /// Bytes of the parents' results that are kept, while it is Blocked.
    #[serde(default)]
    pub parent_bytes: u64,
    /// Since when looks at its edges have found a parent unknown, while it is Blocked; `None` when the last did not.
    #[serde(default)]
    pub parent_unknown_since: Option<Timestamp>,
    /// Since when it could run, while it is Queued or Running; give-backs do not move it.
    #[serde(default)]
    pub ready_since: Option<Timestamp>,
}

/// Children of an ended parent are to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rel {
    /// When the next page is told.
    pub at: Timestamp,
    /// They are told "gone", because the record is about to be deleted, rather than how it ended.
    pub gone: bool,
}

/// What stays of a job whose record was deleted, so that nothing late revives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tombstone {
    /// How it ended.
    pub status: JobStatus,
    /// Its last gen.
    pub gen_: Gen,
    /// Its fingerprint: the same enqueue again is the same job.
    pub fingerprint: u64,
    /// Whose finish ended it: the same nonce again is told so.
    pub nonce: Option<Nonce>,
    /// When it may be forgotten.
    pub until: Timestamp,
}

/// What the store has under a job's id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Nothing.
    #[default]
    Missing,
    /// The job was, and is over.
    Tombstone(Tombstone),
    /// The job.
    Record(Box<Record>),
}

impl Slot {
    /// The record, when there is one.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Record(record) => Some(record),
            Self::Missing | Self::Tombstone(_) => None,
        }
    }

    /// The record, to be changed, when there is one.
    pub fn record_mut(&mut self) -> Option<&mut Record> {
        match self {
            Self::Record(record) => Some(record),
            Self::Missing | Self::Tombstone(_) => None,
        }
    }

    /// Where the job stands; a tombstone counts.
    pub fn status(&self) -> Option<JobStatus> {
        match self {
            Self::Missing => None,
            Self::Tombstone(tombstone) => Some(tombstone.status),
            Self::Record(record) => Some(record.status),
        }
    }
}

impl Record {
    /// A record of a job that has not been placed yet: [`crate::transition`] gives it its status at once.
    pub(crate) fn unplaced(job: &NewJob, status: JobStatus, now: Timestamp) -> Self {
        Self {
            status,
            gen_: 0,
            attempts: 0,
            retries: 0,
            losts: 0,
            owner: None,
            worker: None,
            fence: 0,
            lease_until: None,
            outbox: None,
            published_at: None,
            parked: None,
            give_backs: 0,
            run_at: job.run_at.filter(|at| *at > now),
            expires_at: job.expires_at,
            deadline: job.deadline,
            cancel: None,
            created_at: job.created_at,
            entered_at: now,
            started_at: None,
            finished_at: None,
            finished_by: None,
            open_parents: BTreeMap::new(),
            edges_at: None,
            edges_verified: 0,
            children: 0,
            children_waiting: 0,
            rel: None,
            dead_copied: false,
            fingerprint: job.fingerprint,
            function_name: job.function_name.clone(),
            name: job.name.clone(),
            queue: job.queue.clone(),
            priority: job.priority,
            tags: job.tags.clone(),
            history: Vec::new(),
            gave_up_gen: None,
            parent_bytes: 0,
            parent_unknown_since: None,
            ready_since: (status == JobStatus::Queued).then_some(now),
        }
    }

    /// The time after which it is Expired unless it runs or has ended; `None` when there is none.
    pub fn gives_up_at(&self) -> Option<Timestamp> {
        let unstarted = self.expires_at.filter(|_| self.started_at.is_none());
        match (unstarted, self.deadline) {
            (Some(expiry), Some(deadline)) => Some(expiry.min(deadline)),
            (expiry, deadline) => expiry.or(deadline),
        }
    }

    /// Whether its expiry or deadline has passed.
    pub fn is_past_its_time(&self, now: Timestamp) -> bool {
        self.gives_up_at().is_some_and(|at| at <= now)
    }

    /// Whether a message could be published for it: Queued and in the outbox, never confirmed for this gen.
    pub fn is_unpublished(&self) -> bool {
        self.status == JobStatus::Queued && self.outbox.is_some() && self.published_at.is_none()
    }

    /// What stays of it when its record is deleted.
    pub fn tombstone(&self, until: Timestamp) -> Tombstone {
        let nonce = self
            .finished_by
            .filter(|(_, status)| *status == self.status)
            .map(|(nonce, _)| nonce);
        Tombstone {
            status: self.status,
            gen_: self.gen_,
            fingerprint: self.fingerprint,
            nonce,
            until,
        }
    }

    /// Remembers an attempt that did not complete the job.
    pub(crate) fn remember(&mut self, outcome: &str, error: String, now: Timestamp) {
        let worker = self.worker.as_ref().map(ToString::to_string).unwrap_or_default();
        self.history.push(AttemptView {
            number: self.attempts,
            worker,
            started_at: self.started_at.unwrap_or(now),
            ended_at: now,
            outcome: outcome.to_owned(),
            error,
        });
        let over = self.history.len().saturating_sub(HISTORY_ATTEMPTS);
        self.history.drain(..over);
    }
}
