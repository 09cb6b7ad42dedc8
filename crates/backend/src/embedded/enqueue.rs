//! The producer's side.

use std::time::Duration;

use longshore_core::JobStatus;
use longshore_core::id::JobId;
use longshore_core::message::Gen;
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::enqueue::{
    CancelReply, CancelRequest, EdgeSettled, EdgeSettlement, EnqueuePort, EnqueueReply, NewJob, ParentState,
    Registration,
};
use longshore_core::port::{Reply, attempt::Hint};
use longshore_core::shard::Shards;
use longshore_core::transition;

use super::core::Core;
use super::disk::Part;
use super::state::{State, Tx};
use super::stored::StoredOutcome;

impl EnqueuePort for Core {
    fn shards(&self) -> Shards {
        self.shards
    }

    fn enqueue(&self, shard: u16, jobs: Vec<NewJob>) -> Reply<'_, EnqueueReply> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            let enqueue =
                |job: &NewJob| state.change_new(tx, job, |slot, _| transition::enqueue(slot, job, now));
            let jobs = jobs.iter().map(enqueue).collect();
            EnqueueReply {
                epoch: state.shard(shard).epoch,
                jobs,
            }
        }))
    }

    fn mark_published(&self, _shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            for (id, gen_) in jobs {
                state.change(tx, id, |slot, _| transition::mark_published(slot, gen_, now));
            }
        }))
    }

    fn statuses(&self, _shard: u16, ids: Vec<JobId>) -> Reply<'_, Vec<Option<JobStatus>>> {
        let now = self.clock.now();
        let statuses = self.read(|state| ids.iter().map(|id| state.status(*id, now)).collect());
        Box::pin(std::future::ready(statuses))
    }

    fn register(&self, _shard: u16, edges: Vec<Registration>) -> Reply<'_, Vec<ParentState>> {
        Box::pin(self.write(move |state, tx| edges.iter().map(|edge| register(state, tx, edge)).collect()))
    }

    fn settle_edges(
        &self,
        _shard: u16,
        edges: Vec<EdgeSettlement>,
        publish_within: Duration,
    ) -> Reply<'_, Vec<EdgeSettled>> {
        Box::pin(self.write(move |state, tx| {
            edges
                .iter()
                .map(|edge| settle_edge(state, tx, edge, publish_within))
                .collect()
        }))
    }

    fn edges_verified(&self, _shard: u16, children: Vec<JobId>) -> Reply<'_, Vec<bool>> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            let verified = |id| state.change(tx, id, |slot, _| transition::edges_verified(slot, now));
            children.into_iter().map(verified).collect()
        }))
    }

    fn fail_blocked(&self, _shard: u16, children: Vec<(JobId, ErrorInfo)>) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            for (id, error) in children {
                state.change(tx, id, |slot, effects| {
                    transition::fail_blocked(slot, error, now, effects)
                });
            }
        }))
    }

    fn abort(&self, _shard: u16, children: Vec<JobId>) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, tx| {
            for id in children {
                state.change(tx, id, |slot, _| transition::abort(slot));
            }
        }))
    }

    fn cancel(&self, _shard: u16, jobs: Vec<CancelRequest>) -> Reply<'_, Vec<CancelReply>> {
        Box::pin(self.write(move |state, tx| jobs.iter().map(|job| cancel(state, tx, job)).collect()))
    }
}

fn register(state: &mut State, tx: &mut Tx<'_>, edge: &Registration) -> ParentState {
    let disk = tx.disk;
    let known = state
        .children
        .get(&edge.parent)
        .and_then(|children| children.get(&edge.child))
        .copied();
    let answer = state.change(tx, edge.parent, |slot, _| {
        transition::register(slot, edge.policy, known, || {
            disk.part(edge.parent, Part::Result).ok().flatten()
        })
    });
    if answer == ParentState::Open {
        state
            .children
            .entry(edge.parent)
            .or_default()
            .insert(edge.child, edge.policy);
        tx.batch.link(edge.parent, edge.child, edge.policy.code());
    }
    answer
}

fn settle_edge(
    state: &mut State,
    tx: &mut Tx<'_>,
    edge: &EdgeSettlement,
    publish_within: Duration,
) -> EdgeSettled {
    let now = tx.now;
    let (settled, kept) = state.change(tx, edge.child, |slot, _| {
        transition::settle_edge(slot, edge.parent, &edge.outcome, publish_within, now)
    });
    if let Some(outcome) = kept {
        tx.batch
            .parent(edge.child, edge.parent, &StoredOutcome::from(&outcome));
    }
    settled
}

pub(super) fn cancel(state: &mut State, tx: &mut Tx<'_>, request: &CancelRequest) -> CancelReply {
    let now = tx.now;
    let reply = state.change(tx, request.id, |slot, _| {
        transition::cancel(slot, &request.reason, now)
    });
    if reply == CancelReply::Requested {
        tx.hints.push(Hint::Cancel(request.id));
    }
    reply
}
