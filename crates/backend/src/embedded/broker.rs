//! Messages, in memory: queues by priority, subscriptions with prefetch, redelivery. Only the archive of dead letters
//! is on the disk; a job's message needs no place there, because its record says that it was published.
//!
//! Nothing is ever given up: a message comes again until it is acknowledged.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use longshore_core::clock::Clock;
use longshore_core::message::Message;
use longshore_core::name::QueueName;
use longshore_core::port::{self, broker as ports};
use longshore_core::priority::Priority;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

mod archive;
mod queue;
mod subscription;

use self::queue::{Entry, Item, Queue};
use self::subscription::Subscriber;
use super::disk::{Disk, Part};

/// Envelopes larger than this wait on the disk alone, where the store has them anyway.
const ENVELOPE_KEPT_BYTES_MAX: usize = 1_024;

/// The broker of one folder.
pub(super) struct Broker {
    disk: Arc<RwLock<Option<Arc<Disk>>>>,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    closed: bool,
    queues: Queues,
    subscribers: HashMap<u64, Subscriber>,
    /// The last number given to a subscription or delivery.
    last_number: u64,
    /// The last number given to a letter of the archive.
    last_letter: u64,
}

#[derive(Default)]
struct Queues {
    jobs: HashMap<QueueName, Queue>,
    archive: Queue,
    given_up: Queue,
}

impl Queues {
    fn of(&mut self, source: &ports::Source) -> &mut Queue {
        match source {
            ports::Source::Jobs(name) => self.jobs.entry(name.clone()).or_default(),
            ports::Source::Archive => &mut self.archive,
            ports::Source::GivenUp => &mut self.given_up,
        }
    }
}

impl Inner {
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Deals what waits in a queue to those who have room, and wakes who got something.
    fn deal(&mut self, source: &ports::Source) {
        let subscribers = &mut self.subscribers;
        let queue = self.queues.of(source);
        loop {
            let has_room = |number, priority| {
                let taker: Option<&Subscriber> = subscribers.get(&number);
                taker.is_some_and(|taker| taker.has_room(priority))
            };
            let Some((number, priority, entry)) = queue.deal(has_room) else {
                return;
            };
            self.last_number += 1;
            if let Some(taker) = subscribers.get_mut(&number) {
                taker.give(self.last_number, priority, entry);
            }
        }
    }
}

impl Broker {
    pub(super) fn new(disk: Arc<RwLock<Option<Arc<Disk>>>>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            disk,
            clock,
            inner: Mutex::default(),
        })
    }

    fn disk(&self) -> Option<Arc<Disk>> {
        self.disk.read().clone()
    }

    pub(super) fn is_open(&self) -> bool {
        self.disk.read().is_some()
    }

    /// Takes messages; refuses each when the store is closed.
    pub(super) fn publish(&self, messages: Vec<Message>) -> Vec<ports::Published> {
        let Some(disk) = self.disk() else {
            return vec![
                ports::Published::Refused("the store is closed, or cannot write".to_owned());
                messages.len()
            ];
        };
        let count = messages.len();
        let light: Vec<_> = messages
            .into_iter()
            .map(|message| lighten(message, &disk))
            .collect();
        self.put(light);
        vec![ports::Published::Confirmed; count]
    }

    /// Puts messages back that were in the broker of the folder's last owner.
    pub(super) fn restore(&self, messages: Vec<Message>) {
        self.put(messages);
    }

    fn put(&self, messages: Vec<Message>) {
        let mut inner = self.inner.lock();
        let mut touched: Vec<QueueName> = Vec::new();
        for message in messages {
            let (name, priority) = (message.queue.clone(), message.priority);
            let queue = inner.queues.jobs.entry(name.clone()).or_default();
            queue.push(
                priority,
                Entry {
                    item: Item::Jobs(message),
                    redelivered: false,
                },
            );
            if !touched.contains(&name) {
                touched.push(name);
            }
        }
        for name in touched {
            inner.deal(&ports::Source::Jobs(name));
        }
    }

    pub(super) fn depths(&self, names: Vec<QueueName>) -> Vec<ports::Depth> {
        let inner = self.inner.lock();
        let mut depths = Vec::new();
        for name in names {
            let queue = inner.queues.jobs.get(&name);
            for priority in Priority::DESCENDING {
                depths.push(ports::Depth {
                    queue: name.clone(),
                    priority: Some(priority),
                    ready: queue.map_or(0, |queue| queue.ready(priority)),
                    consumers: queue.map_or(0, |queue| queue.subscribers.len() as u64),
                    recreated_at: queue.and_then(|queue| queue.recreated_at),
                });
            }
        }
        depths
    }

    pub(super) fn subscribe(
        self: &Arc<Self>,
        source: &ports::Source,
        prefetch: u16,
    ) -> Result<Box<dyn ports::Subscription>, port::Error> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(port::Error::Closed);
        }
        let number = inner.number();
        let wake = Arc::new(Notify::new());
        inner.queues.of(source).subscribers.push(number);
        let subscriber = Subscriber::new(source.clone(), usize::from(prefetch.max(1)), Arc::clone(&wake));
        inner.subscribers.insert(number, subscriber);
        inner.deal(source);
        Ok(subscription::open(Arc::clone(self), number, wake))
    }

    /// Ends every subscription.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        for subscriber in inner.subscribers.values_mut() {
            subscriber.end();
        }
    }

    pub(super) fn inject(&self, name: &QueueName, body: &'static [u8]) {
        let mut inner = self.inner.lock();
        let entry = Entry {
            item: Item::Raw(Bytes::from_static(body)),
            redelivered: false,
        };
        inner
            .queues
            .jobs
            .entry(name.clone())
            .or_default()
            .push(Priority::Normal, entry);
        inner.deal(&ports::Source::Jobs(name.clone()));
    }

    pub(super) fn delete_queue(&self, name: &QueueName) {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        let fresh = Queue::recreated(now);
        let Some(old) = inner.queues.jobs.insert(name.clone(), fresh) else {
            return;
        };
        for number in old.subscribers {
            if let Some(subscriber) = inner.subscribers.get_mut(&number) {
                subscriber.end();
            }
        }
    }
}

/// Leaves large envelopes to the disk, where it has them: a deep queue of large jobs must fit the memory.
fn lighten(mut message: Message, disk: &Disk) -> Message {
    for job in &mut message.jobs {
        if job.envelope.len() > ENVELOPE_KEPT_BYTES_MAX && disk.has_part(job.id, Part::Envelope) {
            job.envelope = Bytes::new();
        }
    }
    message
}

/// Gives a message its envelopes again. Jobs whose envelope is gone have ended and been pruned: they leave the
/// message, and `None` is a message without any left.
fn complete(mut message: Message, disk: &Disk) -> Result<Option<Message>, port::Error> {
    for job in message.jobs.iter_mut().filter(|job| job.envelope.is_empty()) {
        job.envelope = disk.part(job.id, Part::Envelope)?.unwrap_or_default();
    }
    message.jobs.retain(|job| !job.envelope.is_empty());
    Ok(Some(message).filter(|message| !message.jobs.is_empty()))
}
