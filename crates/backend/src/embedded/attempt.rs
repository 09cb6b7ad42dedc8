//! The worker's side.

use longshore_core::clock::Timestamp;
use longshore_core::id::{JobId, Nonce, WorkerId};
use longshore_core::limits::SLOT_TAKEN;
use longshore_core::message::Epoch;
use longshore_core::name::QueueName;
use longshore_core::outcome::Progress;
use longshore_core::port::attempt::{
    AttemptPort, Beaten, Claim, Claimed, Finish, Finished, GiveBack, GivenBack, Hints, ProgressWrite,
    Quarantined, Rebuild, SlotsWanted,
};
use longshore_core::port::enqueue::ParentOutcome;
use longshore_core::port::{self, Reply};
use longshore_core::transition::{self, Gate};
use longshore_core::view::WorkerView;

use super::core::Core;
use super::inspect::is_live;
use super::load::QUARANTINE;
use super::state::{State, Tx};
use super::stored::{self, StoredOutcome, StoredQuarantined};
use crate::able::{Able, able};

impl AttemptPort for Core {
    fn step(
        &self,
        _shard: u16,
        finishes: Vec<Finish>,
        claims: Vec<Claim>,
    ) -> Reply<'_, (Vec<Finished>, Vec<Claimed>)> {
        Box::pin(self.write(move |state, tx| {
            let finished = finishes.into_iter().map(|ask| finish(state, tx, ask)).collect();
            let claimed = claims.iter().map(|ask| claim(state, tx, ask)).collect();
            (finished, claimed)
        }))
    }

    fn rebuild(&self, _shard: u16, jobs: Vec<Rebuild>) -> Reply<'_, Vec<Claimed>> {
        Box::pin(self.write(move |state, tx| jobs.iter().map(|ask| rebuild(state, tx, ask)).collect()))
    }

    fn beat(&self, _shard: u16, claims: Vec<(JobId, Nonce)>) -> Reply<'_, Vec<Beaten>> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            let beat = |(id, nonce)| state.change(tx, id, |slot, _| transition::beat(slot, nonce, now));
            claims.into_iter().map(beat).collect()
        }))
    }

    fn give_back(&self, _shard: u16, jobs: Vec<GiveBack>) -> Reply<'_, Vec<GivenBack>> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            let give_back = |job: &GiveBack| {
                let epoch = state.shard_of(job.id).epoch;
                state.change(tx, job.id, |slot, _| {
                    transition::give_back(slot, job.gen_, &job.reason, epoch, now)
                })
            };
            jobs.iter().map(give_back).collect()
        }))
    }

    fn progress(&self, _shard: u16, updates: Vec<ProgressWrite>) -> Reply<'_, ()> {
        // In memory until the job ends: progress is worth nothing to whoever takes the job over. Lines of its log are.
        Box::pin(self.write(move |state, tx| {
            for update in updates {
                if is_owner(state, update.id, update.nonce) {
                    keep(state, tx, update.id, update.nonce, update.progress);
                    tx.woken.push(update.id);
                }
            }
        }))
    }

    fn parents(&self, _shard: u16, child: JobId) -> Reply<'_, Vec<(JobId, ParentOutcome)>> {
        Box::pin(std::future::ready(self.outcomes(child)))
    }

    fn quarantine(&self, messages: Vec<Quarantined>) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, tx| {
            for message in &messages {
                put_aside(state, tx, message);
            }
        }))
    }

    fn worker_beat(&self, worker: WorkerView) -> Reply<'_, Vec<QueueName>> {
        Box::pin(self.write(move |state, tx| {
            let able = able([&worker]);
            for shard in state.shard_numbers() {
                unpark(state, tx, shard, &able);
            }
            let now = tx.now;
            // Those that ended without a word.
            state.workers.retain(|_, known| is_live(known, now));
            state.taken.retain(|_, (_, until)| *until > now);
            let worker = WorkerView {
                seen_at: tx.now,
                ..worker
            };
            state.taken.remove(&worker.id);
            state.workers.insert(worker.id.clone(), worker);
            state.paused.iter().cloned().collect()
        }))
    }

    fn worker_load(&self, worker: WorkerView) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, tx| {
            if let Some(known) = state.workers.get_mut(&worker.id) {
                let seen_at = tx.now;
                state.taken.remove(&worker.id);
                *known = WorkerView { seen_at, ..worker };
            }
        }))
    }

    fn take_slots(&self, worker: WorkerId, wanted: Vec<SlotsWanted>) -> Reply<'_, Vec<u32>> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            wanted
                .iter()
                .map(|want| take_slots(state, &worker, want, now))
                .collect()
        }))
    }

    fn worker_gone(&self, worker: WorkerId) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, tx| {
            state.workers.remove(&worker);
            state.taken.remove(&worker);
            state.forget_live(tx, &worker);
        }))
    }

    fn hints(&self) -> Reply<'_, Box<dyn Hints>> {
        Box::pin(std::future::ready(
            self.watches.hints().ok_or(port::Error::Closed),
        ))
    }
}

