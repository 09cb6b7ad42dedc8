//! Messages.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::message::Message;
use longshore_core::port::broker::{Delivery, Payload, Source, Subscription};
use longshore_core::{Priority, QueueName};

use super::rig::{Rig, delivery, no_delivery};
use crate::wait::eventually;

cases! { Broker:
    a_message_arrives_as_it_was_sent,
    a_bundle_arrives_whole,
    a_batch_is_confirmed_in_its_order,
    an_acknowledged_message_is_gone,
    an_unacknowledged_message_comes_again_when_its_subscription_ends,
    a_delivery_that_is_dropped_comes_again_when_its_subscription_ends,
    higher_priorities_come_first,
    prefetch_bounds_what_is_unacknowledged,
    a_quiet_subscription_still_acknowledges,
    two_subscribers_share_a_queue,
    queues_are_apart,
    depths_count_what_waits,
    a_subscription_waits_for_messages,
    cancelling_a_wait_loses_no_delivery,
    bytes_of_nobody_are_handed_over_as_undecodable ["delivery: undecodable"],
    a_deleted_queue_ends_its_subscription_and_is_made_anew,
    what_the_broker_gave_up_comes_as_it_was_sent,
    nothing_is_given_up_without_a_cause,
}

fn message(delivery: &Delivery) -> &Message {
    match &delivery.payload {
        Payload::Jobs(message) => message,
        other => panic!("not jobs: {other:?}"),
    }
}

/// What waits, over all priorities of the queue `default`.
async fn waiting(rig: &Rig) -> u64 {
    let depths = rig
        .ports
        .consume
        .depths(vec![QueueName::default()])
        .await
        .unwrap();
    depths.iter().map(|depth| depth.ready).sum()
}

async fn wait_for_depth(rig: &Rig, ready: u64) {
    let what = format!("{ready} messages to wait");
    eventually(Duration::from_secs(10), &what, || async {
        let seen = waiting(rig).await;
        if seen == ready {
            Ok(())
        } else {
            Err(format!("{seen}"))
        }
    })
    .await
    .unwrap();
}

async fn a_message_arrives_as_it_was_sent(rig: Rig) {
    let mut sent = rig.message(&[&rig.job(|spec| spec.priority = Priority::High)]);
    sent.norecord = true;
    sent.epoch = u64::MAX - 3;
    sent.jobs[0].gen_ = 7;
    sent.jobs[0].attempts = 6;
    sent.jobs[0].retries = 5;
    sent.jobs[0].losts = 4;
    rig.send(sent.clone()).await;
    let mut subscription = rig.subscribe("default", 10).await;
    let came = delivery(subscription.as_mut()).await;
    assert_eq!(message(&came), &sent);
    assert!(!came.redelivered);
    came.receipt.ack();
}

async fn a_bundle_arrives_whole(rig: Rig) {
    let jobs: Vec<_> = (0..64).map(|_| rig.job(|_| {})).collect();
    let sent = rig.message(&jobs.iter().collect::<Vec<_>>());
    rig.send(sent.clone()).await;
    let mut subscription = rig.subscribe("default", 10).await;
    let came = delivery(subscription.as_mut()).await;
    assert_eq!(message(&came), &sent);
    came.receipt.ack();
    let large = rig.job(|spec| {
        spec.args = longshore_core::value::encode("args", &"x".repeat(900_000)).unwrap();
    });
    let sent = rig.message(&[&large]);
    rig.send(sent.clone()).await;
    assert_eq!(message(&delivery(subscription.as_mut()).await), &sent);
}

async fn a_batch_is_confirmed_in_its_order(rig: Rig) {
    assert!(rig.ports.publish.is_ready());
    let messages: Vec<_> = (0..200).map(|_| rig.message(&[&rig.job(|_| {})])).collect();
    let published = rig.ports.publish.publish(messages.clone()).await;
    assert_eq!(published.len(), 200);
    assert!(
        published
            .iter()
            .all(longshore_core::port::broker::Published::is_confirmed),
        "{published:?}"
    );
    let mut subscription = rig.subscribe("default", 300).await;
    for sent in &messages {
        let came = delivery(subscription.as_mut()).await;
        assert_eq!(
            message(&came).id,
            sent.id,
            "one queue and priority keeps its order"
        );
        came.receipt.ack();
    }
    assert_eq!(rig.ports.publish.publish(Vec::new()).await, []);
}

async fn an_acknowledged_message_is_gone(rig: Rig) {
    rig.send(rig.message(&[&rig.job(|_| {})])).await;
    let mut subscription = rig.subscribe("default", 10).await;
    delivery(subscription.as_mut()).await.receipt.ack();
    no_delivery(subscription.as_mut()).await;
    drop(subscription);
    let mut again = rig.subscribe("default", 10).await;
    no_delivery(again.as_mut()).await;
    assert_eq!(waiting(&rig).await, 0);
}

