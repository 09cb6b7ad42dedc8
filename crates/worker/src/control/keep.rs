//! What time brings: time limits, fences, parked jobs, jobs held too long, early acknowledgements.

use std::time::Duration;

use longshore_core::JobId;
use longshore_core::port::attempt::GiveBackReason;
use tokio::time::Instant;

use super::Control;
use super::arrive::Parked;
use super::delivery::DeliveryKey;
use super::flights::{Answer, in_time};
use super::peers::Runs;
use super::running::{Attempt, Doing};
use super::settle::StopReason;
use crate::report::{StopCause, ids};

/// Deliveries are acknowledged after this age, once a beat has proven the lease of every job of theirs.
const EARLY_ACK: Duration = Duration::from_secs(600);
/// What a strictly fenced handler may take to stop; the rest of the margin is for the machine.
const FENCE_GRACE: Duration = Duration::from_secs(2);
/// An aborted async handler ends at its next await; what holds its slot for longer than this blocks.
const STUCK_AFTER: Duration = Duration::from_secs(5);
/// The house is kept at least this often.
const NAP_MAX: Duration = Duration::from_secs(1);

impl Control {
    pub(super) fn keep_house(&mut self, now: Instant) {
        self.keep_feeds(now);
        self.keep_attempts(now);
        self.keep_parked(now);
        self.keep_foreign(now);
        self.keep_held(now);
        self.keep_ahead(now);
        self.keep_deliveries(now);
        self.keep_solo(now);
        self.beat(now);
        self.flush_progress(now);
        self.wake_at = self.next_wake(now);
    }

    /// Consumes nothing once the store has not answered for a lease, and lets go of every delivery when jobs wait here: they
    /// can be neither started nor given back, and another worker may have the store. What runs goes on by itself, and others
    /// may have its message: its lease is over. Nothing is consumed until the store answers, or messages would go round.
    fn keep_feeds(&mut self, now: Instant) {
        if self.beats.give_up(now) {
            tracing::warn!("the store has not answered for a lease; what waits here goes to other workers");
            for feed in &mut self.feeds {
                feed.consume(false);
            }
        }
        if self.beats.have_given_up() && self.deliveries.are_waiting() {
            for feed in &mut self.feeds {
                feed.drop_all();
            }
        }
    }

    /// Stops attempts whose time is over and aborts those that did not stop.
    fn keep_attempts(&mut self, now: Instant) {
        for key in self
            .running
            .keys_where(|attempt| attempt.due_at().is_some_and(|at| at <= now))
        {
            let Some(attempt) = self.running.get(key) else {
                continue;
            };
            if attempt.kill_at.is_some_and(|at| at <= now) {
                self.kill(key, now);
            } else if attempt.fence_at().is_some_and(|at| at <= now) {
                tracing::warn!(id = %attempt.id(), "no beat succeeded; the strictly fenced attempt stops itself");
                self.stop(key, StopReason::Fence, now);
                if let Some(attempt) = self.running.get_mut(key) {
                    attempt.fenced = true;
                }
            } else {
                let (_, reason) = attempt.stop_at;
                self.stop(key, reason, now);
            }
        }
        self.keep_stuck(now);
    }

    /// Counts the attempts that were aborted some time ago and hold their slots all the same. When they are too many, the worker
    /// drains: another process starts with all its slots.
    fn keep_stuck(&mut self, now: Instant) {
        let attempts = self.running.iter().map(|(_, attempt)| attempt);
        let is_stuck = |attempt: &&Attempt| {
            attempt.is_active() && attempt.killed_at.is_some_and(|at| now >= at + STUCK_AFTER)
        };
        let stuck = attempts.filter(is_stuck);
        let stuck: Vec<JobId> = stuck.map(Attempt::id).collect();
        self.stats.stuck.set(stuck.len());
        if stuck.len() >= self.settings.stuck_max() && self.phase.is_working() {
            tracing::error!(stuck = %ids(&stuck), "too many handlers do not stop; the worker drains");
            self.cause = StopCause::Stuck(stuck);
            self.start_drain(now);
        }
    }

    /// Tells an attempt to stop; aborts it after the grace.
    pub(super) fn stop(&mut self, key: u64, reason: StopReason, now: Instant) {
        let grace = match reason {
            StopReason::Fence => FENCE_GRACE.min(self.settings.cancel_grace),
            _ => self.settings.cancel_grace,
        };
        let Some(attempt) = self.running.get_mut(key) else {
            return;
        };
        if !attempt.is_active() {
            return;
        }
        attempt.stop = attempt.stop.max(Some(reason));
        attempt.ctx.inner().token.cancel();
        let kill_at = attempt.kill_at.map_or(now + grace, |at| at.min(now + grace));
        attempt.kill_at = Some(kill_at);
        self.wake_by(kill_at);
    }

