//! What the owner of a folder has in memory, and the one way in which it changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use longshore_core::clock::Timestamp;
use longshore_core::id::{JobId, WorkerId};
use longshore_core::message::Epoch;
use longshore_core::name::{CronName, FunctionName, QueueName};
use longshore_core::outcome::Progress;
use longshore_core::port::attempt::Hint;
use longshore_core::port::cron::CronEntry;
use longshore_core::port::enqueue::NewJob;
use longshore_core::record::{Record, Slot, Sweep, Tombstone};
use longshore_core::shard::Shards;
use longshore_core::spec::EdgePolicy;
use longshore_core::transition::Effects;
use longshore_core::view::WorkerView;

use super::disk::{Batch, Disk, Part};
use super::log::Logs;
use super::notify::{Letters, Noting};
use super::rows::Rows;
use super::statistics::Counted;

/// Everything but the payloads and the messages.
#[derive(Debug)]
pub(super) struct State {
    shards: Shards,
    records: HashMap<JobId, Box<Record>>,
    tombstones: HashMap<JobId, Tombstone>,
    /// Tombstones by their end.
    tombstones_end: BTreeSet<(Timestamp, JobId)>,
    shard: BTreeMap<u16, Shard>,
    /// Every record by its creation: what listings walk.
    pub(super) created: BTreeSet<(Timestamp, JobId)>,
    pub(super) counts: BTreeMap<(QueueName, FunctionName), BTreeMap<longshore_core::JobStatus, u64>>,
    pub(super) counted: Counted,
    pub(super) children: HashMap<JobId, BTreeMap<JobId, EdgePolicy>>,
    /// Progress of jobs that have not ended; it reaches the disk when they do.
    pub(super) progress: HashMap<JobId, Progress>,
    /// Where the logs of running jobs stand.
    pub(super) logs: Logs,
    pub(super) paused: BTreeSet<QueueName>,
    pub(super) cron: BTreeMap<CronName, CronEntry>,
    pub(super) workers: BTreeMap<WorkerId, WorkerView>,
    /// Free slots of them that others have just sent jobs to, and until when they count as taken.
    pub(super) taken: BTreeMap<WorkerId, (u32, Timestamp)>,
    /// What a scheduler keeps of letters.
    pub(super) letters: Letters,
    /// Why the memory can be trusted no more: a write failed after the memory had changed.
    pub(super) broken: Option<String>,
}

/// What each shard has of its own.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) rows: Rows,
    pub(super) sweep: Sweep,
    pub(super) epoch: Epoch,
    /// Twins in the archive that requeue, discard or retention made stale, counted from the opening of the folder; it
    /// begins with those that had no lap then.
    pub(super) removals: u64,
    /// How many of them a lap of the keeper has looked for.
    pub(super) removals_swept: u64,
    /// What people are to be told of its jobs.
    pub(super) noting: Noting,
    /// Which scheduler has it, and until when.
    pub(super) lease: Option<(String, Timestamp)>,
}

/// One call's changes: written as one batch, then told to whoever watches.
pub(super) struct Tx<'a> {
    pub(super) disk: &'a Disk,
    pub(super) batch: Batch<'a>,
    pub(super) now: Timestamp,
    pub(super) woken: Vec<JobId>,
    pub(super) hints: Vec<Hint>,
}

impl State {
    pub(super) fn new(shards: Shards) -> Self {
        Self {
            shards,
            records: HashMap::new(),
            tombstones: HashMap::new(),
            tombstones_end: BTreeSet::new(),
            shard: shards.all().map(|number| (number, Shard::default())).collect(),
            created: BTreeSet::new(),
            counts: BTreeMap::new(),
            counted: Counted::default(),
            children: HashMap::new(),
            progress: HashMap::new(),
            logs: Logs::default(),
            paused: BTreeSet::new(),
            cron: BTreeMap::new(),
            workers: BTreeMap::new(),
            taken: BTreeMap::new(),
            letters: Letters::default(),
            broken: None,
        }
    }

    /// Forgets every job and what happened to them; what else there is stays.
    pub(super) fn wipe(&mut self) {
        let fresh = Self::new(self.shards);
        let old = std::mem::replace(self, fresh);
        self.paused = old.paused;
        self.cron = old.cron;
        self.workers = old.workers;
        self.counted = old.counted;
        self.counted.forget();
        self.letters = old.letters;
    }

