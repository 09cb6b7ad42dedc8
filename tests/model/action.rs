//! What may happen next.

use longshore_core::JobStatus;

use crate::fleet::Fleet;
use crate::mutation::Mutation;
use crate::store::End;
use crate::world::{Hand, Producer, Worker, World};

/// One step of one process, or a fault. Numbers name jobs, workers, hands of schedulers, and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// The producer's next call.
    Produce,
    /// Its publish fails or is not confirmed: "deferred".
    PublishFails,
    ProducerCrashes,
    Lease(u8),
    Promote(u8),
    Audit(u8),
    TellChildren,
    LookAtEdges,
    /// What a scheduler has in hand goes on.
    Hand(usize),
    SchedulerCrashes(usize),
    LeaseEnds(u8),
    /// The same, while the owner lives.
    FalseExpiry(u8),
    WaitEnds(u8),
    Expire(u8),
    Deliver {
        worker: usize,
        message: usize,
    },
    Claim(usize),
    ClaimUnanswered(usize),
    /// Busy, and no room to wait: the lease is what finds it again.
    AckBusy(usize),
    GiveBack(usize),
    Beat(usize),
    Finish(usize, End),
    FinishUnanswered(usize, End),
    AckEarly(usize),
    Ack(usize),
    WorkerCrashes(usize),
    ConnectionDrops(usize),
    Cancel(u8),
    Save(u8),
    Rollback(u8),
    Wipe(u8),
    Purge,
}

impl Fleet {
    pub(crate) fn possible(&self, world: &World, out: &mut Vec<Action>) {
        self.producers(world, out);
        self.schedulers(world, out);
        for at in 0..world.workers.len() {
            // Workers are sorted: of those that are alike only the first acts.
            if at == 0 || world.workers[at - 1] != world.workers[at] {
                self.workers(world, at, out);
            }
        }
        Self::times_and_faults(world, out);
    }

    #[expect(clippy::unused_self, reason = "reads like its sisters")]
    fn producers(&self, world: &World, out: &mut Vec<Action>) {
        if world.producer == Producer::Gone {
            if world.left.again > 0 {
                out.push(Action::Produce);
            }
            return;
        }
        out.push(Action::Produce);
        if matches!(world.producer, Producer::Publishing { .. }) {
            out.push(Action::PublishFails);
        }
        if world.left.crash > 0 && world.producer != Producer::Next(0) {
            out.push(Action::ProducerCrashes);
        }
    }

    fn schedulers(&self, world: &World, out: &mut Vec<Action>) {
        for (at, hand) in world.hands.iter().enumerate() {
            match hand {
                Hand::Idle => continue,
                Hand::Leased(msg) if world.copies(msg.job) >= self.copies => {}
                _ => out.push(Action::Hand(at)),
            }
            if world.left.crash > 0 {
                out.push(Action::SchedulerCrashes(at));
            }
        }
        if !world.hands.contains(&Hand::Idle) {
            return;
        }
        for job in world.jobs() {
            let Some(record) = world.shard(job).record() else {
                continue;
            };
            match record.status {
                JobStatus::Queued if self.coarse && world.copies(job) > 0 => {}
                JobStatus::Queued if record.outbox.is_some() => out.push(Action::Lease(job)),
                JobStatus::Queued if self.audits && record.published_at.is_some() => {
                    out.push(Action::Audit(job));
                }
                JobStatus::Scheduled | JobStatus::Retrying if !world.shard(job).is_early() => {
                    out.push(Action::Promote(job));
                }
                JobStatus::Blocked if record.edges_at.is_some() => out.push(Action::LookAtEdges),
                _ if record.rel.is_some() => out.push(Action::TellChildren),
                _ => {}
            }
        }
    }

