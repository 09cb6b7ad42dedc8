//! Ties children to their parents, strictly after the children's records are written.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt};
use longshore_core::limits::{OUTBOX_GRACE, SCRIPT_JOBS_MAX};
use longshore_core::port::enqueue::{EdgeSettled, EdgeSettlement, ParentState, Registration};
use longshore_core::port::{self};
use longshore_core::{JobId, JobStatus};

use super::bundle::{Address, Dispatch};
use super::retry::{Limit, retrying};
use super::stages::{Accepted, Child, Fate, Stages};
use crate::error::EnqueueError;

/// Calls to other shards under way at once.
const CALLS_MAX: usize = 8;

/// What is known of one child while its edges are tied.
#[derive(Default)]
struct Ties {
    /// The parent that is unknown, or has no room for another child.
    unknown_parent: Option<JobId>,
    parent_is_full: bool,
    error: Option<port::Error>,
    settlements: Vec<EdgeSettlement>,
    settled: Option<EdgeSettled>,
}

impl Stages {
    /// Registers the children of one shard with their parents, settles the edges whose parents had ended, and
    /// publishes the children that this released.
    pub(crate) async fn tie<K>(
        &self,
        address: Address,
        children: Vec<(K, Child)>,
        limit: Limit,
    ) -> Vec<(K, Fate)> {
        let mut ties = self.register(&children, limit).await;
        self.take_back(address.shard, &children, &mut ties, limit).await;
        self.settle(address.shard, &mut ties, limit).await;
        self.verified(address.shard, &children, &mut ties, limit).await;
        let (mut fates, mut released) = (Vec::new(), Vec::new());
        for ((key, child), tie) in children.into_iter().zip(ties) {
            match fate(child, tie) {
                Ok(Tied::Released(dispatch)) => released.push((key, *dispatch)),
                Ok(Tied::Done(accepted)) => fates.push((key, Ok(accepted))),
                Err(error) => fates.push((key, Err(error))),
            }
        }
        if !released.is_empty() {
            fates.extend(self.publish(address, released, limit).await);
        }
        fates
    }

    /// Registers every edge in its parent's shard; answers for each child.
    async fn register<K>(&self, children: &[(K, Child)], limit: Limit) -> Vec<Ties> {
        let shards = self.enqueue.shards();
        let mut by_shard: BTreeMap<u16, Vec<(usize, Registration)>> = BTreeMap::new();
        for (index, (_, child)) in children.iter().enumerate() {
            for parent in &child.job.parents {
                let registration = Registration {
                    parent: parent.id,
                    child: child.job.id,
                    policy: parent.policy,
                };
                by_shard
                    .entry(shards.of(&parent.id))
                    .or_default()
                    .push((index, registration));
            }
        }
        let mut calls = Vec::new();
        for (shard, edges) in &by_shard {
            for chunk in edges.chunks(SCRIPT_JOBS_MAX) {
                calls.push(self.register_chunk(*shard, chunk, limit));
            }
        }
        let mut ties: Vec<Ties> = children.iter().map(|_| Ties::default()).collect();
        let mut replies = stream::iter(calls).buffer_unordered(CALLS_MAX);
        while let Some((chunk, states)) = replies.next().await {
            note(&mut ties, chunk, states);
        }
        ties
    }