    /// Takes what was read from the disk in the place of what is remembered of it. What is in memory alone stays.
    pub(super) fn take_over(&mut self, found: Self) {
        let old = std::mem::replace(self, found);
        for (number, shard) in old.shard {
            let fresh = self.shard(number);
            (fresh.sweep, fresh.lease) = (shard.sweep, shard.lease);
            // A lap that is under way knows the number from before.
            fresh.removals_swept = shard.removals_swept;
            fresh.removals = fresh.removals.saturating_add(shard.removals_swept);
        }
        self.workers = old.workers;
        self.counted = old.counted;
        self.progress = old.progress;
        self.progress.retain(|id, _| {
            let record = self.records.get(id);
            record.is_some_and(|record| !record.status.is_terminal())
        });
    }

    pub(super) fn record(&self, id: JobId) -> Option<&Record> {
        self.records.get(&id).map(Box::as_ref)
    }

    pub(super) fn status(&self, id: JobId, now: Timestamp) -> Option<longshore_core::JobStatus> {
        let tombstone = || self.tombstones.get(&id).filter(|tombstone| tombstone.until > now);
        self.record(id)
            .map(|record| record.status)
            .or_else(|| tombstone().map(|stone| stone.status))
    }

    pub(super) fn is_paused(&self, id: JobId) -> bool {
        self.record(id)
            .is_some_and(|record| self.paused.contains(&record.queue))
    }

    pub(super) fn shard(&mut self, number: u16) -> &mut Shard {
        self.shard.entry(number).or_default()
    }

    pub(super) fn shard_number(&self, id: JobId) -> u16 {
        self.shards.of(&id)
    }

    pub(super) fn shard_of(&mut self, id: JobId) -> &mut Shard {
        self.shard(self.shard_number(id))
    }

    pub(super) fn shard_numbers(&self) -> Vec<u16> {
        self.shards.all().collect()
    }

    /// Records with this id range of rows, for sweeps.
    pub(super) fn rows(&self, shard: u16) -> Option<&Rows> {
        self.shard.get(&shard).map(|shard| &shard.rows)
    }

    /// The epoch of a shard, and its notices.
    pub(super) fn noting(&self, number: u16) -> Option<(Epoch, &Noting)> {
        let shard = self.shard.get(&number)?;
        Some((shard.epoch, &shard.noting))
    }

    /// Lets a transition act on what is under `id`, and keeps memory and batch in step with what it did.
    pub(super) fn change<R>(
        &mut self,
        tx: &mut Tx<'_>,
        id: JobId,
        act: impl FnOnce(&mut Slot, &mut Effects) -> R,
    ) -> R {
        let mut slot = self.take(id, tx.now);
        let before = slot.clone();
        let mut effects = Effects::default();
        let reply = act(&mut slot, &mut effects);
        if before != slot {
            tx.batch.slot(id, &slot);
            self.follow(id, before.record(), slot.record());
            self.counted.note(before.record(), slot.record(), tx.now);
            self.write_parts(tx, id, &before, &slot, &effects);
            if let Some(record) = slot.record() {
                self.note(tx, id, record, &effects);
            }
        }
        self.put(id, slot);
        reply
    }

    /// As [`State::change`] for a job that may be made by it: its envelope is written with it.
    pub(super) fn change_new<R>(
        &mut self,
        tx: &mut Tx<'_>,
        job: &NewJob,
        act: impl FnOnce(&mut Slot, &mut Effects) -> R,
    ) -> R {
        let known = self.records.contains_key(&job.id);
        let reply = self.change(tx, job.id, act);
        if !known && self.records.contains_key(&job.id) {
            tx.batch.part(job.id, Part::Envelope, &job.envelope);
        }
        reply
    }

    /// Puts what was read from the disk into memory.
    pub(super) fn restore(&mut self, id: JobId, slot: Slot) {
        self.follow(id, None, slot.record());
        self.put(id, slot);
    }