    /// Aborts an attempt. An async handler ends at its next await; a blocking one when it returns, and keeps its slot
    /// until then.
    pub(super) fn kill(&mut self, key: u64, now: Instant) {
        if let Some(attempt) = self.running.get_mut(key)
            && let Doing::Work(handle) = &attempt.doing
        {
            handle.abort();
            attempt.killed_at = Some(now);
        }
    }

    /// Looks again at jobs whose owner's lease may be over.
    fn keep_parked(&mut self, now: Instant) {
        let due: Vec<_> = self.parked.extract_if(.., |parked| parked.until <= now).collect();
        for parked in due {
            self.buffer.push_front(parked.held.envelope.priority, parked.held);
        }
    }

    /// Hands back jobs of functions that are not registered here.
    fn keep_foreign(&mut self, now: Instant) {
        if self.foreign.is_empty() || !self.know_peers(now) {
            return;
        }
        for held in std::mem::take(&mut self.foreign) {
            let function = held.envelope.function_name.clone();
            let reason = match self.peers.runs(&held.envelope.queue, &function) {
                Runs::Somewhere => GiveBackReason::Elsewhere,
                Runs::Unknown => GiveBackReason::NotRunnable,
                Runs::Nowhere => {
                    tracing::warn!(id = %held.id(), %function, "no live worker has the function; the job is parked");
                    GiveBackReason::Park(function)
                }
            };
            self.give_back(held, reason);
        }
    }

    /// Whether the other workers are known; asks when they are not.
    fn know_peers(&mut self, now: Instant) -> bool {
        if self.peers.ask(now) {
            let port = self.ports.inspect.clone();
            self.calls.push(Box::pin(
                async move { Answer::Workers(in_time(port.workers()).await) },
            ));
        }
        self.peers.is_fresh(now)
    }

    fn keep_deliveries(&mut self, now: Instant) {
        if now.duration_since(self.early_acked) >= NAP_MAX {
            self.early_acked = now;
            for (delivery, since) in self.deliveries.of_age(now, self.early_ack()) {
                if self.is_covered(delivery, since) {
                    self.deliveries.ack_early(delivery);
                }
            }
        }
    }

    /// Whether the lease of every job of a delivery was proven by a call that started after `since`: without its
    /// message a job has its record alone, and that may be gone. A job parked here counts by its attempt here; one
    /// that runs elsewhere is looked at again before its message goes.
    fn is_covered(&self, delivery: DeliveryKey, since: Instant) -> bool {
        let attempts = self.running.iter().map(|(_, attempt)| attempt);
        let mine = attempts.filter(|attempt| attempt.delivery == delivery && attempt.good_beat >= since);
        let parked = self
            .parked
            .iter()
            .filter(|parked| parked.held.delivery == delivery);
        let beaten = |parked: &&Parked| {
            let mut attempts = self.running.iter().map(|(_, attempt)| attempt);
            attempts.any(|attempt| attempt.id() == parked.held.id() && attempt.good_beat >= since)
        };
        mine.count() + parked.filter(beaten).count() == self.deliveries.running(delivery)
    }

    /// The age at which a delivery is acknowledged early.
    pub(super) fn early_ack(&self) -> Duration {
        EARLY_ACK.min(self.ports.consume.consumer_timeout() / 3)
    }

    /// When the house is to be kept next.
    fn next_wake(&self, now: Instant) -> Instant {
        let attempts = self.running.iter().filter_map(|(_, attempt)| attempt.due_at());
        let parked = self.parked.iter().map(|parked| parked.until);
        let lanes = self.retries().filter(|at| *at > now);
        let others = [
            self.beats.due(),
            self.flushes.due(),
            self.phase.until(),
            self.relief_due(now),
        ];
        attempts
            .chain(parked)
            .chain(lanes)
            .chain(others.into_iter().flatten())
            .fold(now + NAP_MAX, Instant::min)
            .max(now + Duration::from_millis(1))
    }

    /// When lanes that pause after a failure go on.
    fn retries(&self) -> impl Iterator<Item = Instant> + '_ {
        let steps = self.steps.values().filter_map(super::Lane::retry_at);
        let rebuilds = self.rebuilds.values().filter_map(super::Lane::retry_at);
        let backs = self.backs.values().filter_map(super::Lane::retry_at);
        steps.chain(rebuilds).chain(backs).chain(self.asides.retry_at())
    }
}
