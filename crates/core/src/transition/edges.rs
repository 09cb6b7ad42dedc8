//! Parents and children.

use std::time::Duration;

use bytes::Bytes;

use super::settle::{has_children_to_tell, settle};
use super::table::Trigger;
use super::{queue, wait};
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::limits::{
    CHILDREN_MAX, EDGES_VERIFY, EDGES_VERIFY_MAX, OUTBOX_LEASE, PARENT_RESULT_BYTES_MAX,
    PARENT_RESULTS_BYTES_MAX,
};
use crate::port::enqueue::{EdgeSettled, ParentOutcome, ParentState};
use crate::record::{Record, Slot};
use crate::spec::{EdgePolicy, OnCancelled, OnFailed};
use crate::status::JobStatus;

/// Registers a child with its parent. `known` is the policy under which the parent has the child already; the store
/// puts the child into the parent's set when the answer is [`ParentState::Open`]. `result` reads the parent's result.
pub fn register(
    parent: &mut Slot,
    policy: EdgePolicy,
    known: Option<EdgePolicy>,
    result: impl FnOnce() -> Option<Bytes>,
) -> ParentState {
    let record = match parent {
        Slot::Missing => return ParentState::Unknown,
        Slot::Tombstone(tombstone) => {
            return ParentState::Settled(match tombstone.status {
                JobStatus::Completed => ParentOutcome::Completed { result: None },
                JobStatus::Cancelled | JobStatus::Expired => ParentOutcome::Cancelled,
                // Nobody can requeue it any more.
                _ => ParentOutcome::Gone,
            });
        }
        Slot::Record(record) => record,
    };
    let may_be_requeued = record.status == JobStatus::Failed && policy.on_failed == OnFailed::Wait;
    if record.status.is_terminal() && !may_be_requeued {
        return ParentState::Settled(outcome(record.status, result));
    }
    if known.is_none() && record.children as usize >= CHILDREN_MAX {
        return ParentState::Full;
    }
    if let Some(old) = known {
        record.children = record.children.saturating_sub(1);
        record.children_waiting = record.children_waiting.saturating_sub(u32::from(waits(old)));
    }
    record.children = record.children.saturating_add(1);
    record.children_waiting = record.children_waiting.saturating_add(u32::from(waits(policy)));
    ParentState::Open
}

const fn waits(policy: EdgePolicy) -> bool {
    matches!(policy.on_failed, OnFailed::Wait)
}

fn outcome(status: JobStatus, result: impl FnOnce() -> Option<Bytes>) -> ParentOutcome {
    match status {
        JobStatus::Completed => ParentOutcome::Completed {
            result: result().filter(|result| result.len() <= PARENT_RESULT_BYTES_MAX),
        },
        JobStatus::Failed => ParentOutcome::Failed,
        _ => ParentOutcome::Cancelled,
    }
}

/// Tells a child how a parent ended. The second answer is what the store keeps of the outcome for the handler, when
/// the edge was closed: results only up to [`PARENT_RESULTS_BYTES_MAX`]. A released child's outbox row is due after `publish_within`.
pub fn settle_edge(
    child: &mut Slot,
    parent: JobId,
    outcome: &ParentOutcome,
    publish_within: Duration,
    now: Timestamp,
) -> (EdgeSettled, Option<ParentOutcome>) {
    let Some(record) = child
        .record_mut()
        .filter(|record| record.status == JobStatus::Blocked)
    else {
        return (EdgeSettled::Nothing, None);
    };
    let Some(policy) = record.open_parents.get(&parent).copied() else {
        return (EdgeSettled::Nothing, None);
    };
    let verdict = verdict(policy, outcome);
    if matches!(verdict, Verdict::Wait) {
        return (EdgeSettled::Waiting, None);
    }
    let kept = keep(record, outcome);
    match verdict {
        Verdict::Wait => {}
        Verdict::Cancel => {
            record.cancel = Some(format!("parent {parent} {}", how(outcome)));
            settle(record, Trigger::SettleEdge, JobStatus::Cancelled, now);
            return (EdgeSettled::Cancelled, Some(kept));
        }
        Verdict::Close => {
            record.open_parents.remove(&parent);
        }
    }
    if !record.open_parents.is_empty() {
        return (EdgeSettled::Waiting, Some(kept));
    }
    (release(record, publish_within, now), Some(kept))
}

/// What is kept of a parent's outcome: past the bound no result.
fn keep(record: &mut Record, outcome: &ParentOutcome) -> ParentOutcome {
    let ParentOutcome::Completed { result: Some(result) } = outcome else {
        return outcome.clone();
    };
    let bytes = record.parent_bytes.saturating_add(result.len() as u64);
    if bytes > PARENT_RESULTS_BYTES_MAX as u64 {
        return ParentOutcome::Completed { result: None };
    }
    record.parent_bytes = bytes;
    outcome.clone()
}

