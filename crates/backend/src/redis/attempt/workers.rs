//! Who works here.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use longshore_core::id::WorkerId;
use longshore_core::limits::SLOT_TAKEN;
use longshore_core::name::QueueName;
use longshore_core::port::Error;
use longshore_core::port::attempt::SlotsWanted;
use longshore_core::view::WorkerView;
use parking_lot::Mutex;

use super::live_for;
use crate::able::{Able, able};
use crate::redis::Store;
use crate::redis::call::Call;
use crate::redis::reply::pack;
use crate::redis::script;
use crate::redis::shards::{self, soon};

/// The registry: views by id, and when they were seen. One slot of a cluster.
pub(in crate::redis) const WORKERS: [&str; 2] = ["{longshore}:workers", "{longshore}:seen"];
/// Slots of workers that others have just sent jobs to.
const TAKEN: &str = "{longshore}:taken";

/// The registry, the slots that are taken, and for each queue the workers that have free slots for it.
fn keys<'a>(queues: impl Iterator<Item = &'a QueueName>) -> Vec<String> {
    let registry = WORKERS.into_iter().chain([TAKEN]).map(str::to_owned);
    registry
        .chain(queues.map(|queue| format!("{{longshore}}:free:{queue}")))
        .collect()
}

/// What each shard has last said of paused queues. One that does not answer resumes none.
#[derive(Debug, Default)]
pub(in crate::redis) struct Pauses(Mutex<BTreeMap<u16, BTreeSet<QueueName>>>);

impl Pauses {
    fn told(&self, shard: u16, paused: BTreeSet<QueueName>) {
        self.0.lock().insert(shard, paused);
    }

    /// Queues that are paused in some shard.
    fn all(&self) -> Vec<QueueName> {
        let all: BTreeSet<_> = self.0.lock().values().flatten().cloned().collect();
        all.into_iter().collect()
    }
}

impl Store {
    /// Fails only when the worker's own row cannot be written: jobs of shards that answer must not wait for one that does
    /// not. What such a shard is asked for comes again with the next beat; parked jobs are the schedulers' as well.
    pub(super) async fn beat_of_worker(&self, worker: WorkerView) -> Result<Vec<QueueName>, Error> {
        self.register(&worker, false).await?;
        let able = able([&worker]);
        // Strictly after the registration: who parks a job from now on knows of this worker.
        let looks = self
            .shard_count()
            .all()
            .map(|shard| self.release_and_look(shard, &able));
        let (kept, looks) = tokio::join!(
            soon(shards::keep(&self.0.link, self.shard_count())),
            join_all(looks)
        );
        let mut answers = std::iter::once(kept.map(drop)).chain(looks.into_iter().flatten());
        if let Some(error) = answers.find_map(Result::err) {
            tracing::warn!(%error, "not all shards answer the beat of a worker; it goes on with the others");
        }
        Ok(self.0.pauses.all())
    }

    /// Releases what is parked in a shard for a worker, and reads what is paused there.
    async fn release_and_look(&self, shard: u16, able: &Able) -> [Result<(), Error>; 2] {
        let (released, paused) = tokio::join!(
            soon(self.release_parked(shard, able)),
            soon(self.paused_in(shard))
        );
        [
            released.map(drop),
            paused.map(|paused| self.0.pauses.told(shard, paused)),
        ]
    }

    /// Writes a worker's view; with `known`, only when it is registered already.
    pub(super) async fn register(&self, worker: &WorkerView, known: bool) -> Result<(), Error> {
        let mut call = Call::with_keys(&script::WORKER_BEAT, &keys(worker.queues.iter()));
        call.arg(worker.id.0.as_str())
            .arg(pack(worker))
            .arg(live_for())
            .arg(u8::from(known));
        for queue in &worker.queues {
            let is_consumed = !worker.unattached.contains(queue);
            call.arg(if is_consumed { worker.free } else { 0 });
        }
        self.0.link.run(&call).await.map(drop)
    }

    /// Takes free slots of other workers.
    pub(super) async fn slots_of_others(
        &self,
        worker: &WorkerId,
        wanted: &[SlotsWanted],
    ) -> Result<Vec<u32>, Error> {
        let keys = keys(wanted.iter().map(|want| &want.queue));
        let mut call = Call::with_keys(&script::TAKE_SLOTS, &keys);
        call.arg(worker.0.as_str()).arg(live_for()).duration(SLOT_TAKEN);
        for want in wanted {
            call.arg(want.queue.as_str())
                .arg(want.function.as_str())
                .arg(want.most);
        }
        let mut answer = self.run(&call).await?;
        wanted.iter().map(|_| answer.small()).collect()
    }

    pub(super) async fn forget_worker(&self, worker: WorkerId) -> Result<(), Error> {
        let [views, seen] = WORKERS;
        let mut gone = redis::cmd("ZREM");
        gone.arg(seen).arg(worker.0.as_str());
        self.0.link.command(&gone).await?;
        let mut gone = redis::cmd("HDEL");
        gone.arg(views).arg(worker.0.as_str());
        self.0.link.command(&gone).await?;
        // Strictly after it: whoever looks at the workers in between changes the mailbox in vain.
        self.forget_live(&worker).await
    }
}
