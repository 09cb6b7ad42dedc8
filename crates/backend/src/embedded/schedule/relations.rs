//! Parents tell their children.

use longshore_core::id::JobId;
use longshore_core::limits::{CHILDREN_PAGE, EDGES_LOOK_MAX};
use longshore_core::port::enqueue::ParentOutcome;
use longshore_core::port::schedule::{OpenEdges, Relation};
use longshore_core::spec::OnFailed;
use longshore_core::transition;

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

/// What those of the Blocked children wait for that fit one look, leased.
pub(super) fn lease_edges(state: &mut State, tx: &mut Tx<'_>, due: &[JobId]) -> Vec<OpenEdges> {
    let (now, mut edges, mut open) = (tx.now, 0, Vec::new());
    for child in due {
        let count = state.record(*child).map_or(0, |record| record.open_parents.len());
        if edges > 0 && edges + count > EDGES_LOOK_MAX {
            break;
        }
        if state.change(tx, *child, |slot, _| transition::lease_edges(slot, now)) {
            edges += count;
            open.extend(open_edges(state, *child));
        }
    }
    open
}

fn open_edges(state: &State, child: JobId) -> Option<OpenEdges> {
    let record = state.record(child)?;
    let edges = record.open_parents.iter();
    Some(OpenEdges {
        child,
        edges: edges.map(|(id, policy)| (*id, *policy)).collect(),
        unknown_since: record.parent_unknown_since,
    })
}