    fn times_and_faults(world: &World, out: &mut Vec<Action>) {
        let left = &world.left;
        for job in world.jobs() {
            let shard = world.shard(job);
            if shard.record().is_some_and(|record| record.lease_until.is_some()) {
                if shard.lease_is_over() {
                    out.push(Action::Expire(job));
                } else if !world.owner_lives(job) {
                    out.push(Action::LeaseEnds(job));
                } else if left.expiry > 0 {
                    out.push(Action::FalseExpiry(job));
                }
            }
            if shard.record().is_some_and(|record| {
                matches!(record.status, JobStatus::Scheduled | JobStatus::Retrying) && shard.is_early()
            }) {
                out.push(Action::WaitEnds(job));
            }
            if left.cancel > 0 && shard.record().is_some() && !shard.is_over() {
                out.push(Action::Cancel(job));
            }
            let saved = &world.saved[usize::from(job)];
            if left.rollback > 0 && saved != shard {
                out.push(Action::Save(job));
                out.push(Action::Rollback(job));
            }
            if left.wipe > 0 && shard.record().is_some() {
                out.push(Action::Wipe(job));
            }
        }
        if left.purge > 0 && !world.broker.is_empty() {
            out.push(Action::Purge);
        }
    }

    fn workers(&self, world: &World, at: usize, out: &mut Vec<Action>) {
        let left = &world.left;
        match world.workers[at] {
            Worker::Idle => {
                for message in 0..world.broker.len() {
                    if message == 0 || world.broker[message - 1] != world.broker[message] {
                        out.push(Action::Deliver { worker: at, message });
                    }
                }
                return;
            }
            Worker::Got { msg, asked } => {
                out.push(Action::Claim(at));
                if left.unknown > 0 && asked.is_none() {
                    out.push(Action::ClaimUnanswered(at));
                }
                if world.owner_lives(msg.job) {
                    out.push(Action::AckBusy(at));
                }
                if left.give_back > 0 && asked.is_none() {
                    out.push(Action::GiveBack(at));
                }
            }
            Worker::Running {
                msg,
                nonce,
                held,
                retries,
                told,
            } => {
                let record = world.shard(msg.job).record();
                if told.is_none() && needs_beat(world, msg.job, nonce) {
                    out.push(Action::Beat(at));
                }
                let cancelled = record.is_some_and(|record| record.cancel.is_some());
                let ends = [
                    (End::Completed, true),
                    (End::Failed, left.fail > 0),
                    (End::Retry, retries < 1 && !self.coarse),
                    (End::Snooze, left.undo > 0),
                    (End::Released, left.undo > 0),
                    (End::Cancelled, cancelled),
                ];
                for (end, may) in ends {
                    if told.map_or(may, |told| told == end) {
                        out.push(Action::Finish(at, end));
                        if left.unknown > 0 && told.is_none() {
                            out.push(Action::FinishUnanswered(at, end));
                        }
                    }
                }
                // Early means after a beat that proved the lease.
                let owns = record.is_some_and(|record| record.owner == Some(nonce));
                if held && owns && left.early_ack > 0 && !world.shard(msg.job).lease_is_over() {
                    out.push(Action::AckEarly(at));
                }
                if !held {
                    if left.crash > 0 {
                        out.push(Action::WorkerCrashes(at));
                    }
                    return;
                }
            }
            Worker::Done { .. } => out.push(Action::Ack(at)),
        }
        if left.crash > 0 {
            out.push(Action::WorkerCrashes(at));
        }
        if left.drop > 0 {
            out.push(Action::ConnectionDrops(at));
        }
    }

    /// Whether a finish finds no record and this build knows how to make it anew.
    pub(crate) fn rebuilds(&self) -> bool {
        self.mutation != Mutation::Rebuild
    }
}

/// Whether a beat changes anything: the record is gone, the claim lost, its lease over, or a cancel to be told.
pub(crate) fn needs_beat(world: &World, job: u8, nonce: longshore_core::Nonce) -> bool {
    match world.shard(job).record() {
        None => true,
        Some(record) => {
            record.owner != Some(nonce) || record.cancel.is_some() || world.shard(job).lease_is_over()
        }
    }
}
