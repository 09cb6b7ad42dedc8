//! From waiting to running: claims for free slots, and what their answers mean.

use std::time::Duration;

use longshore_core::limits::{LEASE, REBUILD_AGE};
use longshore_core::message::Epoch;
use longshore_core::outcome::Outcome;
use longshore_core::port::attempt::{Claimed, Finish, GiveBackReason, Grant};
use longshore_core::spec::OnLostRecord;
use longshore_core::{Nonce, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Control;
use super::arrive::{Held, Parked};
use super::delivery::Place;
use super::flights::{Claiming, Rebuilding, Step};
use super::running::{Attempt, Doing};
use super::settle::StopReason;
use crate::context::cell::ProgressCell;
use crate::context::{Inner, JobContext};
use crate::execute::EndGuard;

/// A job that lost this many workers runs alone: it may be what ends them.
pub(super) const LOSTS_ALONE: u32 = 2;
/// How often a parked job is looked at before its message is acknowledged; the lease index recovers it then.
const LOOKS_MAX: u32 = 10;
/// The shortest time between two looks.
const PARK_MIN: Duration = Duration::from_millis(50);

impl Control {
    /// Claims jobs for every free slot.
    pub(super) fn fill(&mut self, now: Instant) {
        if !self.phase.is_working() || self.store_is_away() {
            return;
        }
        while self.has_room() {
            if let Some(held) = self.solo.take() {
                if self.is_idle() {
                    self.exclusive += 1;
                    self.claim(held);
                } else {
                    self.solo = Some(held);
                }
                return;
            }
            let Some(held) = self.buffer.pop() else {
                return;
            };
            if self.running.has(held.id()) {
                self.park(held, LEASE, now);
            } else if held.losts >= LOSTS_ALONE {
                self.solo = Some(held);
            } else {
                self.claim(held);
            }
        }
    }

    /// Whether a slot is free, nothing wants to be alone, and the ends of attempts do not pile up.
    fn has_room(&self) -> bool {
        let slots = self.settings.slots;
        self.exclusive == 0
            && self.running.active() + self.claiming < slots
            && self.running.finishing() < slots.saturating_mul(4).saturating_add(64)
    }

    /// Whether no slot is in use.
    const fn is_idle(&self) -> bool {
        self.running.active() == 0 && self.claiming == 0
    }

    fn claim(&mut self, held: Box<Held>) {
        self.claiming += 1;
        let nonce = Nonce::generate(&*self.random);
        let lane = self.steps.entry(held.shard).or_default();
        lane.push(Step::Claim(Claiming { held, nonce }));
    }

    /// A claim was answered: its slot is free, unless the answer is a grant that takes it.
    pub(super) fn claim_over(&mut self, held: &Held) {
        self.claiming -= 1;
        if held.losts >= LOSTS_ALONE {
            self.exclusive -= 1;
        }
    }

    pub(super) fn on_claimed(&mut self, claiming: Claiming, claimed: Claimed, began: Instant) {
        let now = Instant::now();
        match claimed {
            Claimed::Missing { epoch }
                if !claiming.held.rebuilt && self.may_rebuild(&claiming.held, epoch) =>
            {
                self.rebuild(claiming);
                return;
            }
            _ => self.claim_over(&claiming.held),
        }
        let Claiming { held, nonce } = claiming;
        match claimed {
            Claimed::Run(grant) => self.begin(*held, nonce, &grant, began),
            Claimed::Over(_) => self.deliveries.settle(held.delivery, held.place),
            Claimed::Busy { retry_in } => self.park(held, retry_in, now),
            Claimed::Missing { .. } => self.quarantine(*held, "its record is lost"),
            Claimed::Paused => {
                self.pause(held.envelope.queue.clone());
                self.give_back(held, GiveBackReason::Unstarted);
            }
        }
    }

    /// Whether a job without a record is run: a wipe took the record, or the message is too young for anything else.
    pub(super) fn may_rebuild(&self, held: &Held, epoch: Epoch) -> bool {
        let Some(origin) = self.deliveries.origin(held.delivery) else {
            return false;
        };
        let young = self.clock.now().since(origin.published_at) < REBUILD_AGE;
        let explained = origin.norecord || young || origin.epoch != epoch;
        explained && (origin.norecord || held.envelope.on_lost_record == OnLostRecord::Rerun)
    }

    /// Makes a lost record anew; the claim keeps its slot. A second miss is not rebuilt again.
    fn rebuild(&mut self, mut claiming: Claiming) {
        claiming.held.rebuilt = true;
        let lane = self.rebuilds.entry(claiming.held.shard).or_default();
        lane.push(Rebuilding::Claim(claiming));
    }

    /// Waits until another owner's lease may be over. Without room the message is acknowledged: the index of leases
    /// recovers the job.
    fn park(&mut self, mut held: Box<Held>, retry_in: Duration, now: Instant) {
        held.looks += 1;
        let room = self.parked.len() < self.settings.slots.saturating_mul(2).max(16);
        if held.looks > LOOKS_MAX || !room {
            self.deliveries.settle(held.delivery, held.place);
            return;
        }
        if held.place == Place::Waiting {
            held.place = Place::Running;
            self.deliveries.runs(held.delivery);
        }
        let until = now + retry_in.clamp(PARK_MIN, LEASE);
        self.parked.push(Parked { held, until });
        self.wake_by(until);
    }

    /// A claim was granted.
    fn begin(&mut self, held: Held, nonce: Nonce, grant: &Grant, began: Instant) {
        if held.place == Place::Waiting {
            self.deliveries.runs(held.delivery);
        }
        let key = self.running.next_key();
        let shard = held.shard;
        let attempt = self.make_attempt(key, held, nonce, grant, began);
        self.wake_by(attempt.stop_at.0);
        self.beats.expect(shard, Instant::now());
        self.stats.started.one();
        let ended = if grant.cancel_requested {
            Some(Outcome::Cancelled)
        } else {
            (!self.phase.is_working()).then_some(Outcome::Released)
        };
        let alone = grant.losts >= LOSTS_ALONE;
        self.running.insert(key, attempt);
        self.exclusive += usize::from(alone);
        match ended {
            Some(outcome) => self.report(key, outcome),
            None if alone && self.running.active() > 1 => {}
            None => self.work(key),
        }
    }

    fn make_attempt(&self, key: u64, held: Held, nonce: Nonce, grant: &Grant, began: Instant) -> Attempt {
        let now = self.clock.now();
        let (limit, reason) = time_limit(held.envelope.timeout(), held.envelope.deadline, now);
        let ctx = JobContext::new(Inner {
            key,
            envelope: held.envelope,
            shard: held.shard,
            attempt: grant.attempt,
            fence: grant.fence,
            token: CancellationToken::new(),
            deadline: now.after(limit),
            progress: ProgressCell::default(),
            state: self.state.clone(),
            port: self.ports.attempt.clone(),
            inbox: self.inbox.clone(),
        });
        Attempt {
            ctx,
            nonce,
            gen_: grant.gen_,
            retries: grant.retries,
            losts: grant.losts,
            raw: held.raw,
            delivery: held.delivery,
            doing: Doing::Alone,
            stop: None,
            stop_at: (Instant::now() + limit, reason),
            kill_at: None,
            killed: false,
            good_beat: began,
        }
    }

    /// Starts the handler.
    fn work(&mut self, key: u64) {
        let Some(attempt) = self.running.get_mut(key) else {
            return;
        };
        let Some(function) = self.registry.get(&attempt.envelope().function_name) else {
            return self.report(key, Outcome::Released);
        };
        let end = EndGuard::new(key, self.inbox.clone());
        attempt.doing = Doing::Work(function.start(&self.handlers, attempt.ctx.clone(), end));
    }

    /// Starts an attempt that waits to be alone, once it is.
    pub(super) fn start_alone(&mut self) {
        if self.exclusive == 0 || self.claiming > 0 {
            return;
        }
        let works = |attempt: &Attempt| matches!(attempt.doing, Doing::Work(_));
        if self.running.iter().any(|(_, attempt)| works(attempt)) {
            return;
        }
        let waits = |attempt: &Attempt| matches!(attempt.doing, Doing::Alone);
        if let Some(&key) = self.running.keys_where(waits).first() {
            self.work(key);
        }
    }

    /// The attempt holds no slot any more; its end is to be told.
    pub(super) fn report(&mut self, key: u64, outcome: Outcome) {
        let now = self.clock.now();
        let Some(attempt) = self.running.get(key) else {
            return;
        };
        if attempt.losts >= LOSTS_ALONE && attempt.is_active() {
            self.exclusive -= 1;
        }
        let finish = Box::new(Finish {
            id: attempt.id(),
            nonce: attempt.nonce,
            outcome,
            progress: attempt.ctx.inner().progress.take(now),
        });
        let lane = self.steps.entry(attempt.shard()).or_default();
        lane.push(Step::Finish(key));
        self.running.finishes(key, finish);
        if self.exclusive > 0 {
            self.wake_by(Instant::now());
        }
    }
}

/// How long an attempt may run, and what it is called when that is over.
fn time_limit(timeout: Duration, deadline: Option<Timestamp>, now: Timestamp) -> (Duration, StopReason) {
    match deadline.map(|deadline| deadline.since(now)) {
        Some(left) if left <= timeout => (left, StopReason::Deadline),
        _ => (timeout, StopReason::Timeout),
    }
}
