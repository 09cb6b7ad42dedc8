//! Who gets which message.

use std::time::Duration;

use longshore_core::Priority;
use longshore_core::port::Ports;
use longshore_core::port::broker::{Delivery, Subscription};
use tokio::time::timeout;

use crate::rig::{default_queue, delivery, factory, jobs, message, open};

async fn publish(ports: &Ports, count: usize, priority: Priority) {
    let factory = factory();
    let messages = (0..count).map(|_| message(&factory.job(0, |spec| spec.priority = priority)));
    ports.publish.publish(messages.collect()).await;
}

/// What a subscription has, without waiting for more.
async fn all(subscription: &mut dyn Subscription) -> Vec<Delivery> {
    let mut all = Vec::new();
    while let Ok(Some(delivery)) = timeout(Duration::from_millis(50), subscription.next()).await {
        all.push(delivery);
    }
    all
}

#[tokio::test]
async fn subscribers_with_room_get_messages_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let ports = open(folder.path()).ports();
    let mut one = ports.consume.subscribe(default_queue(), 100).await.unwrap();
    let mut two = ports.consume.subscribe(default_queue(), 100).await.unwrap();
    let mut small = ports.consume.subscribe(default_queue(), 1).await.unwrap();
    publish(&ports, 9, Priority::Normal).await;
    let (one, two, small) = (
        all(one.as_mut()).await,
        all(two.as_mut()).await,
        all(small.as_mut()).await,
    );
    assert_eq!((one.len(), two.len(), small.len()), (4, 4, 1));
}

#[tokio::test]
async fn an_urgent_message_overtakes_what_its_consumer_has_not_had() {
    let folder = tempfile::tempdir().unwrap();
    let ports = open(folder.path()).ports();
    let mut subscription = ports.consume.subscribe(default_queue(), 10).await.unwrap();
    publish(&ports, 3, Priority::Low).await;
    publish(&ports, 1, Priority::Critical).await;
    let first = delivery(subscription.as_mut()).await;
    assert_eq!(jobs(&first).priority, Priority::Critical);
}

#[tokio::test]
async fn what_a_consumer_has_not_had_goes_to_others_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let ports = open(folder.path()).ports();
    let mut quiet = ports.consume.subscribe(default_queue(), 10).await.unwrap();
    let mut gone = ports.consume.subscribe(default_queue(), 10).await.unwrap();
    publish(&ports, 6, Priority::Normal).await;
    let held = delivery(quiet.as_mut()).await;
    let dropped = delivery(gone.as_mut()).await;
    let dropped_id = jobs(&dropped).id;
    drop(gone);
    quiet.quiet().await;
    assert_eq!(all(quiet.as_mut()).await.len(), 0, "it wants no more");
    let mut other = ports.consume.subscribe(default_queue(), 10).await.unwrap();
    let rest = all(other.as_mut()).await;
    assert_eq!(rest.len(), 5);
    let again: Vec<_> = rest
        .iter()
        .filter(|delivery| delivery.redelivered)
        .map(|delivery| jobs(delivery).id)
        .collect();
    assert_eq!(again, [dropped_id], "only that one was delivered before");
    held.receipt.ack();
}
