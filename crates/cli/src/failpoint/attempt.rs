//! The worker's side of the store.

use std::sync::Arc;

use longshore_core::port::attempt::{
    Beaten, Claim, Claimed, Finish, Finished, GiveBack, GivenBack, Hints, ProgressWrite, Quarantined,
    Rebuild, SlotsWanted,
};
use longshore_core::port::enqueue::ParentOutcome;
use longshore_core::port::{AttemptPort, Reply};
use longshore_core::view::WorkerView;
use longshore_core::{JobId, Nonce, QueueName, WorkerId};

use super::point::{Armed, Point, forward};

pub(super) struct AttemptPoints {
    pub(super) inner: Arc<dyn AttemptPort>,
    pub(super) armed: Arc<Armed>,
}

impl AttemptPort for AttemptPoints {
    fn step(
        &self,
        shard: u16,
        finishes: Vec<Finish>,
        claims: Vec<Claim>,
    ) -> Reply<'_, (Vec<Finished>, Vec<Claimed>)> {
        if !claims.is_empty() {
            self.armed.pass(Point::BeforeClaim);
        }
        let call = self.inner.step(shard, finishes, claims);
        let granted = |(_, claimed): &(Vec<Finished>, Vec<Claimed>)| {
            claimed.iter().any(|claimed| matches!(claimed, Claimed::Run(_)))
        };
        let call = self.armed.after(Point::AfterClaim, call, granted);
        let accepted = |(finished, _): &(Vec<Finished>, Vec<Claimed>)| {
            finished
                .iter()
                .any(|finished| matches!(finished, Finished::Accepted(_)))
        };
        self.armed.after(Point::AfterFinish, call, accepted)
    }

    forward! {
        rebuild(shard: u16, jobs: Vec<Rebuild>) -> Reply<'_, Vec<Claimed>>;
        beat(shard: u16, claims: Vec<(JobId, Nonce)>) -> Reply<'_, Vec<Beaten>>;
        give_back(shard: u16, jobs: Vec<GiveBack>) -> Reply<'_, Vec<GivenBack>>;
        progress(shard: u16, updates: Vec<ProgressWrite>) -> Reply<'_, ()>;
        parents(shard: u16, child: JobId) -> Reply<'_, Vec<(JobId, ParentOutcome)>>;
        quarantine(messages: Vec<Quarantined>) -> Reply<'_, ()>;
        worker_beat(worker: WorkerView) -> Reply<'_, Vec<QueueName>>;
        worker_load(worker: WorkerView) -> Reply<'_, ()>;
        take_slots(worker: WorkerId, wanted: Vec<SlotsWanted>) -> Reply<'_, Vec<u32>>;
        worker_gone(worker: WorkerId) -> Reply<'_, ()>;
        hints() -> Reply<'_, Box<dyn Hints>>;
    }
}
