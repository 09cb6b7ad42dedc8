//! Tasks that keep subscriptions: each subscribes again when its own ends, stops it while the queue is paused, drops it when
//! the store stays away. A queue has one
//! for its slots, which never changes, and one for what is taken ahead of them, which comes and goes: a consumer keeps its
//! prefetch for life, so that another prefetch is another consumer, and what the old one holds must not be missing meanwhile.

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
    /// With this prefetch.
    Consume(u16),
    Quiet,
    Stop,
}

/// What a feed is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    mode: Mode,
    /// How often everything was dropped. A number, so that a drop is not missed when consuming goes on right after it.
    drops: u64,
}

/// The control loop's hold on the feed of a queue.
#[derive(Debug)]
pub(super) struct Feed {
    queue: QueueName,
    slots: watch::Sender<Order>,
    /// What is taken ahead; nothing is where the prefetch was set.
    ahead: Option<watch::Sender<Order>>,
    prefetch: Prefetch,
    consumes: bool,
    health: WorkerHealth,
}

/// Messages that may be delivered and not acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefetch {
    /// For the slots.
    pub(crate) slots: u16,
    /// Ahead of them.
    pub(crate) ahead: u16,
    /// Whether the second follows what is measured.
    pub(crate) adapts: bool,
}

impl Feed {
    pub(super) const fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// How many messages are taken ahead; `None` where that is not to change.
    pub(super) fn ahead(&self) -> Option<u16> {
        self.ahead.is_some().then_some(self.prefetch.ahead)
    }

    /// Takes so many messages ahead of the slots from now on.
    pub(super) fn take_ahead(&mut self, messages: u16) {
        self.prefetch.ahead = messages;
        self.consume(self.consumes);
    }

    /// Consumes, or pauses.
    pub(super) fn consume(&mut self, consume: bool) {
        self.consumes = consume;
        let mode = |prefetch| match prefetch {
            1.. if consume => Mode::Consume(prefetch),
            _ => Mode::Quiet,
        };
        self.set(mode(self.prefetch.slots), mode(self.prefetch.ahead));
    }

    /// Ends its subscriptions, so that what is not acknowledged goes to others at once, and consumes nothing until it is
    /// told to.
    pub(super) fn drop_all(&mut self) {
        self.consumes = false;
        self.health.attach(&self.queue, Attachment::Paused);
        for feed in [Some(&self.slots), self.ahead.as_ref()].into_iter().flatten() {
            feed.send_modify(|order| {
                order.drops += 1;
                if order.mode != Mode::Stop {
                    order.mode = Mode::Quiet;
                }
            });
        }
    }

    /// Consumes nothing any more.
    pub(super) fn stop(&mut self) {
        self.consumes = false;
        self.set(Mode::Stop, Mode::Stop);
    }

    fn set(&self, slots: Mode, ahead: Mode) {
        if !self.consumes {
            self.health.attach(&self.queue, Attachment::Paused);
        }
        turn(&self.slots, slots);
        if let Some(feed) = &self.ahead {
            turn(feed, ahead);
        }
    }
}

fn turn(feed: &watch::Sender<Order>, mode: Mode) {
    feed.send_if_modified(|order| {
        let changes = order.mode != mode && order.mode != Mode::Stop;
        if changes {
            order.mode = mode;
        }
        changes
    });
}

