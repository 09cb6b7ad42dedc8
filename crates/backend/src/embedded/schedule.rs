//! The scheduler's side.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::JobStatus;
use longshore_core::clock::Timestamp;
use longshore_core::id::JobId;
use longshore_core::limits::{LEASE, OUTBOX_AHEAD_MAX, OUTBOX_LEASE, SCRIPT_JOBS_MAX};
use longshore_core::message::Gen;
use longshore_core::port::attempt::Hints;
use longshore_core::port::schedule::{
    CronDue, CronFire, DeadLetter, DeadLetterChange, EditedLetter, Leased, LeasesExpired, OpenEdges, Pruned,
    Relation, Removals, SchedulePort, TwinState, Watermark,
};
use longshore_core::port::{self, Reply};
use longshore_core::record::Index;
use longshore_core::transition::{self, Expired, Promoted, Retained};

use super::attempt::unpark;
use super::core::Core;
use super::cron;
use super::inspect::is_live;
use super::state::{State, Tx};
use crate::able::able;

mod dead;
mod dispatch;
mod relations;

impl SchedulePort for Core {
    fn lease_shards(&self, holder: String, want: usize, ttl: Duration) -> Reply<'_, Vec<u16>> {
        Box::pin(self.write(move |state, tx| lease_shards(state, tx.now, &holder, want, ttl)))
    }

    fn ended_parents(&self) -> Reply<'_, Box<dyn Hints>> {
        Box::pin(std::future::ready(
            self.watches.hints().ok_or(port::Error::Closed),
        ))
    }

    fn release_shards(&self, holder: String) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, _| {
            for number in state.shard_numbers() {
                let shard = state.shard(number);
                shard.lease = shard.lease.take().filter(|(by, _)| *by != holder);
            }
        }))
    }

    fn lease_outbox(&self, shard: u16, limit: usize) -> Reply<'_, Leased> {
        Box::pin(self.write(move |state, tx| {
            pull_back(state, tx, shard, Index::Outbox, OUTBOX_AHEAD_MAX);
            let (now, due) = (tx.now, due(state, shard, Index::Outbox, tx.now, limit));
            dispatch::lease(state, tx, shard, &due, |slot| transition::lease_outbox(slot, now))
        }))
    }

    fn extend_outbox(&self, _shard: u16, jobs: Vec<(JobId, Gen)>, by: Duration) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            for (id, gen_) in jobs {
                state.change(tx, id, |slot, _| transition::extend_outbox(slot, gen_, by, now));
            }
        }))
    }

    fn promote(&self, shard: u16, limit: usize) -> Reply<'_, Leased> {
        Box::pin(self.write(move |state, tx| {
            let (now, due) = (tx.now, due(state, shard, Index::Due, tx.now, limit));
            dispatch::lease(state, tx, shard, &due, |slot| {
                transition::promote(slot, now) == Promoted::Leased
            })
        }))
    }

    fn expire_leases(&self, shard: u16, limit: usize) -> Reply<'_, LeasesExpired> {
        Box::pin(self.write(move |state, tx| expire_leases(state, tx, shard, limit)))
    }

    fn expire_waiting(&self, shard: u16, limit: usize) -> Reply<'_, u32> {
        Box::pin(self.write(move |state, tx| {
            let (now, due) = (tx.now, due(state, shard, Index::Expiring, tx.now, limit));
            let expire =
                |id| u32::from(state.change(tx, id, |slot, _| transition::expire_waiting(slot, now)));
            due.into_iter().map(expire).sum()
        }))
    }

    fn relations(&self, shard: u16, limit: usize) -> Reply<'_, Vec<Relation>> {
        Box::pin(self.write(move |state, tx| {
            pull_back(state, tx, shard, Index::Rel, OUTBOX_LEASE);
            let due = due(state, shard, Index::Rel, tx.now, limit);
            due.into_iter()
                .filter_map(|parent| relations::take(state, tx, parent))
                .collect()
        }))
    }

    fn relations_told(&self, _shard: u16, parent: JobId, children: Vec<JobId>) -> Reply<'_, bool> {
        Box::pin(self.write(move |state, tx| relations::told(state, tx, parent, &children)))
    }

    fn open_edges(&self, shard: u16, limit: usize) -> Reply<'_, Vec<OpenEdges>> {
        Box::pin(self.write(move |state, tx| {
            let due = due(state, shard, Index::Edges, tx.now, limit);
            relations::lease_edges(state, tx, &due)
        }))
    }

    fn parents_unknown(&self, _shard: u16, children: Vec<JobId>) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            for id in children {
                state.change(tx, id, |slot, _| transition::parent_unknown(slot, now));
            }
        }))
    }

    fn audit(&self, shard: u16, watermarks: Vec<Watermark>, limit: usize) -> Reply<'_, Leased> {
        Box::pin(self.write(move |state, tx| dispatch::audit(state, tx, shard, &watermarks, limit)))
    }

    fn dead_uncopied(&self, shard: u16, limit: usize) -> Reply<'_, Vec<DeadLetter>> {
        Box::pin(self.write(move |state, tx| {
            let dead = due(state, shard, Index::Dead, Timestamp(u64::MAX), limit);
            dead.into_iter()
                .filter_map(|id| dead::letter(state, tx, id))
                .collect()
        }))
    }

    fn dead_copied(&self, shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, tx| {
            let mut late = 0;
            for (id, gen_) in jobs {
                let is_dead = state.change(tx, id, |slot, _| transition::dead_copied(slot, gen_));
                late += u64::from(!is_dead);
            }
            dead::count_removals(state, tx, shard, late);
        }))
    }

    fn dead_twins(&self, _shard: u16, twins: Vec<DeadLetter>) -> Reply<'_, Vec<TwinState>> {
        Box::pin(self.write(move |state, tx| twins.iter().map(|twin| dead::twin(state, tx, twin)).collect()))
    }

    fn broker_gave_up(&self, _shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, Vec<JobId>> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            let mut unknown = Vec::new();
            for (id, gen_) in jobs {
                let known = state.change(tx, id, |slot, effects| {
                    transition::broker_gave_up(slot, gen_, now, effects)
                });
                if !known {
                    unknown.push(id);
                }
            }
            unknown
        }))
    }

    fn requeue(&self, shard: u16, ids: Vec<JobId>, before: Timestamp) -> Reply<'_, Vec<DeadLetterChange>> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            dead::remove(state, tx, shard, &ids, |slot| {
                transition::requeue(slot, before, now)
            })
        }))
    }

    fn requeue_edited(&self, shard: u16, letters: Vec<EditedLetter>) -> Reply<'_, Vec<DeadLetterChange>> {
        Box::pin(self.write(move |state, tx| dead::requeue_edited(state, tx, shard, &letters)))
    }

    fn discard(&self, shard: u16, ids: Vec<JobId>, before: Timestamp) -> Reply<'_, Vec<DeadLetterChange>> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            dead::remove(state, tx, shard, &ids, |slot| {
                transition::discard(slot, before, now)
            })
        }))
    }

    fn removals_pending(&self, shard: u16, swept: u64) -> Reply<'_, Removals> {
        Box::pin(self.write(move |state, tx| dead::removals(state, tx, shard, swept)))
    }

    fn prune(&self, shard: u16, retention: BTreeMap<JobStatus, Duration>, limit: usize) -> Reply<'_, Pruned> {
        Box::pin(self.write(move |state, tx| prune(state, tx, shard, &retention, limit)))
    }

    fn unpark(&self, shard: u16) -> Reply<'_, u32> {
        Box::pin(self.write(move |state, tx| {
            let now = tx.now;
            let able = able(state.workers.values().filter(|worker| is_live(worker, now)));
            unpark(state, tx, shard, &able)
        }))
    }

    fn cron_due(&self, shard: u16, limit: usize) -> Reply<'_, CronDue> {
        self.due_entries(shard, limit)
    }

    fn cron_fire(&self, shard: u16, fire: CronFire) -> Reply<'_, bool> {
        Box::pin(self.write(move |state, tx| cron::fire(state, tx, shard, &fire)))
    }
}

