//! What each step does.

use longshore_core::JobStatus;
use longshore_core::port::attempt::{Beaten, Claimed, Finished, GivenBack, Grant, Then};
use longshore_core::port::enqueue::{Enqueued, ParentState};
use longshore_core::spec::EdgePolicy;

use crate::action::Action;
use crate::fleet::Fleet;
use crate::store::{End, Shard};
use crate::world::{Broken, Hand, Msg, Producer, Worker, World};

impl Fleet {
    /// Makes a step. What it leaves is canonical.
    pub(crate) fn step(&self, world: &mut World, action: Action) {
        match action {
            Action::Produce | Action::PublishFails | Action::ProducerCrashes | Action::Cancel(_) => {
                self.producer_step(world, action);
            }
            Action::Deliver { .. }
            | Action::Claim(_)
            | Action::ClaimUnanswered(_)
            | Action::AckBusy(_)
            | Action::GiveBack(_)
            | Action::Beat(_)
            | Action::Finish(..)
            | Action::FinishUnanswered(..)
            | Action::AckEarly(_)
            | Action::Ack(_)
            | Action::WorkerCrashes(_)
            | Action::ConnectionDrops(_) => self.worker_step(world, action),
            Action::Save(_) | Action::Rollback(_) | Action::Wipe(_) | Action::Purge => {
                self.server_step(world, action);
            }
            _ => self.scheduler_step(world, action),
        }
        if self.coarse {
            self.go_on_at_once(world);
        }
        world.canonical();
    }

    /// What a coarse fleet does not stop between.
    fn go_on_at_once(&self, world: &mut World) {
        for at in 0..world.hands.len() {
            while matches!(world.hands[at], Hand::Leased(_) | Hand::Published { .. }) {
                self.hand_step(world, at);
            }
        }
        while matches!(
            world.producer,
            Producer::Publishing { .. } | Producer::Marking { .. }
        ) {
            self.produce(world);
        }
        for at in 0..world.workers.len() {
            if matches!(world.workers[at], Worker::Got { asked: None, .. }) {
                self.claim(world, at);
            }
            if matches!(world.workers[at], Worker::Done { .. }) {
                world.workers[at] = Worker::Idle;
            }
        }
    }

    fn producer_step(&self, world: &mut World, action: Action) {
        let law = self.law(world);
        match action {
            Action::Produce => self.produce(world),
            Action::PublishFails => {
                let Producer::Publishing { job, .. } = world.producer else {
                    return;
                };
                world.acked[usize::from(job)] = true;
                world.producer = self.next_job(job);
            }
            Action::ProducerCrashes => {
                world.left.crash -= 1;
                world.producer = Producer::Gone;
            }
            Action::Cancel(job) => {
                world.left.cancel -= 1;
                world.shard_mut(job).cancel(law);
            }
            _ => unreachable!("not a producer's"),
        }
    }

    fn next_job(&self, job: u8) -> Producer {
        if usize::from(job) + 1 < self.jobs.len() {
            Producer::Next(job + 1)
        } else {
            Producer::Gone
        }
    }

    fn produce(&self, world: &mut World) {
        let law = self.law(world);
        match world.producer.clone() {
            Producer::Gone => {
                world.left.again -= 1;
                world.producer = Producer::Next(0);
            }
            Producer::Next(job) => {
                let enqueued = world.shard_mut(job).enqueue(law, &self.jobs[usize::from(job)]);
                world.producer = match enqueued {
                    Enqueued::Created {
                        status: JobStatus::Queued,
                        gen_,
                    }
                    | Enqueued::Existing {
                        unpublished: true,
                        gen_,
                        ..
                    } => Producer::Publishing { job, gen_ },
                    Enqueued::Created {
                        status: JobStatus::Blocked,
                        ..
                    } => Producer::Registering { made: true },
                    Enqueued::Existing {
                        status: JobStatus::Blocked,
                        ..
                    } => Producer::Registering { made: false },
                    Enqueued::Created { .. } | Enqueued::Existing { .. } => {
                        world.acked[usize::from(job)] = true;
                        self.next_job(job)
                    }
                    Enqueued::Conflict => unreachable!("the same job"),
                };
            }
            Producer::Publishing { job, gen_ } => {
                world.send(Msg::first(job, gen_));
                world.acked[usize::from(job)] = true;
                world.producer = Producer::Marking { job, gen_ };
            }
            Producer::Marking { job, gen_ } => {
                world.shard_mut(job).mark_published(law, gen_);
                world.producer = self.next_job(job);
            }
            Producer::Registering { made } => {
                world.producer = match world.shard_mut(0).register(law, EdgePolicy::default()) {
                    ParentState::Settled(outcome) => Producer::Settling(outcome),
                    ParentState::Open => Producer::Verifying,
                    ParentState::Unknown | ParentState::Full => {
                        if made {
                            world.shard_mut(1).abort();
                        }
                        Producer::Gone
                    }
                };
            }
            Producer::Settling(outcome) => {
                world.shard_mut(1).settle_edge(law, self.jobs[0].id, &outcome);
                world.producer = Producer::Verifying;
            }
            Producer::Verifying => {
                world.acked[1] |= world.shard_mut(1).edges_verified(law);
                world.producer = Producer::Gone;
            }
        }
    }