async fn an_unacknowledged_message_comes_again_when_its_subscription_ends(rig: Rig) {
    let sent = rig.message(&[&rig.job(|_| {})]);
    rig.send(sent.clone()).await;
    let mut subscription = rig.subscribe("default", 10).await;
    let held = delivery(subscription.as_mut()).await;
    no_delivery(subscription.as_mut()).await;
    drop(subscription);
    let mut again = rig.subscribe("default", 10).await;
    let came = delivery(again.as_mut()).await;
    assert_eq!(message(&came), &sent);
    assert!(came.redelivered);
    held.receipt.ack();
    came.receipt.ack();
    no_delivery(again.as_mut()).await;
}

async fn a_delivery_that_is_dropped_comes_again_when_its_subscription_ends(rig: Rig) {
    rig.send(rig.message(&[&rig.job(|_| {})])).await;
    let mut subscription = rig.subscribe("default", 10).await;
    drop(delivery(subscription.as_mut()).await);
    drop(subscription);
    let mut again = rig.subscribe("default", 10).await;
    let came = delivery(again.as_mut()).await;
    assert!(came.redelivered);
    came.receipt.ack();
}

async fn higher_priorities_come_first(rig: Rig) {
    for priority in [
        Priority::Low,
        Priority::Normal,
        Priority::High,
        Priority::Critical,
    ] {
        for _ in 0..3 {
            rig.send(rig.message(&[&rig.job(|spec| spec.priority = priority)]))
                .await;
        }
    }
    let mut subscription = rig.subscribe("default", 20).await;
    // Where the broker pushes, "those that are there" are all once none waits in it; where the subscriber pulls, at once.
    let pushed = eventually(Duration::from_millis(500), "all to be pushed", || async {
        waiting(&rig).await == 0
    });
    drop(pushed.await);
    let mut order = Vec::new();
    for _ in 0..12 {
        let came = delivery(subscription.as_mut()).await;
        order.push(message(&came).priority);
        came.receipt.ack();
    }
    let expected: Vec<_> = Priority::DESCENDING
        .into_iter()
        .flat_map(|priority| [priority; 3])
        .collect();
    assert_eq!(order, expected);
}

async fn prefetch_bounds_what_is_unacknowledged(rig: Rig) {
    for _ in 0..5 {
        rig.send(rig.message(&[&rig.job(|_| {})])).await;
    }
    let mut subscription = rig.subscribe("default", 2).await;
    let one = delivery(subscription.as_mut()).await;
    let two = delivery(subscription.as_mut()).await;
    no_delivery(subscription.as_mut()).await;
    one.receipt.ack();
    let three = delivery(subscription.as_mut()).await;
    no_delivery(subscription.as_mut()).await;
    two.receipt.ack();
    three.receipt.ack();
    for _ in 0..2 {
        delivery(subscription.as_mut()).await.receipt.ack();
    }
}

async fn a_quiet_subscription_still_acknowledges(rig: Rig) {
    rig.send(rig.message(&[&rig.job(|_| {})])).await;
    let mut subscription = rig.subscribe("default", 1).await;
    let held = delivery(subscription.as_mut()).await;
    subscription.quiet().await;
    let late = rig.message(&[&rig.job(|_| {})]);
    rig.send(late.clone()).await;
    wait_for_depth(&rig, 1).await;
    held.receipt.ack();
    // The acknowledgement frees a place, and still nothing is delivered to it.
    let next = tokio::time::timeout(Duration::from_millis(300), subscription.next()).await;
    assert!(!matches!(next, Ok(Some(_))), "{next:?}");
    drop(subscription);
    let mut other = rig.subscribe("default", 10).await;
    assert_eq!(message(&delivery(other.as_mut()).await).id, late.id);
    no_delivery(other.as_mut()).await;
}

async fn two_subscribers_share_a_queue(rig: Rig) {
    let mut one = rig.subscribe("default", 1).await;
    let mut two = rig.subscribe("default", 1).await;
    let mut sent = BTreeSet::new();
    for _ in 0..2 {
        let message = rig.message(&[&rig.job(|_| {})]);
        sent.insert(message.id);
        rig.send(message).await;
    }
    let (first, second) = tokio::join!(delivery(one.as_mut()), delivery(two.as_mut()));
    let came: BTreeSet<_> = [message(&first).id, message(&second).id].into();
    assert_eq!(came, sent);
}

async fn queues_are_apart(rig: Rig) {
    let reports = QueueName::new("reports").unwrap();
    let sent = rig.message(&[&rig.job(|spec| spec.queue = reports)]);
    rig.send(sent.clone()).await;
    let mut default = rig.subscribe("default", 10).await;
    no_delivery(default.as_mut()).await;
    let mut reports = rig.subscribe("reports", 10).await;
    assert_eq!(message(&delivery(reports.as_mut()).await).id, sent.id);
}

