//! The store as core's transitions see it: slots in a map, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::clock::Timestamp;
use longshore_core::message::Gen;
use longshore_core::outcome::{ErrorInfo, Outcome};
use longshore_core::port::attempt::{Beaten, Claim, Claimed, Finished, GiveBackReason, GivenBack, Rebuild};
use longshore_core::port::enqueue::{CancelReply, EdgeSettled, Enqueued, NewJob, ParentOutcome, ParentState};
use longshore_core::port::schedule::{DeadLetterChange, LeasesExpired};
use longshore_core::record::{Record, Slot, Sweep};
use longshore_core::spec::EdgePolicy;
use longshore_core::transition::{self, Effects, Expired, Gate, Promoted, Retained};
use longshore_core::{JobId, JobStatus, Nonce};

/// How long ended jobs are kept.
pub(crate) const RETENTION: Duration = Duration::from_secs(20);

/// One shard.
#[derive(Debug, Default)]
pub(crate) struct Model {
    slots: BTreeMap<JobId, Slot>,
    results: BTreeMap<JobId, bytes::Bytes>,
    /// Children of each parent that are still to be told.
    children: BTreeMap<JobId, BTreeMap<JobId, EdgePolicy>>,
    sweep: Sweep,
    pub(crate) paused: bool,
}

/// A dispatch: job, gen, and its counts.
pub(crate) type Dispatch = (JobId, Gen, u32, u32, u32);

impl Model {
    pub(crate) fn record(&self, id: JobId) -> Option<&Record> {
        self.slots.get(&id).and_then(Slot::record)
    }

    pub(crate) fn status(&self, id: JobId) -> Option<JobStatus> {
        self.slots.get(&id).and_then(Slot::status)
    }

    /// The gen in force, 0 for an unknown job.
    pub(crate) fn gen_of(&self, id: JobId) -> Gen {
        match self.slots.get(&id) {
            Some(Slot::Record(record)) => record.gen_,
            Some(Slot::Tombstone(tombstone)) => tombstone.gen_,
            Some(Slot::Missing) | None => 0,
        }
    }

    /// Records by status.
    pub(crate) fn counts(&self) -> BTreeMap<JobStatus, u64> {
        let mut counts = BTreeMap::new();
        for record in self.slots.values().filter_map(Slot::record) {
            *counts.entry(record.status).or_default() += 1;
        }
        counts
    }

    fn slot(&mut self, id: JobId) -> &mut Slot {
        self.slots.entry(id).or_default()
    }

    pub(crate) fn enqueue(&mut self, job: &NewJob, now: Timestamp) -> Enqueued {
        transition::enqueue(self.slot(job.id), job, now)
    }

    pub(crate) fn mark_published(&mut self, id: JobId, gen_: Gen, now: Timestamp) {
        transition::mark_published(self.slot(id), gen_, now);
    }

    pub(crate) fn claim(&mut self, claim: &Claim, now: Timestamp) -> Claimed {
        let slot = self.slots.entry(claim.id).or_default();
        let mut gate = Gate {
            paused: self.paused,
            sweep: &mut self.sweep,
        };
        transition::claim(slot, claim, &mut gate, 0, now, &mut Effects::default())
    }

    pub(crate) fn rebuild(&mut self, rebuild: &Rebuild, now: Timestamp) -> Claimed {
        let slot = self.slots.entry(rebuild.job.id).or_default();
        let mut gate = Gate {
            paused: self.paused,
            sweep: &mut self.sweep,
        };
        transition::rebuild(slot, rebuild, &mut gate, 0, now, &mut Effects::default())
    }

    pub(crate) fn beat(&mut self, id: JobId, nonce: Nonce, now: Timestamp) -> Beaten {
        transition::beat(self.slot(id), nonce, now)
    }

    pub(crate) fn finish(&mut self, id: JobId, nonce: Nonce, outcome: Outcome, now: Timestamp) -> Finished {
        let mut effects = Effects::default();
        let finished = transition::finish(self.slot(id), nonce, outcome, now, &mut effects);
        if let Some(result) = effects.result {
            self.results.insert(id, result);
        }
        finished
    }

    pub(crate) fn give_back(
        &mut self,
        id: JobId,
        gen_: Gen,
        reason: &GiveBackReason,
        now: Timestamp,
    ) -> GivenBack {
        transition::give_back(self.slot(id), gen_, reason, 0, now)
    }

    pub(crate) fn cancel(&mut self, id: JobId, reason: &str, now: Timestamp) -> CancelReply {
        transition::cancel(self.slot(id), reason, now)
    }

    pub(crate) fn quarantine(&mut self, id: JobId, gen_: Gen, reason: &str, now: Timestamp) {
        transition::quarantine(self.slot(id), gen_, reason, now, &mut Effects::default());
    }

