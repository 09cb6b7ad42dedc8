//! Leases, expiries and deadlines that are over.

use super::Effects;
use super::queue;
use super::settle::{lose, settle};
use super::table::Trigger;
use crate::clock::Timestamp;
use crate::limits::{LEASE, OUTBOX_AHEAD_MAX, OUTBOX_LEASE};
use crate::record::Slot;
use crate::status::JobStatus;

/// What became of a job whose lease was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Queued again, and in the outbox, due now.
    Requeued,
    /// Ended: Failed, or Cancelled when that was requested.
    Ended(JobStatus),
    /// Its lease holds, or it does not run.
    Nothing,
}

/// Takes a Running job from an owner whose lease is over. Whether leases may be taken at all is
/// [`crate::record::Sweep::look`]'s to say.
pub fn expire_lease(slot: &mut Slot, now: Timestamp, effects: &mut Effects) -> Expired {
    let Some(record) = slot.record_mut().filter(|record| {
        record.status == JobStatus::Running && record.lease_until.is_none_or(|until| until <= now)
    }) else {
        return Expired::Nothing;
    };
    if let Some(ended) = lose(record, Trigger::ExpireLease, now, effects) {
        return Expired::Ended(ended);
    }
    queue(record, Trigger::ExpireLease, now, now);
    Expired::Requeued
}

/// Pulls times that cannot be true back to the latest that can: the end of a lease, the next try of an outbox row and of
/// the children's row. Otherwise a clock that went back would stall whoever waits by its whole jump. Answers whether
/// there were any.
pub fn pull_back(slot: &mut Slot, now: Timestamp) -> bool {
    let Some(record) = slot.record_mut() else {
        return false;
    };
    let pull = |at: &mut Timestamp, most| {
        let latest = now.after(most);
        let untrue = *at > latest;
        *at = latest.min(*at);
        untrue
    };
    let lease = record.lease_until.as_mut().is_some_and(|at| pull(at, LEASE));
    let outbox = record
        .outbox
        .as_mut()
        .is_some_and(|at| pull(at, OUTBOX_AHEAD_MAX));
    let rel = record
        .rel
        .as_mut()
        .is_some_and(|rel| pull(&mut rel.at, OUTBOX_LEASE));
    lease || outbox || rel
}

/// Ends a waiting job whose expiry or deadline has passed. Answers whether it did.
pub fn expire_waiting(slot: &mut Slot, now: Timestamp) -> bool {
    match slot.record_mut() {
        Some(record)
            if !record.status.is_terminal()
                && record.status != JobStatus::Running
                && record.is_past_its_time(now) =>
        {
            settle(record, Trigger::ExpireWaiting, JobStatus::Expired, now);
            true
        }
        _ => false,
    }
}