/// Jobs of an index that are due.
fn due(state: &State, shard: u16, index: Index, now: Timestamp, limit: usize) -> Vec<JobId> {
    state
        .rows(shard)
        .map(|rows| rows.until(index, now.millis(), limit))
        .unwrap_or_default()
}

/// Pulls times of an index that are further ahead than `most` back: the clock has gone back.
fn pull_back(state: &mut State, tx: &mut Tx<'_>, shard: u16, index: Index, most: Duration) {
    let now = tx.now;
    let untrue = state
        .rows(shard)
        .map(|rows| rows.after(index, now.after(most).millis(), SCRIPT_JOBS_MAX));
    for id in untrue.unwrap_or_default() {
        state.change(tx, id, |slot, _| transition::pull_back(slot, now));
    }
}

fn lease_shards(state: &mut State, now: Timestamp, holder: &str, want: usize, ttl: Duration) -> Vec<u16> {
    let holds = |lease: &Option<(String, Timestamp)>| {
        lease
            .as_ref()
            .is_some_and(|(by, until)| by == holder && *until > now)
    };
    let mut numbers = state.shard_numbers();
    // Its own first, so that leases do not wander.
    numbers.sort_by_key(|number| !holds(&state.shard(*number).lease));
    let mut leased = Vec::new();
    for number in numbers {
        let shard = state.shard(number);
        let free = holds(&shard.lease) || shard.lease.as_ref().is_none_or(|(_, until)| *until <= now);
        if free && leased.len() < want {
            shard.lease = Some((holder.to_owned(), now.after(ttl)));
            leased.push(number);
        } else if holds(&shard.lease) {
            shard.lease = None;
        }
    }
    leased
}

