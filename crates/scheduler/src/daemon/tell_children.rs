//! Tells children how their parents ended.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use longshore_core::JobId;
use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::port::enqueue::{EdgeSettled, EdgeSettlement};
use longshore_core::port::schedule::Relation;

use super::Daemon;
use crate::context::Context;
use crate::error::Error;
use crate::failures::Failures;
use crate::status::Done;

/// Parents that one call takes, each with a page of children.
const PARENTS: usize = 16;

/// Settles the edges of ended parents, page by page, until no child is left to tell. Struck off are only children that
/// were told; a crash between tells them again, which changes nothing.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    cx.each_shard(shards, |shard| Box::pin(tell(cx, shard))).await
}

/// Children that cannot be told hold no others up. Their parents come again when their lease ends.
async fn tell(cx: &Context, shard: u16) -> Result<Done, Error> {
    let (mut rows, mut failures) = (0, Failures::default());
    loop {
        let relations = cx.ports.schedule.relations(shard, PARENTS).await?;
        let mut again = relations.len() >= PARENTS;
        for relation in relations {
            let (parent, is_empty) = (relation.parent, relation.children.is_empty());
            let told = settle(cx, relation, &mut failures).await;
            rows += told.len() as u64;
            // A parent none of whose children could be told keeps its lease: without it, this pass would never end.
            if is_empty || !told.is_empty() {
                again |= cx.ports.schedule.relations_told(shard, parent, told).await?;
            }
        }
        if !again || cx.is_stopping() {
            return failures.end(Done::rows(rows));
        }
    }
}

/// Tells one page of children, in the shards that they live in. Answers who was told.
async fn settle(cx: &Context, relation: Relation, failures: &mut Failures) -> Vec<JobId> {
    let shards = cx.ports.enqueue.shards();
    let mut pages: BTreeMap<u16, Vec<JobId>> = BTreeMap::new();
    for child in relation.children {
        pages.entry(shards.of(&child)).or_default().push(child);
    }
    pages.retain(|shard, _| !failures.is_away(*shard));
    let (mut asked, mut settling) = (Vec::new(), Vec::new());
    for (shard, children) in pages {
        for page in children.chunks(SCRIPT_JOBS_MAX) {
            let edges = page.iter().map(|child| EdgeSettlement {
                child: *child,
                parent: relation.parent,
                outcome: relation.outcome.clone(),
            });
            settling.push(settle_edges(cx, shard, edges.collect()));
            asked.push((shard, page.to_vec()));
        }
    }
    let ends = join_all(settling).await;
    let mut told = Vec::new();
    for ((shard, page), end) in asked.into_iter().zip(ends) {
        match end {
            Ok(()) => told.extend(page),
            Err(error) => failures.note(shard, error),
        }
    }
    told
}

/// Settles edges of children of one shard and wakes whoever has to go on with them.
pub(super) async fn settle_edges(cx: &Context, shard: u16, edges: Vec<EdgeSettlement>) -> Result<(), Error> {
    for settled in cx
        .ports
        .enqueue
        .settle_edges(shard, edges, Duration::ZERO)
        .await?
    {
        match settled {
            EdgeSettled::Released { .. } => cx.wakes.wake(Daemon::DispatchOutbox),
            // A cancelled child has children of its own to be told.
            EdgeSettled::Cancelled => cx.wakes.wake(Daemon::TellChildren),
            EdgeSettled::Scheduled | EdgeSettled::Waiting | EdgeSettled::Nothing => {}
        }
    }
    Ok(())
}