async fn depths_count_what_waits(rig: Rig) {
    for _ in 0..3 {
        rig.send(rig.message(&[&rig.job(|_| {})])).await;
    }
    rig.send(rig.message(&[&rig.job(|spec| spec.priority = Priority::Low)]))
        .await;
    wait_for_depth(&rig, 4).await;
    let depths = rig
        .ports
        .consume
        .depths(vec![QueueName::default()])
        .await
        .unwrap();
    let low = depths.iter().find(|depth| depth.priority == Some(Priority::Low));
    assert!(low.is_none_or(|depth| depth.ready == 1), "{depths:?}");
    assert!(
        depths
            .iter()
            .all(|depth| depth.queue == QueueName::default() && depth.consumers == 0)
    );
    let _subscription = rig.subscribe("default", 10).await;
    eventually(Duration::from_secs(10), "a consumer to be seen", || async {
        let depths = rig
            .ports
            .consume
            .depths(vec![QueueName::default()])
            .await
            .unwrap();
        depths.iter().any(|depth| depth.consumers > 0)
    })
    .await
    .unwrap();
    assert!(rig.ports.consume.consumer_timeout() > Duration::ZERO);
}

async fn a_subscription_waits_for_messages(rig: Rig) {
    let mut subscription = rig.subscribe("default", 10).await;
    no_delivery(subscription.as_mut()).await;
    let sent = rig.message(&[&rig.job(|_| {})]);
    let (came, ()) = tokio::join!(delivery(subscription.as_mut()), rig.send(sent.clone()));
    assert_eq!(message(&came).id, sent.id);
}

async fn cancelling_a_wait_loses_no_delivery(rig: Rig) {
    let mut subscription = rig.subscribe("default", 100).await;
    let mut seen = BTreeSet::new();
    for round in 0..30_u64 {
        rig.send(rig.message(&[&rig.job(|_| {})])).await;
        let wait = tokio::time::timeout(Duration::from_micros(50 * round), subscription.next()).await;
        if let Ok(came) = wait {
            let came = came.unwrap();
            seen.insert(message(&came).id);
            came.receipt.ack();
        }
    }
    while seen.len() < 30 {
        let came = delivery(subscription.as_mut()).await;
        assert!(seen.insert(message(&came).id), "it came twice");
        came.receipt.ack();
    }
}

async fn bytes_of_nobody_are_handed_over_as_undecodable(rig: Rig) {
    // A message of ours first, so that the queue is there.
    let ours = rig.message(&[&rig.job(|_| {})]);
    rig.send(ours.clone()).await;
    rig.sabotage()
        .inject(&QueueName::default(), b"\xc1 not a message of ours")
        .await;
    let mut subscription = rig.subscribe("default", 10).await;
    let mut undecodable = None;
    for _ in 0..2 {
        let came = delivery(subscription.as_mut()).await;
        match came.payload {
            Payload::Jobs(message) => assert_eq!(message.id, ours.id),
            Payload::Undecodable(strange) => undecodable = Some(strange),
            Payload::Dead(letter) => panic!("{letter:?}"),
        }
        came.receipt.ack();
    }
    let strange = undecodable.expect("the strange message");
    assert_eq!(strange.body.as_ref(), b"\xc1 not a message of ours");
    assert!(!strange.newer_schema && !strange.message_id.is_empty() && !strange.reason.is_empty());
    no_delivery(subscription.as_mut()).await;
}

async fn a_deleted_queue_ends_its_subscription_and_is_made_anew(rig: Rig) {
    rig.send(rig.message(&[&rig.job(|_| {})])).await;
    let mut subscription: Box<dyn Subscription> = rig.subscribe("default", 10).await;
    delivery(subscription.as_mut()).await.receipt.ack();
    rig.sabotage().delete_queue(&QueueName::default()).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), subscription.next()).await;
    assert!(ended.expect("the subscription ends within 10 s").is_none());
    drop(subscription);
    let sent = rig.message(&[&rig.job(|_| {})]);
    eventually(Duration::from_secs(10), "the queue to be made anew", || async {
        rig.ports.publish.publish(vec![sent.clone()]).await[0].is_confirmed()
    })
    .await
    .unwrap();
    let mut again = rig.subscribe("default", 10).await;
    assert_eq!(message(&delivery(again.as_mut()).await).id, sent.id);
}

async fn what_the_broker_gave_up_comes_as_it_was_sent(rig: Rig) {
    let sent = rig.message(&[&rig.job(|_| {})]);
    rig.sabotage().give_up(&QueueName::default()).await;
    rig.send(sent.clone()).await;
    let mut given_up = rig.ports.consume.subscribe(Source::GivenUp, 10).await.unwrap();
    let came = delivery(given_up.as_mut()).await;
    assert_eq!(message(&came), &sent);
    came.receipt.ack();
    no_delivery(given_up.as_mut()).await;
    assert_eq!(waiting(&rig).await, 0);
}

async fn nothing_is_given_up_without_a_cause(rig: Rig) {
    rig.send(rig.message(&[&rig.job(|_| {})])).await;
    let mut given_up = rig.ports.consume.subscribe(Source::GivenUp, 10).await.unwrap();
    no_delivery(given_up.as_mut()).await;
}
