//! The scheduler's side.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::JobStatus;
use longshore_core::clock::Timestamp;
use longshore_core::id::JobId;
use longshore_core::message::Gen;
use longshore_core::port::attempt::Hints;
use longshore_core::port::schedule::{
    CronDue, CronFire, DeadLetter, DeadLetterChange, EditedLetter, Leased, LeasesExpired, OpenEdges, Pruned,
    Publishable, Relation, Removals, SchedulePort, TwinState, Watermark,
};
use longshore_core::port::{Error, Reply};

use super::Store;
use super::call::{calls, light};
use super::enqueue::outcome;
use super::reply::Reader;
use super::script::{self, Script};
use super::view::edge;
use crate::able::{Able, able};

mod dead;
mod leases;

/// Parked jobs that are released in one call.
const UNPARK_BITE: u32 = 256;

impl SchedulePort for Store {
    fn lease_shards(&self, holder: String, want: usize, ttl: Duration) -> Reply<'_, Vec<u16>> {
        Box::pin(async move { self.take_leases(&holder, want, ttl).await })
    }

    fn ended_parents(&self) -> Reply<'_, Box<dyn Hints>> {
        Box::pin(async move { self.0.hub.ended_parents().await })
    }

    fn release_shards(&self, holder: String) -> Reply<'_, ()> {
        Box::pin(async move { self.drop_leases(&holder).await })
    }

    fn lease_outbox(&self, shard: u16, limit: usize) -> Reply<'_, Leased> {
        Box::pin(self.leased(&script::LEASE_OUTBOX, shard, limit, Vec::new()))
    }

    fn extend_outbox(&self, shard: u16, jobs: Vec<(JobId, Gen)>, by: Duration) -> Reply<'_, ()> {
        Box::pin(async move {
            for jobs in calls(&jobs, light) {
                let mut call = Self::script(&script::EXTEND_OUTBOX, shard);
                call.duration(by);
                for (id, gen_) in jobs {
                    call.id(*id).arg(*gen_);
                }
                self.run(&call).await?;
            }
            Ok(())
        })
    }

    fn promote(&self, shard: u16, limit: usize) -> Reply<'_, Leased> {
        Box::pin(self.leased(&script::PROMOTE, shard, limit, Vec::new()))
    }

    fn expire_leases(&self, shard: u16, limit: usize) -> Reply<'_, LeasesExpired> {
        Box::pin(async move {
            let mut answer = self.bite(&script::EXPIRE_LEASES, shard, limit).await?;
            Ok(LeasesExpired {
                paused_for: Duration::from_millis(answer.number()?),
                requeued: answer.small()?,
                failed: answer.small()?,
                cancelled: answer.small()?,
            })
        })
    }

    fn expire_waiting(&self, shard: u16, limit: usize) -> Reply<'_, u32> {
        Box::pin(async move { self.bite(&script::EXPIRE_WAITING, shard, limit).await?.small() })
    }

    fn relations(&self, shard: u16, limit: usize) -> Reply<'_, Vec<Relation>> {
        Box::pin(async move {
            let mut answer = self.bite(&script::RELATIONS, shard, limit).await?;
            let mut relations = Vec::new();
            while !answer.is_empty() {
                let (parent, letter) = (answer.id()?, answer.text()?);
                let result = answer.bytes_or_none()?;
                let count = answer.size()?;
                relations.push(Relation {
                    parent,
                    outcome: outcome(&letter, result)?,
                    children: (0..count).map(|_| answer.id()).collect::<Result<_, _>>()?,
                });
            }
            Ok(relations)
        })
    }

    fn relations_told(&self, shard: u16, parent: JobId, children: Vec<JobId>) -> Reply<'_, bool> {
        Box::pin(async move {
            let mut more = false;
            // Nobody told still answers whether somebody waits.
            let pages = match children.as_slice() {
                [] => vec![&[] as &[JobId]],
                some => calls(some, light),
            };
            for page in pages {
                let mut call = Self::script(&script::RELATIONS_TOLD, shard);
                call.id(parent);
                for child in page {
                    call.id(*child);
                }
                more = self.number(&call).await? == 1;
            }
            Ok(more)
        })
    }

    fn open_edges(&self, shard: u16, limit: usize) -> Reply<'_, Vec<OpenEdges>> {
        Box::pin(async move {
            let mut answer = self.bite(&script::OPEN_EDGES, shard, limit).await?;
            let mut open = Vec::new();
            while !answer.is_empty() {
                let (child, since) = (answer.id()?, answer.number_or_none()?);
                let count = answer.size()?;
                let mut edges = (0..count)
                    .map(|_| edge(&mut answer))
                    .collect::<Result<Vec<_>, _>>()?;
                edges.sort_unstable_by_key(|(parent, _)| *parent);
                open.push(OpenEdges {
                    child,
                    edges,
                    unknown_since: since.map(Timestamp),
                });
            }
            Ok(open)
        })
    }

    fn parents_unknown(&self, shard: u16, children: Vec<JobId>) -> Reply<'_, ()> {
        Box::pin(self.on_ids(&script::PARENTS_UNKNOWN, shard, children))
    }

    fn audit(&self, shard: u16, watermarks: Vec<Watermark>, limit: usize) -> Reply<'_, Leased> {
        Box::pin(self.leased(&script::AUDIT, shard, limit, watermarks))
    }

    fn dead_uncopied(&self, shard: u16, limit: usize) -> Reply<'_, Vec<DeadLetter>> {
        Box::pin(self.dead_letters(shard, limit))
    }

    fn dead_copied(&self, shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, ()> {
        Box::pin(self.on_gens(&script::DEAD_COPIED, shard, jobs))
    }

    fn dead_twins(&self, shard: u16, twins: Vec<DeadLetter>) -> Reply<'_, Vec<TwinState>> {
        Box::pin(async move { self.twins(shard, &twins).await })
    }

    fn broker_gave_up(&self, shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, Vec<JobId>> {
        Box::pin(async move {
            let mut unknown = Vec::new();
            for jobs in calls(&jobs, light) {
                let mut call = Self::script(&script::BROKER_GAVE_UP, shard);
                for (id, gen_) in jobs {
                    call.id(*id).arg(*gen_);
                }
                let mut answer = self.run(&call).await?;
                for (id, _) in jobs {
                    if answer.number()? == 0 {
                        unknown.push(*id);
                    }
                }
            }
            Ok(unknown)
        })
    }

    fn requeue(&self, shard: u16, ids: Vec<JobId>, before: Timestamp) -> Reply<'_, Vec<DeadLetterChange>> {
        Box::pin(self.change_dead(&script::REQUEUE, shard, ids, before))
    }

    fn requeue_edited(&self, shard: u16, letters: Vec<EditedLetter>) -> Reply<'_, Vec<DeadLetterChange>> {
        Box::pin(async move { self.change_edited(shard, &letters).await })
    }

    fn discard(&self, shard: u16, ids: Vec<JobId>, before: Timestamp) -> Reply<'_, Vec<DeadLetterChange>> {
        Box::pin(self.change_dead(&script::DISCARD, shard, ids, before))
    }

    fn removals_pending(&self, shard: u16, swept: u64) -> Reply<'_, Removals> {
        Box::pin(self.stale_twins(shard, swept))
    }

    fn prune(&self, shard: u16, retention: BTreeMap<JobStatus, Duration>, limit: usize) -> Reply<'_, Pruned> {
        Box::pin(async move {
            let mut call = Self::script(&script::PRUNE, shard);
            call.arg(limit);
            for (status, keep) in retention {
                call.arg(status.code()).duration(keep);
            }
            let mut answer = self.run(&call).await?;
            Ok(Pruned {
                jobs: answer.small()?,
                held_by_children: answer.small()?,
            })
        })
    }

    fn unpark(&self, shard: u16) -> Reply<'_, u32> {
        Box::pin(async move {
            let workers = self.live_workers().await?;
            self.release_parked(shard, &able(&workers)).await
        })
    }

    fn cron_due(&self, shard: u16, limit: usize) -> Reply<'_, CronDue> {
        Box::pin(self.due_entries(shard, limit))
    }

    fn cron_fire(&self, shard: u16, fire: CronFire) -> Reply<'_, bool> {
        Box::pin(async move { self.fire(shard, &fire).await })
    }
}

