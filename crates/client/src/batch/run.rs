//! Writes a batch: level by level, script calls of a level side by side, publishes and edges behind them.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use longshore_core::telemetry::Telemetry;
use longshore_core::{JobId, JobSpec};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use super::plan::{Chunk, label, plan};
use super::{Batch, BatchProgress, OnProgress};
use crate::client::Client;
use crate::error::EnqueueError;
use crate::pipeline::retry::Limit;
use crate::pipeline::stages::{Accepted, Fate, Recorded, Stages};
use crate::trace;

/// Script calls under way at once.
const CALLS_MAX: usize = 4;

/// Checks the batch, writes it, and gives each job's id with how it was accepted.
pub(super) async fn run(
    client: &Client,
    mut batch: Batch,
    progress: Option<OnProgress>,
) -> Result<Vec<(JobId, Accepted)>, EnqueueError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(EnqueueError::NoRuntime);
    }
    let stages = &client.pipeline().stages;
    let (shards, now) = (stages.enqueue.shards(), stages.clock.now());
    let telemetry = &stages.telemetry;
    let span = trace::begin_batch(telemetry, batch.len());
    let traceparent = telemetry.traceparent(&span);
    let by = (client.created_by(), traceparent.as_deref());
    let plan = plan(&mut batch, by, shards, now, &*stages.random)?;
    let specs = specs(&batch, telemetry);
    check_outer(client, &batch, &plan.ids, &plan.outer).await?;
    let mut writing = Writing {
        stages: Arc::clone(stages),
        fates: plan.ids.iter().map(|_| None).collect(),
        accepted: 0,
        failure: None,
        behind: JoinSet::new(),
        progress,
    };
    for level in plan.levels {
        writing.level(level).await;
        if writing.failure.is_some() {
            break;
        }
    }
    let ended = writing.finish(plan.ids, batch).await;
    match &ended {
        Ok(accepted) => trace::end_batch(telemetry, &specs, accepted),
        Err(_) => telemetry.failed(&span, "enqueue"),
    }
    ended
}

/// What is told of the jobs, if anybody observes.
fn specs(batch: &Batch, telemetry: &Telemetry) -> Vec<JobSpec> {
    let items = batch.items.iter().filter(|_| telemetry.is_on());
    items.filter_map(|item| item.draft.spec().cloned()).collect()
}

/// Looks the parents outside the batch up. A job that is known already needs none of them: the batch is a repetition.
async fn check_outer(
    client: &Client,
    batch: &Batch,
    ids: &[JobId],
    outer: &std::collections::BTreeMap<JobId, usize>,
) -> Result<(), EnqueueError> {
    let name = |index: usize| label(batch, index);
    let first = outer.values().next().copied().unwrap_or(0);
    let lookup = |source| EnqueueError::Lookup {
        job: name(first),
        source,
    };
    let unknown = client
        .pipeline()
        .unknown(outer.keys().copied())
        .await
        .map_err(lookup)?;
    for parent in unknown {
        let child = outer.get(&parent).copied().unwrap_or(first);
        let own = ids.get(child).copied();
        if client.pipeline().unknown(own).await.map_err(lookup)?.is_empty() {
            continue;
        }
        return Err(EnqueueError::UnknownParent {
            job: name(child),
            parent,
        });
    }
    Ok(())
}

/// A batch while it is written.
struct Writing {
    stages: Arc<Stages>,
    fates: Vec<Option<Accepted>>,
    accepted: usize,
    /// The first failure; nothing new is written after it.
    failure: Option<EnqueueError>,
    /// Publishes and edges of what is recorded.
    behind: JoinSet<Vec<(usize, Fate)>>,
    progress: Option<OnProgress>,
}

impl Writing {
    /// Records a level. Ends when every record of it is written, so that the next one's parents exist.
    async fn level(&mut self, chunks: Vec<Chunk>) {
        let stages = Arc::clone(&self.stages);
        let stages = &stages;
        let calls = chunks.into_iter().map(|(shard, jobs)| async move {
            let room = stages.room(jobs.len()).await;
            (stages.record(shard, jobs, stages.each()).await, room)
        });
        let mut calls = stream::iter(calls).buffer_unordered(CALLS_MAX);
        while let Some((recorded, room)) = calls.next().await {
            self.go_on(recorded, room);
            while let Some(done) = self.behind.try_join_next() {
                self.note(done.unwrap_or_default());
            }
            if self.failure.is_some() {
                return;
            }
        }
    }

    /// Publishes and ties what is recorded, behind the next records.
    fn go_on(&mut self, recorded: Recorded<usize>, room: Option<OwnedSemaphorePermit>) {
        self.note(recorded.done);
        let (address, stages) = (recorded.address, Arc::clone(&self.stages));
        let (to_publish, to_tie) = (recorded.to_publish, recorded.to_tie);
        if to_publish.is_empty() && to_tie.is_empty() {
            return;
        }
        self.behind.spawn(async move {
            let publishing = stages.publish(address, to_publish, Limit::Each(stages.publish_timeout));
            let (mut fates, tied) =
                futures_util::join!(publishing, stages.tie(address, to_tie, stages.each()));
            fates.extend(tied);
            drop(room);
            fates
        });
    }

    fn note(&mut self, fates: Vec<(usize, Fate)>) {
        let before = self.accepted;
        for (index, fate) in fates {
            match fate {
                Ok(accepted) => {
                    if let Some(place) = self.fates.get_mut(index) {
                        *place = Some(accepted);
                        self.accepted += 1;
                    }
                }
                Err(error) => {
                    self.failure.get_or_insert(error);
                }
            }
        }
        if self.accepted > before
            && let Some(call) = &mut self.progress
        {
            call(BatchProgress {
                accepted: self.accepted,
                of: self.fates.len(),
            });
        }
    }

    async fn finish(mut self, ids: Vec<JobId>, batch: Batch) -> Result<Vec<(JobId, Accepted)>, EnqueueError> {
        while let Some(done) = self.behind.join_next().await {
            self.note(done.unwrap_or_default());
        }
        let complete: Option<Vec<Accepted>> = self.fates.iter().copied().collect();
        match (complete, self.failure) {
            (Some(accepted), None) => Ok(ids.into_iter().zip(accepted).collect()),
            (_, failure) => Err(EnqueueError::Incomplete {
                accepted: self.accepted,
                of: ids.len(),
                batch: Box::new(batch),
                source: Box::new(failure.unwrap_or(EnqueueError::Interrupted)),
            }),
        }
    }
}
