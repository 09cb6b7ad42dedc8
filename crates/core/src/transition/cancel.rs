//! Cancel.

use super::settle::settle;
use super::table::Trigger;
use crate::clock::Timestamp;
use crate::port::enqueue::CancelReply;
use crate::record::Slot;
use crate::status::JobStatus;

/// Cancels a job that has not started; asks the owner of a running one to stop. On
/// [`CancelReply::Requested`] the workers are to be told.
pub fn cancel(slot: &mut Slot, reason: &str, now: Timestamp) -> CancelReply {
    match slot {
        Slot::Missing => CancelReply::Unknown,
        Slot::Tombstone(tombstone) => CancelReply::AlreadyFinished(tombstone.status),
        Slot::Record(record) if record.status.is_terminal() => CancelReply::AlreadyFinished(record.status),
        Slot::Record(record) => {
            // The first reason stays: it is the one that the job ends for.
            record.cancel.get_or_insert_with(|| reason.to_owned());
            if record.status == JobStatus::Running {
                return CancelReply::Requested;
            }
            settle(record, Trigger::Cancel, JobStatus::Cancelled, now);
            CancelReply::Cancelled
        }
    }
}
