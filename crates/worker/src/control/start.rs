//! From waiting to running: claims for free slots, and what their answers mean.

use std::time::Duration;

use longshore_core::limits::{FENCE_MARGIN, LEASE, REBUILD_AGE};
use longshore_core::message::Epoch;
use longshore_core::outcome::Outcome;
use longshore_core::port::attempt::{Claimed, Finish, GiveBackReason, Grant};
use longshore_core::spec::OnLostRecord;
use longshore_core::telemetry::Repair;
use longshore_core::{Nonce, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Control;
use super::alone::LOSTS_ALONE;
use super::arrive::{Held, Parked};
use super::delivery::Place;
use super::flights::{Claiming, Rebuilding, Step};
use super::running::{Attempt, Doing};
use super::settle::StopReason;
use super::trace;
use crate::context::cell::ProgressCell;
use crate::context::{Inner, JobContext};
use crate::execute::EndGuard;

/// How often a parked job is looked at before its message is acknowledged; the lease index recovers it then.
const LOOKS_MAX: u32 = 10;
/// The shortest time between two looks.
const PARK_MIN: Duration = Duration::from_millis(50);

impl Control {
    /// Claims jobs for every free slot.
    pub(super) fn fill(&mut self, now: Instant) {
        if !self.phase.is_working() || self.store_is_away(now) {
            return;
        }
        self.start_alone();
        while self.has_room() {
            let Some(held) = self.next_start(now) else {
                return;
            };
            if self.running.has(held.id()) {
                self.set_aside(held, LEASE, now);
            } else if held.losts >= LOSTS_ALONE {
                self.wait_alone(held, now);
                self.start_alone();
            } else {
                self.claim(held);
            }
        }
    }

    /// The next job whose shard answers; a critical one while another waits to be alone.
    fn next_start(&mut self, now: Instant) -> Option<Box<Held>> {
        let steps = &self.steps;
        let may = |held: &Held| !steps.get(&held.shard).is_some_and(|lane| lane.is_failing(now));
        if self.solo.as_ref().is_some_and(|solo| solo.blocks) {
            self.buffer.pop_critical(|held| may(held))
        } else {
            self.buffer.pop(|held| may(held))
        }
    }

    /// Whether a slot is free, nothing wants to be alone, and the ends of attempts do not pile up.
    pub(super) fn has_room(&self) -> bool {
        let slots = self.settings.slots;
        self.exclusive == 0
            && self.running.active() + self.claiming < slots
            && self.running.finishing() < slots.saturating_mul(4).saturating_add(64)
    }

    pub(super) fn claim(&mut self, held: Box<Held>) {
        self.claiming += 1;
        let nonce = held.asked.unwrap_or_else(|| Nonce::generate(&*self.random));
        let lane = self.steps.entry(held.shard).or_default();
        lane.push(Step::Claim(Claiming { held, nonce }));
    }

    /// Hands a job back. One whose claim may have been granted is claimed again instead, with the same nonce: what was
    /// granted is released where it may not run, and nobody loses a worker that none had.
    pub(super) fn hand_back(&mut self, held: Box<Held>, reason: GiveBackReason) {
        if held.asked.is_none() {
            return self.give_back(held, reason);
        }
        self.exclusive += usize::from(held.losts >= LOSTS_ALONE);
        self.claim(held);
    }

    /// A claim was answered: its slot is free, unless the answer is a grant that takes it.
    pub(super) fn claim_over(&mut self, held: &Held) {
        self.claiming -= 1;
        if held.losts >= LOSTS_ALONE {
            self.exclusive -= 1;
        }
    }

    /// A claim could not be made: the job waits again, so that its slot is free for jobs of shards that answer. Whether
    /// it was granted may be unknown; then it is asked for with the same nonce, which extends the lease.
    pub(super) fn claim_failed(&mut self, claiming: Claiming, is_unknown: bool) {
        self.claim_over(&claiming.held);
        let Claiming { mut held, nonce } = claiming;
        if is_unknown {
            held.asked = Some(nonce);
        }
        self.buffer.push_front(held.envelope.priority, held);
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
            Claimed::Over(_) => {
                self.ports.telemetry.repaired(Repair::StartRefused, 1);
                self.deliveries.settle(held.delivery, held.place);
            }
            Claimed::Busy { retry_in } => self.park(held, retry_in, now),
            Claimed::Missing { .. } => self.put_lost_aside(*held),
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
        if !self.phase.is_working() {
            return self.deliveries.abandon(held.delivery);
        }
        held.looks += 1;
        let room = self.parked.len() < self.settings.slots.saturating_mul(2).max(16);
        let old = self.deliveries.age(held.delivery, now) >= self.early_ack();
        if held.looks > LOOKS_MAX || old || !room {
            self.deliveries.settle(held.delivery, held.place);
            return;
        }
        self.set_aside(held, retry_in, now);
    }

    /// Waits, at most for a lease, before a job is looked at again.
    fn set_aside(&mut self, mut held: Box<Held>, retry_in: Duration, now: Instant) {
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
        let now = Instant::now();
        self.beats.expect(held.shard, now);
        // The answer came too late, as to a process that was frozen meanwhile: another worker may have the job by now.
        let stale = now.duration_since(began) >= LEASE.saturating_sub(FENCE_MARGIN);
        let may_run = self.phase.is_working() && self.has_place(&held);
        let attempt = self.make_attempt(key, held, nonce, grant, began);
        self.wake_by(attempt.stop_at.0);
        self.stats.started.one();
        // A takeover may find that the job is to run alone; it comes again as one that waits for it.
        let alone = grant.losts >= LOSTS_ALONE;
        let beside = self.running.active() > 0 || self.claiming > 0;
        self.running.insert(key, attempt);
        self.exclusive += usize::from(alone);
        if grant.cancel_requested {
            self.report(key, Outcome::Cancelled);
        } else if stale || !may_run || (alone && beside) {
            self.report(key, Outcome::Released);
        } else {
            self.work(key);
        }
    }

    /// Whether a job that was granted may still run here: its queue may be paused by now, and a claim that was made again
    /// only to learn what became of it has no slot of its own.
    fn has_place(&self, held: &Held) -> bool {
        !self.paused.contains(&held.envelope.queue) && (held.asked.is_none() || self.has_room())
    }

    fn make_attempt(&mut self, key: u64, held: Held, nonce: Nonce, grant: &Grant, began: Instant) -> Attempt {
        let now = self.clock.now();
        let timeout = held.envelope.timeout().unwrap_or(self.settings.job_timeout);
        let (limit, reason) = time_limit(timeout, held.envelope.deadline, now);
        let span = self.trace_start(&held, grant);
        self.trace_parents(&held.envelope, &span);
        let ctx = JobContext::new(Inner {
            key,
            envelope: held.envelope,
            shard: held.shard,
            attempt: grant.attempt,
            fence: grant.fence,
            token: CancellationToken::new(),
            deadline: now.after(limit),
            progress: ProgressCell::new(grant.attempt),
            state: self.state.clone(),
            port: self.ports.attempt.clone(),
            inbox: self.inbox.clone(),
            span,
            telemetry: self.ports.telemetry.clone(),
        });
        Attempt {
            ctx,
            nonce,
            gen_: grant.gen_,
            retries: grant.retries,
            losts: grant.losts,
            raw: held.raw,
            delivery: held.delivery,
            doing: Doing::Granted,
            stop: None,
            limit,
            stop_at: (Instant::now() + limit, reason),
            kill_at: None,
            killed_at: None,
            fenced: false,
            good_beat: began,
            began: Instant::now(),
            ran: None,
            finish_span: tracing::Span::none(),
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

    /// The attempt holds no slot any more; its end is to be told.
    pub(super) fn report(&mut self, key: u64, outcome: Outcome) {
        let now = self.clock.now();
        let Some(attempt) = self.running.get_mut(key) else {
            return;
        };
        let ran = trace::ran(attempt, Instant::now());
        attempt.finish_span = trace::finish_span(attempt);
        if matches!(outcome, Outcome::Completed { .. }) {
            let queue = &attempt.envelope().queue;
            self.run_times.took(queue, ran);
            if self
                .run_times
                .of(queue)
                .is_some_and(|runs| runs.count == super::ahead::RUNS_MIN)
            {
                self.wake_at = self.wake_at.min(Instant::now());
            }
        }
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
    }
}

/// How long an attempt may run, and what it is called when that is over.
fn time_limit(timeout: Duration, deadline: Option<Timestamp>, now: Timestamp) -> (Duration, StopReason) {
    match deadline.map(|deadline| deadline.since(now)) {
        Some(left) if left <= timeout => (left, StopReason::Deadline),
        _ => (timeout, StopReason::Timeout),
    }
}
