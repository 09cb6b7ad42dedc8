//! What a fleet does once faults have stopped: everybody goes on, in turn, and every timer fires.

use longshore_core::JobStatus;

use crate::action::{Action, needs_beat};
use crate::fleet::Fleet;
use crate::store::End;
use crate::world::{Budget, Hand, Producer, Worker, World};

/// Rounds in which everything must have come to an end.
const ROUNDS: usize = 40;

impl Fleet {
    /// Whether every job that must end does, from here, without a further fault. States on the way are remembered:
    /// what has been seen to heal is not walked again.
    pub(crate) fn heals(&self, world: &World) -> bool {
        let mut world = world.clone();
        world.left = Budget::default();
        world.canonical();
        let mut seen = Vec::new();
        for _ in 0..ROUNDS {
            let key = self.key(&world);
            if self.healed.lock().contains(&key) || is_over(&world) {
                seen.push(key);
                self.healed.lock().extend(seen);
                return true;
            }
            if seen.contains(&key) {
                return false;
            }
            seen.push(key);
            self.round(&mut world);
        }
        false
    }

    fn round(&self, world: &mut World) {
        if world.producer != Producer::Gone {
            self.step(world, Action::Produce);
        }
        for job in world.jobs() {
            self.time_passes(world, job);
        }
        for at in 0..world.hands.len() {
            self.empty_hand(world, at);
        }
        for job in world.jobs() {
            for action in self.work(world, job) {
                self.step(world, action);
                self.empty_hand(world, 0);
            }
        }
        // A step sorts the workers; each round goes on with all of them.
        for at in 0..world.workers.len() {
            if let Some(action) = worker(world, at) {
                self.step(world, action);
            }
        }
    }

    fn time_passes(&self, world: &mut World, job: u8) {
        let record = world.shard(job).record();
        if record.is_some_and(|record| record.lease_until.is_some()) && !world.owner_lives(job) {
            self.step(world, Action::LeaseEnds(job));
            self.step(world, Action::Expire(job));
        }
        let status = world.shard(job).status();
        if matches!(status, Some(JobStatus::Scheduled | JobStatus::Retrying)) {
            self.step(world, Action::WaitEnds(job));
        }
    }

    /// What the daemons find to do for a job.
    fn work(&self, world: &World, job: u8) -> Vec<Action> {
        let Some(record) = world.shard(job).record() else {
            return Vec::new();
        };
        let mut work = Vec::new();
        match record.status {
            JobStatus::Scheduled | JobStatus::Retrying => work.push(Action::Promote(job)),
            JobStatus::Blocked if record.edges_at.is_some() => work.push(Action::LookAtEdges),
            JobStatus::Queued if world.copies(job) > 0 => {}
            JobStatus::Queued if record.outbox.is_some() => work.push(Action::Lease(job)),
            JobStatus::Queued if self.audits => work.push(Action::Audit(job)),
            _ if record.rel.is_some() => work.push(Action::TellChildren),
            _ => {}
        }
        work
    }

    fn empty_hand(&self, world: &mut World, at: usize) {
        for _ in 0..4 {
            if world.hands[at] != Hand::Idle {
                self.step(world, Action::Hand(at));
            }
        }
    }
}

fn worker(world: &World, at: usize) -> Option<Action> {
    match world.workers[at] {
        Worker::Idle if world.broker.is_empty() => None,
        Worker::Idle => Some(Action::Deliver {
            worker: at,
            message: 0,
        }),
        Worker::Got { .. } => Some(Action::Claim(at)),
        Worker::Running {
            msg,
            nonce,
            told: None,
            ..
        } if needs_beat(world, msg.job, nonce) => Some(Action::Beat(at)),
        Worker::Running { told, .. } => Some(Action::Finish(at, told.unwrap_or(End::Completed))),
        Worker::Done { .. } => Some(Action::Ack(at)),
    }
}

fn is_over(world: &World) -> bool {
    world.jobs().all(|job| world.is_settled(job))
}
