//! How the parts of a process answer the probes of its health listener.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, SystemClock, Timestamp};
use longshore_scheduler::{Daemon, Handle, Status};
use longshore_service::config::Health as Limits;
use longshore_service::health::{Check, Part, Probe};
use longshore_worker::{Attachment, HealthView, WorkerHealth};
use tokio_util::sync::CancellationToken;

/// A worker.
pub(crate) struct Worker {
    pub(crate) health: WorkerHealth,
    pub(crate) limits: Limits,
    /// It was told to stop; its loop may not know it yet.
    pub(crate) stop: CancellationToken,
}

/// A gateway that serves.
pub(crate) struct Gateway {
    /// It was told to stop.
    pub(crate) stop: CancellationToken,
}

impl Part for Gateway {
    /// It stays ready while a server is away: every replica would be unready at once, and its own answers say more.
    fn checks(&self, probe: Probe) -> Vec<Check> {
        let stops = probe == Probe::Ready && self.stop.is_cancelled();
        let detail = if stops { "stops" } else { "serves" };
        vec![Check::new("gateway", !stops, detail)]
    }
}

impl Part for Worker {
    fn checks(&self, probe: Probe) -> Vec<Check> {
        let view = self.health.view();
        match probe {
            Probe::Startup => started(&view),
            Probe::Live => self.live(&view),
            Probe::Ready => self.ready(&view),
        }
    }
}

impl Worker {
    /// Its loop turns, and no consumer has been missing for too long. A worker that still connects is alive.
    fn live(&self, view: &HealthView) -> Vec<Check> {
        let Some(turned) = view.turned else {
            return vec![Check::new("worker", true, "not connected yet")];
        };
        let turns = Check::new(
            "control loop",
            turned <= self.limits.stuck_after,
            ago("turned", turned),
        );
        let queues = view.queues.iter().map(|(queue, attachment, since)| {
            let deaf = *attachment == Attachment::Detached && *since > self.limits.deaf_after;
            Check::new(
                format!("queue {queue}"),
                !deaf || view.draining,
                ago(attachment.name(), *since),
            )
        });
        [turns].into_iter().chain(queues).collect()
    }

    /// It takes jobs: it does not stop, the store answers, and every consumer is attached or rightly not.
    fn ready(&self, view: &HealthView) -> Vec<Check> {
        let draining = view.draining || self.stop.is_cancelled();
        let drain = Check::new("drain", !draining, if draining { "stops" } else { "takes jobs" });
        let store = match (view.turned, view.store_away) {
            (None, _) => Check::new("store", false, "not connected yet"),
            (_, true) => Check::new("store", false, "does not answer"),
            (_, false) => Check::new("store", true, "answers"),
        };
        let turns = view
            .turned
            .is_some_and(|turned| turned <= self.limits.stuck_after);
        let queues = view.queues.iter().map(|(queue, attachment, since)| {
            let ok = matches!(attachment, Attachment::Attached | Attachment::Paused);
            Check::new(format!("queue {queue}"), ok, ago(attachment.name(), *since))
        });
        let turns = Check::new(
            "control loop",
            turns,
            if turns { "turns" } else { "stands still" },
        );
        [drain, store, turns].into_iter().chain(queues).collect()
    }
}

/// It is connected, and every consumer was attached or rightly left out once.
fn started(view: &HealthView) -> Vec<Check> {
    let connected = view.turned.is_some();
    let detail = if connected {
        "connected"
    } else {
        "not connected yet"
    };
    let queues = view.queues.iter().map(|(queue, attachment, _)| {
        let ok = *attachment != Attachment::Starting;
        Check::new(format!("queue {queue}"), ok, attachment.name())
    });
    [Check::new("worker", connected, detail)]
        .into_iter()
        .chain(queues)
        .collect()
}

/// A scheduler.
pub(crate) struct Scheduler {
    pub(crate) handle: Handle,
    pub(crate) limits: Limits,
    pub(crate) stop: CancellationToken,
    pub(crate) since: Timestamp,
}

impl Part for Scheduler {
    fn checks(&self, probe: Probe) -> Vec<Check> {
        let statuses = self.handle.statuses();
        let now = SystemClock.now();
        match probe {
            Probe::Startup => {
                let passed = last_pass(&statuses).is_some();
                vec![Check::new(
                    "daemons",
                    passed,
                    if passed { "work" } else { "no pass yet" },
                )]
            }
            Probe::Live => {
                // One that waits for a server ends its passes with errors, and ends them all the same.
                let idle = now.since(last_pass(&statuses).unwrap_or(self.since));
                vec![Check::new(
                    "daemons",
                    idle <= self.limits.stuck_after,
                    ago("last pass", idle),
                )]
            }
            Probe::Ready => {
                let stops = self.stop.is_cancelled();
                let works = statuses
                    .iter()
                    .any(|(_, status)| matches!(status.last, Some(Ok(_))));
                vec![
                    Check::new("stop", !stops, if stops { "stops" } else { "works" }),
                    Check::new(
                        "daemons",
                        works,
                        if works { "work" } else { "every last pass failed" },
                    ),
                ]
            }
        }
    }
}

/// When the last pass of any daemon ended.
fn last_pass(statuses: &[(Daemon, Status)]) -> Option<Timestamp> {
    statuses.iter().filter_map(|(_, status)| status.last_ended).max()
}

fn ago(what: &str, time: Duration) -> String {
    format!("{what} {:.1} s ago", time.as_secs_f64())
}

/// One more part of the process.
pub(crate) fn part(part: impl Part + 'static) -> Arc<dyn Part> {
    Arc::new(part)
}
