//! From running to settled: the ends of attempts, and what the store says of them.

use longshore_core::outcome::Outcome;
use longshore_core::port::attempt::{Claimed, Finished};
use longshore_core::telemetry::{Event, Repair};
use longshore_core::{JobId, JobStatus};
use tokio::time::Instant;

use super::Control;
use super::delivery::Place;
use super::flights::{Rebuilding, Step};
use super::running::{Attempt, Doing};
use super::settle::{self, StopReason};
use super::trace;
use crate::execute::Ending;

impl Control {
    /// A handler has ended.
    pub(super) fn on_ended(&mut self, key: u64, ending: Ending) {
        let Some(attempt) = self.running.get(key) else {
            return;
        };
        if !attempt.is_active() {
            return;
        }
        if matches!(ending, Ending::Panicked(_)) {
            self.stats.panics.one();
            self.ports.telemetry.observe(&Event::Panicked {
                queue: &attempt.envelope().queue,
                function: &attempt.envelope().function_name,
            });
        }
        let outcome = settle::outcome(
            ending,
            attempt.stop,
            attempt.envelope(),
            (attempt.limit, attempt.retries),
            &*self.random,
        );
        if let Some(outcome) = outcome {
            self.report(key, outcome);
        } else {
            self.lose(key);
        }
    }

    /// The store answered the end of an attempt.
    pub(super) fn on_finished(&mut self, key: u64, finished: Finished) {
        let Some(attempt) = self.running.get(key) else {
            return;
        };
        match finished {
            Finished::Accepted(status) => {
                self.count(attempt, status);
                self.discard(key);
            }
            Finished::Lost => {
                tracing::warn!(id = %attempt.id(), "the job has another owner; its result is discarded");
                self.lose(key);
            }
            Finished::Missing => {
                let lane = self.rebuilds.entry(attempt.shard()).or_default();
                lane.push(Rebuilding::Attempt {
                    key,
                    then_finish: true,
                });
            }
        }
    }

    fn count(&self, attempt: &Attempt, status: JobStatus) {
        let stats = &self.stats;
        let outcome = match &attempt.doing {
            Doing::Finish(finish) => Some(&finish.outcome),
            _ => None,
        };
        let counter = match (status, outcome) {
            (JobStatus::Completed, _) => &stats.completed,
            (JobStatus::Failed, _) => &stats.failed,
            (JobStatus::Cancelled, _) => &stats.cancelled,
            (JobStatus::Expired, _) => &stats.expired,
            (_, Some(Outcome::Released)) => &stats.released,
            (_, Some(Outcome::Snooze { .. })) => &stats.snoozed,
            _ => &stats.retried,
        };
        counter.one();
        self.trace_end(attempt, trace::name(status, outcome));
    }

    /// Another worker owns the job of an attempt: its result is discarded.
    fn lose(&mut self, key: u64) {
        self.stats.lost.one();
        self.ports.telemetry.repaired(Repair::FinishRefused, 1);
        if let Some(attempt) = self.running.get(key) {
            self.trace_end(attempt, "lost");
        }
        self.discard(key);
    }

    /// The lost record of an attempt was made anew, or someone else's was found.
    pub(super) fn on_attempt_rebuilt(
        &mut self,
        key: u64,
        then_finish: bool,
        claimed: &Claimed,
        began: Instant,
    ) {
        let ours = matches!(claimed, Claimed::Run(_));
        let Some(attempt) = self.running.get_mut(key) else {
            return;
        };
        if ours {
            attempt.good_beat = began;
        }
        match (ours, then_finish) {
            (true, true) => {
                let lane = self.steps.entry(attempt.shard()).or_default();
                lane.push(Step::Finish(key));
            }
            (false, true) => self.lose(key),
            (false, false) => self.stop(key, StopReason::Lost, Instant::now()),
            (true, false) => {}
        }
    }

    /// A message of this job that was parked for its attempt here need not wait for the lease.
    pub(super) fn look_again(&mut self, id: JobId) {
        let now = Instant::now();
        let mut found = false;
        for parked in self.parked.iter_mut().filter(|parked| parked.held.id() == id) {
            parked.until = now;
            found = true;
        }
        if found {
            self.wake_by(now);
        }
    }

    /// Forgets an attempt; its message is done with.
    pub(super) fn discard(&mut self, key: u64) {
        if let Some(attempt) = self.running.remove(key) {
            if attempt.losts >= super::alone::LOSTS_ALONE && attempt.is_active() {
                self.exclusive -= 1;
            }
            self.deliveries.settle(attempt.delivery, Place::Running);
            self.look_again(attempt.id());
        }
    }
}