    fn scheduler_step(&self, world: &mut World, action: Action) {
        let law = self.law(world);
        let taken = match action {
            Action::Hand(at) => return self.hand_step(world, at),
            Action::SchedulerCrashes(at) => {
                world.left.crash -= 1;
                world.hands[at] = Hand::Idle;
                return;
            }
            Action::FalseExpiry(job) => {
                world.left.expiry -= 1;
                return world.shard_mut(job).end_lease();
            }
            Action::LeaseEnds(job) => return world.shard_mut(job).end_lease(),
            Action::WaitEnds(job) => return world.shard_mut(job).end_wait(),
            Action::Expire(job) => {
                world.shard_mut(job).expire_lease(law);
                return;
            }
            Action::Lease(job) => world.shard_mut(job).lease_outbox(law, job).map(Hand::Leased),
            Action::Promote(job) => world.shard_mut(job).promote(law, job).map(Hand::Leased),
            Action::Audit(job) => world.shard_mut(job).audit(law, job).map(Hand::Leased),
            Action::TellChildren => world.shard_mut(0).relation_due(law).map(Hand::Telling),
            Action::LookAtEdges => world.shard_mut(1).lease_edges(law).then_some(Hand::Looking),
            _ => unreachable!("not a scheduler's"),
        };
        let idle = world.hands.iter().position(|hand| *hand == Hand::Idle);
        if let (Some(taken), Some(at)) = (taken, idle) {
            world.hands[at] = taken;
        }
    }

    fn hand_step(&self, world: &mut World, at: usize) {
        let law = self.law(world);
        world.hands[at] = match world.hands[at].clone() {
            Hand::Leased(msg) => {
                world.send(msg);
                Hand::Published {
                    job: msg.job,
                    gen_: msg.gen_,
                }
            }
            Hand::Published { job, gen_ } => {
                world.shard_mut(job).mark_published(law, gen_);
                Hand::Idle
            }
            Hand::Telling(outcome) => {
                world.shard_mut(1).settle_edge(law, self.jobs[0].id, &outcome);
                Hand::Told
            }
            Hand::Told => {
                world.shard_mut(0).relation_told(law);
                Hand::Idle
            }
            Hand::Looking => Hand::Found(world.shard_mut(0).register(law, EdgePolicy::default())),
            Hand::Found(state) => {
                let child = world.shard_mut(1);
                match state {
                    ParentState::Unknown | ParentState::Full => child.parent_unknown(law),
                    ParentState::Open => {
                        child.edges_verified(law);
                    }
                    ParentState::Settled(outcome) => {
                        child.settle_edge(law, self.jobs[0].id, &outcome);
                        child.edges_verified(law);
                    }
                }
                Hand::Idle
            }
            Hand::Idle => Hand::Idle,
        };
    }

