//! Registers Blocked jobs with their parents again: repairs what a crashed client, a lost registration, a rollback or
//! a wipe of either shard has left.

use std::collections::BTreeMap;

use longshore_core::limits::{CHILDREN_MAX, SCRIPT_JOBS_MAX, UNKNOWN_PARENT_AGE};
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::enqueue::{EdgeSettlement, ParentState, Registration};
use longshore_core::port::schedule::OpenEdges;
use longshore_core::telemetry::Repair;
use longshore_core::{JobId, Timestamp};

use super::Daemon;
use super::tell_children::settle_edges;
use crate::context::Context;
use crate::error::Error;
use crate::status::Done;

/// Children that one pass looks at, a shard.
const CHILDREN: usize = 200;

/// Looks at children whose edges are due. Each parent that is settled is told to the child; a parent that looks find
/// unknown for longer than [`UNKNOWN_PARENT_AGE`] fails it.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    cx.each_shard(shards, |shard| Box::pin(verify(cx, shard))).await
}

async fn verify(cx: &Context, shard: u16) -> Result<Done, Error> {
    let open = cx.ports.schedule.open_edges(shard, CHILDREN).await?;
    if open.is_empty() {
        return Ok(Done::default());
    }
    let states = register(cx, &open).await;
    let found = sort(&open, &states, cx.clock.now());
    cx.ports
        .telemetry
        .repaired(Repair::EdgeSettled, found.settled.len());
    for page in found.settled.chunks(SCRIPT_JOBS_MAX) {
        settle_edges(cx, shard, page.to_vec()).await?;
    }
    if !found.verified.is_empty() {
        cx.ports.enqueue.edges_verified(shard, found.verified).await?;
    }
    if !found.unknown.is_empty() {
        cx.ports.schedule.parents_unknown(shard, found.unknown).await?;
    }
    if !found.failed.is_empty() {
        cx.ports.enqueue.fail_blocked(shard, found.failed).await?;
        cx.wakes.wake(Daemon::TellChildren);
        cx.wakes.wake(Daemon::KeepDeadLetters);
    }
    Ok(Done {
        rows: open.len() as u64,
        // What was looked at is leased: the next look finds others, or none.
        more: !cx.is_stopping(),
        unconfirmed: 0,
    })
}

/// Registers every open edge with its parent, in the parent's shard. Answers how the parents stand, by edge; those of
/// a shard that does not answer are missing.
async fn register(cx: &Context, open: &[OpenEdges]) -> BTreeMap<(JobId, JobId), ParentState> {
    let shards = cx.ports.enqueue.shards();
    let mut by_shard: BTreeMap<u16, Vec<Registration>> = BTreeMap::new();
    for edges in open {
        for &(parent, policy) in &edges.edges {
            let edge = Registration {
                parent,
                child: edges.child,
                policy,
            };
            by_shard.entry(shards.of(&parent)).or_default().push(edge);
        }
    }
    let mut states = BTreeMap::new();
    for (shard, edges) in by_shard {
        for page in edges.chunks(SCRIPT_JOBS_MAX) {
            match cx.ports.enqueue.register(shard, page.to_vec()).await {
                Ok(answers) => states.extend(page.iter().map(|edge| (edge.child, edge.parent)).zip(answers)),
                Err(error) => {
                    tracing::warn!(shard, %error, "parents do not answer; their children are looked at again");
                    break;
                }
            }
        }
    }
    states
}

/// What is to be done about the children that were looked at.
#[derive(Debug, Default, PartialEq)]
struct Found {
    /// Edges whose parent has ended.
    settled: Vec<EdgeSettlement>,
    /// Every parent is known: look again much later.
    verified: Vec<JobId>,
    /// A parent is unknown, for the first time.
    unknown: Vec<JobId>,
    /// A parent stayed unknown.
    failed: Vec<(JobId, ErrorInfo)>,
}