/// Starts the feeds of each queue. They consume nothing until they are told to.
pub(super) fn start_all(
    queues: &[QueueName],
    prefetch: Prefetch,
    port: &Arc<dyn ConsumePort>,
    arrivals: &mpsc::Sender<Arrival>,
    random: &Arc<dyn Random>,
    health: &WorkerHealth,
    tasks: &mut JoinSet<()>,
) -> Vec<Feed> {
    let generations = Arc::new(AtomicU64::new(0));
    let mut start = |queue: &QueueName, health: Option<WorkerHealth>| {
        let (order, orders) = watch::channel(Order {
            mode: Mode::Quiet,
            drops: 0,
        });
        let task = Task {
            queue: queue.clone(),
            port: Arc::clone(port),
            arrivals: arrivals.clone(),
            random: Arc::clone(random),
            generations: Arc::clone(&generations),
            health,
            orders,
            retired: Vec::new(),
            drops: 0,
            failures: 0,
        };
        tasks.spawn(task.run());
        order
    };
    let feeds = queues.iter().map(|queue| Feed {
        queue: queue.clone(),
        slots: start(queue, Some(health.clone())),
        ahead: prefetch.adapts.then(|| start(queue, None)),
        prefetch,
        consumes: false,
        health: health.clone(),
    });
    feeds.collect()
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
    port: Arc<dyn ConsumePort>,
    arrivals: mpsc::Sender<Arrival>,
    random: Arc<dyn Random>,
    generations: Arc<AtomicU64>,
    /// Told whether the queue is consumed, by the feed that matters.
    health: Option<WorkerHealth>,
    orders: watch::Receiver<Order>,
    /// Stopped subscriptions with unacknowledged deliveries.
    retired: Vec<Kept>,
    /// Drops that were made.
    drops: u64,
    failures: u32,
}

/// Why a subscription is not consumed any more.
enum Parting {
    /// Something else is asked for.
    Asked,
    /// It ended.
    Ended,
    /// The control loop is gone.
    Orphaned,
}

impl Task {
    async fn run(mut self) {
        loop {
            let order = *self.orders.borrow_and_update();
            if order.drops != self.drops {
                self.drops = order.drops;
                if !self.drop_all().await {
                    return;
                }
                continue;
            }
            let on = match order.mode {
                Mode::Consume(prefetch) => self.consume(prefetch).await,
                Mode::Quiet | Mode::Stop => self.idle().await,
            };
            if !on {
                return;
            }
        }
    }

    /// Ends every subscription and tells which they were; false when the control loop is gone.
    async fn drop_all(&mut self) -> bool {
        let ended = self.retired.drain(..).map(|kept| kept.life.generation);
        for generation in ended.collect::<Vec<u64>>() {
            if self.arrivals.send(Arrival::Ended { generation }).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Waits for another order; lets go of stopped subscriptions whose deliveries are all done with.
    async fn idle(&mut self) -> bool {
        tokio::select! {
            changed = self.orders.changed() => changed.is_ok(),
            () = tokio::time::sleep(LOOK), if !self.retired.is_empty() => {
                self.let_go();
                true
            }
        }
    }

    fn tell(&self, attachment: Attachment) {
        if let Some(health) = &self.health {
            health.attach(&self.queue, attachment);
        }
    }

    fn let_go(&mut self) {
        self.retired
            .retain(|kept| Arc::strong_count(&kept.life.alive) > 1);
    }

    /// Subscribes and consumes until something else is asked for or the subscription ends.
    async fn consume(&mut self, prefetch: u16) -> bool {
        let source = Source::Jobs(self.queue.clone());
        self.tell(Attachment::Detached);
        let subscribed = tokio::select! {
            subscribed = self.port.subscribe(source, prefetch) => subscribed,
            changed = self.orders.changed() => return changed.is_ok(),
        };
        let subscription = match subscribed {
            Ok(subscription) => subscription,
            Err(error) => {
                tracing::warn!(queue = %self.queue, %error, "failed to subscribe; trying again");
                return self.pause().await;
            }
        };
        self.let_go();
        self.tell(Attachment::Attached);
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
                self.tell(Attachment::Paused);
                if self.orders.borrow().drops == self.drops {
                    self.retire(kept).await;
                } else {
                    self.retired.push(kept);
                }
                true
            }
            Parting::Ended => {
                self.tell(Attachment::Detached);
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
                changed = self.orders.changed() => {
                    return if changed.is_ok() { Parting::Asked } else { Parting::Orphaned };
                }
                parting = hand_on(&self.arrivals, &self.queue, kept) => match parting {
                    None => {
                        self.failures = 0;
                        self.let_go();
                    }
                    Some(parting) => return parting,
                },
                () = tokio::time::sleep(LOOK), if !self.retired.is_empty() => self.let_go(),
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
            changed = self.orders.changed() => changed.is_ok(),
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
