//! What the owner of a claim may do, and what a worker does with a job that it will not start.

use std::time::Duration;

use super::claim::{adopt, awaits};
use super::settle::{die, settle};
use super::table::Trigger;
use super::{Effects, queue, wait};
use crate::clock::Timestamp;
use crate::id::Nonce;
use crate::limits::LEASE;
use crate::message::{Epoch, Gen};
use crate::outcome::Outcome;
use crate::port::attempt::{Beaten, Finished, GiveBackReason, GivenBack};
use crate::record::{Record, Slot};
use crate::status::JobStatus;

/// Extends the lease of its owner.
pub fn beat(slot: &mut Slot, nonce: Nonce, now: Timestamp) -> Beaten {
    match slot {
        Slot::Missing => Beaten::Missing,
        Slot::Record(record) if record.owner == Some(nonce) => {
            record.lease_until = Some(now.after(LEASE));
            Beaten::Alive {
                cancel_requested: record.cancel.is_some(),
            }
        }
        Slot::Tombstone(_) | Slot::Record(_) => Beaten::Lost,
    }
}

/// Ends an attempt of its owner.
pub fn finish(
    slot: &mut Slot,
    nonce: Nonce,
    outcome: Outcome,
    now: Timestamp,
    effects: &mut Effects,
) -> Finished {
    match slot {
        Slot::Missing => Finished::Missing,
        Slot::Tombstone(tombstone) if tombstone.nonce == Some(nonce) => Finished::Accepted(tombstone.status),
        Slot::Tombstone(_) => Finished::Lost,
        Slot::Record(record) if record.owner == Some(nonce) => {
            let status = accept(record, outcome, now, effects);
            record.finished_by = Some((nonce, status));
            Finished::Accepted(status)
        }
        Slot::Record(record) => match record.finished_by {
            Some((by, status)) if by == nonce => Finished::Accepted(status),
            _ => Finished::Lost,
        },
    }
}

fn accept(record: &mut Record, outcome: Outcome, now: Timestamp, effects: &mut Effects) -> JobStatus {
    let cancelled = record.cancel.is_some();
    match outcome {
        Outcome::Completed { result } => {
            effects.result = Some(result);
            end(record, JobStatus::Completed, now)
        }
        Outcome::Failed { error } if !cancelled => {
            record.remember("failed", error.line(), now);
            die(record, Trigger::Finish, error, now, effects);
            JobStatus::Failed
        }
        Outcome::Retry { delay, error } if !cancelled => {
            record.remember("retry", error.line(), now);
            effects.error = Some(error);
            record.retries = record.retries.saturating_add(1);
            wait(
                record,
                Trigger::Finish,
                JobStatus::Retrying,
                now.after(delay),
                now,
            );
            JobStatus::Retrying
        }
        Outcome::Snooze { delay } if !cancelled => {
            undo_start(record);
            wait(
                record,
                Trigger::Finish,
                JobStatus::Scheduled,
                now.after(delay),
                now,
            );
            JobStatus::Scheduled
        }
        Outcome::Released if !cancelled => {
            undo_start(record);
            queue(record, Trigger::Finish, now, now);
            JobStatus::Queued
        }
        Outcome::Expired if !cancelled => {
            record.remember("expired", String::new(), now);
            end(record, JobStatus::Expired, now)
        }
        other => {
            let error = match &other {
                Outcome::Failed { error } | Outcome::Retry { error, .. } => error.line(),
                _ => String::new(),
            };
            record.remember("cancelled", error, now);
            end(record, JobStatus::Cancelled, now)
        }
    }
}

fn end(record: &mut Record, to: JobStatus, now: Timestamp) -> JobStatus {
    settle(record, Trigger::Finish, to, now);
    to
}

/// The attempt does not count.
fn undo_start(record: &mut Record) {
    record.attempts = record.attempts.saturating_sub(1);
}

/// Gives an unstarted job back: Queued of this gen only; a newer gen is adopted first. `epoch` is the shard's, for the
/// answer to a missing record.
pub fn give_back(
    slot: &mut Slot,
    gen_: Gen,
    reason: &GiveBackReason,
    epoch: Epoch,
    now: Timestamp,
) -> GivenBack {
    let record = match slot {
        Slot::Missing => return GivenBack::Missing { epoch },
        Slot::Record(record) if awaits(record, gen_) => record,
        Slot::Tombstone(_) | Slot::Record(_) => return GivenBack::Stale,
    };
    if gen_ > record.gen_ {
        adopt(record, Trigger::GiveBack, gen_, now);
    }
    let (publish_at, parked) = match reason {
        GiveBackReason::Unstarted => (now, None),
        GiveBackReason::NotRunnable => (now.after(back_off(record.give_backs, GIVE_BACK_MAX)), None),
        GiveBackReason::Elsewhere => (now.after(back_off(record.give_backs, ELSEWHERE_MAX)), None),
        GiveBackReason::Park(function) => (now, Some(function.clone())),
    };
    if *reason != GiveBackReason::Unstarted {
        record.give_backs = record.give_backs.saturating_add(1);
    }
    queue(record, Trigger::GiveBack, publish_at, now);
    if parked.is_some() {
        record.parked = parked;
        record.outbox = None;
    }
    GivenBack::Back
}

/// The longest delay of a job that a worker cannot run: workers of another build come and go with deployments.
const GIVE_BACK_MAX: Duration = Duration::from_secs(60);
/// The same while another live worker has the function: the next delivery may be that one's.
const ELSEWHERE_MAX: Duration = Duration::from_secs(1);

/// 0.2 s × 2ⁿ up to `max`.
fn back_off(give_backs: u32, max: Duration) -> Duration {
    let factor = 1_u32
        .checked_shl(give_backs)
        .filter(|_| give_backs < 16)
        .unwrap_or(u32::MAX);
    Duration::from_millis(200).saturating_mul(factor).min(max)
}