    fn worker_step(&self, world: &mut World, action: Action) {
        match action {
            Action::Deliver { worker, message } => {
                let msg = world.broker.remove(message);
                world.workers[worker] = Worker::Got { msg, asked: None };
            }
            Action::Claim(at) => self.claim(world, at),
            Action::ClaimUnanswered(at) => {
                let (law, nonce) = (self.law(world), world.fresh_nonce());
                let Worker::Got { msg, .. } = world.workers[at] else {
                    return;
                };
                world.left.unknown -= 1;
                world.shard_mut(msg.job).claim(law, self.id(msg.job), msg, nonce);
                world.workers[at] = Worker::Got {
                    msg,
                    asked: Some(nonce),
                };
            }
            Action::GiveBack(at) => self.give_back(world, at),
            Action::Beat(at) => self.beat(world, at),
            Action::Finish(at, end) => self.finish(world, at, end),
            Action::FinishUnanswered(at, end) => {
                let law = self.law(world);
                let Worker::Running {
                    msg,
                    nonce,
                    ref mut told,
                    ..
                } = world.workers[at]
                else {
                    return;
                };
                *told = Some(end);
                world.left.unknown -= 1;
                world.spend(end);
                world.shard_mut(msg.job).finish(law, nonce, end.outcome());
            }
            Action::AckEarly(at) => {
                world.left.early_ack -= 1;
                world.let_go(at);
            }
            Action::AckBusy(at) | Action::Ack(at) => world.workers[at] = Worker::Idle,
            Action::WorkerCrashes(at) => {
                world.left.crash -= 1;
                world.return_message(at);
                world.workers[at] = Worker::Idle;
            }
            Action::ConnectionDrops(at) => {
                world.left.drop -= 1;
                world.return_message(at);
                world.let_go(at);
            }
            _ => unreachable!("not a worker's"),
        }
    }

    fn claim(&self, world: &mut World, at: usize) {
        let Worker::Got { msg, asked } = world.workers[at] else {
            return;
        };
        let (law, nonce) = (self.law(world), asked.unwrap_or_else(|| world.fresh_nonce()));
        let before = world.shard(msg.job).clone();
        let mut claimed = world.shard_mut(msg.job).claim(law, self.id(msg.job), msg, nonce);
        if matches!(claimed, Claimed::Missing { .. }) && self.rebuilds() {
            let job = &self.jobs[usize::from(msg.job)];
            claimed = world
                .shard_mut(msg.job)
                .rebuild(law, job, msg, nonce, Then::Claim);
        }
        world.workers[at] = match claimed {
            Claimed::Run(grant) => {
                self.starts(world, msg, &before, &grant, asked.is_some());
                Worker::Running {
                    msg,
                    nonce,
                    held: true,
                    retries: grant.retries,
                    told: grant.cancel_requested.then_some(End::Cancelled),
                }
            }
            Claimed::Over(_) | Claimed::Missing { .. } => Worker::Done { msg },
            Claimed::Busy { .. } | Claimed::Paused => return,
        };
    }

    /// A handler starts: looks whether it may.
    fn starts(&self, world: &mut World, msg: Msg, before: &Shard, grant: &Grant, again: bool) {
        if before.ended && before.is_over() {
            world.broken = Some(Broken::StartAfterEnd);
        }
        // Whoever lost its past cannot know what there was to wait for.
        if world.era == 0 && !again {
            if before.is_early() {
                world.broken = Some(Broken::StartBeforeTime);
            }
            if msg.job == 1 && world.shard(0).status() != Some(JobStatus::Completed) {
                world.broken = Some(Broken::StartBeforeParents);
            }
        }
        self.new_fence(world, msg, grant, again);
    }

    #[expect(clippy::unused_self, reason = "reads like its sisters")]
    fn new_fence(&self, world: &mut World, msg: Msg, grant: &Grant, again: bool) {
        let last = &mut world.fences[usize::from(msg.job)];
        if grant.fence < *last || (grant.fence == *last && !again) {
            world.broken = Some(Broken::FenceBack);
        }
        *last = grant.fence.max(*last);
    }

    fn give_back(&self, world: &mut World, at: usize) {
        let law = self.law(world);
        let Worker::Got { msg, .. } = world.workers[at] else {
            return;
        };
        world.left.give_back -= 1;
        let shard = world.shard_mut(msg.job);
        if let GivenBack::Missing { .. } = shard.give_back(law, msg.gen_)
            && self.rebuilds()
        {
            let (job, nonce) = (&self.jobs[usize::from(msg.job)], longshore_core::Nonce(0));
            shard.rebuild(law, job, msg, nonce, Then::GiveBack);
        }
        world.workers[at] = Worker::Done { msg };
    }

