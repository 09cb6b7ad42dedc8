//! Stopping in four steps, each with a deadline: quiet, drain, cancel, force.

use std::time::Duration;

use longshore_core::JobId;
use longshore_core::port::attempt::GiveBackReason;
use tokio::time::Instant;

use super::Control;
use super::settle::StopReason;
use crate::report::{RunReport, ids};

/// What aborted attempts may take to end.
const FORCE: Duration = Duration::from_secs(2);
/// What the last ends and give-backs may take to be told, at least.
const SETTLE: Duration = Duration::from_secs(5);
/// What the good-bye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// How far a stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not stopping.
    Working,
    /// Nothing new starts; attempts may end by themselves until then.
    Draining(Instant),
    /// Attempts were told to stop, and have until then.
    Cancelling(Instant),
    /// Attempts were aborted; what has not ended by then is left.
    Forcing(Instant),
    /// The store is told of the last ends until then.
    Settling(Instant),
    /// Over.
    Done,
}

impl Phase {
    pub(super) const fn is_working(&self) -> bool {
        matches!(self, Self::Working)
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// When the step ends.
    pub(super) const fn until(&self) -> Option<Instant> {
        match self {
            Self::Working | Self::Done => None,
            Self::Draining(until)
            | Self::Cancelling(until)
            | Self::Forcing(until)
            | Self::Settling(until) => Some(*until),
        }
    }
}

impl Control {
    /// Step one: takes nothing new, hands back what has not started, and says so.
    pub(super) fn start_drain(&mut self, now: Instant) {
        let running = self.running.active();
        tracing::info!(running, wait = ?self.settings.drain_deadline, "worker drains: it takes no more jobs");
        self.drain_by = now + self.settings.drain_deadline;
        self.phase = Phase::Draining(self.drain_by);
        // Before anything is let go of: who asks whether this worker may be given work hears no.
        self.health.drains();
        for feed in &mut self.feeds {
            feed.stop();
        }
        let mut back = self.buffer.take_if(|_| true);
        back.append(&mut self.foreign);
        back.extend(self.solo.take().map(|solo| solo.held));
        for held in back {
            self.hand_back(held, GiveBackReason::Unstarted);
        }
        // Others run these; unacknowledged, their messages go to whoever comes next.
        for parked in std::mem::take(&mut self.parked) {
            self.deliveries.abandon(parked.held.delivery);
        }
        self.beats.hurry(now);
        self.wake_by(now);
    }

    /// Goes on to the next step when this one is done or its time is over.
    pub(super) fn advance_drain(&mut self, now: Instant) {
        let Some(until) = self.phase.until() else {
            return;
        };
        let over = now >= until;
        let ended = self.running.active() == 0 && self.claiming == 0;
        let settled = ended && self.is_settled();
        self.phase = match self.phase {
            Phase::Settling(_) if settled || over => Phase::Done,
            Phase::Draining(_) | Phase::Cancelling(_) | Phase::Forcing(_) if ended => {
                Phase::Settling(self.settle_by(now))
            }
            Phase::Draining(_) if over => {
                self.cancel_all(now);
                Phase::Cancelling(now + self.settings.cancel_grace)
            }
            Phase::Cancelling(_) if over => {
                self.abort_all(now);
                Phase::Forcing(now + FORCE)
            }
            Phase::Forcing(_) if over => Phase::Settling(self.settle_by(now)),
            // Attempts that are left hold nothing up once everything else is told.
            Phase::Settling(_) if self.is_settled() && self.running.active() > 0 => Phase::Done,
            phase => phase,
        };
        if let Some(until) = self.phase.until() {
            self.wake_by(until.max(now));
        }
    }

    /// Until when ends are told: what the drain was given and did not use is theirs.
    fn settle_by(&self, now: Instant) -> Instant {
        self.drain_by.max(now + SETTLE)
    }

    fn cancel_all(&mut self, now: Instant) {
        let left = self.running.iter().map(|(_, attempt)| attempt);
        let jobs: Vec<_> = left
            .filter(|attempt| attempt.is_active())
            .map(super::running::Attempt::id)
            .collect();
        tracing::warn!(
            jobs = %ids(&jobs),
            "the drain deadline is over: these jobs are stopped and run again elsewhere"
        );
        for key in self.running.keys_where(super::running::Attempt::is_active) {
            self.stop(key, StopReason::Drain, now);
        }
    }

    fn abort_all(&mut self, now: Instant) {
        for key in self.running.keys_where(super::running::Attempt::is_active) {
            self.kill(key, now);
        }
    }

    /// Whether nothing is left to be told.
    fn is_settled(&self) -> bool {
        self.running.finishing() == 0
            && self.steps.values().all(super::Lane::is_idle)
            && self.rebuilds.values().all(super::Lane::is_idle)
            && self.backs.values().all(super::Lane::is_idle)
            && self.asides.is_idle()
    }

    /// Says good-bye and reports.
    pub(super) async fn leave(mut self) -> RunReport {
        let gone = self.ports.attempt.worker_gone(self.me.clone());
        match tokio::time::timeout(GOODBYE, gone).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to say good-bye; the registration runs out by itself");
            }
            Err(_) => tracing::warn!("no answer to the good-bye; the registration runs out by itself"),
        }
        self.show();
        let left = |active: bool| -> Vec<JobId> {
            let attempts = self
                .running
                .iter()
                .filter(|(_, attempt)| attempt.is_active() == active);
            attempts.map(|(_, attempt)| attempt.id()).collect()
        };
        let report = RunReport {
            cause: self.cause.clone(),
            left_running: left(true),
            left_unsettled: left(false),
            stats: self.stats.snapshot(),
        };
        tracing::info!(clean = report.is_clean(), cause = %report.cause, "worker stopped");
        self.tasks.shutdown().await;
        report
    }
}
