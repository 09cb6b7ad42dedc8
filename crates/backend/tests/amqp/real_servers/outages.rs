use std::time::Duration;

use longshore_backend::Profile;
use longshore_backend::amqp::Broker;
use longshore_core::port::PublishPort as _;
use longshore_core::port::broker::Published;
use longshore_testkit::servers::RabbitMq;
use longshore_testkit::servers::shared::vhost;
use longshore_testkit::wait::eventually;

use crate::rig::{config, confirmed, connect, end, messages, next, next_if_any, send, sent, subscribe};

async fn ready(broker: &Broker, wanted: bool) {
    let what = format!("is_ready to be {wanted}");
    eventually(Duration::from_secs(30), &what, || async {
        broker.publisher().is_ready() == wanted
    })
    .await
    .unwrap();
}

/// A quorum queue that is younger than half a second when RabbitMQ 3.10 is killed comes back without its log and without
/// a leader: the node's register of such queues is written that often, and here at once.
async fn remember_queues(server: &RabbitMq) {
    let register = server.control().eval("ok = dets:sync(ra_directory_reverse)");
    register.await.unwrap();
}

#[tokio::test]
async fn a_restarted_broker_ends_the_subscription_and_delivers_again() {
    let server = RabbitMq::start().await.unwrap();
    let broker = connect(&server.amqp_url(), Profile::Quorum).await;
    let batch = messages("default", 10);
    send(&broker, batch.clone()).await;
    let mut subscription = subscribe(&broker, "default", 10).await;
    let held = next(subscription.as_mut()).await;
    remember_queues(&server).await;
    server.kill9();
    end(subscription.as_mut()).await;
    ready(&broker, false).await;
    let asked = tokio::time::Instant::now();
    let published = broker.publisher().publish(messages("default", 100)).await;
    assert!(
        published.iter().all(|one| matches!(one, Published::Refused(_))),
        "{:?}",
        published[0]
    );
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "a broker that is away refuses at once"
    );
    // Subscribing waits for the connection.
    let waiting = tokio::spawn({
        let broker = broker.clone();
        async move { subscribe(&broker, "default", 10).await }
    });
    server.restart().await.unwrap();
    let mut again = waiting.await.unwrap();
    held.receipt.ack();
    let mut came = Vec::new();
    while let Some(delivery) = next_if_any(again.as_mut()).await {
        came.push(sent(&delivery).id);
        delivery.receipt.ack();
    }
    came.sort_unstable();
    let mut expected: Vec<_> = batch.iter().map(|message| message.id).collect();
    expected.sort_unstable();
    assert_eq!(came, expected, "the receipt of the old connection is void");
    ready(&broker, true).await;
    send(&broker, messages("default", 100)).await;
    broker.close().await;
}

#[tokio::test]
async fn a_broker_killed_under_publishes_confirms_nothing_that_it_loses() {
    let server = RabbitMq::start().await.unwrap();
    let broker = connect(&server.amqp_url(), Profile::Quorum).await;
    send(&broker, messages("default", 1)).await;
    remember_queues(&server).await;
    let batch = messages("default", 20_000);
    let publisher = broker.publisher();
    let publishing = tokio::spawn({
        let batch = batch.clone();
        async move { publisher.publish(batch).await }
    });
    eventually(Duration::from_secs(10), "some to be there", || async {
        let queues = server.control().list_queues("/").await.unwrap();
        queues.iter().any(|queue| queue.ready > 1_000)
    })
    .await
    .unwrap();
    server.kill9();
    let published = tokio::time::timeout(Duration::from_secs(40), publishing)
        .await
        .expect("an answer within 40 s")
        .unwrap();
    assert_eq!(published.len(), batch.len());
    server.restart().await.unwrap();
    let mut subscription = subscribe(&broker, "default", 1_000).await;
    let mut there = std::collections::BTreeSet::new();
    while let Some(delivery) = next_if_any(subscription.as_mut()).await {
        there.insert(sent(&delivery).id);
        delivery.receipt.ack();
    }
    println!("{} confirmed, {} there", confirmed(&published), there.len());
    for (message, answer) in batch.iter().zip(&published) {
        if answer.is_confirmed() {
            assert!(there.contains(&message.id), "confirmed and lost");
        }
    }
    assert!(confirmed(&published) > 0);
    broker.close().await;
}

