//! Tells children how their parents ended.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use longshore_core::JobId;
use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::port::enqueue::{EdgeSettled, EdgeSettlement};
use longshore_core::port::schedule::Relation;

use super::Daemon;
use crate::context::Context;
use crate::error::Error;
use crate::status::Done;

/// Parents that one call takes, each with a page of children.
const PARENTS: usize = 16;

/// Settles the edges of ended parents, page by page, until no child is left to tell. A page is struck off only when
/// every child of it was told; a crash between tells it again, which changes nothing.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    cx.each_shard(shards, |shard| Box::pin(tell(cx, shard))).await
}

async fn tell(cx: &Context, shard: u16) -> Result<Done, Error> {
    let mut total = Done::default();
    loop {
        let relations = cx.ports.schedule.relations(shard, PARENTS).await?;
        let mut again = relations.len() >= PARENTS;
        for relation in relations {
            let (parent, children) = (relation.parent, relation.children.clone());
            total = total.and(settle(cx, relation).await?);
            again |= cx.ports.schedule.relations_told(shard, parent, children).await?;
        }
        if !again || cx.is_stopping() {
            return Ok(total);
        }
    }
}

/// Tells one page of children, in the shards that they live in.
async fn settle(cx: &Context, relation: Relation) -> Result<Done, Error> {
    let shards = cx.ports.enqueue.shards();
    let mut pages: BTreeMap<u16, Vec<JobId>> = BTreeMap::new();
    for child in relation.children {
        pages.entry(shards.of(&child)).or_default().push(child);
    }
    let (mut settling, mut told) = (Vec::new(), 0);
    for (shard, children) in pages {
        for page in children.chunks(SCRIPT_JOBS_MAX) {
            let edges = page.iter().map(|child| EdgeSettlement {
                child: *child,
                parent: relation.parent,
                outcome: relation.outcome.clone(),
            });
            settling.push(settle_edges(cx, shard, edges.collect()));
            told += page.len() as u64;
        }
    }
    try_join_all(settling).await?;
    Ok(Done::rows(told))
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