    fn take(&mut self, id: JobId, now: Timestamp) -> Slot {
        if let Some(record) = self.records.remove(&id) {
            return Slot::Record(record);
        }
        match self.tombstones.remove(&id) {
            Some(tombstone) => {
                self.tombstones_end.remove(&(tombstone.until, id));
                if tombstone.until > now {
                    Slot::Tombstone(tombstone)
                } else {
                    Slot::Missing
                }
            }
            None => Slot::Missing,
        }
    }

    fn put(&mut self, id: JobId, slot: Slot) {
        match slot {
            Slot::Missing => {}
            Slot::Tombstone(tombstone) => {
                self.tombstones_end.insert((tombstone.until, id));
                self.tombstones.insert(id, tombstone);
            }
            Slot::Record(record) => {
                self.records.insert(id, record);
            }
        }
    }

    /// Indexes, listing and counters follow the record.
    fn follow(&mut self, id: JobId, before: Option<&Record>, after: Option<&Record>) {
        self.shard_of(id).rows.update(id, before, after);
        let place = |record: &Record| (record.queue.clone(), record.status);
        if before.map(place) == after.map(place) {
            return;
        }
        if let Some(record) = before {
            self.count(record, |count| count.saturating_sub(1));
            if after.is_none() {
                self.created.remove(&(record.created_at, id));
            }
        }
        if let Some(record) = after {
            self.count(record, |count| count + 1);
            if before.is_none() {
                self.created.insert((record.created_at, id));
            }
        }
    }

    fn count(&mut self, record: &Record, step: impl FnOnce(u64) -> u64) {
        let place = (record.queue.clone(), record.function_name.clone());
        let counts = self.counts.entry(place.clone()).or_default();
        let count = step(counts.get(&record.status).copied().unwrap_or(0));
        if count > 0 {
            counts.insert(record.status, count);
            return;
        }
        counts.remove(&record.status);
        if counts.is_empty() {
            self.counts.remove(&place);
        }
    }

    /// The job's parts follow it too: result and error, progress once it ends, nothing once it is gone.
    fn write_parts(&mut self, tx: &mut Tx<'_>, id: JobId, before: &Slot, after: &Slot, effects: &Effects) {
        if before.status() != after.status() {
            tx.woken.push(id);
            if after.status() != Some(longshore_core::JobStatus::Running) {
                self.logs.close(id);
            }
        }
        if has_children_to_tell(after) && !has_children_to_tell(before) {
            tx.hints.push(Hint::ParentEnded);
        }
        if after.record().is_none() {
            self.progress.remove(&id);
            if before.record().is_some() {
                tx.batch.forget_parts(id);
            }
            for child in self.children.remove(&id).unwrap_or_default().into_keys() {
                tx.batch.unlink(id, child);
            }
            return;
        }
        if starts(before, after) {
            self.progress.remove(&id);
            tx.batch.forget_part(id, Part::Progress);
        }
        if let Some(result) = &effects.result {
            tx.batch.part(id, Part::Result, result);
        }
        if let Some(error) = &effects.error {
            tx.batch.part_of(id, Part::Error, "error", error);
        }
        if after.status().is_some_and(longshore_core::JobStatus::is_terminal)
            && let Some(progress) = self.progress.remove(&id)
        {
            tx.batch.part_of(id, Part::Progress, "progress", &progress);
        }
    }

    /// Deletes tombstones whose time is over.
    pub(super) fn forget_tombstones(&mut self, tx: &mut Tx<'_>, limit: usize) {
        for _ in 0..limit {
            match self.tombstones_end.first().copied() {
                Some((until, id)) if until <= tx.now => {
                    self.tombstones_end.remove(&(until, id));
                    self.tombstones.remove(&id);
                    tx.batch.slot(id, &Slot::Missing);
                }
                _ => return,
            }
        }
    }

    /// Every record, for what must look at all of them once.
    pub(super) fn all(&self) -> impl Iterator<Item = (JobId, &Record)> {
        self.records.iter().map(|(id, record)| (*id, record.as_ref()))
    }
}

fn has_children_to_tell(slot: &Slot) -> bool {
    slot.record().is_some_and(|record| record.rel.is_some())
}

/// Whether this is a start after an earlier one: it begins with no progress.
fn starts(before: &Slot, after: &Slot) -> bool {
    let fence = |slot: &Slot| slot.record().map_or(0, |record| record.fence);
    fence(before) > 0 && fence(before) != fence(after)
}
