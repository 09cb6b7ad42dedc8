//! Deliveries that are not acknowledged yet. A message of several jobs is acknowledged when each of them is terminal,
//! waits elsewhere or was given back; early, when each is that or runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::Timestamp;
use longshore_core::message::{Epoch, Message};
use longshore_core::port::broker::Receipt;
use tokio::time::Instant;

/// Names a delivery in this worker.
pub(super) type DeliveryKey = u64;

/// Where a job of a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Here, not started: its message must be kept.
    Waiting,
    /// Running, here or elsewhere: the lease protects it as well.
    Running,
}

/// One subscription's life; a delivery holds it, so that the subscription is kept while it may be acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// Number of the subscription.
    pub(super) generation: u64,
    /// Held by every delivery of it.
    pub(super) alive: Arc<()>,
}

/// What a message said of all its jobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) epoch: Epoch,
    pub(super) published_at: Timestamp,
    pub(super) norecord: bool,
}

impl From<&Message> for Origin {
    fn from(message: &Message) -> Self {
        Self {
            epoch: message.epoch,
            published_at: message.published_at,
            norecord: message.norecord,
        }
    }
}

#[derive(Debug)]
struct Open {
    receipt: Option<Receipt>,
    life: Life,
    origin: Option<Origin>,
    publisher: Option<Box<str>>,
    waiting: usize,
    running: usize,
    received: Instant,
}

/// Deliveries that are not acknowledged yet.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    open: HashMap<DeliveryKey, Open>,
    last: DeliveryKey,
}

impl Deliveries {
    /// Takes a delivery in, with `jobs` jobs waiting.
    pub(super) fn insert(
        &mut self,
        receipt: Receipt,
        life: Life,
        origin: Option<Origin>,
        jobs: usize,
        now: Instant,
    ) -> DeliveryKey {
        self.last += 1;
        let open = Open {
            receipt: Some(receipt),
            life,
            origin,
            publisher: None,
            waiting: jobs,
            running: 0,
            received: now,
        };
        self.open.insert(self.last, open);
        self.last
    }

    pub(super) fn origin(&self, key: DeliveryKey) -> Option<Origin> {
        self.open.get(&key)?.origin
    }

    /// The trace context of its publish.
    pub(super) fn publisher(&self, key: DeliveryKey) -> Option<&str> {
        self.open.get(&key)?.publisher.as_deref()
    }

    /// Remembers the trace context of its publish.
    pub(super) fn published_by(&mut self, key: DeliveryKey, traceparent: Option<String>) {
        if let Some(open) = self.open.get_mut(&key) {
            open.publisher = traceparent.map(String::into_boxed_str);
        }
    }

    pub(super) fn generation(&self, key: DeliveryKey) -> Option<u64> {
        self.open.get(&key).map(|open| open.life.generation)
    }

    /// A waiting job runs now.
    pub(super) fn runs(&mut self, key: DeliveryKey) {
        if let Some(open) = self.open.get_mut(&key) {
            open.waiting = open.waiting.saturating_sub(1);
            open.running += 1;
        }
    }

    /// One job of the delivery is done with; acknowledges when it was the last.
    pub(super) fn settle(&mut self, key: DeliveryKey, from: Place) {
        let Some(open) = self.open.get_mut(&key) else {
            return;
        };
        let place = match from {
            Place::Waiting => &mut open.waiting,
            Place::Running => &mut open.running,
        };
        *place = place.saturating_sub(1);
        if open.waiting == 0 && open.running == 0 {
            let receipt = self.open.remove(&key).and_then(|mut open| open.receipt.take());
            if let Some(receipt) = receipt {
                receipt.ack();
            }
        }
    }

    /// Deliveries that may be acknowledged early once their leases are proven: of age at the moment that is told with
    /// them, and no job of theirs waits here.
    pub(super) fn of_age(&self, now: Instant, age: Duration) -> Vec<(DeliveryKey, Instant)> {
        let due = self.open.iter().filter(|(_, open)| {
            open.receipt.is_some() && open.waiting == 0 && now.duration_since(open.received) >= age
        });
        due.map(|(key, open)| (*key, open.received + age)).collect()
    }

