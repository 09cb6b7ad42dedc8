//! The one way in which jobs end.

use super::table::Trigger;
use super::{Effects, enter};
use crate::clock::Timestamp;
use crate::id::WorkerId;
use crate::limits::LOSTS_MAX;
use crate::notice::Noted;
use crate::outcome::ErrorInfo;
use crate::record::{Record, Rel};
use crate::status::JobStatus;

/// Ends a job: its place, its end, its children's row and its dead row all follow from here.
pub(super) fn settle(record: &mut Record, trigger: Trigger, to: JobStatus, now: Timestamp) {
    debug_assert!(to.is_terminal());
    enter(record, trigger, to, now);
    record.finished_at = Some(now);
    record.dead_copied = false;
    record.rel = has_children_to_tell(record, false).then_some(Rel { at: now, gone: false });
}

/// Whether somebody must be told of the job's end. Children that wait for a requeue are told only that it is gone.
pub(super) fn has_children_to_tell(record: &Record, gone: bool) -> bool {
    if record.status == JobStatus::Failed && !gone {
        record.children > record.children_waiting
    } else {
        record.children > 0
    }
}

/// Ends a job as Failed for a reason that no worker reported.
pub(super) fn fail(
    record: &mut Record,
    trigger: Trigger,
    error: ErrorInfo,
    now: Timestamp,
    effects: &mut Effects,
) {
    die(record, trigger, error.bounded(), now, effects);
}

/// Ends a job as Failed: it becomes a dead letter, and people are told.
pub(super) fn die(
    record: &mut Record,
    trigger: Trigger,
    error: ErrorInfo,
    now: Timestamp,
    effects: &mut Effects,
) {
    settle(record, trigger, JobStatus::Failed, now);
    effects.error = Some(error);
    effects.noted.push(Noted::DeadLetter);
}

/// Counts a lost worker and remembers the attempt. What follows is the caller's, unless the job ended by it.
pub(super) fn lose(
    record: &mut Record,
    trigger: Trigger,
    now: Timestamp,
    effects: &mut Effects,
) -> Option<JobStatus> {
    record.losts = record.losts.saturating_add(1);
    let worker = record
        .worker
        .as_ref()
        .map_or("unknown", |worker| worker.0.as_str());
    effects.noted.push(Noted::WorkerLost(WorkerId(worker.to_owned())));
    let message = format!("worker {worker} was lost: its lease ended without a beat");
    record.remember("lost", message.clone(), now);
    if record.cancel.is_some() {
        settle(record, trigger, JobStatus::Cancelled, now);
        return Some(JobStatus::Cancelled);
    }
    if record.losts >= LOSTS_MAX {
        let message = format!("{message}; that was loss {} of {LOSTS_MAX}", record.losts);
        fail(
            record,
            trigger,
            ErrorInfo::new("worker_lost", message),
            now,
            effects,
        );
        return Some(JobStatus::Failed);
    }
    None
}
