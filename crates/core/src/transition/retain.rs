//! Ended jobs are forgotten.

use std::time::Duration;

use super::delete;
use super::table::Trigger;
use crate::clock::Timestamp;
use crate::limits::RETENTION_DEFAULT;
use crate::record::{Record, Rel, Slot};

/// What retention did to one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retained {
    /// Deleted; a tombstone stays.
    Deleted,
    /// Its children are told "gone" first.
    HeldByChildren,
    /// Not ended, or not long enough ago.
    Kept,
}

/// Deletes a job that ended longer ago than `retention`.
pub fn prune(slot: &mut Slot, retention: Duration, now: Timestamp) -> Retained {
    let Some(record) = slot.record_mut().filter(|record| {
        record.status.is_terminal() && record.finished_at.is_some_and(|at| at.after(retention) <= now)
    }) else {
        return Retained::Kept;
    };
    if record.children > 0 || record.rel.is_some() {
        tell_gone(record, now);
        return Retained::HeldByChildren;
    }
    let tombstone = record.tombstone(now.after(retention.max(RETENTION_DEFAULT)));
    delete(slot, Trigger::Prune, Slot::Tombstone(tombstone));
    Retained::Deleted
}

/// Children that are still there are told that the parent is gone. A row that tells them how it ended goes first.
pub(super) fn tell_gone(record: &mut Record, now: Timestamp) {
    if record.rel.is_none() {
        record.rel = Some(Rel { at: now, gone: true });
    }
}
