//! What people see.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use longshore_core::clock::Timestamp;
use longshore_core::dead::Operation;
use longshore_core::id::JobId;
use longshore_core::log::LogLine;
use longshore_core::name::QueueName;
use longshore_core::port::inspect::{InspectPort, QuarantineEntry, Wakes};
use longshore_core::port::{Error, Reply};
use longshore_core::stats::{Standing, Statistics, StatisticsQuery};
use longshore_core::view::{Cursor, Detail, JobFilter, JobPage, JobView, QueueView, WorkerView};

use super::Store;
use super::attempt::{WORKERS, live_for};
use super::call::{Call, prefix};
use super::reply::{Reader, unpack};
use super::script;
use super::statistics::counter;
use super::view;

mod list;
mod log;
mod people;

/// Jobs that are looked up in one call, without and with their payloads.
const LOOK_BITE: (usize, usize) = (256, 16);

impl InspectPort for Store {
    fn jobs(&self, shard: u16, ids: Vec<JobId>, detail: Detail) -> Reply<'_, Vec<Option<JobView>>> {
        Box::pin(async move { self.look_up(shard, &ids, detail).await })
    }

    fn log(&self, shard: u16, id: JobId, after: u64) -> Reply<'_, Vec<LogLine>> {
        Box::pin(async move { self.log_of(shard, id, after).await })
    }

    fn list(&self, filter: JobFilter, after: Option<Cursor>, limit: usize) -> Reply<'_, JobPage> {
        Box::pin(async move { self.page(&filter, after, limit).await })
    }

    fn queues(&self) -> Reply<'_, BTreeMap<QueueName, QueueView>> {
        Box::pin(self.count_queues())
    }

    fn set_paused(&self, queue: QueueName, paused: bool) -> Reply<'_, ()> {
        Box::pin(async move {
            let set = |shard| {
                let mut call = Self::script(&script::PAUSE, shard);
                call.arg(queue.as_str()).arg(u8::from(paused));
                async move { self.0.link.run(&call).await }
            };
            try_join_all(self.shard_count().all().map(set)).await?;
            let mut hint = redis::cmd("PUBLISH");
            hint.arg(super::watch::HINTS).arg("queues");
            self.0.link.command(&hint).await.map(drop)
        })
    }

    fn workers(&self) -> Reply<'_, Vec<WorkerView>> {
        Box::pin(self.live_workers())
    }

    fn statistics(&self, query: StatisticsQuery) -> Reply<'_, Statistics> {
        Box::pin(async move { self.statistics_of(&query).await })
    }

    fn standing(&self) -> Reply<'_, Standing> {
        Box::pin(self.standing_now())
    }

    fn watch(&self, ids: Vec<JobId>) -> Reply<'_, Box<dyn Wakes>> {
        Box::pin(self.0.watch(ids))
    }

    fn quarantined(&self, after: Option<String>, limit: usize) -> Reply<'_, Vec<QuarantineEntry>> {
        Box::pin(self.quarantine_page(after, limit))
    }

    fn drop_quarantined(&self, message_ids: Vec<String>) -> Reply<'_, Vec<bool>> {
        Box::pin(async move { self.take_from_quarantine(&message_ids).await })
    }

    fn begin_operation(&self, operation: Operation) -> Reply<'_, Operation> {
        Box::pin(self.begin(operation))
    }

    fn save_operation(&self, operation: Operation) -> Reply<'_, ()> {
        Box::pin(async move { self.save(&operation).await })
    }

    fn operations(&self) -> Reply<'_, Vec<Operation>> {
        Box::pin(self.all_operations())
    }

    fn ping(&self) -> Reply<'_, ()> {
        Box::pin(async move { self.0.link.command(&redis::cmd("PING")).await.map(drop) })
    }
}

impl Store {
    async fn look_up(
        &self,
        shard: u16,
        ids: &[JobId],
        detail: Detail,
    ) -> Result<Vec<Option<JobView>>, Error> {
        let full = detail == Detail::Full;
        let bite = if full { LOOK_BITE.1 } else { LOOK_BITE.0 };
        let mut views = Vec::with_capacity(ids.len());
        for ids in ids.chunks(bite) {
            let mut call = Self::script(&script::LOOK, shard);
            call.arg(u8::from(full));
            for id in ids {
                call.id(*id);
            }
            let mut answer = self.run(&call).await?;
            for id in ids {
                views.push(view::read(*id, answer.nested()?, full)?);
            }
        }
        Ok(views)
    }

    /// Live workers, as they last told of themselves.
    pub(super) async fn live_workers(&self) -> Result<Vec<WorkerView>, Error> {
        let mut call = Call::reading(&script::WORKERS, &WORKERS);
        call.arg(live_for());
        let mut answer = self.run(&call).await?;
        let mut workers = Vec::new();
        while !answer.is_empty() {
            let (packed, seen_at) = (answer.bytes_or_none()?, answer.number()?);
            if let Some(packed) = packed {
                workers.push(WorkerView {
                    seen_at: Timestamp(seen_at),
                    ..unpack("worker", &packed)?
                });
            }
        }
        Ok(workers)
    }

    /// Queues that are paused. A shard that was wiped has forgotten it, so all are asked.
    async fn paused(&self) -> Result<BTreeSet<QueueName>, Error> {
        let asks = self.shard_count().all().map(|shard| self.paused_in(shard));
        Ok(try_join_all(asks).await?.into_iter().flatten().collect())
    }

    /// Queues that are paused in a shard.
    pub(super) async fn paused_in(&self, shard: u16) -> Result<BTreeSet<QueueName>, Error> {
        let mut cmd = redis::cmd("SMEMBERS");
        cmd.arg(format!("{}paused", prefix(shard)));
        let mut answer = Reader::new(self.0.link.command(&cmd).await?)?;
        let mut paused = BTreeSet::new();
        while !answer.is_empty() {
            paused.insert(answer.queue()?);
        }
        Ok(paused)
    }

    async fn count_queues(&self) -> Result<BTreeMap<QueueName, QueueView>, Error> {
        let asks = self.shard_count().all().map(|shard| {
            let mut cmd = redis::cmd("HGETALL");
            cmd.arg(format!("{}n", prefix(shard)));
            async move { self.0.link.command(&cmd).await }
        });
        let mut queues: BTreeMap<QueueName, QueueView> = BTreeMap::new();
        for answer in try_join_all(asks).await? {
            let counts: Vec<(String, i64)> = redis::from_redis_value(answer)
                .map_err(|error| Error::Corrupt(format!("counters: {error}")))?;
            for (field, count) in counts {
                let ((queue, _), status) = counter(&field)?;
                let view = queues.entry(queue).or_default();
                *view.counts.entry(status).or_default() += count.max(0).unsigned_abs();
            }
        }
        for queue in self.paused().await? {
            queues.entry(queue).or_default().paused = true;
        }
        Ok(queues)
    }
}
