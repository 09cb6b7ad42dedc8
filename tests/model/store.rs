//! One shard of the store with one job in it: the real transitions of core, and what of the past matters.
//!
//! Times are brought to two values after every transition, so that there are finitely many states: what is over and
//! what is not. Rows of the outbox, of edges and of children are always due, because any timer may fire at any moment;
//! leases and delays run out by steps of their own.

use std::time::Duration;

use longshore_core::clock::Timestamp;
use longshore_core::message::Gen;
use longshore_core::outcome::{ErrorInfo, Outcome};
use longshore_core::port::attempt::{
    Beaten, Claim, Claimed, Finished, GiveBackReason, GivenBack, Rebuild, Then,
};
use longshore_core::port::enqueue::{EdgeSettled, Enqueued, NewJob, ParentOutcome, ParentState};
use longshore_core::record::{Record, Slot, Sweep};
use longshore_core::spec::{EdgePolicy, OnFailed};
use longshore_core::transition::{self, Effects, Expired, Gate, Promoted};
use longshore_core::{JobId, JobStatus, Nonce, WorkerId};

use crate::mutation::Mutation;
use crate::world::Msg;

/// Over.
const PAST: Timestamp = Timestamp(0);
/// Not over, whatever the time.
const FUTURE: Timestamp = Timestamp(u64::MAX / 2);

/// What a transition is made under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Law {
    pub(crate) mutation: Mutation,
    pub(crate) now: Timestamp,
}

/// One shard. All of it goes back when the store does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Shard {
    pub(crate) slot: Slot,
    /// The child that waits to be told, in a parent's shard.
    pub(crate) child: Option<EdgePolicy>,
    /// Claims whose owners were told that they ended the job.
    pub(crate) accepted: u8,
    /// The job was terminal.
    pub(crate) ended: bool,
    /// How often the job was released by its last parent.
    pub(crate) released: u8,
}

impl Shard {
    pub(crate) fn record(&self) -> Option<&Record> {
        self.slot.record()
    }

    pub(crate) fn status(&self) -> Option<JobStatus> {
        self.slot.status()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.status().is_some_and(JobStatus::is_terminal)
    }

    /// The owner's lease is over.
    pub(crate) fn lease_is_over(&self) -> bool {
        self.record()
            .is_some_and(|record| record.lease_until == Some(PAST))
    }

    /// It waits for its time.
    pub(crate) fn is_early(&self) -> bool {
        self.record()
            .is_some_and(|record| record.run_at == Some(FUTURE) || record.status == JobStatus::Blocked)
    }

    pub(crate) fn enqueue(&mut self, law: Law, job: &NewJob) -> Enqueued {
        let enqueued = transition::enqueue(&mut self.slot, job, law.now);
        self.tidy(law);
        enqueued
    }

    pub(crate) fn mark_published(&mut self, law: Law, gen_: Gen) {
        let gen_ = match self.record() {
            Some(record) if law.mutation == Mutation::GenOfMark => record.gen_,
            _ => gen_,
        };
        transition::mark_published(&mut self.slot, gen_, law.now);
        self.tidy(law);
    }

    pub(crate) fn claim(&mut self, law: Law, id: JobId, msg: Msg, nonce: Nonce) -> Claimed {
        let mut ask = Claim {
            id,
            gen_: msg.gen_,
            nonce,
            worker: WorkerId(String::new()),
        };
        if let Some(record) = self.slot.record_mut() {
            let waits = matches!(
                record.status,
                JobStatus::Scheduled | JobStatus::Retrying | JobStatus::Blocked
            );
            if law.mutation == Mutation::GenOfClaim {
                ask.gen_ = ask.gen_.max(record.gen_ + u32::from(waits));
            }
            if law.mutation == Mutation::BusyCheck && record.owner != Some(nonce) {
                record.lease_until = record.lease_until.map(|_| PAST);
            }
        }
        let (before, mut sweep) = (self.fence(), Sweep::default());
        let mut gate = Gate {
            paused: false,
            sweep: &mut sweep,
        };
        let effects = &mut Effects::default();
        let mut claimed = transition::claim(&mut self.slot, &ask, &mut gate, 0, law.now, effects);
        self.count_fence(law, before, &mut claimed);
        self.tidy(law);
        claimed
    }

