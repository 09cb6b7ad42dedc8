//! For workers: claim, beat, finish, hand back, tell progress.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Reply;
use super::enqueue::ParentOutcome;
use crate::clock::Timestamp;
use crate::id::{JobId, Nonce, WorkerId};
use crate::message::{Epoch, Gen};
use crate::name::{FunctionName, QueueName};
use crate::outcome::{Outcome, Progress};
use crate::status::JobStatus;
use crate::view::WorkerView;

/// Asks for one delivered job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The job.
    pub id: JobId,
    /// The message's gen.
    pub gen_: Gen,
    /// Owner, fresh for this claim; the same again is a retried claim.
    pub nonce: Nonce,
    /// Who asks.
    pub worker: WorkerId,
}

/// Answer to a claim, in the order of the delivery table in the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Run it.
    Run(Grant),
    /// Terminal, tombstoned, stale, or turned into Cancelled, Expired or Failed by this very claim: ack.
    Over(Over),
    /// Another owner's lease is alive, or takeover is paused after an outage: look again then.
    Busy {
        /// When to look again, as time from now.
        retry_in: Duration,
    },
    /// No record and no tombstone. The shard's epoch tells a wipe from a stray message.
    Missing {
        /// The shard's epoch now.
        epoch: Epoch,
    },
    /// Its queue is paused: give it back.
    Paused,
}

/// Why a delivery is over without running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The job has ended (now or before).
    Ended(JobStatus),
    /// A newer dispatch exists, or the job waits elsewhere.
    Stale,
}

/// A granted claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Number of this attempt, from 1.
    pub attempt: u32,
    /// Retries used before it.
    pub retries: u32,
    /// Workers lost before it.
    pub losts: u32,
    /// Rises with every claim of the job: lets an external resource refuse a stale worker.
    pub fence: u64,
    /// The gen now in force (an adopted one may differ from the record's before).
    pub gen_: Gen,
    /// The job was cancelled already: run nothing, finish with [`Outcome::Cancelled`].
    pub cancel_requested: bool,
    /// Start of the attempt by the store's clock.
    pub started_at: Timestamp,
}

/// Ends an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// The job.
    pub id: JobId,
    /// The claim's nonce.
    pub nonce: Nonce,
    /// How it ended.
    pub outcome: Outcome,
    /// The last progress, when it was not written yet, with the last lines of the log.
    pub progress: Option<Progress>,
}

/// Answer to a finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Accepted (or accepted before, by this nonce). A cancel flag may have turned the outcome into Cancelled.
    Accepted(JobStatus),
    /// The claim is not the owner any more: discard the result.
    Lost,
    /// No record and no tombstone: [`AttemptPort::rebuild`] with this nonce, then finish again.
    Missing,
}

/// Makes a lost record anew from what the worker holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rebuild {
    /// The job as it travelled.
    pub job: super::enqueue::NewJob,
    /// The message's counts.
    pub gen_: Gen,
    /// Attempts before.
    pub attempts: u32,
    /// Retries before.
    pub retries: u32,
    /// Workers lost before.
    pub losts: u32,
    /// Owner of the claim; says nothing with [`Then::GiveBack`].
    pub nonce: Nonce,
    /// Who asks.
    pub worker: WorkerId,
    /// What becomes of the job then.
    pub then: Then,
}

/// What becomes of a job whose record is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is claimed: a delivery found its record missing.
    Claim,
    /// Its attempt goes on: a beat or finish found the record missing. The attempt's number is not raised.
    GoOn,
    /// It is given back unstarted: a give-back found the record missing.
    GiveBack,
}

/// Answer to a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beaten {
    /// The lease is extended.
    Alive {
        /// The job is to be cancelled.
        cancel_requested: bool,
    },
    /// Another owner, or ended: stop, discard.
    Lost,
    /// No record and no tombstone: [`AttemptPort::rebuild`] with this nonce.
    Missing,
}

/// Gives an unstarted job back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GiveBack {
    /// The job.
    pub id: JobId,
    /// The message's gen.
    pub gen_: Gen,
    /// Why.
    pub reason: GiveBackReason,
}

/// Why a job is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GiveBackReason {
    /// Held too long, shutdown, or pause: to the outbox, due now.
    Unstarted,
    /// This worker cannot run it (function not registered, newer schema): to the outbox after
    /// 0.2 s × 2ⁿ up to 60 s, n counted in the record.
    NotRunnable,
    /// As `NotRunnable`, and a live worker of the queue has the function: the delay stops growing at 1 s.
    Elsewhere,
    /// As `NotRunnable`, and no live worker of the queue has the function: parked until one registers.
    Park(FunctionName),
}

/// Answer to a give-back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenBack {
    /// It waits elsewhere now: ack.
    Back,
    /// It has ended, runs, waits elsewhere already, or has a newer dispatch: ack.
    Stale,
    /// No record and no tombstone, so that the message may be all that is left of the job: [`AttemptPort::rebuild`]
    /// with [`Then::GiveBack`], or quarantine. The shard's epoch tells a wipe from a stray message.
    Missing {
        /// The shard's epoch now.
        epoch: Epoch,
    },
}

