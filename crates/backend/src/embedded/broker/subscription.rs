//! One subscription: is dealt messages while it has room, gives back when it ends.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use longshore_core::port::broker::{AckSink, Delivery, Payload, Receipt, Source, Subscription, Undecodable};
use longshore_core::port::{self};
use longshore_core::priority::Priority;
use tokio::sync::Notify;

use super::queue::{Entry, Item};
use super::{Broker, Inner, complete};

/// What the broker knows of a subscription.
pub(super) struct Subscriber {
    pub(super) source: Source,
    prefetch: usize,
    /// Deliveries without acknowledgement, in the order in which they were made.
    unacked: BTreeMap<u64, (Priority, Entry)>,
    /// Those among them that the consumer has not had yet, the most urgent first.
    inbox: BTreeSet<(Reverse<Priority>, u64)>,
    /// How many of them there are, by priority: each lane has the whole prefetch, so that low ones never block a
    /// critical one.
    held: HashMap<Priority, usize>,
    quiet: bool,
    ended: bool,
    wake: Arc<Notify>,
}

impl Subscriber {
    pub(super) fn new(source: Source, prefetch: usize, wake: Arc<Notify>) -> Self {
        Self {
            source,
            prefetch,
            unacked: BTreeMap::new(),
            inbox: BTreeSet::new(),
            held: HashMap::new(),
            quiet: false,
            ended: false,
            wake,
        }
    }

    /// Its queue is gone: what it holds is void.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.unacked.clear();
        self.inbox.clear();
        self.held.clear();
        self.wake.notify_one();
    }

    pub(super) fn has_room(&self, priority: Priority) -> bool {
        let held = self.held.get(&priority).copied().unwrap_or(0);
        !self.ended && !self.quiet && held < self.prefetch
    }

    /// Gives it an entry, under a number that is larger than all before.
    pub(super) fn give(&mut self, ticket: u64, priority: Priority, entry: Entry) {
        self.unacked.insert(ticket, (priority, entry));
        self.inbox.insert((Reverse(priority), ticket));
        *self.held.entry(priority).or_default() += 1;
        self.wake.notify_one();
    }

    /// The next entry for the consumer.
    fn take(&mut self) -> Option<(u64, Entry)> {
        let (_, ticket) = self.inbox.pop_first()?;
        let (_, entry) = self.unacked.get(&ticket)?;
        Some((ticket, entry.clone()))
    }

    fn release(&mut self, ticket: u64) -> Option<(Priority, Entry)> {
        let (priority, entry) = self.unacked.remove(&ticket)?;
        if let Some(held) = self.held.get_mut(&priority) {
            *held = held.saturating_sub(1);
        }
        Some((priority, entry))
    }

    /// Takes back what the consumer has not had, the last first.
    fn take_back(&mut self) -> Vec<(Priority, Entry)> {
        let mut tickets: Vec<u64> = std::mem::take(&mut self.inbox)
            .into_iter()
            .map(|(_, ticket)| ticket)
            .collect();
        tickets.sort_unstable_by_key(|ticket| Reverse(*ticket));
        tickets
            .into_iter()
            .filter_map(|ticket| self.release(ticket))
            .collect()
    }
}

enum Taken {
    Entry(u64, Entry),
    Nothing,
    Ended,
}

/// The consumer's end.
struct Open {
    broker: Arc<Broker>,
    sink: Arc<Acks>,
    number: u64,
    wake: Arc<Notify>,
}

/// Acknowledges deliveries of one subscription.
struct Acks {
    broker: Arc<Broker>,
    number: u64,
}

pub(super) fn open(broker: Arc<Broker>, number: u64, wake: Arc<Notify>) -> Box<dyn Subscription> {
    let sink = Arc::new(Acks {
        broker: Arc::clone(&broker),
        number,
    });
    Box::new(Open {
        broker,
        sink,
        number,
        wake,
    })
}

impl AckSink for Acks {
    fn ack(&self, ticket: u64) {
        self.broker.ack(self.number, ticket);
    }
}