    pub(crate) fn rebuild(&mut self, law: Law, job: &NewJob, msg: Msg, nonce: Nonce, then: Then) -> Claimed {
        let ask = Rebuild {
            job: job.clone(),
            gen_: msg.gen_,
            attempts: msg.attempts,
            retries: msg.retries,
            losts: msg.losts,
            nonce,
            worker: WorkerId(String::new()),
            then,
        };
        let (before, mut sweep) = (self.fence(), Sweep::default());
        let mut gate = Gate {
            paused: false,
            sweep: &mut sweep,
        };
        let effects = &mut Effects::default();
        let mut claimed = transition::rebuild(&mut self.slot, &ask, &mut gate, 0, law.now, effects);
        self.count_fence(law, before, &mut claimed);
        self.tidy(law);
        claimed
    }

    fn fence(&self) -> u64 {
        self.record().map_or(0, |record| record.fence)
    }

    fn count_fence(&mut self, law: Law, before: u64, claimed: &mut Claimed) {
        if law.mutation != Mutation::TimeOfFence {
            return;
        }
        if let (Claimed::Run(grant), Some(record)) = (claimed, self.slot.record_mut())
            && record.fence != before
        {
            record.fence = before + 1;
            grant.fence = record.fence;
        }
    }

    pub(crate) fn beat(&mut self, law: Law, nonce: Nonce) -> Beaten {
        let beaten = transition::beat(&mut self.slot, nonce, law.now);
        self.tidy(law);
        beaten
    }

    pub(crate) fn finish(&mut self, law: Law, nonce: Nonce, outcome: Outcome) -> Finished {
        let nonce = match self.record().and_then(|record| record.owner) {
            Some(owner) if law.mutation == Mutation::NonceOfFinish => owner,
            _ => nonce,
        };
        let finished = transition::finish(&mut self.slot, nonce, outcome, law.now, &mut Effects::default());
        self.tidy(law);
        finished
    }

    pub(crate) fn give_back(&mut self, law: Law, gen_: Gen) -> GivenBack {
        let given = transition::give_back(&mut self.slot, gen_, &GiveBackReason::Unstarted, 0, law.now);
        self.tidy(law);
        given
    }

    pub(crate) fn cancel(&mut self, law: Law) {
        transition::cancel(&mut self.slot, "", law.now);
        self.tidy(law);
    }

    /// The owner's lease runs out.
    pub(crate) fn end_lease(&mut self) {
        if let Some(record) = self.slot.record_mut() {
            record.lease_until = record.lease_until.map(|_| PAST);
        }
    }

    /// The delay of a job that waits runs out.
    pub(crate) fn end_wait(&mut self) {
        if let Some(record) = self.slot.record_mut() {
            record.run_at = record.run_at.map(|_| PAST);
        }
    }

    pub(crate) fn expire_lease(&mut self, law: Law) -> bool {
        let expired = transition::expire_lease(&mut self.slot, law.now, &mut Effects::default());
        self.tidy(law);
        expired != Expired::Nothing
    }

    pub(crate) fn lease_outbox(&mut self, law: Law, job: u8) -> Option<Msg> {
        let leased = transition::lease_outbox(&mut self.slot, law.now);
        self.leased(law, job, leased)
    }

    pub(crate) fn promote(&mut self, law: Law, job: u8) -> Option<Msg> {
        let promoted = transition::promote(&mut self.slot, law.now) == Promoted::Leased;
        self.leased(law, job, promoted)
    }

    pub(crate) fn audit(&mut self, law: Law, job: u8) -> Option<Msg> {
        let found = transition::audit(&mut self.slot, FUTURE, false, law.now);
        self.leased(law, job, found)
    }

    fn leased(&mut self, law: Law, job: u8, leased: bool) -> Option<Msg> {
        let msg = self.record().filter(|_| leased).map(|record| Msg {
            job,
            gen_: record.gen_,
            attempts: record.attempts,
            retries: record.retries,
            losts: record.losts,
        });
        self.tidy(law);
        msg
    }

