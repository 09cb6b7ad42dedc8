//! Parents tell their children.

use longshore_core::id::JobId;
use longshore_core::limits::CHILDREN_PAGE;
use longshore_core::port::enqueue::ParentOutcome;
use longshore_core::port::schedule::{OpenEdges, Relation};
use longshore_core::spec::OnFailed;
use longshore_core::{JobStatus, transition};

use super::super::disk::Part;
use super::super::state::{State, Tx};

/// A page of the children of a parent whose row is due.
pub(super) fn take(state: &mut State, tx: &mut Tx<'_>, parent: JobId) -> Option<Relation> {
    let (now, disk) = (tx.now, tx.disk);
    let outcome = state.change(tx, parent, |slot, _| {
        transition::relation_due(slot, now, || disk.part(parent, Part::Result).ok().flatten())
    })?;
    let all = state.children.get(&parent).into_iter().flatten();
    // Those who wait for a requeue are not told of a failure.
    let told =
        all.filter(|(_, policy)| outcome != ParentOutcome::Failed || policy.on_failed != OnFailed::Wait);
    let children: Vec<_> = told.take(CHILDREN_PAGE).map(|(child, _)| *child).collect();
    if children.is_empty() {
        state.change(tx, parent, |slot, _| transition::relation_told(slot, &[], now));
    }
    Some(Relation {
        parent,
        outcome,
        children,
    })
}

/// These children leave their parent's set; answers whether others wait.
pub(super) fn told(state: &mut State, tx: &mut Tx<'_>, parent: JobId, children: &[JobId]) -> bool {
    let now = tx.now;
    let mut policies = Vec::with_capacity(children.len());
    if let Some(set) = state.children.get_mut(&parent) {
        for child in children {
            policies.extend(set.remove(child));
            tx.batch.unlink(parent, *child);
        }
        if set.is_empty() {
            state.children.remove(&parent);
        }
    }
    state.change(tx, parent, |slot, _| {
        transition::relation_told(slot, &policies, now)
    })
}

/// What a Blocked child waits for.
pub(super) fn open_edges(state: &State, child: JobId) -> Option<OpenEdges> {
    let record = state
        .record(child)
        .filter(|record| record.status == JobStatus::Blocked)?;
    let edges = record
        .open_parents
        .iter()
        .map(|(id, policy)| (*id, *policy))
        .collect();
    Some(OpenEdges {
        child,
        edges,
        since: record.entered_at,
    })
}