#[tokio::test]
async fn closed_connections_come_back() {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), Profile::Quorum).await;
    send(&broker, messages("default", 3)).await;
    for _ in 0..3 {
        let mut subscription = subscribe(&broker, "default", 10).await;
        let held = next(subscription.as_mut()).await;
        vhost.close_all_connections().await.unwrap();
        end(subscription.as_mut()).await;
        held.receipt.ack();
    }
    ready(&broker, true).await;
    eventually(Duration::from_secs(10), "publishing to work", || async {
        confirmed(&broker.publisher().publish(messages("default", 1)).await) == 1
    })
    .await
    .unwrap();
    let mut again = subscribe(&broker, "default", 10).await;
    for _ in 0..4 {
        next(again.as_mut()).await.receipt.ack();
    }
    broker.close().await;
}

#[tokio::test]
async fn a_blocked_broker_refuses_at_once_and_loses_nothing() {
    let server = RabbitMq::start().await.unwrap();
    let broker = connect(&server.amqp_url(), Profile::Quorum).await;
    send(&broker, messages("default", 10)).await;
    let mut subscription = subscribe(&broker, "default", 100).await;
    server.control().set_vm_memory_high_watermark(0.0).await.unwrap();
    // The broker tells a publisher that it is blocked when it publishes, and not before.
    let batch = messages("default", 50);
    let in_the_alarm = broker.publisher().publish(batch.clone()).await;
    assert_eq!(confirmed(&in_the_alarm), 0, "{in_the_alarm:?}");
    ready(&broker, false).await;
    let asked = tokio::time::Instant::now();
    let refused = broker.publisher().publish(messages("default", 5_000)).await;
    assert!(matches!(refused[0], Published::Refused(_)), "{:?}", refused[0]);
    assert!(asked.elapsed() < Duration::from_secs(1));
    // The other connection goes on: deliveries are acknowledged.
    for _ in 0..10 {
        next(subscription.as_mut()).await.receipt.ack();
    }
    eventually(
        Duration::from_secs(10),
        "the acknowledgements to arrive",
        || async {
            let queues = server.control().list_queues("/").await.unwrap();
            queues.iter().all(|queue| queue.unacked == 0)
        },
    )
    .await
    .unwrap();
    server.control().set_vm_memory_high_watermark(0.8).await.unwrap();
    ready(&broker, true).await;
    // What was unknown may arrive now; nothing that was refused does, and nothing comes twice.
    let may_come: std::collections::BTreeSet<_> = batch
        .iter()
        .zip(&in_the_alarm)
        .filter(|(_, answer)| **answer == Published::Unknown)
        .map(|(message, _)| message.id)
        .collect();
    let mut came = std::collections::BTreeSet::new();
    while let Some(delivery) = next_if_any(subscription.as_mut()).await {
        assert!(came.insert(sent(&delivery).id), "it came twice");
        delivery.receipt.ack();
    }
    println!(
        "{} of {} unknown ones arrived after the alarm",
        came.len(),
        may_come.len()
    );
    assert!(came.is_subset(&may_come));
    send(&broker, messages("default", 100)).await;
    broker.close().await;
}

#[tokio::test]
async fn a_frozen_broker_is_given_up_and_found_again() {
    let server = RabbitMq::start().await.unwrap();
    let broker = connect(&server.amqp_url(), Profile::Quorum).await;
    send(&broker, messages("default", 1)).await;
    server.freeze();
    let asked = tokio::time::Instant::now();
    let published = broker.publisher().publish(messages("default", 3)).await;
    assert_eq!(published, vec![Published::Unknown; 3]);
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    server.thaw();
    eventually(Duration::from_secs(60), "publishing to work", || async {
        confirmed(&broker.publisher().publish(messages("default", 1)).await) == 1
    })
    .await
    .unwrap();
    broker.close().await;
}

#[tokio::test]
async fn a_client_may_start_before_its_broker() {
    let server = RabbitMq::start().await.unwrap();
    server.kill9();
    let mut patient = config(&server.amqp_url(), Profile::Quorum);
    patient.wait_for_broker = true;
    let broker = Broker::connect(patient).await.unwrap();
    assert!(!broker.publisher().is_ready());
    let published = broker.publisher().publish(messages("default", 1)).await;
    assert!(
        matches!(&published[0], Published::Refused(why) if why.contains("away")),
        "{published:?}"
    );
    server.restart().await.unwrap();
    ready(&broker, true).await;
    send(&broker, messages("default", 10)).await;
    broker.close().await;
}