impl Subscription for Open {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Delivery>> + Send + '_>> {
        Box::pin(async move {
            loop {
                match self.broker.take(self.number) {
                    Taken::Ended => return None,
                    Taken::Nothing => self.wake.notified().await,
                    Taken::Entry(ticket, entry) => match self.deliver(ticket, entry) {
                        Ok(Some(delivery)) => return Some(delivery),
                        Ok(None) => self.broker.ack(self.number, ticket),
                        Err(error) => {
                            tracing::error!(%error, "a message cannot be read; the subscription ends");
                            return None;
                        }
                    },
                }
            }
        })
    }

    fn quiet(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.broker.quiet(self.number);
        Box::pin(std::future::ready(()))
    }
}

impl Open {
    /// The delivery of an entry; `None` when nothing of it is left to be done.
    fn deliver(&self, ticket: u64, entry: Entry) -> Result<Option<Delivery>, port::Error> {
        let disk = self.broker.disk().ok_or(port::Error::Closed)?;
        let payload = match entry.item {
            Item::Jobs(message) => match complete(message, &disk)? {
                Some(message) => Payload::Jobs(message),
                None => return Ok(None),
            },
            Item::Letter(number) => match disk.letter(number)? {
                Some(letter) => Payload::Dead(letter),
                None => return Ok(None),
            },
            Item::Raw(body) => Payload::Undecodable(Undecodable {
                message_id: format!("embedded-{ticket}"),
                reason: "these bytes are no message".to_owned(),
                body,
                headers: Vec::new(),
                jobs: Vec::new(),
                newer_schema: false,
            }),
        };
        let receipt = Receipt::new(Arc::clone(&self.sink) as Arc<dyn AckSink>, ticket);
        Ok(Some(Delivery {
            redelivered: entry.redelivered,
            payload,
            receipt,
        }))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.broker.unsubscribe(self.number);
    }
}

impl Broker {
    fn take(&self, number: u64) -> Taken {
        let mut inner = self.inner.lock();
        match inner.subscribers.get_mut(&number) {
            Some(subscriber) if !subscriber.ended => match subscriber.take() {
                Some((ticket, entry)) => Taken::Entry(ticket, entry),
                None => Taken::Nothing,
            },
            _ => Taken::Ended,
        }
    }

    fn ack(&self, number: u64, ticket: u64) {
        let mut inner = self.inner.lock();
        // Its subscription has ended: the message is with somebody else by now.
        let Some(subscriber) = inner.subscribers.get_mut(&number) else {
            return;
        };
        let released = subscriber.release(ticket);
        let source = subscriber.source.clone();
        inner.deal(&source);
        drop(inner);
        if let Some((
            _,
            Entry {
                item: Item::Letter(letter),
                ..
            },
        )) = released
        {
            self.forget_letter(letter);
        }
    }

    fn quiet(&self, number: u64) {
        let mut inner = self.inner.lock();
        let Some(subscriber) = inner.subscribers.get_mut(&number) else {
            return;
        };
        subscriber.quiet = true;
        let (source, unseen) = (subscriber.source.clone(), subscriber.take_back());
        inner.put_back(&source, unseen);
    }

    fn unsubscribe(&self, number: u64) {
        let mut inner = self.inner.lock();
        let Some(mut subscriber) = inner.subscribers.remove(&number) else {
            return;
        };
        let queue = inner.queues.of(&subscriber.source);
        queue.subscribers.retain(|other| *other != number);
        let unseen: BTreeSet<u64> = subscriber.inbox.iter().map(|(_, ticket)| *ticket).collect();
        let all = std::mem::take(&mut subscriber.unacked).into_iter().rev();
        let all = all.map(|(ticket, (priority, mut entry))| {
            entry.redelivered |= !unseen.contains(&ticket);
            (priority, entry)
        });
        inner.put_back(&subscriber.source, all.collect());
    }
}

impl Inner {
    /// Puts entries back where they came from, the last first, for others.
    fn put_back(&mut self, source: &Source, entries: Vec<(Priority, Entry)>) {
        let queue = self.queues.of(source);
        for (priority, entry) in entries {
            queue.put_back(priority, entry);
        }
        self.deal(source);
    }
}
