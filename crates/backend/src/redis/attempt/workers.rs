//! Who works here.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use longshore_core::id::WorkerId;
use longshore_core::limits::SLOT_TAKEN;
use longshore_core::name::{FunctionName, QueueName};
use longshore_core::port::Error;
use longshore_core::port::attempt::SlotsWanted;
use longshore_core::view::WorkerView;

use super::live_for;
use crate::redis::Store;
use crate::redis::call::Call;
use crate::redis::reply::pack;
use crate::redis::{script, shards};

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

impl Store {
    pub(super) async fn beat_of_worker(&self, worker: WorkerView) -> Result<Vec<QueueName>, Error> {
        self.register(&worker, false).await?;
        shards::keep(&self.0.link, self.shard_count()).await?;
        // Strictly after the registration: who parks a job from now on knows of this worker.
        let releases = self
            .shard_count()
            .all()
            .map(|shard| self.release_parked(shard, &worker.functions));
        try_join_all(releases).await?;
        self.paused().await.map(|paused| paused.into_iter().collect())
    }

    /// Writes a worker's view; with `known`, only when it is registered already.
    pub(super) async fn register(&self, worker: &WorkerView, known: bool) -> Result<(), Error> {
        let mut call = Call::with_keys(&script::WORKER_BEAT, &keys(worker.queues.iter()));
        call.arg(worker.id.0.as_str())
            .arg(pack(worker))
            .arg(live_for())
            .arg(u8::from(known))
            .arg(worker.free);
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

/// Every function that one of these workers has.
pub(in crate::redis) fn functions(workers: &[WorkerView]) -> Vec<FunctionName> {
    let all: BTreeSet<_> = workers
        .iter()
        .flat_map(|worker| worker.functions.iter())
        .collect();
    all.into_iter().cloned().collect()
}