fn expire_leases(state: &mut State, tx: &mut Tx<'_>, shard: u16, limit: usize) -> LeasesExpired {
    pull_back(state, tx, shard, Index::Running, LEASE);
    let now = tx.now;
    let mut done = LeasesExpired::default();
    if let Some(pause) = state.shard(shard).sweep.look(now) {
        done.paused_for = pause;
        return done;
    }
    for id in due(state, shard, Index::Running, now, limit) {
        match state.change(tx, id, |slot, effects| {
            transition::expire_lease(slot, now, effects)
        }) {
            Expired::Requeued => done.requeued += 1,
            Expired::Ended(JobStatus::Cancelled) => done.cancelled += 1,
            Expired::Ended(_) => done.failed += 1,
            Expired::Nothing => {}
        }
    }
    done
}

fn prune(
    state: &mut State,
    tx: &mut Tx<'_>,
    shard: u16,
    retention: &BTreeMap<JobStatus, Duration>,
    limit: usize,
) -> Pruned {
    let now = tx.now;
    let mut pruned = Pruned::default();
    let (mut left, mut letters) = (limit, 0);
    for (status, keep) in retention {
        let group = super::rows::Group::Status(*status);
        let until = now.before(*keep).millis();
        let over = state
            .rows(shard)
            .map(|rows| rows.group_until(Index::Finished, group, until, left));
        for id in over.unwrap_or_default() {
            left -= 1;
            match state.change(tx, id, |slot, _| transition::prune(slot, *keep, now)) {
                Retained::Deleted => {
                    pruned.jobs += 1;
                    letters += u64::from(*status == JobStatus::Failed);
                }
                Retained::HeldByChildren => pruned.held_by_children += 1,
                Retained::Kept => {}
            }
        }
    }
    dead::count_removals(state, tx, shard, letters);
    state.forget_tombstones(tx, limit);
    pruned
}
