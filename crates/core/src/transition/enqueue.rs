//! Records begin.

use std::time::Duration;

use super::settle::fail;
use super::table::Trigger;
use super::{Effects, create, delete};
use crate::clock::Timestamp;
use crate::limits::{EDGES_GRACE, OUTBOX_GRACE};
use crate::outcome::ErrorInfo;
use crate::port::enqueue::{Enqueued, NewJob};
use crate::record::{Record, Slot};
use crate::status::JobStatus;

/// Records a new job, or tells how the known one stands. The producer publishes first; the sweep comes after it.
pub fn enqueue(slot: &mut Slot, job: &NewJob, now: Timestamp) -> Enqueued {
    enqueue_within(slot, job, OUTBOX_GRACE, now)
}

/// As [`enqueue`], for a job whose outbox row is due after `publish_within`: at once when the scheduler publishes it.
pub fn enqueue_within(slot: &mut Slot, job: &NewJob, publish_within: Duration, now: Timestamp) -> Enqueued {
    let (status, gen_, fingerprint, unpublished) = match slot {
        Slot::Missing => return begin(slot, job, publish_within, now),
        Slot::Tombstone(known) => (known.status, known.gen_, known.fingerprint, false),
        Slot::Record(known) => (
            known.status,
            known.gen_,
            known.fingerprint,
            known.is_unpublished(),
        ),
    };
    if fingerprint == job.fingerprint {
        Enqueued::Existing {
            status,
            gen_,
            unpublished,
        }
    } else {
        Enqueued::Conflict
    }
}

fn begin(slot: &mut Slot, job: &NewJob, publish_within: Duration, now: Timestamp) -> Enqueued {
    let status = if !job.parents.is_empty() {
        JobStatus::Blocked
    } else if job.run_at.is_some_and(|at| at > now) {
        JobStatus::Scheduled
    } else {
        JobStatus::Queued
    };
    let mut record = Record::unplaced(job, status, now);
    match status {
        JobStatus::Blocked => {
            record.open_parents = job
                .parents
                .iter()
                .map(|parent| (parent.id, parent.policy))
                .collect();
            record.edges_at = Some(now.after(EDGES_GRACE));
        }
        JobStatus::Queued => {
            record.gen_ = 1;
            record.outbox = Some(now.after(publish_within));
        }
        _ => {}
    }
    let gen_ = record.gen_;
    create(slot, record, Trigger::Enqueue);
    Enqueued::Created { status, gen_ }
}

/// Takes back a job that its enqueue has just made: still Blocked, and its edges never verified, or another enqueue of
/// it may have been acknowledged. Nothing stays. Answers whether it did.
pub fn abort(slot: &mut Slot) -> bool {
    let fresh = slot
        .record()
        .is_some_and(|record| record.status == JobStatus::Blocked && record.edges_verified == 0);
    if fresh {
        delete(slot, Trigger::Abort, Slot::Missing);
    }
    fresh
}

/// Fails a Blocked job whose parent does not exist. Answers whether it did.
pub fn fail_blocked(slot: &mut Slot, error: ErrorInfo, now: Timestamp, effects: &mut Effects) -> bool {
    match slot.record_mut() {
        Some(record) if record.status == JobStatus::Blocked => {
            fail(record, Trigger::FailBlocked, error, now, effects);
            true
        }
        _ => false,
    }
}