/// Asks for free slots of other workers, for jobs that have waited too long here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotsWanted {
    /// The jobs' queue.
    pub queue: QueueName,
    /// Their function.
    pub function: FunctionName,
    /// So many at most.
    pub most: u32,
}

/// One progress update to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgressWrite {
    /// The job.
    pub id: JobId,
    /// The claim's nonce: others' updates are dropped.
    pub nonce: Nonce,
    /// The update; only the latest of a job is written.
    pub progress: Progress,
}

/// Something a person must decide about, with its raw bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// The broker's message id, or a generated one: the same message is listed once.
    pub message_id: String,
    /// Queue it came from.
    pub queue: QueueName,
    /// Why it is here.
    pub reason: String,
    /// The body; what is over [`crate::limits::QUARANTINE_BODY_BYTES_MAX`] is not kept.
    pub body: Bytes,
    /// Headers, as text.
    pub headers: Vec<(String, String)>,
    /// Jobs that the headers name.
    pub jobs: Vec<JobId>,
    /// The dispatches that it was for, as far as it tells them: a job that waits for one of them can start by no other
    /// message. They are not kept.
    #[serde(default)]
    pub dispatches: Vec<(JobId, Gen)>,
}

/// A hint from the store; hints may be lost, beats and polls carry the truth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A running job was cancelled.
    Cancel(JobId),
    /// A queue was paused or resumed.
    QueuesChanged,
    /// A job with children to be told has ended: for the scheduler ([`super::SchedulePort::ended_parents`]).
    ParentEnded,
}

/// A stream of hints. Ends when the connection does; ask for a new one.
pub trait Hints: Send {
    /// The next hint; `None` at the end.
    fn next(&mut self) -> std::pin::Pin<Box<dyn Future<Output = Option<Hint>> + Send + '_>>;
}

/// The worker's side of the store.
pub trait AttemptPort: Send + Sync {
    /// Finishes attempts and claims jobs of one shard in one round trip: finishes first.
    fn step(
        &self,
        shard: u16,
        finishes: Vec<Finish>,
        claims: Vec<Claim>,
    ) -> Reply<'_, (Vec<Finished>, Vec<Claimed>)>;

    /// Makes lost records anew, each as Running with its nonce, or Queued in the outbox ([`Then::GiveBack`]; the answer
    /// is then [`Claimed::Over`]). Where a record or tombstone exists after all, does and answers as a claim would, or a
    /// give-back.
    fn rebuild(&self, shard: u16, jobs: Vec<Rebuild>) -> Reply<'_, Vec<Claimed>>;

    /// Extends leases by [`crate::limits::LEASE`].
    fn beat(&self, shard: u16, claims: Vec<(JobId, Nonce)>) -> Reply<'_, Vec<Beaten>>;

    /// Gives unstarted jobs back: Queued with that gen → gen + 1. A newer gen than the record's is adopted first, as by
    /// a claim. Anything else stays as it is.
    fn give_back(&self, shard: u16, jobs: Vec<GiveBack>) -> Reply<'_, Vec<GivenBack>>;

    /// Writes progress, one pipeline for all, and adds its lines to the jobs' logs: of each line of a claim the first
    /// copy alone.
    fn progress(&self, shard: u16, updates: Vec<ProgressWrite>) -> Reply<'_, ()>;

    /// How the parents of a child ended, for the handler.
    fn parents(&self, shard: u16, child: JobId) -> Reply<'_, Vec<(JobId, ParentOutcome)>>;

    /// Puts messages aside for a person. A known job that is Queued with the gen of one of their dispatches becomes Failed;
    /// an older copy says nothing of a later dispatch. A store in memory has room for
    /// [`crate::limits::QUARANTINE_MESSAGES_MAX`] messages and [`crate::limits::QUARANTINE_BYTES_MAX`] bytes; when it is
    /// full it refuses and says how to make room: the messages stay in the broker.
    fn quarantine(&self, messages: Vec<Quarantined>) -> Reply<'_, ()>;

    /// Registers this worker or keeps it registered (for three beats), releases jobs of its queues that are parked for its
    /// functions unless it drains, and answers which queues are paused. Fails only when it cannot be registered: of a shard
    /// that does not answer the pauses are those that it told last.
    fn worker_beat(&self, worker: WorkerView) -> Reply<'_, Vec<QueueName>>;

    /// Tells how a worker stands between two beats: what it runs, its free slots. Costs one command, and nothing when the
    /// worker is not registered; releases nothing.
    fn worker_load(&self, worker: WorkerView) -> Reply<'_, ()>;

    /// Takes free slots of other live workers that consume the queue and have the function; answers how many of each,
    /// and may miss some where there are many. A slot that was taken is offered to nobody else for
    /// [`crate::limits::SLOT_TAKEN`], or until its worker tells its load again: each brings one caller's jobs.
    fn take_slots(&self, worker: WorkerId, wanted: Vec<SlotsWanted>) -> Reply<'_, Vec<u32>>;

    /// Takes this worker out of the registry.
    fn worker_gone(&self, worker: WorkerId) -> Reply<'_, ()>;

    /// Hints for this worker.
    fn hints(&self) -> Reply<'_, Box<dyn Hints>>;
}