    /// Whether a job of any waits here.
    pub(super) fn are_waiting(&self) -> bool {
        self.open.values().any(|open| open.waiting > 0)
    }

    /// How many jobs of a delivery run, here or elsewhere.
    pub(super) fn running(&self, key: DeliveryKey) -> usize {
        self.open.get(&key).map_or(0, |open| open.running)
    }

    /// How long a delivery has been here.
    pub(super) fn age(&self, key: DeliveryKey, now: Instant) -> Duration {
        let received = self.open.get(&key).map(|open| open.received);
        received.map_or(Duration::ZERO, |received| now.duration_since(received))
    }

    /// Acknowledges a delivery whose jobs go on by their leases alone.
    pub(super) fn ack_early(&mut self, key: DeliveryKey) {
        if let Some(receipt) = self.open.get_mut(&key).and_then(|open| open.receipt.take()) {
            receipt.ack();
        }
    }

    /// Forgets a delivery without acknowledging it: it comes again when its subscription ends.
    pub(super) fn abandon(&mut self, key: DeliveryKey) {
        self.open.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::port::broker::AckSink;
    use parking_lot::Mutex;

    #[derive(Default)]
    struct Acked(Mutex<Vec<u64>>);
    impl AckSink for Acked {
        fn ack(&self, ticket: u64) {
            self.0.lock().push(ticket);
        }
    }

    fn delivery(deliveries: &mut Deliveries, acked: &Arc<Acked>, ticket: u64, jobs: usize) -> DeliveryKey {
        let life = Life {
            generation: 1,
            alive: Arc::default(),
        };
        let sink = Arc::clone(acked) as Arc<dyn AckSink>;
        deliveries.insert(Receipt::new(sink, ticket), life, None, jobs, Instant::now())
    }

    #[test]
    fn a_message_of_several_jobs_is_acknowledged_after_the_last() {
        let (mut deliveries, acked) = (Deliveries::default(), Arc::new(Acked::default()));
        let key = delivery(&mut deliveries, &acked, 7, 3);
        deliveries.runs(key);
        deliveries.settle(key, Place::Running);
        deliveries.settle(key, Place::Waiting);
        assert!(acked.0.lock().is_empty());
        deliveries.settle(key, Place::Waiting);
        assert_eq!(*acked.0.lock(), [7]);
        deliveries.settle(key, Place::Waiting);
        assert_eq!(*acked.0.lock(), [7]);
    }

    #[test]
    fn an_old_message_is_of_age_only_when_all_its_jobs_run_or_are_done() {
        let (mut deliveries, acked) = (Deliveries::default(), Arc::new(Acked::default()));
        let key = delivery(&mut deliveries, &acked, 7, 2);
        let age = Duration::from_secs(600);
        let later = Instant::now() + age;
        deliveries.runs(key);
        assert_eq!(deliveries.of_age(later, age), []);
        deliveries.runs(key);
        assert_eq!(deliveries.of_age(Instant::now(), age), []);
        let [(due, since)] = deliveries.of_age(later, age)[..] else {
            panic!("it is of age")
        };
        assert_eq!((due, deliveries.running(key)), (key, 2));
        assert!(since <= later && since > later - age);
        deliveries.ack_early(key);
        assert_eq!(*acked.0.lock(), [7]);
        assert_eq!(deliveries.of_age(later, age), []);
        deliveries.settle(key, Place::Running);
        deliveries.settle(key, Place::Running);
        assert_eq!(*acked.0.lock(), [7]);
    }

    #[test]
    fn an_abandoned_delivery_is_never_acknowledged() {
        let (mut deliveries, acked) = (Deliveries::default(), Arc::new(Acked::default()));
        let key = delivery(&mut deliveries, &acked, 7, 1);
        deliveries.abandon(key);
        deliveries.settle(key, Place::Waiting);
        assert!(acked.0.lock().is_empty());
    }
}
