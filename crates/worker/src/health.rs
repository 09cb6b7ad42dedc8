//! How a worker does, for those who decide whether it lives and may be given work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::QueueName;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Looks at a worker from outside of it, before, while and after it runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WorkerHealth(Arc<Mutex<Inside>>);

#[derive(Debug)]
struct Inside {
    since: Instant,
    turned: Option<Instant>,
    draining: bool,
    store_away: bool,
    queues: BTreeMap<QueueName, (Attachment, Instant)>,
}

/// How a queue's consumer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attachment {
    /// It was not told yet whether to consume.
    Starting,
    /// It consumes.
    Attached,
    /// It rightly does not: the queue is paused, the worker drains, or the store has been away for a lease.
    Paused,
    /// It should consume and does not: the broker is away, or does not let it.
    Detached,
}

impl Attachment {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Attached => "attached",
            Self::Paused => "paused",
            Self::Detached => "detached",
        }
    }
}

/// A worker's health at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthView {
    /// How long ago the control loop last turned; `None` before its first turn, which comes after the connection to the
    /// backend. A loop that is well turns at least once a second.
    pub turned: Option<Duration>,
    /// How long the worker has been there.
    pub age: Duration,
    /// It stops: it takes no more jobs.
    pub draining: bool,
    /// The store does not answer.
    pub store_away: bool,
    /// How the consumer of each queue is, and since when.
    pub queues: Vec<(QueueName, Attachment, Duration)>,
}

impl WorkerHealth {
    pub(crate) fn new(queues: &[QueueName]) -> Self {
        let now = Instant::now();
        let starting = |queue: &QueueName| (queue.clone(), (Attachment::Starting, now));
        Self(Arc::new(Mutex::new(Inside {
            since: now,
            turned: None,
            draining: false,
            store_away: false,
            queues: queues.iter().map(starting).collect(),
        })))
    }

    /// The worker's health now.
    pub fn view(&self) -> HealthView {
        let now = Instant::now();
        let inside = self.0.lock();
        let queues = inside.queues.iter();
        HealthView {
            turned: inside.turned.map(|at| now.duration_since(at)),
            age: now.duration_since(inside.since),
            draining: inside.draining,
            store_away: inside.store_away,
            queues: queues
                .map(|(queue, (attachment, since))| (queue.clone(), *attachment, now.duration_since(*since)))
                .collect(),
        }
    }

    /// The control loop turned.
    pub(crate) fn turned(&self, draining: bool, store_away: bool) {
        let mut inside = self.0.lock();
        inside.turned = Some(Instant::now());
        inside.draining = draining;
        inside.store_away = store_away;
    }

    /// The worker stops, whether its loop knows it yet or not.
    pub(crate) fn drains(&self) {
        self.0.lock().draining = true;
    }

    /// The queues whose consumer is not there.
    pub(crate) fn unattached(&self) -> Vec<QueueName> {
        let inside = self.0.lock();
        let queues = inside.queues.iter();
        let away = queues.filter(|(_, (attachment, _))| *attachment != Attachment::Attached);
        away.map(|(queue, _)| queue.clone()).collect()
    }

    /// A queue's consumer changed.
    pub(crate) fn attach(&self, queue: &QueueName, attachment: Attachment) {
        let mut inside = self.0.lock();
        if let Some(known) = inside.queues.get_mut(queue)
            && known.0 != attachment
        {
            *known = (attachment, Instant::now());
        }
    }
}
