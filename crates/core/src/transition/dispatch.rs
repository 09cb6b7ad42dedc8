//! From due to the broker: outbox, promotion, audit, parked jobs.

use std::time::Duration;

use super::queue;
use super::settle::settle;
use super::table::Trigger;
use crate::clock::Timestamp;
use crate::limits::OUTBOX_LEASE;
use crate::message::Gen;
use crate::record::{Record, Slot};
use crate::status::JobStatus;

/// What became of a job that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promoted {
    /// Queued, and leased to the caller, who publishes it.
    Leased,
    /// Ended instead: a cancel was requested, or its time has passed.
    Ended(JobStatus),
    /// Not due (any more).
    Nothing,
}

/// A Queued record that waits for the broker or is in it, of this gen.
fn queued(slot: &mut Slot, gen_: Gen) -> Option<&mut Record> {
    slot.record_mut()
        .filter(|record| record.status == JobStatus::Queued && record.gen_ == gen_ && record.parked.is_none())
}

/// The broker confirmed the dispatch: out of the outbox. Answers whether anything changed.
pub fn mark_published(slot: &mut Slot, gen_: Gen, now: Timestamp) -> bool {
    let Some(record) = queued(slot, gen_).filter(|record| record.outbox.is_some()) else {
        return false;
    };
    record.outbox = None;
    record.published_at = Some(now);
    true
}

/// Leases a due outbox row to the caller, who publishes it. Answers whether it was due.
pub fn lease_outbox(slot: &mut Slot, now: Timestamp) -> bool {
    match slot.record_mut() {
        Some(record) if record.status == JobStatus::Queued && record.outbox.is_some_and(|at| at <= now) => {
            record.outbox = Some(now.after(OUTBOX_LEASE));
            true
        }
        _ => false,
    }
}

/// Moves the next try of an outbox row, whose publish is under way or was refused, to now + `by`. Answers whether it
/// did.
pub fn extend_outbox(slot: &mut Slot, gen_: Gen, by: Duration, now: Timestamp) -> bool {
    let Some(record) = queued(slot, gen_).filter(|record| record.outbox.is_some()) else {
        return false;
    };
    record.outbox = Some(now.after(by));
    true
}

/// A due Scheduled or Retrying job becomes Queued.
pub fn promote(slot: &mut Slot, now: Timestamp) -> Promoted {
    let due = |record: &&mut Record| {
        matches!(record.status, JobStatus::Scheduled | JobStatus::Retrying)
            && record.run_at.is_none_or(|at| at <= now)
    };
    let Some(record) = slot.record_mut().filter(due) else {
        return Promoted::Nothing;
    };
    let ended = if record.cancel.is_some() {
        JobStatus::Cancelled
    } else if record.is_past_its_time(now) {
        JobStatus::Expired
    } else {
        queue(record, Trigger::Promote, now.after(OUTBOX_LEASE), now);
        return Promoted::Leased;
    };
    settle(record, Trigger::Promote, ended, now);
    Promoted::Ended(ended)
}

/// A published job that is certainly out of the broker goes back to the outbox, leased, with the same gen: a
/// duplicate is harmless, staling the original is not. Answers whether it did.
pub fn audit(slot: &mut Slot, published_before: Timestamp, paused: bool, now: Timestamp) -> bool {
    let lost = |record: &&mut Record| {
        record.status == JobStatus::Queued
            && record.parked.is_none()
            && record.outbox.is_none()
            && record.published_at.is_some_and(|at| at < published_before)
    };
    match slot.record_mut().filter(lost) {
        Some(record) if !paused => {
            record.outbox = Some(now.after(OUTBOX_LEASE));
            true
        }
        _ => false,
    }
}

/// A parked job whose function a live worker has goes to the outbox, due now. Answers whether it did.
pub fn unpark(slot: &mut Slot, now: Timestamp) -> bool {
    match slot.record_mut() {
        Some(record) if record.status == JobStatus::Queued && record.parked.is_some() => {
            record.parked = None;
            record.outbox = Some(now);
            true
        }
        _ => false,
    }
}
