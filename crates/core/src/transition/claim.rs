//! A delivered job is claimed: the delivery table of the protocol, in its order.

use super::attempt::give_back;
use super::settle::{lose, settle};
use super::table::Trigger;
use super::{Effects, Gate, create, enter};
use crate::clock::Timestamp;
use crate::id::{Nonce, WorkerId};
use crate::limits::LEASE;
use crate::message::{Epoch, Gen};
use crate::port::attempt::{Claim, Claimed, GiveBackReason, Grant, Over, Rebuild, Then};
use crate::record::{Record, Slot};
use crate::status::JobStatus;

/// Claims a job for a delivery. `epoch` is the shard's, for the answer to a missing record.
pub fn claim(
    slot: &mut Slot,
    ask: &Claim,
    gate: &mut Gate<'_>,
    epoch: Epoch,
    now: Timestamp,
    effects: &mut Effects,
) -> Claimed {
    match slot {
        Slot::Missing => Claimed::Missing { epoch },
        Slot::Tombstone(tombstone) => Claimed::Over(Over::Ended(tombstone.status)),
        Slot::Record(record) if record.status.is_terminal() => Claimed::Over(Over::Ended(record.status)),
        Slot::Record(record) if record.status == JobStatus::Running => {
            claim_running(record, ask, gate, now, effects)
        }
        Slot::Record(record) => claim_waiting(record, ask, gate, now),
    }
}

fn claim_running(
    record: &mut Record,
    ask: &Claim,
    gate: &mut Gate<'_>,
    now: Timestamp,
    effects: &mut Effects,
) -> Claimed {
    if record.owner == Some(ask.nonce) {
        // Whoever asks again counts the lease from this answer.
        record.lease_until = Some(now.after(LEASE));
        return Claimed::Run(grant(record, now));
    }
    let left = record.lease_until.map_or(LEASE, |until| until.since(now));
    // A clock that went back must not stretch a lease.
    let left = left.min(LEASE);
    if !left.is_zero() {
        return Claimed::Busy { retry_in: left };
    }
    if let Some(retry_in) = gate.sweep.look(now) {
        return Claimed::Busy { retry_in };
    }
    // A cancel ends the job whether its queue is paused or not; nothing else may start while it is.
    if gate.paused && record.cancel.is_none() {
        return Claimed::Paused;
    }
    if let Some(ended) = lose(record, Trigger::Claim, now, effects) {
        return Claimed::Over(Over::Ended(ended));
    }
    record.gen_ = record.gen_.max(ask.gen_);
    Claimed::Run(run(record, Trigger::Claim, ask.nonce, &ask.worker, now))
}

fn claim_waiting(record: &mut Record, ask: &Claim, gate: &Gate<'_>, now: Timestamp) -> Claimed {
    if !awaits(record, ask.gen_) {
        return Claimed::Over(Over::Stale);
    }
    if ask.gen_ > record.gen_ {
        adopt(record, Trigger::Claim, ask.gen_, now);
    }
    let ended = if record.cancel.is_some() {
        JobStatus::Cancelled
    } else if record.is_past_its_time(now) {
        JobStatus::Expired
    } else if gate.paused {
        return Claimed::Paused;
    } else {
        return Claimed::Run(run(record, Trigger::Claim, ask.nonce, &ask.worker, now));
    };
    settle(record, Trigger::Claim, ended, now);
    Claimed::Over(Over::Ended(ended))
}

/// Whether a record that does not run waits for the dispatch of this gen, or for one that it does not know of yet.
pub(super) fn awaits(record: &Record, gen_: Gen) -> bool {
    match record.status {
        JobStatus::Queued => gen_ >= record.gen_,
        JobStatus::Blocked | JobStatus::Scheduled | JobStatus::Retrying => gen_ > record.gen_,
        _ => false,
    }
}

/// The store went back in time: the message knows of a dispatch that the record does not.
pub(super) fn adopt(record: &mut Record, trigger: Trigger, gen_: Gen, now: Timestamp) {
    enter(record, trigger, JobStatus::Queued, now);
    record.gen_ = gen_;
    // The message that tells so is in the broker.
    record.published_at = Some(now);
}

fn run(record: &mut Record, trigger: Trigger, nonce: Nonce, worker: &WorkerId, now: Timestamp) -> Grant {
    enter(record, trigger, JobStatus::Running, now);
    record.attempts = record.attempts.saturating_add(1);
    record.owner = Some(nonce);
    record.worker = Some(worker.clone());
    record.fence = record
        .fence
        .saturating_add(1)
        .max(now.millis().saturating_mul(1_000));
    record.lease_until = Some(now.after(LEASE));
    record.started_at = Some(now);
    record.give_backs = 0;
    grant(record, now)
}

fn grant(record: &Record, now: Timestamp) -> Grant {
    Grant {
        attempt: record.attempts,
        retries: record.retries,
        losts: record.losts,
        fence: record.fence,
        gen_: record.gen_,
        cancel_requested: record.cancel.is_some(),
        started_at: record.started_at.unwrap_or(now),
    }
}

/// Makes a lost record anew, and claims it or gives it back. A known job answers as to a claim, or a give-back.
pub fn rebuild(
    slot: &mut Slot,
    ask: &Rebuild,
    gate: &mut Gate<'_>,
    epoch: Epoch,
    now: Timestamp,
    effects: &mut Effects,
) -> Claimed {
    if *slot == Slot::Missing {
        let mut record = Record::unplaced(&ask.job, JobStatus::Queued, now);
        record.run_at = None;
        record.gen_ = ask.gen_;
        record.attempts = ask.attempts;
        record.retries = ask.retries;
        record.losts = ask.losts;
        record.published_at = Some(now);
        if ask.attempts > 0 {
            // It had started once: its expiry counts no more.
            record.started_at = Some(now);
        }
        if ask.gen_ > 1 {
            // A later dispatch has started once, or was requeued by somebody who wants it to run.
            record.expires_at = None;
        }
        create(slot, record, Trigger::Rebuild);
        if let Some(record) = slot.record_mut().filter(|_| ask.then == Then::GoOn) {
            record.attempts = record.attempts.saturating_sub(1);
            return Claimed::Run(run(record, Trigger::Rebuild, ask.nonce, &ask.worker, now));
        }
    }
    if ask.then == Then::GiveBack {
        give_back(slot, ask.gen_, &GiveBackReason::Unstarted, epoch, now);
        let ended = slot.status().filter(|status| status.is_terminal());
        return Claimed::Over(ended.map_or(Over::Stale, Over::Ended));
    }
    let claim_ask = Claim {
        id: ask.job.id,
        gen_: ask.gen_,
        nonce: ask.nonce,
        worker: ask.worker.clone(),
    };
    claim(slot, &claim_ask, gate, epoch, now, effects)
}