    fn beat(&self, world: &mut World, at: usize) {
        let law = self.law(world);
        let Worker::Running { msg, nonce, .. } = world.workers[at] else {
            return;
        };
        match world.shard_mut(msg.job).beat(law, nonce) {
            Beaten::Alive { cancel_requested } => {
                if let Worker::Running { told, .. } = &mut world.workers[at] {
                    *told = cancel_requested.then_some(End::Cancelled);
                }
            }
            Beaten::Lost => world.done(at),
            Beaten::Missing => self.go_on(world, at),
        }
    }

    fn finish(&self, world: &mut World, at: usize, end: End) {
        let law = self.law(world);
        let Worker::Running { msg, nonce, told, .. } = world.workers[at] else {
            return;
        };
        if told.is_none() {
            world.spend(end);
        }
        let shard = world.shard_mut(msg.job);
        match shard.finish(law, nonce, end.outcome()) {
            Finished::Accepted(status) => {
                shard.accepted += u8::from(status.is_terminal());
                world.done(at);
            }
            Finished::Lost => world.done(at),
            Finished::Missing => {
                if let Worker::Running { told, .. } = &mut world.workers[at] {
                    *told = Some(end);
                }
                self.go_on(world, at);
            }
        }
    }

    /// The record of a running job is gone: it is made anew, or the job is let go.
    fn go_on(&self, world: &mut World, at: usize) {
        let law = self.law(world);
        let Worker::Running { msg, nonce, .. } = world.workers[at] else {
            return;
        };
        if !self.rebuilds() {
            return world.done(at);
        }
        let job = &self.jobs[usize::from(msg.job)];
        match world.shard_mut(msg.job).rebuild(law, job, msg, nonce, Then::GoOn) {
            Claimed::Run(grant) => self.new_fence(world, msg, &grant, false),
            _ => world.done(at),
        }
    }

    #[expect(clippy::unused_self, reason = "reads like its sisters")]
    fn server_step(&self, world: &mut World, action: Action) {
        match action {
            Action::Save(job) => world.saved[usize::from(job)] = world.shard(job).clone(),
            Action::Rollback(job) => {
                world.left.rollback -= 1;
                world.era += 1;
                let to = world.saved[usize::from(job)].clone();
                world.becomes(job, to);
            }
            Action::Wipe(job) => {
                world.left.wipe -= 1;
                world.era += 1;
                world.saved[usize::from(job)] = Shard::default();
                world.becomes(job, Shard::default());
            }
            Action::Purge => {
                world.left.purge -= 1;
                world.broker.clear();
            }
            _ => unreachable!("not a server's"),
        }
    }
}

impl Msg {
    const fn first(job: u8, gen_: u32) -> Self {
        Self {
            job,
            gen_,
            attempts: 0,
            retries: 0,
            losts: 0,
        }
    }
}

impl World {
    /// The store forgets. A job of which neither record nor message is left is beyond what is promised, and so is one
    /// that had ended.
    fn becomes(&mut self, job: u8, to: Shard) {
        let excused = to.record().is_none() && (self.shard(job).is_over() || !self.is_carried(job));
        self.excused[usize::from(job)] |= excused;
        *self.shard_mut(job) = to;
    }

    /// The broker has a worker's message again.
    fn return_message(&mut self, at: usize) {
        match self.workers[at] {
            Worker::Got { msg, .. } | Worker::Done { msg } | Worker::Running { msg, held: true, .. } => {
                self.send(msg);
            }
            Worker::Idle | Worker::Running { .. } => {}
        }
    }

    /// A worker's message is no longer its own.
    fn let_go(&mut self, at: usize) {
        match &mut self.workers[at] {
            Worker::Running { held, .. } => *held = false,
            other => *other = Worker::Idle,
        }
    }

    fn done(&mut self, at: usize) {
        if let Worker::Running { msg, held, .. } = self.workers[at] {
            self.workers[at] = if held { Worker::Done { msg } } else { Worker::Idle };
        }
    }

    fn spend(&mut self, end: End) {
        match end {
            End::Snooze | End::Released => self.left.undo -= 1,
            End::Failed => self.left.fail -= 1,
            _ => {}
        }
    }
}
