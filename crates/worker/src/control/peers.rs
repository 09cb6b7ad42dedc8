//! What other live workers are known to do; asked for when it matters and kept for a few seconds.

use std::time::Duration;

use longshore_core::view::WorkerView;
use longshore_core::{FunctionName, QueueName, WorkerId};
use tokio::time::Instant;

/// How long an answer is good.
const FRESH: Duration = Duration::from_secs(3);

/// The other live workers.
#[derive(Debug, Default)]
pub(super) struct Peers {
    list: Vec<WorkerView>,
    told: Option<Instant>,
    asking: bool,
    /// The last question was answered.
    known: bool,
}

impl Peers {
    /// Whether what is known is recent enough to act on.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.told.is_some_and(|told| now.duration_since(told) < FRESH)
    }

    /// Whether to ask now; the answer is then expected.
    pub(super) fn ask(&mut self, now: Instant) -> bool {
        let ask = !self.asking && !self.is_fresh(now);
        self.asking |= ask;
        ask
    }

    /// The answer; `None` when there was none, which is an answer that nothing is known.
    pub(super) fn told(&mut self, workers: Option<Vec<WorkerView>>, me: &WorkerId, now: Instant) {
        self.asking = false;
        self.told = Some(now);
        self.known = workers.is_some();
        self.list = workers.unwrap_or_default();
        self.list.retain(|worker| worker.id != *me && !worker.draining);
    }

    /// Whether another live worker runs this function, as far as is known.
    pub(super) fn may_run(&self, function: &FunctionName) -> bool {
        !self.known || self.list.iter().any(|worker| worker.functions.contains(function))
    }

    /// Free slots of others for this function in this queue.
    pub(super) fn free_slots(&self, queue: &QueueName, function: &FunctionName) -> usize {
        let free = self
            .list
            .iter()
            .filter(|worker| worker.queues.contains(queue) && worker.functions.contains(function))
            .map(|worker| worker.slots.saturating_sub(worker.busy) as usize);
        free.sum()
    }
}
