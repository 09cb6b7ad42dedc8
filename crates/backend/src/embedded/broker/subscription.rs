//! One subscription: takes when it has room, gives back when it ends.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use longshore_core::port::broker::{AckSink, Delivery, Payload, Receipt, Source, Subscription, Undecodable};
use longshore_core::port::{self};
use longshore_core::priority::Priority;
use tokio::sync::Notify;

use super::queue::{Entry, Item};
use super::{Broker, complete};

/// What the broker knows of a subscription.
pub(super) struct Subscriber {
    pub(super) source: Source,
    prefetch: usize,
    /// Deliveries without acknowledgement, in the order in which they were made.
    unacked: BTreeMap<u64, (Priority, Item)>,
    /// How many of them there are, by priority: each lane has the whole prefetch, so that low ones never block a
    /// critical one.
    held: HashMap<Priority, usize>,
    quiet: bool,
    ended: bool,
    pub(super) wake: Arc<Notify>,
}

impl Subscriber {
    pub(super) fn new(source: Source, prefetch: usize, wake: Arc<Notify>) -> Self {
        Self {
            source,
            prefetch,
            unacked: BTreeMap::new(),
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
        self.held.clear();
        self.wake.notify_one();
    }

    fn release(&mut self, ticket: u64) -> Option<Item> {
        let (priority, item) = self.unacked.remove(&ticket)?;
        if let Some(held) = self.held.get_mut(&priority) {
            *held = held.saturating_sub(1);
        }
        Some(item)
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
        if let Some(subscriber) = self.broker.inner.lock().subscribers.get_mut(&self.number) {
            subscriber.quiet = true;
        }
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
        let Some(subscriber) = inner
            .subscribers
            .get(&number)
            .filter(|subscriber| !subscriber.ended)
        else {
            return Taken::Ended;
        };
        if subscriber.quiet {
            return Taken::Nothing;
        }
        let (source, prefetch, held) = (
            subscriber.source.clone(),
            subscriber.prefetch,
            subscriber.held.clone(),
        );
        let may = |priority| held.get(&priority).copied().unwrap_or(0) < prefetch;
        let Some((priority, entry)) = inner.queue(&source).pop(may) else {
            return Taken::Nothing;
        };
        let ticket = inner.number();
        if let Some(subscriber) = inner.subscribers.get_mut(&number) {
            subscriber.unacked.insert(ticket, (priority, entry.item.clone()));
            *subscriber.held.entry(priority).or_default() += 1;
        }
        Taken::Entry(ticket, entry)
    }

    fn ack(&self, number: u64, ticket: u64) {
        let mut inner = self.inner.lock();
        // Its subscription has ended: the message is with somebody else by now.
        let Some(subscriber) = inner.subscribers.get_mut(&number) else {
            return;
        };
        let item = subscriber.release(ticket);
        subscriber.wake.notify_one();
        drop(inner);
        if let Some(Item::Letter(letter)) = item {
            self.forget_letter(letter);
        }
    }

    fn unsubscribe(&self, number: u64) {
        let mut inner = self.inner.lock();
        let Some(subscriber) = inner.subscribers.remove(&number) else {
            return;
        };
        let queue = inner.queue(&subscriber.source);
        queue.subscribers.retain(|other| *other != number);
        for (priority, item) in subscriber.unacked.into_values().rev() {
            queue.put_back(priority, item);
        }
        inner.wake(&subscriber.source);
    }
}
