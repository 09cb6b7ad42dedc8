//! Dead letters, and messages that nobody could handle.

use super::retain::tell_gone;
use super::settle::{fail, settle};
use super::table::Trigger;
use super::{Effects, create, delete, queue};
use crate::clock::Timestamp;
use crate::limits::{LOSTS_MAX, RETENTION_DEFAULT};
use crate::message::{Epoch, Gen};
use crate::outcome::ErrorInfo;
use crate::port::enqueue::NewJob;
use crate::port::schedule::{DeadLetter, DeadLetterChange, TwinState};
use crate::record::{Record, Slot};
use crate::status::JobStatus;

fn died_before(slot: &mut Slot, before: Timestamp) -> Option<&mut Record> {
    slot.record_mut().filter(|record| {
        record.status == JobStatus::Failed && record.finished_at.is_some_and(|at| at < before)
    })
}

/// Queues a dead letter that died before `before` again, as if it had never run.
pub fn requeue(slot: &mut Slot, before: Timestamp, now: Timestamp) -> DeadLetterChange {
    let Some(record) = died_before(slot, before) else {
        return DeadLetterChange::NotDead;
    };
    if record.deadline.is_some_and(|at| at <= now) {
        // It would be Expired at the next sweep, and its children cancelled.
        return DeadLetterChange::PastDeadline;
    }
    queue(record, Trigger::Requeue, now, now);
    record.attempts = 0;
    record.retries = 0;
    record.losts = 0;
    record.give_backs = 0;
    record.finished_at = None;
    record.cancel = None;
    record.rel = None;
    record.dead_copied = false;
    // Whoever requeues it wants it to run.
    record.expires_at = None;
    DeadLetterChange::Done
}

/// As [`requeue`] for a dead letter that still has the gen with which it was read; its envelope is exchanged with it.
pub fn requeue_edited(slot: &mut Slot, gen_: Gen, now: Timestamp) -> DeadLetterChange {
    if slot.record().is_none_or(|record| record.gen_ != gen_) {
        return DeadLetterChange::NotDead;
    }
    requeue(slot, Timestamp(u64::MAX), now)
}

/// Deletes a dead letter that died before `before`. Children are told first.
pub fn discard(slot: &mut Slot, before: Timestamp, now: Timestamp) -> DeadLetterChange {
    let Some(record) = died_before(slot, before) else {
        return DeadLetterChange::NotDead;
    };
    if record.children > 0 {
        tell_gone(record, now);
        return DeadLetterChange::HasChildren;
    }
    let tombstone = record.tombstone(now.after(RETENTION_DEFAULT));
    delete(slot, Trigger::Discard, Slot::Tombstone(tombstone));
    DeadLetterChange::Done
}

/// The broker confirmed the durable twin of this dead letter. Answers false when the letter is none any more: then its
/// twin came too late, and waits for a lap.
pub fn dead_copied(slot: &mut Slot, gen_: Gen) -> bool {
    match slot.record_mut() {
        Some(record) if record.status == JobStatus::Failed && record.gen_ == gen_ => {
            record.dead_copied = true;
            true
        }
        _ => false,
    }
}

/// How the record behind an archived twin stands. A wiped record is made anew as Failed from what `job` reads out of
/// the twin's envelope; a twin that cannot be read is kept.
pub fn dead_twin(
    slot: &mut Slot,
    twin: &DeadLetter,
    epoch: Epoch,
    job: impl FnOnce() -> Option<NewJob>,
    now: Timestamp,
    effects: &mut Effects,
) -> TwinState {
    match slot {
        Slot::Record(record) if record.status == JobStatus::Failed && record.gen_ == twin.gen_ => {
            record.dead_copied = true;
            TwinState::Keep
        }
        // The store went back in time: what the twin tells has yet to happen again.
        Slot::Record(record) if record.gen_ < twin.gen_ => TwinState::Keep,
        Slot::Tombstone(_) | Slot::Record(_) => TwinState::Stale,
        Slot::Missing if twin.epoch == epoch => TwinState::Dropped,
        Slot::Missing => {
            let Some(job) = job() else { return TwinState::Keep };
            revive(slot, twin, &job, now);
            effects.error = Some(twin.error.clone());
            TwinState::Rebuilt
        }
    }
}

fn revive(slot: &mut Slot, twin: &DeadLetter, job: &NewJob, now: Timestamp) {
    let mut record = Record::unplaced(job, JobStatus::Failed, now);
    record.run_at = None;
    record.gen_ = twin.gen_;
    record.attempts = twin.attempts;
    record.history.clone_from(&twin.history);
    record.started_at = twin.history.last().map(|attempt| attempt.started_at);
    record.finished_at = Some(twin.dead_at);
    record.dead_copied = true;
    create(slot, record, Trigger::Twin);
}

/// The broker gave a message of this dispatch up. A Running job counts a lost, once for each dispatch, and goes on by
/// its lease, unless its losts are used up; a Queued one goes to the outbox with the gen it has. Answers false when the job is unknown.
pub fn broker_gave_up(slot: &mut Slot, gen_: Gen, now: Timestamp, effects: &mut Effects) -> bool {
    let record = match slot {
        Slot::Missing => return false,
        Slot::Tombstone(_) => return true,
        Slot::Record(record) => record,
    };
    match record.status {
        JobStatus::Running if record.gen_ == gen_ => count_lost(record, now, effects),
        JobStatus::Queued if record.gen_ == gen_ && record.parked.is_none() => {
            record.outbox = Some(now);
            record.published_at = None;
        }
        _ => {}
    }
    true
}

fn count_lost(record: &mut Record, now: Timestamp, effects: &mut Effects) {
    // The message comes again when whoever reported it crashed before the ack.
    if record.gave_up_gen == Some(record.gen_) {
        return;
    }
    record.gave_up_gen = Some(record.gen_);
    record.losts = record.losts.saturating_add(1);
    record.remember("lost", "the broker gave its message up".to_owned(), now);
    if record.losts < LOSTS_MAX {
        return;
    }
    if record.cancel.is_some() {
        settle(record, Trigger::BrokerGaveUp, JobStatus::Cancelled, now);
    } else {
        let error = ErrorInfo::new(
            "worker_lost",
            "the broker gave its message up after too many lost workers",
        );
        fail(record, Trigger::BrokerGaveUp, error, now, effects);
    }
}

/// The message of this dispatch was put aside: a job that waits for it is given up. Answers whether it was. A copy of an
/// older dispatch says nothing of the one that the job waits for.
pub fn quarantine(slot: &mut Slot, gen_: Gen, reason: &str, now: Timestamp, effects: &mut Effects) -> bool {
    match slot.record_mut() {
        Some(record) if record.status == JobStatus::Queued && record.gen_ == gen_ => {
            let message = format!("its message was put into quarantine: {reason}");
            fail(
                record,
                Trigger::Quarantine,
                ErrorInfo::new("undecodable", message),
                now,
                effects,
            );
            true
        }
        _ => false,
    }
}