impl Core {
    fn outcomes(&self, child: JobId) -> Result<Vec<(JobId, ParentOutcome)>, port::Error> {
        let rows = self.disk()?.parents(child)?;
        let decode = |(parent, bytes): (JobId, Vec<u8>)| {
            let outcome = stored::decode::<StoredOutcome>("outcome of a parent", &bytes)
                .map_err(|error| port::Error::Corrupt(error.to_string()))?;
            Ok((parent, outcome.into()))
        };
        rows.into_iter().map(decode).collect()
    }
}

fn is_owner(state: &State, id: JobId, nonce: Nonce) -> bool {
    state.record(id).is_some_and(|record| record.owner == Some(nonce))
}

/// Takes what the owner of a job says of it.
fn keep(state: &mut State, tx: &mut Tx<'_>, id: JobId, owner: Nonce, mut progress: Progress) {
    state.logs.add(tx, id, owner, std::mem::take(&mut progress.log));
    state.progress.insert(id, progress);
}

fn finish(state: &mut State, tx: &mut Tx<'_>, ask: Finish) -> Finished {
    let now = tx.now;
    if let Some(progress) = ask.progress.filter(|_| is_owner(state, ask.id, ask.nonce)) {
        keep(state, tx, ask.id, ask.nonce, progress);
    }
    state.change(tx, ask.id, |slot, effects| {
        transition::finish(slot, ask.nonce, ask.outcome, now, effects)
    })
}

fn claim(state: &mut State, tx: &mut Tx<'_>, ask: &Claim) -> Claimed {
    let (now, paused) = (tx.now, state.is_paused(ask.id));
    at_gate(state, ask.id, paused, |state, gate, epoch| {
        state.change(tx, ask.id, |slot, effects| {
            transition::claim(slot, ask, gate, epoch, now, effects)
        })
    })
}

fn rebuild(state: &mut State, tx: &mut Tx<'_>, ask: &Rebuild) -> Claimed {
    let (now, paused) = (tx.now, state.paused.contains(&ask.job.queue));
    at_gate(state, ask.job.id, paused, |state, gate, epoch| {
        state.change_new(tx, &ask.job, |slot, effects| {
            transition::rebuild(slot, ask, gate, epoch, now, effects)
        })
    })
}

/// Lets a transition act behind the gate of its job's shard, whose sweep it may move.
fn at_gate<R>(
    state: &mut State,
    id: JobId,
    paused: bool,
    act: impl FnOnce(&mut State, &mut Gate<'_>, Epoch) -> R,
) -> R {
    let shard = state.shard_of(id);
    let (mut sweep, epoch) = (shard.sweep, shard.epoch);
    let mut gate = Gate {
        paused,
        sweep: &mut sweep,
    };
    let reply = act(state, &mut gate, epoch);
    state.shard_of(id).sweep = sweep;
    reply
}

fn put_aside(state: &mut State, tx: &mut Tx<'_>, message: &Quarantined) {
    let now = tx.now;
    let key = format!("{QUARANTINE}{}", message.message_id);
    tx.batch.meta_of(
        &key,
        "message in quarantine",
        &StoredQuarantined::new(message, now),
    );
    for (id, gen_) in &message.dispatches {
        state.change(tx, *id, |slot, effects| {
            transition::quarantine(slot, *gen_, &message.reason, now, effects)
        });
    }
}

/// Takes free slots of others for one want.
fn take_slots(state: &mut State, me: &WorkerId, want: &SlotsWanted, now: Timestamp) -> u32 {
    let mut got = 0;
    let others = state.workers.values().filter(|other| {
        other.id != *me
            && !other.draining
            && is_live(other, now)
            && other.queues.contains(&want.queue)
            && !other.unattached.contains(&want.queue)
            && other.functions.contains(&want.function)
    });
    for other in others {
        let taken = state.taken.get(&other.id).filter(|(_, until)| *until > now);
        let taken = taken.map_or(0, |(taken, _)| *taken);
        let take = other.free.saturating_sub(taken).min(want.most - got);
        if take > 0 {
            let until = now.after(SLOT_TAKEN);
            state.taken.insert(other.id.clone(), (taken + take, until));
            got += take;
        }
    }
    got
}

/// Releases the jobs of a shard that are parked for these functions in these queues; answers how many.
pub(super) fn unpark(state: &mut State, tx: &mut Tx<'_>, shard: u16, able: &Able) -> u32 {
    let now = tx.now;
    let parked = state.rows(shard).map(|rows| {
        rows.parked(|function, queue| able.get(function).is_some_and(|queues| queues.contains(queue)))
    });
    let release = |id| u32::from(state.change(tx, id, |slot, _| transition::unpark(slot, now)));
    parked.unwrap_or_default().into_iter().map(release).sum()
}