    async fn register_chunk<'e>(
        &self,
        shard: u16,
        chunk: &'e [(usize, Registration)],
        limit: Limit,
    ) -> (&'e [(usize, Registration)], Result<Vec<ParentState>, port::Error>) {
        let edges: Vec<_> = chunk.iter().map(|(_, registration)| *registration).collect();
        let states = retrying(&*self.random, limit, || {
            self.enqueue.register(shard, edges.clone())
        })
        .await;
        (chunk, states)
    }

    /// Removes the children that this call made, or may have made, and that have an unknown parent. The store keeps those
    /// that another enqueue was acknowledged.
    async fn take_back<K>(&self, shard: u16, children: &[(K, Child)], ties: &mut [Ties], limit: Limit) {
        let strays: Vec<JobId> = children
            .iter()
            .zip(ties.iter())
            .filter(|((_, child), tie)| (child.created || child.in_doubt) && tie.unknown_parent.is_some())
            .map(|((_, child), _)| child.job.id)
            .collect();
        if strays.is_empty() {
            return;
        }
        let aborted = retrying(&*self.random, limit, || self.enqueue.abort(shard, strays.clone())).await;
        if let Err(error) = aborted {
            tracing::warn!(%error, "a job with an unknown parent could not be taken back; the sweep fails it");
        }
    }

    /// Tells the children what is known already of their parents' ends.
    async fn settle(&self, shard: u16, ties: &mut [Ties], limit: Limit) {
        let mut open: Vec<(usize, EdgeSettlement)> = Vec::new();
        for (index, tie) in ties.iter_mut().enumerate() {
            let settlements = std::mem::take(&mut tie.settlements);
            if tie.unknown_parent.is_none() {
                open.extend(settlements.into_iter().map(|settlement| (index, settlement)));
            }
        }
        for chunk in open.chunks(SCRIPT_JOBS_MAX) {
            let edges: Vec<_> = chunk.iter().map(|(_, edge)| edge.clone()).collect();
            let settled = retrying(&*self.random, limit, || {
                self.enqueue.settle_edges(shard, edges.clone(), OUTBOX_GRACE)
            })
            .await;
            match settled {
                Ok(settled) => {
                    for ((index, _), settled) in chunk.iter().zip(settled) {
                        if let Some(tie) = ties.get_mut(*index) {
                            tie.settled = Some(stronger(tie.settled, settled));
                        }
                    }
                }
                Err(error) => {
                    for (index, _) in chunk {
                        if let Some(tie) = ties.get_mut(*index) {
                            tie.error = Some(error.clone());
                        }
                    }
                }
            }
        }
    }

    /// Puts off the verification of the children that still wait, now that every parent knows them.
    async fn verified<K>(&self, shard: u16, children: &[(K, Child)], ties: &mut [Ties], limit: Limit) {
        let waits = |tie: &Ties| {
            let waiting = matches!(
                tie.settled,
                None | Some(EdgeSettled::Waiting | EdgeSettled::Nothing)
            );
            waiting && tie.error.is_none() && tie.unknown_parent.is_none()
        };
        let waiting: BTreeSet<JobId> = children
            .iter()
            .zip(ties.iter())
            .filter(|(_, tie)| waits(tie))
            .map(|((_, child), _)| child.job.id)
            .collect();
        if waiting.is_empty() {
            return;
        }
        let ids: Vec<JobId> = waiting.into_iter().collect();
        let verified = retrying(&*self.random, limit, || {
            self.enqueue.edges_verified(shard, ids.clone())
        })
        .await;
        // Only then is the enqueue acknowledged, and only of what is still there.
        for ((_, child), tie) in children.iter().zip(ties).filter(|(_, tie)| waits(tie)) {
            tie.error = match &verified {
                Err(error) => Some(error.clone()),
                Ok(known) => {
                    let mut known = ids.iter().zip(known);
                    let stands = known.any(|(id, known)| *id == child.job.id && *known);
                    (!stands).then(taken_back)
                }
            };
        }
    }
}

/// Another enqueue of the same id found a parent unknown, and took back the job that this one found.
fn taken_back() -> port::Error {
    port::Error::Refused {
        server: "the store",
        reason: "another enqueue of this id took the job back, because a parent was unknown to it".to_owned(),
    }
}

/// Notes what the parents of a chunk of edges said.
fn note(ties: &mut [Ties], chunk: &[(usize, Registration)], states: Result<Vec<ParentState>, port::Error>) {
    let states = match states {
        Ok(states) => states,
        Err(error) => {
            for (index, _) in chunk {
                if let Some(tie) = ties.get_mut(*index) {
                    tie.error = Some(error.clone());
                }
            }
            return;
        }
    };
    for ((index, edge), state) in chunk.iter().zip(states) {
        let Some(tie) = ties.get_mut(*index) else { continue };
        match state {
            ParentState::Open => {}
            ParentState::Settled(outcome) => tie.settlements.push(EdgeSettlement {
                child: edge.child,
                parent: edge.parent,
                outcome,
            }),
            ParentState::Unknown => tie.unknown_parent = Some(edge.parent),
            ParentState::Full => {
                tie.unknown_parent = Some(edge.parent);
                tie.parent_is_full = true;
            }
        }
    }
}

/// The answer that says more: what moved the child, over what did not.
fn stronger(one: Option<EdgeSettled>, other: EdgeSettled) -> EdgeSettled {
    match one {
        Some(moved @ (EdgeSettled::Released { .. } | EdgeSettled::Scheduled | EdgeSettled::Cancelled)) => {
            moved
        }
        _ => other,
    }
}

/// Where a tied child goes.
enum Tied {
    Released(Box<Dispatch>),
    Done(Accepted),
}

fn fate(child: Child, tie: Ties) -> Result<Tied, EnqueueError> {
    let Child { job, created, .. } = child;
    if let Some(parent) = tie.unknown_parent {
        let job = job.name.unwrap_or_else(|| job.function_name.to_string());
        return Err(if tie.parent_is_full {
            EnqueueError::FullParent { job, parent }
        } else {
            EnqueueError::UnknownParent { job, parent }
        });
    }
    if let Some(source) = tie.error {
        return Err(EnqueueError::Store { id: job.id, source });
    }
    let done = |status| Ok(Tied::Done(Accepted::new(!created, status)));
    match tie.settled {
        Some(EdgeSettled::Released { gen_ }) => Ok(Tied::Released(Box::new(Dispatch {
            job,
            gen_,
            existing: !created,
        }))),
        Some(EdgeSettled::Scheduled) => done(JobStatus::Scheduled),
        Some(EdgeSettled::Cancelled) => done(JobStatus::Cancelled),
        Some(EdgeSettled::Waiting | EdgeSettled::Nothing) | None => done(JobStatus::Blocked),
    }
}
