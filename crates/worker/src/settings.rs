//! What can be set, and what it may be.

use std::time::Duration;

use longshore_core::limits::{DURATION_MAX, TIMEOUT_DEFAULT};
use longshore_core::random::Random;
use longshore_core::{QueueName, WorkerId};

use crate::control::Prefetch;

/// Most slots of one worker.
const SLOTS_MAX: usize = 10_000;
/// The longest step of a stop, as in the configuration.
const STOP_MAX: Duration = Duration::from_secs(86_400);

/// A worker's settings. `complete` fills in what was not given.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) id: Option<WorkerId>,
    pub(crate) queues: Vec<QueueName>,
    pub(crate) slots: usize,
    pub(crate) prefetch: Option<u16>,
    pub(crate) drain_deadline: Duration,
    pub(crate) cancel_grace: Duration,
    pub(crate) stuck_max: Option<usize>,
    pub(crate) job_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            id: None,
            queues: Vec::new(),
            slots: 8,
            prefetch: None,
            drain_deadline: Duration::from_secs(30),
            cancel_grace: Duration::from_secs(10),
            stuck_max: None,
            job_timeout: TIMEOUT_DEFAULT,
        }
    }
}

impl Settings {
    /// Fills in defaults and checks ranges.
    pub(crate) fn complete(&mut self, random: &dyn Random, problems: &mut Vec<String>) {
        if self.queues.is_empty() {
            self.queues.push(QueueName::default());
        }
        if !(1..=SLOTS_MAX).contains(&self.slots) {
            problems.push(format!(
                "max_workers: {} is out of range; use 1 to {SLOTS_MAX}",
                self.slots
            ));
        }
        if self.prefetch == Some(0) {
            problems.push("prefetch: is zero, so that nothing would ever come; use at least 1".to_owned());
        }
        for (name, value) in [
            ("drain_deadline", self.drain_deadline),
            ("cancel_grace", self.cancel_grace),
        ] {
            if value > STOP_MAX {
                problems.push(format!(
                    "{name}: {value:?} is longer than a day; use a shorter time"
                ));
            }
        }
        if self.job_timeout.is_zero() || self.job_timeout > DURATION_MAX {
            problems.push(format!(
                "job_timeout: {:?} is out of range; use 1 ms to ten years",
                self.job_timeout
            ));
        }
        if self.stuck_max == Some(0) {
            problems
                .push("stuck_max: is zero, so that the worker would stop at once; use at least 1".to_owned());
        }
        let id = self.id.get_or_insert_with(|| default_id(random));
        if id.0.is_empty() || id.0.len() > 256 {
            problems.push(format!("worker id: has {} bytes; use 1 to 256", id.0.len()));
        }
    }

    /// The worker's name.
    pub(crate) fn worker_id(&self) -> WorkerId {
        self.id.clone().unwrap_or_else(|| WorkerId(String::new()))
    }

    /// Stuck handlers with which the worker drains.
    pub(crate) fn stuck_max(&self) -> usize {
        self.stuck_max.unwrap_or(self.slots / 2).max(1)
    }

    /// Messages that the subscription of a queue may deliver: as many as there are slots, and what running shows to be
    /// worth taking ahead; or what was set.
    pub(crate) fn prefetch(&self) -> Prefetch {
        let slots = u16::try_from(self.slots).unwrap_or(u16::MAX);
        Prefetch {
            slots: self.prefetch.unwrap_or(slots),
            ahead: 0,
            adapts: self.prefetch.is_none(),
        }
    }
}

/// The machine's name, as far as it is told without asking a resolver.
pub(crate) fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

fn default_id(random: &dyn Random) -> WorkerId {
    let suffix = random.next_u64() & 0xffff;
    WorkerId(format!("{}-{}-{suffix:04x}", host(), std::process::id()))
}
