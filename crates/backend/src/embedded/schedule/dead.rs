//! Dead letters.

use longshore_core::envelope::Envelope;
use longshore_core::id::JobId;
use longshore_core::port::enqueue::NewJob;
use longshore_core::port::schedule::{DeadLetter, DeadLetterChange, EditedLetter, Removals, TwinState};
use longshore_core::record::Slot;
use longshore_core::transition;

use super::super::disk::Part;
use super::super::load::removals_key;
use super::super::state::{Shard, State, Tx};
use super::super::stored;

/// The letter of a Failed job.
pub(super) fn letter(state: &mut State, tx: &Tx<'_>, id: JobId) -> Option<DeadLetter> {
    let epoch = state.shard_of(id).epoch;
    let record = state.record(id)?;
    let part = |part| tx.disk.part(id, part).ok().flatten();
    let error = part(Part::Error).and_then(|bytes| stored::decode("error", &bytes).ok());
    Some(DeadLetter {
        id,
        gen_: record.gen_,
        epoch,
        dead_at: record.finished_at.unwrap_or(record.entered_at),
        queue: record.queue.clone(),
        envelope: part(Part::Envelope)?,
        error: error.unwrap_or_default(),
        attempts: record.attempts,
        history: record.history.clone(),
    })
}

pub(super) fn twin(state: &mut State, tx: &mut Tx<'_>, twin: &DeadLetter) -> TwinState {
    let (now, epoch) = (tx.now, state.shard_of(twin.id).epoch);
    let job = || {
        let envelope = Envelope::decode(&twin.envelope)
            .ok()
            .filter(|envelope| envelope.id == twin.id)?;
        Some(NewJob::from_envelope(&envelope, twin.envelope.clone()))
    };
    let answer = state.change(tx, twin.id, |slot, effects| {
        transition::dead_twin(slot, twin, epoch, job, now, effects)
    });
    if answer == TwinState::Rebuilt {
        tx.batch.part(twin.id, Part::Envelope, &twin.envelope);
    }
    answer
}

/// Requeues or discards, and counts the twins that are stale by it.
pub(super) fn remove(
    state: &mut State,
    tx: &mut Tx<'_>,
    shard: u16,
    ids: &[JobId],
    act: impl Fn(&mut Slot) -> DeadLetterChange,
) -> Vec<DeadLetterChange> {
    let changes: Vec<_> = ids
        .iter()
        .map(|id| state.change(tx, *id, |slot, _| act(slot)))
        .collect();
    let done = changes
        .iter()
        .filter(|change| **change == DeadLetterChange::Done)
        .count();
    count_removals(state, tx, shard, done as u64);
    changes
}

/// Requeues letters with other envelopes.
pub(super) fn requeue_edited(
    state: &mut State,
    tx: &mut Tx<'_>,
    shard: u16,
    letters: &[EditedLetter],
) -> Vec<DeadLetterChange> {
    let now = tx.now;
    let mut changes = Vec::with_capacity(letters.len());
    for letter in letters {
        if is_done(state, tx, letter) {
            changes.push(DeadLetterChange::Done);
            continue;
        }
        let change = state.change(tx, letter.id, |slot, _| {
            transition::requeue_edited(slot, letter.gen_, now)
        });
        if change == DeadLetterChange::Done {
            tx.batch.part(letter.id, Part::Envelope, &letter.envelope);
            count_removals(state, tx, shard, 1);
        }
        changes.push(change);
    }
    changes
}

/// Whether the answer to this very edit was lost.
fn is_done(state: &State, tx: &Tx<'_>, letter: &EditedLetter) -> bool {
    let is_next = |record: &longshore_core::record::Record| record.gen_ == letter.gen_.saturating_add(1);
    let envelope = || tx.disk.part(letter.id, Part::Envelope).ok().flatten();
    state.record(letter.id).is_some_and(is_next) && envelope().as_ref() == Some(&letter.envelope)
}

/// Counts twins that are stale from now on.
pub(super) fn count_removals(state: &mut State, tx: &mut Tx<'_>, shard: u16, twins: u64) {
    if twins > 0 {
        let of = state.shard(shard);
        of.removals = of.removals.saturating_add(twins);
        keep_removals(of, tx, shard);
    }
}

/// The stale twins of a shard, after a lap that began when `swept` of them were counted.
pub(super) fn removals(state: &mut State, tx: &mut Tx<'_>, shard: u16, swept: u64) -> Removals {
    let of = state.shard(shard);
    if swept > of.removals_swept && swept <= of.removals {
        of.removals_swept = swept;
        keep_removals(of, tx, shard);
    }
    Removals {
        counted: of.removals,
        pending: of.removals.saturating_sub(of.removals_swept),
    }
}

/// Only what waits for a lap is kept on the disk: the laps that know the numbers end with the process.
fn keep_removals(of: &Shard, tx: &mut Tx<'_>, shard: u16) {
    let key = removals_key(shard);
    match of.removals.saturating_sub(of.removals_swept) {
        0 => tx.batch.forget_meta(&key),
        pending => tx.batch.meta(&key, &pending.to_be_bytes()),
    }
}
