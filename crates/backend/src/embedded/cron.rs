//! Cron entries.

use longshore_core::clock::Timestamp;
use longshore_core::limits::CRON_GRACE;
use longshore_core::name::CronName;
use longshore_core::notice::Event;
use longshore_core::port::Reply;
use longshore_core::port::cron::{CronEntry, CronJob, CronPort, CronPut, CronWritten};
use longshore_core::port::enqueue::{Enqueued, NewJob};
use longshore_core::port::schedule::{CronDue, CronFire};
use longshore_core::transition;

use super::core::Core;
use super::enqueue::cancel;
use super::load::cron_key;
use super::state::{State, Tx};

impl CronPort for Core {
    fn cron_put(&self, entry: CronPut) -> Reply<'_, CronWritten> {
        Box::pin(self.write(move |state, tx| put(state, tx, entry)))
    }

    fn cron_remove(&self, name: CronName) -> Reply<'_, bool> {
        Box::pin(self.write(move |state, tx| {
            tx.batch.forget_meta(&cron_key(&name));
            state.cron.remove(&name).is_some()
        }))
    }

    fn cron_pause(&self, name: CronName, paused: bool, next_at: Timestamp) -> Reply<'_, bool> {
        Box::pin(self.write(move |state, tx| {
            let Some(known) = state.cron.get(&name).cloned() else {
                return false;
            };
            if known.paused != paused {
                let version = raised(Some(&known), tx.now);
                let next_at = if paused { known.next_at } else { next_at };
                let changed = CronEntry {
                    version,
                    next_at,
                    paused,
                    ..known
                };
                keep(state, tx, changed);
            }
            true
        }))
    }

    fn cron_entry(&self, name: CronName) -> Reply<'_, Option<CronEntry>> {
        let found = self.read(|state| state.cron.get(&name).cloned());
        Box::pin(std::future::ready(found))
    }

    fn cron_entries(&self, shard: u16, after: Option<CronName>, limit: usize) -> Reply<'_, Vec<CronEntry>> {
        let found = self.read(|state| {
            let mine = self.entries(state, shard);
            let rest = mine.filter(|entry| after.as_ref().is_none_or(|after| entry.name > *after));
            rest.take(limit).cloned().collect()
        });
        Box::pin(std::future::ready(found))
    }

    fn cron_run(&self, name: CronName, job: NewJob) -> Reply<'_, Option<Enqueued>> {
        Box::pin(self.write(move |state, tx| {
            let known = state.cron.get(&name).cloned()?;
            let made = make(state, tx, &job);
            if made != Enqueued::Conflict {
                let last = Some(made_now(&job, tx.now));
                keep(state, tx, CronEntry { last, ..known });
            }
            Some(made)
        }))
    }
}

impl Core {
    fn entries<'a>(&self, state: &'a State, shard: u16) -> impl Iterator<Item = &'a CronEntry> + use<'a> {
        let shards = self.shards;
        let mine = move |entry: &&CronEntry| shards.of_bytes(entry.name.as_str().as_bytes()) == shard;
        state.cron.values().filter(mine)
    }

    pub(super) fn due_entries(&self, shard: u16, limit: usize) -> Reply<'_, CronDue> {
        let now = self.clock.now();
        let due = self.read(|state| {
            let due = |entry: &&CronEntry| !entry.paused && entry.next_at <= now;
            let mut entries: Vec<_> = self.entries(state, shard).filter(due).cloned().collect();
            entries.sort_by_key(|entry| entry.next_at);
            entries.truncate(limit);
            CronDue { now, entries }
        });
        Box::pin(std::future::ready(due))
    }
}

fn put(state: &mut State, tx: &mut Tx<'_>, entry: CronPut) -> CronWritten {
    let known = state.cron.get(&entry.name);
    if let Some(known) = known.filter(|known| known.definition == entry.definition) {
        return CronWritten::Unchanged(known.version);
    }
    let stands = known.map_or(0, |known| known.version);
    if entry.if_version.is_some_and(|expected| expected != stands) {
        return CronWritten::Conflict(stands);
    }
    let version = raised(known, tx.now);
    let written = CronEntry {
        name: entry.name,
        version,
        next_at: entry.next_at,
        paused: known.is_some_and(|known| known.paused),
        definition: entry.definition,
        last: known.and_then(|known| known.last),
    };
    keep(state, tx, written);
    CronWritten::Written(version)
}

/// At least the time, so that an entry that is made anew goes on above the old one.
fn raised(known: Option<&CronEntry>, now: Timestamp) -> u64 {
    (known.map_or(0, |known| known.version) + 1).max(now.millis())
}

fn keep(state: &mut State, tx: &mut Tx<'_>, entry: CronEntry) {
    tx.batch.meta_of(&cron_key(&entry.name), "cron entry", &entry);
    state.cron.insert(entry.name.clone(), entry);
}

fn make(state: &mut State, tx: &mut Tx<'_>, job: &NewJob) -> Enqueued {
    let now = tx.now;
    state.change_new(tx, job, |slot, _| {
        transition::enqueue_within(slot, job, std::time::Duration::ZERO, now)
    })
}

const fn made_now(job: &NewJob, now: Timestamp) -> CronJob {
    CronJob {
        id: job.id,
        fired_at: now,
    }
}

pub(super) fn fire(state: &mut State, tx: &mut Tx<'_>, shard: u16, fire: &CronFire) -> bool {
    let now = tx.now;
    let as_read = |entry: &&CronEntry| {
        entry.version == fire.version && entry.next_at == fire.expected && fire.expected <= now
    };
    let Some(entry) = state.cron.get(&fire.name).filter(as_read).cloned() else {
        return false;
    };
    if let Some(request) = &fire.instead_of {
        cancel(state, tx, request);
    }
    if let Some(job) = &fire.job {
        make(state, tx, job);
    }
    let last = fire.job.as_ref().map(|job| made_now(job, now)).or(entry.last);
    let moved = CronEntry {
        next_at: fire.next,
        last,
        ..entry
    };
    keep(state, tx, moved);
    if now.since(fire.expected) > CRON_GRACE {
        // People are told, whatever the entry's policy makes of it.
        let missed = Event::CronMissed {
            entry: fire.name.clone(),
            tick: fire.expected,
        };
        state.write_notice(tx, shard, missed);
    }
    true
}
