//! How jobs move between statuses: pure functions from a record and a request to a record and effects.
//!
//! One function a row of the protocol's table of scripts. Time, nonces and flags are passed in; nothing here reads a
//! clock or a random number. A function changes the [`Slot`] or [`Record`] it is given and answers as the port does;
//! what else must be written is in [`Effects`]. Which index rows change follows from the record
//! ([`Record::indexes`]). Every change of status goes through [`table`].
//!
//! The embedded store runs these functions; the scripts for Redis say the same in Lua.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::outcome::ErrorInfo;
use crate::record::{Record, Slot, Sweep};
use crate::status::JobStatus;

mod attempt;
mod cancel;
mod claim;
mod dead;
mod dispatch;
mod edges;
mod enqueue;
mod expire;
mod retain;
mod settle;
pub mod table;
#[cfg(test)]
mod tests;

pub use attempt::{beat, finish, give_back};
pub use cancel::cancel;
pub use claim::{claim, rebuild};
pub use dead::{broker_gave_up, dead_copied, dead_twin, discard, quarantine, requeue, requeue_edited};
pub use dispatch::{Promoted, audit, extend_outbox, lease_outbox, mark_published, promote, unpark};
pub use edges::{
    edges_verified, lease_edges, parent_unknown, register, relation_due, relation_told, settle_edge,
};
pub use enqueue::{abort, enqueue, enqueue_within, fail_blocked};
pub use expire::{Expired, expire_lease, expire_waiting, pull_back};
pub use retain::{Retained, prune};
use table::Trigger;

/// What a transition leaves to be written besides the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The job's result.
    pub result: Option<Bytes>,
    /// The job's last error.
    pub error: Option<ErrorInfo>,
}

/// What a claim must know besides the record.
#[derive(Debug)]
pub struct Gate<'a> {
    /// The job's queue is paused.
    pub paused: bool,
    /// The shard's sweep: whether leases that look over may be taken.
    pub sweep: &'a mut Sweep,
}

/// Moves a record into `to`: out of whatever place it waited in. Whoever calls gives it its new place.
fn enter(record: &mut Record, trigger: Trigger, to: JobStatus, now: Timestamp) {
    debug_assert!(
        table::allows(Some(record.status), trigger, Some(to)),
        "no transition {:?} -> {to:?} by {trigger:?}",
        record.status
    );
    record.ready_since = ready_since(record, to, now);
    record.status = to;
    record.entered_at = now;
    record.owner = None;
    record.worker = None;
    record.lease_until = None;
    record.outbox = None;
    record.published_at = None;
    record.parked = None;
    record.run_at = None;
    record.edges_at = None;
    record.parent_unknown_since = None;
    record.open_parents.clear();
    record.parent_bytes = 0;
}

/// Since when a record that comes into `to` can run: since it was due, wherever it waited in vain after that. Whoever
/// lost its worker can run from now on.
fn ready_since(record: &Record, to: JobStatus, now: Timestamp) -> Option<Timestamp> {
    match (record.status, to) {
        (JobStatus::Queued, JobStatus::Queued | JobStatus::Running) => record.ready_since,
        (JobStatus::Scheduled | JobStatus::Retrying, JobStatus::Queued) => {
            Some(record.run_at.map_or(now, |at| at.min(now)))
        }
        (_, JobStatus::Queued | JobStatus::Running) => Some(now),
        _ => None,
    }
}

/// Moves a record into Queued as a new dispatch that the sweep publishes at `publish_at` unless somebody else does.
fn queue(record: &mut Record, trigger: Trigger, publish_at: Timestamp, now: Timestamp) {
    enter(record, trigger, JobStatus::Queued, now);
    record.gen_ = record.gen_.saturating_add(1);
    record.outbox = Some(publish_at);
}

/// Moves a record into Scheduled or Retrying until `run_at`.
fn wait(record: &mut Record, trigger: Trigger, to: JobStatus, run_at: Timestamp, now: Timestamp) {
    enter(record, trigger, to, now);
    record.run_at = Some(run_at);
}

/// Puts a record where there was none.
fn create(slot: &mut Slot, record: Record, trigger: Trigger) {
    debug_assert!(
        table::allows(None, trigger, Some(record.status)),
        "no record may begin as {:?} by {trigger:?}",
        record.status
    );
    *slot = Slot::Record(Box::new(record));
}

/// Takes a record away.
fn delete(slot: &mut Slot, trigger: Trigger, leave: Slot) {
    debug_assert!(
        table::allows(slot.status(), trigger, None),
        "no record may go as {:?} by {trigger:?}",
        slot.status()
    );
    *slot = leave;
}
