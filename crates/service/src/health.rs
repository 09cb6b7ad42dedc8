//! Whether this process has started, lives, and may be given work, for whoever starts and stops processes; and the page
//! of its metrics.
//!
//! A probe answers from what it has been told; it asks no server, so that an answer never waits. The listener has a thread
//! of its own: handlers that block every other thread do not silence it.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use serde::Serialize;

use crate::metrics::{Metrics, names};

mod listener;

pub use listener::{Error, serve};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// How it is, for people.
    pub detail: String,
}

impl Check {
    /// Something that was looked at.
    pub fn new(name: impl Into<String>, ok: bool, detail: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ok,
            detail: detail.into(),
        }
    }
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Has it started?
    Startup,
    /// Does it live? If not, start it anew.
    Live,
    /// May it be given work?
    Ready,
}

impl Probe {
    /// Every question.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Live, Self::Ready];

    /// Its name: `startup`, `live` or `ready`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Live => "live",
            Self::Ready => "ready",
        }
    }

    /// Where it is answered.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Startup => "/startupz",
            Self::Live => "/livez",
            Self::Ready => "/readyz",
        }
    }
}

/// A part of the process that can be asked. It must not wait.
pub trait Part: Send + Sync {
    /// What it looks at for this question.
    fn checks(&self, probe: Probe) -> Vec<Check>;
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Every check is as it should be.
    pub ok: bool,
    /// The checks.
    pub checks: Vec<Check>,
}

/// The health of this process. Cheap to clone; every clone is the same.
#[derive(Clone, Default)]
pub struct Health {
    parts: Arc<Mutex<Vec<Arc<dyn Part>>>>,
}

impl Health {
    /// One more part to ask.
    pub fn add(&self, part: Arc<dyn Part>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push(part);
    }

    /// Asks every part. A process without parts has not started.
    pub fn ask(&self, probe: Probe) -> Answer {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let checks: Vec<_> = if parts.is_empty() {
            // It connects; that is a kind of life.
            let ok = probe == Probe::Live;
            vec![Check::new("start", ok, "not connected yet")]
        } else {
            parts.iter().flat_map(|part| part.checks(probe)).collect()
        };
        Answer {
            ok: checks.iter().all(|check| check.ok),
            checks,
        }
    }

    /// Tells the answers as a metric.
    pub(crate) fn measure(&self, metrics: &Metrics) {
        let health = self.clone();
        metrics
            .meter()
            .u64_observable_gauge(names::HEALTH.name)
            .with_unit(names::HEALTH.unit)
            .with_description(names::HEALTH.meaning)
            .with_callback(move |observer| {
                for probe in Probe::ALL {
                    let ok = u64::from(health.ask(probe).ok);
                    observer.observe(ok, &[KeyValue::new(names::PROBE, probe.name())]);
                }
            })
            .build();
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<Check>);
    impl Part for Fixed {
        fn checks(&self, _: Probe) -> Vec<Check> {
            self.0.clone()
        }
    }

    #[test]
    fn a_process_without_parts_lives_and_has_not_started() {
        let health = Health::default();
        assert_eq!(Probe::ALL.map(|probe| health.ask(probe).ok), [false, true, false]);
    }

    #[test]
    fn one_check_that_fails_is_enough() {
        let health = Health::default();
        health.add(Arc::new(Fixed(vec![Check::new("a", true, "")])));
        assert!(health.ask(Probe::Ready).ok);
        health.add(Arc::new(Fixed(vec![Check::new("b", false, "gone")])));
        let answer = health.ask(Probe::Ready);
        assert!(!answer.ok && answer.checks.len() == 2, "{answer:?}");
    }
}