enum Verdict {
    Close,
    Cancel,
    Wait,
}

const fn verdict(policy: EdgePolicy, outcome: &ParentOutcome) -> Verdict {
    match (outcome, policy.on_failed, policy.on_cancelled) {
        (ParentOutcome::Completed { .. }, _, _)
        | (ParentOutcome::Failed, OnFailed::Run, _)
        | (ParentOutcome::Cancelled | ParentOutcome::Gone, _, OnCancelled::Run) => Verdict::Close,
        (ParentOutcome::Failed, OnFailed::Wait, _) => Verdict::Wait,
        (ParentOutcome::Failed, OnFailed::Cancel, _)
        | (ParentOutcome::Cancelled | ParentOutcome::Gone, _, OnCancelled::Cancel) => Verdict::Cancel,
    }
}

const fn how(outcome: &ParentOutcome) -> &'static str {
    match outcome {
        ParentOutcome::Completed { .. } => "completed",
        ParentOutcome::Failed => "failed",
        ParentOutcome::Cancelled => "was cancelled or expired",
        ParentOutcome::Gone => "is gone",
    }
}

fn release(record: &mut Record, publish_within: Duration, now: Timestamp) -> EdgeSettled {
    if let Some(run_at) = record.run_at.filter(|at| *at > now) {
        wait(record, Trigger::SettleEdge, JobStatus::Scheduled, run_at, now);
        return EdgeSettled::Scheduled;
    }
    queue(record, Trigger::SettleEdge, now.after(publish_within), now);
    EdgeSettled::Released { gen_: record.gen_ }
}

/// Every parent of a Blocked child is registered: its edges are verified again later, and later each time. Answers
/// whether the job is known at all, tombstones included.
pub fn edges_verified(child: &mut Slot, now: Timestamp) -> bool {
    if let Some(record) = blocked(child) {
        let factor = 1_u32 << record.edges_verified.min(16);
        let pause = EDGES_VERIFY.saturating_mul(factor).min(EDGES_VERIFY_MAX);
        record.edges_verified = record.edges_verified.saturating_add(1);
        record.edges_at = Some(now.after(pause));
        record.parent_unknown_since = None;
    }
    child.status().is_some()
}

/// The edges of a Blocked child are due to be verified: leases them to the caller for [`OUTBOX_LEASE`]. Answers
/// whether they were due.
pub fn lease_edges(child: &mut Slot, now: Timestamp) -> bool {
    match blocked(child) {
        Some(record) if record.edges_at.is_some_and(|at| at <= now) => {
            record.edges_at = Some(now.after(OUTBOX_LEASE));
            true
        }
        _ => false,
    }
}

/// A look at the edges of a Blocked child found a parent unknown. Answers whether it is the first that did.
pub fn parent_unknown(child: &mut Slot, now: Timestamp) -> bool {
    match blocked(child) {
        Some(record) if record.parent_unknown_since.is_none() => {
            record.parent_unknown_since = Some(now);
            true
        }
        _ => false,
    }
}

fn blocked(child: &mut Slot) -> Option<&mut Record> {
    child
        .record_mut()
        .filter(|record| record.status == JobStatus::Blocked)
}

/// A parent's row of children to tell is due: leases it and answers how the parent ended. `None` when it is not due.
pub fn relation_due(
    parent: &mut Slot,
    now: Timestamp,
    result: impl FnOnce() -> Option<Bytes>,
) -> Option<ParentOutcome> {
    let record = parent.record_mut()?;
    let rel = record.rel.as_mut().filter(|rel| rel.at <= now)?;
    rel.at = now.after(OUTBOX_LEASE);
    Some(if rel.gone {
        ParentOutcome::Gone
    } else {
        outcome(record.status, result)
    })
}

/// These children (by their policies) were told and left the parent's set. Answers whether more are to be told; the
/// row is gone when none are.
pub fn relation_told(parent: &mut Slot, told: &[EdgePolicy], now: Timestamp) -> bool {
    let Some(record) = parent.record_mut() else {
        return false;
    };
    for policy in told {
        record.children = record.children.saturating_sub(1);
        record.children_waiting = record.children_waiting.saturating_sub(u32::from(waits(*policy)));
    }
    let Some(rel) = record.rel else { return false };
    let more = has_children_to_tell(record, rel.gone);
    record.rel = more.then_some(crate::record::Rel { at: now, ..rel });
    more
}