fn sort(open: &[OpenEdges], states: &BTreeMap<(JobId, JobId), ParentState>, now: Timestamp) -> Found {
    let mut found = Found::default();
    for edges in open {
        let (mut unknown, mut full, mut unanswered) = (None, None, false);
        for &(parent, _) in &edges.edges {
            match states.get(&(edges.child, parent)) {
                Some(ParentState::Settled(outcome)) => found.settled.push(EdgeSettlement {
                    child: edges.child,
                    parent,
                    outcome: outcome.clone(),
                }),
                Some(ParentState::Open) => {}
                Some(ParentState::Full) => full = Some(parent),
                Some(ParentState::Unknown) => unknown = Some(parent),
                None => unanswered = true,
            }
        }
        if let Some(parent) = full {
            let message = format!("parent {parent} has {CHILDREN_MAX} children already");
            let error = ErrorInfo::new("too_many_children", message);
            found.failed.push((edges.child, error));
            continue;
        }
        match (unknown, edges.unknown_since) {
            (None, _) if unanswered => {}
            (None, _) => found.verified.push(edges.child),
            (Some(_), None) => found.unknown.push(edges.child),
            (Some(parent), Some(since)) if now.since(since) > UNKNOWN_PARENT_AGE => {
                let message = format!("parent unknown: no job has the id {parent}");
                found
                    .failed
                    .push((edges.child, ErrorInfo::new("parent_unknown", message)));
            }
            // It is looked at again when its lease ends.
            (Some(_), Some(_)) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use longshore_core::port::enqueue::ParentOutcome;
    use longshore_core::spec::EdgePolicy;

    use super::*;

    fn id(key: &str) -> JobId {
        JobId::from_idempotency_key(key)
    }

    fn looked_at(parents: &[&str]) -> OpenEdges {
        let edges = parents
            .iter()
            .map(|parent| (id(parent), EdgePolicy::default()))
            .collect();
        OpenEdges {
            child: id("child"),
            edges,
            unknown_since: None,
        }
    }

    fn states(of: &[(&str, ParentState)]) -> BTreeMap<(JobId, JobId), ParentState> {
        of.iter()
            .map(|(parent, state)| ((id("child"), id(parent)), state.clone()))
            .collect()
    }

    #[test]
    fn a_child_whose_parents_are_all_known_is_verified_and_told() {
        let states = states(&[
            ("a", ParentState::Open),
            ("b", ParentState::Settled(ParentOutcome::Failed)),
        ]);
        let found = sort(&[looked_at(&["a", "b"])], &states, Timestamp(1));
        assert_eq!(found.verified, [id("child")]);
        assert_eq!(found.settled.len(), 1);
        assert_eq!((found.unknown, found.failed), (vec![], vec![]));
    }

    #[test]
    fn an_unknown_parent_is_waited_for_and_then_fails_the_child() {
        let states = states(&[("a", ParentState::Unknown)]);
        let mut open = [looked_at(&["a"])];
        let young = Timestamp(0).after(UNKNOWN_PARENT_AGE);
        assert_eq!(
            sort(&open, &states, young).unknown,
            [id("child")],
            "for the first time"
        );
        open[0].unknown_since = Some(Timestamp(0));
        assert_eq!(sort(&open, &states, young), Found::default());
        let old = Timestamp(young.millis() + 1);
        let failed = sort(&open, &states, old).failed;
        assert_eq!(failed.len(), 1);
        assert!(failed[0].1.message.contains(&id("a").to_string()));
    }

    #[test]
    fn a_parent_whose_shard_does_not_answer_decides_nothing() {
        let mut open = [looked_at(&["a", "b"])];
        open[0].unknown_since = Some(Timestamp(0));
        let late = Timestamp(0).after(UNKNOWN_PARENT_AGE * 2);
        let found = sort(&open, &states(&[("a", ParentState::Open)]), late);
        assert_eq!(found, Found::default());
    }
}
