//! Requeues and discards letters by their ids, each once, although answers of the store may be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use longshore_core::dead::OperationKind;
use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::message::Gen;
use longshore_core::port;
use longshore_core::port::schedule::DeadLetterChange;
use longshore_core::view::{Detail, JobView};
use longshore_core::{JobId, JobStatus, Timestamp};

use super::DeadLetters;
use crate::error::ClientError;
use crate::read::apart;

/// How far ahead of ours the store's clock may be: a letter that is dead now is meant.
const CLOCK_AHEAD: Duration = Duration::from_secs(86_400);

/// The dead letters among some jobs, as they were before they were touched.
struct Letters {
    gens: BTreeMap<JobId, Gen>,
    /// Later than the death of each.
    before: Timestamp,
}

impl DeadLetters {
    /// Requeues or discards those that are dead letters now; answers in the order of `ids`.
    pub(super) async fn change_now(
        &self,
        kind: OperationKind,
        ids: &[JobId],
    ) -> Result<Vec<DeadLetterChange>, ClientError> {
        let mut changed = BTreeMap::new();
        for (shard, ids) in self.by_shard(ids) {
            for ids in ids.chunks(SCRIPT_JOBS_MAX) {
                note(&mut changed, ids, self.change_once(kind, shard, ids).await?);
            }
        }
        Ok(answers(ids, &changed))
    }

    /// Requeues or discards what died before `before`; answers in the order of `ids`.
    pub(super) async fn change(
        &self,
        kind: OperationKind,
        ids: &[JobId],
        before: Timestamp,
    ) -> Result<Vec<DeadLetterChange>, ClientError> {
        let mut changed = BTreeMap::new();
        for (shard, ids) in self.by_shard(ids) {
            let (changes, _) = self.send(kind, shard, &ids, before).await?;
            note(&mut changed, &ids, changes);
        }
        Ok(answers(ids, &changed))
    }

    fn by_shard(&self, ids: &[JobId]) -> BTreeMap<u16, Vec<JobId>> {
        let mut by_shard: BTreeMap<u16, Vec<JobId>> = BTreeMap::new();
        for id in ids {
            by_shard.entry(self.client.shard_of(*id)).or_default().push(*id);
        }
        by_shard
    }

    /// Sends a request; answers as well whether an earlier try of it may have been done.
    async fn send(
        &self,
        kind: OperationKind,
        shard: u16,
        ids: &[JobId],
        before: Timestamp,
    ) -> Result<(Vec<DeadLetterChange>, bool), ClientError> {
        let sent = self.client.asking_with_doubt(|ports| match kind {
            OperationKind::Requeue => ports.schedule.requeue(shard, ids.to_vec(), before),
            OperationKind::Discard => ports.schedule.discard(shard, ids.to_vec(), before),
            // A cancel is no change of dead letters: none of them is touched.
            OperationKind::Cancel => {
                Box::pin(std::future::ready(Ok(vec![DeadLetterChange::NotDead; ids.len()])))
            }
        });
        Ok(sent.await?)
    }

    /// A try whose answer was lost may have changed a letter, which is none any more for the next try, or one again that
    /// died later. The first is told as done, and the second is not touched once more.
    async fn change_once(
        &self,
        kind: OperationKind,
        shard: u16,
        ids: &[JobId],
    ) -> Result<Vec<DeadLetterChange>, ClientError> {
        let letters = self.letters(shard, ids).await?;
        let (mut changes, in_doubt) = self.send(kind, shard, ids, letters.before).await?;
        if in_doubt && !letters.gens.is_empty() {
            let done = self.done(kind, shard, ids, &letters).await?;
            for (id, change) in ids.iter().zip(&mut changes) {
                if *change == DeadLetterChange::NotDead && done.contains(id) {
                    *change = DeadLetterChange::Done;
                }
            }
        }
        Ok(changes)
    }

    /// Looks at the letters. What bounds the request are the store's own times of their deaths: its clock and ours may
    /// differ.
    async fn letters(&self, shard: u16, ids: &[JobId]) -> Result<Letters, ClientError> {
        let seen = apart(ids.to_vec(), move |ids| Box::pin(self.look(shard, ids))).await;
        let mut letters = Letters {
            gens: BTreeMap::new(),
            before: Timestamp::ZERO,
        };
        for (id, seen) in ids.iter().zip(seen) {
            let later = match seen {
                Ok(Some(job)) if job.status == JobStatus::Failed => {
                    letters.gens.insert(*id, job.gen_);
                    job.finished_at
                        .unwrap_or_default()
                        .after(Duration::from_millis(1))
                }
                Ok(_) => continue,
                // What cannot be looked at can be requeued or discarded all the same.
                Err(port::Error::Corrupt(_)) => self.client.settings().clock.now().after(CLOCK_AHEAD),
                Err(error) => return Err(error.into()),
            };
            letters.before = letters.before.max(later);
        }
        Ok(letters)
    }

    async fn look(&self, shard: u16, ids: Vec<JobId>) -> Result<Vec<Option<JobView>>, port::Error> {
        self.client
            .asking(|ports| ports.inspect.jobs(shard, ids.clone(), Detail::Summary))
            .await
    }

    /// Those of the letters that have been requeued since, or that left nothing but the tombstone of a dead letter.
    async fn done(
        &self,
        kind: OperationKind,
        shard: u16,
        ids: &[JobId],
        letters: &Letters,
    ) -> Result<BTreeSet<JobId>, ClientError> {
        let ids: Vec<JobId> = ids
            .iter()
            .copied()
            .filter(|id| letters.gens.contains_key(id))
            .collect();
        let jobs = self.look(shard, ids.clone()).await?;
        let statuses = self
            .client
            .asking(|ports| ports.enqueue.statuses(shard, ids.clone()))
            .await?;
        let mut done = BTreeSet::new();
        for ((id, job), status) in ids.into_iter().zip(jobs).zip(statuses) {
            let is_done = match (kind, job) {
                (OperationKind::Requeue, Some(job)) => {
                    letters.gens.get(&id).is_some_and(|gen_| job.gen_ > *gen_)
                }
                (OperationKind::Discard, None) => status == Some(JobStatus::Failed),
                _ => false,
            };
            if is_done {
                done.insert(id);
            }
        }
        Ok(done)
    }
}

/// An id that is given twice is told what was done, not that it is done already.
fn note(changed: &mut BTreeMap<JobId, DeadLetterChange>, ids: &[JobId], changes: Vec<DeadLetterChange>) {
    for (id, change) in ids.iter().zip(changes) {
        changed.entry(*id).or_insert(change);
    }
}

fn answers(ids: &[JobId], changed: &BTreeMap<JobId, DeadLetterChange>) -> Vec<DeadLetterChange> {
    let answer = |id| changed.get(id).copied().unwrap_or(DeadLetterChange::NotDead);
    ids.iter().map(answer).collect()
}