    pub(crate) fn register(&mut self, law: Law, policy: EdgePolicy) -> ParentState {
        let state = transition::register(&mut self.slot, policy, self.child, || None);
        if state == ParentState::Open {
            self.child = Some(policy);
        }
        self.tidy(law);
        state
    }

    /// The row of children is due: how the parent ended, unless nobody is to be told.
    pub(crate) fn relation_due(&mut self, law: Law) -> Option<ParentOutcome> {
        let outcome = transition::relation_due(&mut self.slot, law.now, || None)?;
        self.tidy(law);
        let waits = |policy: EdgePolicy| policy.on_failed == OnFailed::Wait;
        let told = self
            .child
            .is_some_and(|policy| !(outcome == ParentOutcome::Failed && waits(policy)));
        if !told {
            transition::relation_told(&mut self.slot, &[], law.now);
            self.tidy(law);
        }
        told.then_some(outcome)
    }

    pub(crate) fn relation_told(&mut self, law: Law) {
        let told: Vec<_> = self.child.take().into_iter().collect();
        transition::relation_told(&mut self.slot, &told, law.now);
        self.tidy(law);
    }

    pub(crate) fn settle_edge(&mut self, law: Law, parent: JobId, outcome: &ParentOutcome) {
        let (settled, _) = transition::settle_edge(&mut self.slot, parent, outcome, Duration::ZERO, law.now);
        self.released += u8::from(matches!(settled, EdgeSettled::Released { .. }));
        self.tidy(law);
    }

    pub(crate) fn lease_edges(&mut self, law: Law) -> bool {
        let leased = transition::lease_edges(&mut self.slot, law.now);
        self.tidy(law);
        leased
    }

    pub(crate) fn edges_verified(&mut self, law: Law) -> bool {
        let known = transition::edges_verified(&mut self.slot, law.now);
        self.tidy(law);
        known
    }

    /// A parent is unknown: the first look notes it, a later one gives the child up.
    pub(crate) fn parent_unknown(&mut self, law: Law) {
        if !transition::parent_unknown(&mut self.slot, law.now) {
            let error = ErrorInfo::new("parent_unknown", String::new());
            transition::fail_blocked(&mut self.slot, error, law.now, &mut Effects::default());
        }
        self.tidy(law);
    }

    pub(crate) fn abort(&mut self) {
        transition::abort(&mut self.slot);
    }

    fn tidy(&mut self, law: Law) {
        self.ended |= self.is_over();
        let Some(record) = self.slot.record_mut() else {
            return;
        };
        let side = |at: &mut Option<Timestamp>| {
            *at = at.map(|at| if at > law.now { FUTURE } else { PAST });
        };
        side(&mut record.lease_until);
        side(&mut record.run_at);
        for due in [
            &mut record.outbox,
            &mut record.edges_at,
            &mut record.parent_unknown_since,
        ] {
            *due = due.map(|_| PAST);
        }
        for known in [
            &mut record.published_at,
            &mut record.started_at,
            &mut record.finished_at,
        ] {
            *known = known.map(|_| Timestamp(1));
        }
        if let Some(rel) = &mut record.rel {
            rel.at = PAST;
        }
        record.entered_at = PAST;
        record.history.clear();
        record.edges_verified = record.edges_verified.min(1);
        match law.mutation {
            Mutation::Outbox => record.outbox = None,
            Mutation::EdgesRow => record.edges_at = None,
            Mutation::TellChildren => {
                record.rel = None;
                if record.edges_verified > 0 {
                    record.edges_at = None;
                }
            }
            _ => {}
        }
    }
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum End {
    Completed,
    Failed,
    Retry,
    Snooze,
    Released,
    Cancelled,
}

impl End {
    pub(crate) fn outcome(self) -> Outcome {
        let (delay, error) = (Duration::from_secs(1), ErrorInfo::new("", ""));
        match self {
            Self::Completed => Outcome::Completed {
                result: bytes::Bytes::new(),
            },
            Self::Failed => Outcome::Failed { error },
            Self::Retry => Outcome::Retry { delay, error },
            Self::Snooze => Outcome::Snooze { delay },
            Self::Released => Outcome::Released,
            Self::Cancelled => Outcome::Cancelled,
        }
    }
}
