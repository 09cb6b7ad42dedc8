//! One task a queue that keeps a subscription: subscribes again when it ends, stops it while the queue is paused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::QueueName;
use longshore_core::port::ConsumePort;
use longshore_core::port::broker::{Delivery, Source, Subscription};
use longshore_core::random::Random;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::arrive::Arrival;
use super::delivery::Life;
use super::lane::backoff;
use crate::health::{Attachment, WorkerHealth};

/// What a stopped subscription may still hand out.
const TAIL: Duration = Duration::from_millis(100);
/// How often a stopped subscription is looked at: it is kept while deliveries of it are unacknowledged.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Consume,
    Quiet,
    Stop,
}

/// The control loop's hold on a feed.
#[derive(Debug)]
pub(super) struct Feed {
    queue: QueueName,
    mode: watch::Sender<Mode>,
    health: WorkerHealth,
}

impl Feed {
    pub(super) const fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// Consumes, or pauses.
    pub(super) fn consume(&self, consume: bool) {
        self.set(if consume { Mode::Consume } else { Mode::Quiet });
    }

    /// Consumes nothing any more.
    pub(super) fn stop(&self) {
        self.set(Mode::Stop);
    }

    fn set(&self, mode: Mode) {
        if mode != Mode::Consume {
            self.health.attach(&self.queue, Attachment::Paused);
        }
        self.mode.send_if_modified(|now| {
            let changes = *now != mode && *now != Mode::Stop;
            if changes {
                *now = mode;
            }
            changes
        });
    }
}

/// Starts a feed for each queue. They consume nothing until they are told to.
pub(super) fn start_all(
    queues: &[QueueName],
    prefetch: u16,
    port: &Arc<dyn ConsumePort>,
    arrivals: &mpsc::Sender<Arrival>,
    random: &Arc<dyn Random>,
    health: &WorkerHealth,
    tasks: &mut JoinSet<()>,
) -> Vec<Feed> {
    let generations = Arc::new(AtomicU64::new(0));
    let start = |queue: &QueueName| {
        let (mode, modes) = watch::channel(Mode::Quiet);
        let task = Task {
            queue: queue.clone(),
            prefetch,
            port: Arc::clone(port),
            arrivals: arrivals.clone(),
            random: Arc::clone(random),
            generations: Arc::clone(&generations),
            health: health.clone(),
            modes,
            retired: Vec::new(),
            failures: 0,
        };
        tasks.spawn(task.run());
        Feed {
            queue: queue.clone(),
            mode,
            health: health.clone(),
        }
    };
    queues.iter().map(start).collect()
}

/// A subscription and what its deliveries hold.
struct Kept {
    subscription: Box<dyn Subscription>,
    life: Life,
    /// Taken and not handed on yet.
    next: Option<Box<Delivery>>,
}

struct Task {
    queue: QueueName,
    prefetch: u16,
    port: Arc<dyn ConsumePort>,
    arrivals: mpsc::Sender<Arrival>,
    random: Arc<dyn Random>,
    generations: Arc<AtomicU64>,
    health: WorkerHealth,
    modes: watch::Receiver<Mode>,
    /// Stopped subscriptions with unacknowledged deliveries.
    retired: Vec<Kept>,
    failures: u32,
}

/// Why a subscription is not consumed any more.
enum Parting {
    /// The mode changed.
    Asked,
    /// It ended.
    Ended,
    /// The control loop is gone.
    Orphaned,
}

impl Task {
    async fn run(mut self) {
        loop {
            let mode = *self.modes.borrow_and_update();
            let on = match mode {
                Mode::Consume => self.consume().await,
                Mode::Quiet | Mode::Stop => self.idle().await,
            };
            if !on {
                return;
            }
        }
    }

    /// Waits for another mode; lets go of stopped subscriptions whose deliveries are all done with.
    async fn idle(&mut self) -> bool {
        tokio::select! {
            changed = self.modes.changed() => changed.is_ok(),
            () = tokio::time::sleep(LOOK), if !self.retired.is_empty() => {
                self.let_go();
                true
            }
        }
    }

    fn let_go(&mut self) {
        self.retired
            .retain(|kept| Arc::strong_count(&kept.life.alive) > 1);
    }

    /// Subscribes and consumes until something else is asked for or the subscription ends.
    async fn consume(&mut self) -> bool {
        let source = Source::Jobs(self.queue.clone());
        self.health.attach(&self.queue, Attachment::Detached);
        let subscribed = tokio::select! {
            subscribed = self.port.subscribe(source, self.prefetch) => subscribed,
            changed = self.modes.changed() => return changed.is_ok(),
        };
        let subscription = match subscribed {
            Ok(subscription) => subscription,
            Err(error) => {
                tracing::warn!(queue = %self.queue, %error, "failed to subscribe; trying again");
                return self.pause().await;
            }
        };
        self.let_go();
        self.health.attach(&self.queue, Attachment::Attached);
        let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let life = Life {
            generation,
            alive: Arc::default(),
        };
        let mut kept = Kept {
            subscription,
            life,
            next: None,
        };
        match self.forward(&mut kept).await {
            Parting::Asked => {
                self.health.attach(&self.queue, Attachment::Paused);
                self.retire(kept).await;
                true
            }
            Parting::Ended => {
                self.health.attach(&self.queue, Attachment::Detached);
                tracing::warn!(queue = %self.queue, "subscription ended; subscribing again");
                let told = self.arrivals.send(Arrival::Ended { generation }).await;
                told.is_ok() && self.pause().await
            }
            Parting::Orphaned => false,
        }
    }

    async fn forward(&mut self, kept: &mut Kept) -> Parting {
        loop {
            tokio::select! {
                biased;
                changed = self.modes.changed() => {
                    return if changed.is_ok() { Parting::Asked } else { Parting::Orphaned };
                }
                parting = hand_on(&self.arrivals, &self.queue, kept) => match parting {
                    None => self.failures = 0,
                    Some(parting) => return parting,
                },
            }
        }
    }

    /// Stops a subscription, hands on what it had taken already, and keeps it while that is unacknowledged.
    async fn retire(&mut self, mut kept: Kept) {
        kept.subscription.quiet().await;
        while let Ok(None) = tokio::time::timeout(TAIL, hand_on(&self.arrivals, &self.queue, &mut kept)).await
        {
        }
        self.retired.push(kept);
    }

    /// Waits before the next try; false when the control loop is gone.
    async fn pause(&mut self) -> bool {
        let wait = backoff(self.failures, &*self.random);
        self.failures += 1;
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            changed = self.modes.changed() => changed.is_ok(),
        }
    }
}

/// Hands one delivery on. It waits in `kept` until there is room, so that it is not lost when this is cancelled, and so
/// that a queue in which nothing comes holds no room that others need.
async fn hand_on(arrivals: &mpsc::Sender<Arrival>, queue: &QueueName, kept: &mut Kept) -> Option<Parting> {
    if kept.next.is_none() {
        let Some(delivery) = kept.subscription.next().await else {
            return Some(Parting::Ended);
        };
        kept.next = Some(Box::new(delivery));
    }
    let Ok(room) = arrivals.reserve().await else {
        return Some(Parting::Orphaned);
    };
    if let Some(delivery) = kept.next.take() {
        room.send(Arrival::Came {
            queue: queue.clone(),
            life: kept.life.clone(),
            delivery,
        });
    }
    None
}
