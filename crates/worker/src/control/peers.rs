//! Which functions other live workers have; asked for when it matters and kept for a few seconds.

use std::time::Duration;

use longshore_core::view::WorkerView;
use longshore_core::{FunctionName, QueueName, WorkerId};
use tokio::time::Instant;

/// How long an answer is good.
const FRESH: Duration = Duration::from_secs(3);

/// Where a function runs besides here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    /// In another live worker of the queue.
    Somewhere,
    /// In none.
    Nowhere,
    /// That could not be found out.
    Unknown,
}

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

    /// Whether another live worker runs this function for this queue.
    pub(super) fn runs(&self, queue: &QueueName, function: &FunctionName) -> Runs {
        if !self.known {
            return Runs::Unknown;
        }
        let mut able = self.list.iter().filter(|worker| has(worker, queue, function));
        able.next().map_or(Runs::Nowhere, |_| Runs::Somewhere)
    }
}

fn has(worker: &WorkerView, queue: &QueueName, function: &FunctionName) -> bool {
    worker.queues.contains(queue) && worker.functions.contains(function)
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::Timestamp;

    fn worker(function: &str, queue: &str) -> WorkerView {
        WorkerView {
            run_times: Vec::new(),
            id: WorkerId("other".to_owned()),
            host: "here".to_owned(),
            pid: 1,
            version: "0.1.0".to_owned(),
            functions: vec![FunctionName::new(function).unwrap()],
            queues: vec![QueueName::new(queue).unwrap()],
            slots: 4,
            busy: 1,
            free: 0,
            unattached: Vec::new(),
            running: Vec::new(),
            draining: false,
            started_at: Timestamp(1),
            seen_at: Timestamp(1),
            watermarks: Vec::new(),
        }
    }

    #[test]
    fn a_function_runs_where_a_live_worker_has_it_for_that_queue() {
        let (now, me) = (Instant::now(), WorkerId("me".to_owned()));
        let queue = |name| QueueName::new(name).unwrap();
        let resize = FunctionName::new("resize").unwrap();
        let mut peers = Peers::default();
        assert_eq!(peers.runs(&queue("images"), &resize), Runs::Unknown);
        peers.told(Some(vec![worker("resize", "images")]), &me, now);
        assert_eq!(peers.runs(&queue("images"), &resize), Runs::Somewhere);
        assert_eq!(peers.runs(&queue("mails"), &resize), Runs::Nowhere);
        peers.told(None, &me, now);
        assert_eq!(peers.runs(&queue("images"), &resize), Runs::Unknown);
    }
}