    pub(crate) fn sweep(&mut self, now: Timestamp) -> LeasesExpired {
        let mut done = LeasesExpired::default();
        if let Some(pause) = self.sweep.look(now) {
            done.paused_for = pause;
            return done;
        }
        for slot in self.slots.values_mut() {
            match transition::expire_lease(slot, now, &mut Effects::default()) {
                Expired::Requeued => done.requeued += 1,
                Expired::Ended(JobStatus::Cancelled) => done.cancelled += 1,
                Expired::Ended(_) => done.failed += 1,
                Expired::Nothing => {}
            }
        }
        done
    }

    pub(crate) fn expire_waiting(&mut self, now: Timestamp) -> u32 {
        let expired = self
            .slots
            .values_mut()
            .map(|slot| u32::from(transition::expire_waiting(slot, now)));
        expired.sum()
    }

    pub(crate) fn promote(&mut self, now: Timestamp) -> Vec<Dispatch> {
        self.dispatched(|slot| transition::promote(slot, now) == Promoted::Leased)
    }

    pub(crate) fn lease_outbox(&mut self, now: Timestamp) -> Vec<Dispatch> {
        self.dispatched(|slot| transition::lease_outbox(slot, now))
    }

    pub(crate) fn audit(&mut self, published_before: Timestamp, now: Timestamp) -> Vec<Dispatch> {
        let paused = self.paused;
        self.dispatched(|slot| transition::audit(slot, published_before, paused, now))
    }

    fn dispatched(&mut self, leased: impl Fn(&mut Slot) -> bool) -> Vec<Dispatch> {
        let mut all = Vec::new();
        for (id, slot) in &mut self.slots {
            if leased(slot)
                && let Some(record) = slot.record()
            {
                all.push((*id, record.gen_, record.attempts, record.retries, record.losts));
            }
        }
        all
    }

    pub(crate) fn extend_outbox(&mut self, id: JobId, gen_: Gen, by: Duration, now: Timestamp) {
        transition::extend_outbox(self.slot(id), gen_, by, now);
    }

    /// Whether the job is known.
    pub(crate) fn broker_gave_up(&mut self, id: JobId, gen_: Gen, now: Timestamp) -> bool {
        transition::broker_gave_up(self.slot(id), gen_, now, &mut Effects::default())
    }

    pub(crate) fn requeue(&mut self, id: JobId, before: Timestamp, now: Timestamp) -> DeadLetterChange {
        transition::requeue(self.slot(id), before, now)
    }

    pub(crate) fn discard(&mut self, id: JobId, before: Timestamp, now: Timestamp) -> DeadLetterChange {
        transition::discard(self.slot(id), before, now)
    }

    pub(crate) fn dead_copied(&mut self, id: JobId, gen_: Gen) {
        transition::dead_copied(self.slot(id), gen_);
    }

    /// Deleted jobs, and those held by their children.
    pub(crate) fn prune(&mut self, now: Timestamp) -> (u32, u32) {
        let (mut deleted, mut held) = (0, 0);
        for slot in self.slots.values_mut() {
            match transition::prune(slot, RETENTION, now) {
                Retained::Deleted => deleted += 1,
                Retained::HeldByChildren => held += 1,
                Retained::Kept => {}
            }
        }
        (deleted, held)
    }

    pub(crate) fn register(&mut self, parent: JobId, child: JobId, policy: EdgePolicy) -> ParentState {
        let known = self
            .children
            .get(&parent)
            .and_then(|children| children.get(&child))
            .copied();
        let result = self.results.get(&parent).cloned();
        let state = transition::register(self.slot(parent), policy, known, || result);
        if state == ParentState::Open {
            self.children.entry(parent).or_default().insert(child, policy);
        }
        state
    }

    pub(crate) fn settle_edge(
        &mut self,
        child: JobId,
        parent: JobId,
        outcome: &ParentOutcome,
        now: Timestamp,
    ) -> EdgeSettled {
        transition::settle_edge(self.slot(child), parent, outcome, Duration::ZERO, now).0
    }

    /// Due parents with their children; these are told at once. The second says whether more are left.
    pub(crate) fn relations(&mut self, now: Timestamp) -> Vec<(JobId, ParentOutcome, Vec<JobId>, bool)> {
        let mut all = Vec::new();
        for (id, slot) in &mut self.slots {
            let result = self.results.get(id).cloned();
            let Some(outcome) = transition::relation_due(slot, now, || result) else {
                continue;
            };
            let Some(children) = self.children.get_mut(id) else {
                continue;
            };
            let told: BTreeMap<_, _> = std::mem::take(children)
                .into_iter()
                .filter(|(child, policy)| {
                    let waits = outcome == ParentOutcome::Failed
                        && policy.on_failed == longshore_core::spec::OnFailed::Wait;
                    if waits {
                        children.insert(*child, *policy);
                    }
                    !waits
                })
                .collect();
            let policies: Vec<_> = told.values().copied().collect();
            let more = transition::relation_told(slot, &policies, now);
            all.push((*id, outcome, told.into_keys().collect(), more));
        }
        all
    }
}

/// The error of every failed attempt.
pub(crate) fn error() -> ErrorInfo {
    ErrorInfo::new("io::Error", "the disk is on fire")
}