impl Store {
    /// A script that takes a limit and answers a list.
    async fn bite(&self, name: &'static Script, shard: u16, limit: usize) -> Result<Reader, Error> {
        let mut call = Self::script(name, shard);
        call.arg(limit);
        self.run(&call).await
    }

    async fn leased(
        &self,
        name: &'static Script,
        shard: u16,
        limit: usize,
        watermarks: Vec<Watermark>,
    ) -> Result<Leased, Error> {
        let mut call = Self::script(name, shard);
        call.arg(limit);
        for mark in &watermarks {
            call.arg(mark.queue.as_str())
                .arg(mark.priority.level())
                .time(mark.published_before);
        }
        let mut answer = self.run(&call).await?;
        let (epoch, looked_at) = (answer.number()?, answer.size()?);
        let mut jobs = Vec::new();
        while !answer.is_empty() {
            jobs.extend(publishable(&mut answer)?);
        }
        Ok(Leased {
            epoch,
            jobs,
            looked_at,
        })
    }

    async fn change_dead(
        &self,
        name: &'static Script,
        shard: u16,
        ids: Vec<JobId>,
        before: Timestamp,
    ) -> Result<Vec<DeadLetterChange>, Error> {
        let mut changes = Vec::with_capacity(ids.len());
        for ids in calls(&ids, light) {
            let mut call = Self::script(name, shard);
            call.time(before);
            for id in ids {
                call.id(*id);
            }
            let mut answer = self.run_strictly(&call).await?;
            for _ in ids {
                changes.push(dead::change(&mut answer)?);
            }
        }
        Ok(changes)
    }

    /// Releases the jobs of a shard that are parked for these functions in these queues.
    pub(super) async fn release_parked(&self, shard: u16, able: &Able) -> Result<u32, Error> {
        let functions: Vec<_> = able.iter().collect();
        let mut released = 0;
        for functions in calls(&functions, |(_, queues)| {
            queues.iter().map(|queue| queue.as_str().len()).sum()
        }) {
            loop {
                let mut call = Self::script(&script::UNPARK, shard);
                call.arg(UNPARK_BITE);
                for (function, queues) in functions {
                    call.arg(function.as_str()).arg(queues.len());
                    for queue in *queues {
                        call.arg(queue.as_str());
                    }
                }
                let mut answer = self.run(&call).await?;
                released += answer.small()?;
                if answer.small()? < UNPARK_BITE {
                    break;
                }
            }
        }
        Ok(released)
    }
}

/// One dispatch; `None` when its envelope is missing, which nothing but a hand in the store can do.
fn publishable(answer: &mut Reader) -> Result<Option<Publishable>, Error> {
    let job = Publishable {
        id: answer.id()?,
        gen_: answer.small()?,
        queue: answer.queue()?,
        priority: answer.priority()?,
        attempts: answer.small()?,
        retries: answer.small()?,
        losts: answer.small()?,
        envelope: bytes::Bytes::new(),
    };
    let Some(envelope) = answer.bytes_or_none()? else {
        tracing::error!(job = %job.id, "its envelope is missing in Redis; it cannot be published");
        return Ok(None);
    };
    Ok(Some(Publishable { envelope, ..job }))
}
