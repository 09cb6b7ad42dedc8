//! The worker's side of a real store, with faults.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::port::attempt::{
    Beaten, Claim, Claimed, Finish, Finished, GiveBack, GivenBack, Hints, ProgressWrite, Quarantined,
    Rebuild, SlotsWanted,
};
use longshore_core::port::enqueue::ParentOutcome;
use longshore_core::port::{AttemptPort, Error, Ports, Reply};
use longshore_core::view::WorkerView;
use longshore_core::{JobId, Nonce, QueueName, WorkerId, limits};
use parking_lot::Mutex;

use crate::rig::Rig;

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// It does not answer.
    Away,
    /// This shard does not answer.
    ShardAway(u16),
    /// In this shard nothing may be claimed or ended.
    StepsForbidden(u16),
    /// Claims and ends of this shard are refused: its server is there and takes no writes.
    StepsRefused(u16),
    /// Beats are not answered.
    NoBeats,
    /// Every claim finds another owner.
    Busy,
    /// The worker freezes, once, while a claim is on its way: it hears of its grant when a strictly fenced attempt would
    /// have to stop.
    Freeze,
    /// Ends of attempts cannot be recorded.
    CorruptEnds,
    /// Give-backs cannot be recorded.
    CorruptBacks,
    /// Nothing with a body can be put into quarantine.
    CorruptAsides,
    /// Claims of this shard are made, and their answers are lost.
    Mute(u16),
    /// Claims of this shard are made, and their answers come when that is over.
    Late(u16),
}

/// The worker's side of a real store, with a fault at will.
pub(crate) struct Cut {
    store: Arc<dyn AttemptPort>,
    fault: Mutex<Fault>,
    /// What was put into quarantine.
    pub(crate) quarantined: Mutex<Vec<Quarantined>>,
}

impl Cut {
    pub(crate) fn new(rig: &Rig) -> Arc<Self> {
        Arc::new(Self {
            store: rig.ports.attempt.clone(),
            fault: Mutex::new(Fault::None),
            quarantined: Mutex::default(),
        })
    }

    pub(crate) fn ports(self: &Arc<Self>, rig: &Rig) -> Ports {
        Ports {
            attempt: self.clone(),
            ..rig.ports.clone()
        }
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock() = fault;
    }

    fn fault(&self) -> Fault {
        *self.fault.lock()
    }

    /// Makes the call unless one of `faults` or an outage forbids it.
    fn unless<'a, T: Send + 'a>(
        &'a self,
        faults: &[Fault],
        call: impl FnOnce() -> Reply<'a, T>,
    ) -> Reply<'a, T> {
        let fault = self.fault();
        if fault != Fault::Away && !faults.contains(&fault) {
            return call();
        }
        let error = match fault {
            Fault::CorruptEnds | Fault::CorruptBacks | Fault::CorruptAsides => {
                Error::Corrupt("not a number".to_owned())
            }
            Fault::StepsForbidden(_) => Error::Forbidden {
                server: "store",
                user: "worker".to_owned(),
                what: "step".to_owned(),
                reason: "no rights".to_owned(),
            },
            Fault::StepsRefused(_) => Error::Refused {
                server: "store",
                reason: "it cannot write its file".to_owned(),
            },
            _ => Error::Unavailable {
                server: "store",
                reason: "taken away".to_owned(),
            },
        };
        Box::pin(std::future::ready(Err(error)))
    }
}

impl AttemptPort for Cut {
    fn step(
        &self,
        shard: u16,
        finishes: Vec<Finish>,
        claims: Vec<Claim>,
    ) -> Reply<'_, (Vec<Finished>, Vec<Claimed>)> {
        if self.fault() == Fault::Busy && finishes.is_empty() {
            let retry_in = Duration::from_millis(50);
            let busy = claims.iter().map(|_| Claimed::Busy { retry_in }).collect();
            return Box::pin(std::future::ready(Ok((Vec::new(), busy))));
        }
        if self.fault() == Fault::Freeze && !claims.is_empty() {
            self.set(Fault::None);
            let answer = self.store.step(shard, finishes, claims);
            return Box::pin(async move {
                let answer = answer.await;
                stand_still();
                answer
            });
        }
        let fault = self.fault();
        if (fault == Fault::Mute(shard) || fault == Fault::Late(shard)) && !claims.is_empty() {
            let answer = self.store.step(shard, finishes, claims);
            return Box::pin(async move {
                let answer = answer.await?;
                if fault == Fault::Mute(shard) {
                    return Err(Error::OutcomeUnknown { server: "store" });
                }
                while self.fault() == fault {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok(answer)
            });
        }
        let mut faults = vec![
            Fault::ShardAway(shard),
            Fault::StepsForbidden(shard),
            Fault::StepsRefused(shard),
        ];
        if !finishes.is_empty() {
            faults.push(Fault::CorruptEnds);
        }
        self.unless(&faults, || self.store.step(shard, finishes, claims))
    }

    fn rebuild(&self, shard: u16, jobs: Vec<Rebuild>) -> Reply<'_, Vec<Claimed>> {
        self.unless(&[Fault::ShardAway(shard)], || self.store.rebuild(shard, jobs))
    }

    fn beat(&self, shard: u16, claims: Vec<(JobId, Nonce)>) -> Reply<'_, Vec<Beaten>> {
        let faults = [Fault::ShardAway(shard), Fault::NoBeats];
        self.unless(&faults, || self.store.beat(shard, claims))
    }

    fn give_back(&self, shard: u16, jobs: Vec<GiveBack>) -> Reply<'_, Vec<GivenBack>> {
        let faults = [Fault::ShardAway(shard), Fault::CorruptBacks];
        self.unless(&faults, || self.store.give_back(shard, jobs))
    }

    fn progress(&self, shard: u16, updates: Vec<ProgressWrite>) -> Reply<'_, ()> {
        self.unless(&[Fault::ShardAway(shard)], || self.store.progress(shard, updates))
    }

    fn parents(&self, shard: u16, child: JobId) -> Reply<'_, Vec<(JobId, ParentOutcome)>> {
        self.unless(&[Fault::ShardAway(shard)], || self.store.parents(shard, child))
    }

    fn quarantine(&self, messages: Vec<Quarantined>) -> Reply<'_, ()> {
        let faults = [Fault::CorruptAsides];
        let bodies = messages.iter().any(|message| !message.body.is_empty());
        self.unless(if bodies { &faults } else { &[] }, || {
            self.quarantined.lock().extend(messages.iter().cloned());
            self.store.quarantine(messages)
        })
    }

    fn worker_beat(&self, worker: WorkerView) -> Reply<'_, Vec<QueueName>> {
        self.unless(&[], || self.store.worker_beat(worker))
    }

    fn worker_load(&self, worker: WorkerView) -> Reply<'_, ()> {
        self.unless(&[], || self.store.worker_load(worker))
    }

    fn take_slots(&self, worker: WorkerId, wanted: Vec<SlotsWanted>) -> Reply<'_, Vec<u32>> {
        self.unless(&[], || self.store.take_slots(worker, wanted))
    }

    fn worker_gone(&self, worker: WorkerId) -> Reply<'_, ()> {
        self.unless(&[], || self.store.worker_gone(worker))
    }

    fn hints(&self) -> Reply<'_, Box<dyn Hints>> {
        self.unless(&[], || self.store.hints())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the whole control loop is to stand still, its time limits too, and not a task of it alone"
)]
fn stand_still() {
    std::thread::sleep(limits::LEASE.saturating_sub(limits::FENCE_MARGIN));
}
