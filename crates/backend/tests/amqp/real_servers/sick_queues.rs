//! Quorum queues of which RabbitMQ's own process is gone or hangs, beside healthy ones.

use std::time::Duration;

use longshore_backend::Profile;
use longshore_backend::amqp::Broker;
use longshore_core::Priority;
use longshore_core::port::broker::{Published, Source, Subscription};
use longshore_core::port::{ConsumePort as _, PublishPort as _};
use longshore_testkit::servers::RabbitMq;
use longshore_testkit::wait::eventually;
use tokio::time::Instant;

use crate::rig::{connect, end, message, next, next_if_any, queue, send, sent, subscribe};

/// The process behind `jobs.default.low`.
const LOW: &str = "'%2F_jobs.default.low'";
const HEALTHY: [Priority; 3] = [Priority::Critical, Priority::High, Priority::Normal];

async fn eval(server: &RabbitMq, expression: &str) {
    server.control().eval(expression).await.unwrap();
}

/// Its process ends: whoever consumes from it loses the connection.
async fn stop(server: &RabbitMq) {
    eval(
        server,
        &format!("ok = ra:stop_server(quorum_queues, {{{LOW}, node()}})"),
    )
    .await;
}

async fn restart(server: &RabbitMq) {
    eval(
        server,
        &format!("ok = ra:restart_server(quorum_queues, {{{LOW}, node()}})"),
    )
    .await;
}

/// Its process answers nothing: whoever consumes from it waits.
async fn hang(server: &RabbitMq) {
    eval(server, &format!("sys:suspend({LOW})")).await;
}

async fn wake(server: &RabbitMq) {
    eval(server, &format!("sys:resume({LOW})")).await;
}

/// A broker with one message of LOW, and its queues.
async fn prepared() -> (RabbitMq, Broker) {
    let server = RabbitMq::start().await.unwrap();
    let broker = connect(&server.amqp_url(), Profile::Quorum).await;
    for priority in Priority::DESCENDING {
        send(&broker, vec![message("default", priority)]).await;
    }
    let mut subscription = subscribe(&broker, "default", 10).await;
    for _ in 0..4 {
        let came = next(subscription.as_mut()).await;
        if sent(&came).priority != Priority::Low {
            came.receipt.ack();
        }
    }
    drop(subscription);
    (server, broker)
}

/// Messages of the healthy priorities go out and come in, soon.
async fn healthy_ones_pass(broker: &Broker, subscription: &mut dyn Subscription) {
    let from = Instant::now();
    send(
        broker,
        HEALTHY.map(|priority| message("default", priority)).to_vec(),
    )
    .await;
    for _ in HEALTHY {
        let came = next(subscription).await;
        assert_ne!(sent(&came).priority, Priority::Low);
        came.receipt.ack();
    }
    assert!(from.elapsed() < Duration::from_secs(5), "{:?}", from.elapsed());
}

/// Subscribes anew, which must not wait for the sick queue.
async fn subscribed_soon(broker: &Broker) -> Box<dyn Subscription> {
    let subscribing = subscribe(broker, "default", 10);
    tokio::time::timeout(Duration::from_secs(10), subscribing)
        .await
        .expect("the healthy queues within 10 s")
}

/// The message of LOW comes over the subscription that was there before its queue was well again.
async fn low_joins(subscription: &mut dyn Subscription) {
    let came = next(subscription).await;
    assert_eq!(sent(&came).priority, Priority::Low);
    came.receipt.ack();
}

/// LOW is confirmed again, once its queue answers.
async fn low_is_published(broker: &Broker) {
    eventually(Duration::from_secs(20), "LOW to be published", || async {
        broker
            .publisher()
            .publish(vec![message("default", Priority::Low)])
            .await
            == [Published::Confirmed]
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_queue_without_its_process_is_left_out_and_joins_when_it_is_back() {
    let (server, broker) = prepared().await;
    stop(&server).await;
    let mut subscription = subscribed_soon(&broker).await;
    healthy_ones_pass(&broker, subscription.as_mut()).await;
    let published = broker
        .publisher()
        .publish(vec![message("default", Priority::Low)])
        .await;
    assert_ne!(published, [Published::Confirmed], "nobody has it");
    // Had it been consumed from, the connection would be gone.
    assert!(next_if_any(subscription.as_mut()).await.is_none());
    let depths = broker.consumer().depths(vec![queue("default")]).await.unwrap();
    let told: Vec<_> = depths.iter().filter_map(|depth| depth.priority).collect();
    assert_eq!(
        told, HEALTHY,
        "a queue that cannot be asked is not told to be empty"
    );
    restart(&server).await;
    low_joins(subscription.as_mut()).await;
    healthy_ones_pass(&broker, subscription.as_mut()).await;
    low_is_published(&broker).await;
    low_joins(subscription.as_mut()).await;
    broker.close().await;
}

#[tokio::test]
async fn a_queue_that_hangs_holds_no_other_up() {
    let (server, broker) = prepared().await;
    hang(&server).await;
    let mut subscription = subscribed_soon(&broker).await;
    let low = tokio::spawn({
        let publisher = broker.publisher();
        async move { publisher.publish(vec![message("default", Priority::Low)]).await }
    });
    // All the while that LOW waits for its confirm.
    while !low.is_finished() {
        healthy_ones_pass(&broker, subscription.as_mut()).await;
    }
    assert_eq!(low.await.unwrap(), [Published::Unknown]);
    let from = Instant::now();
    let published = broker
        .publisher()
        .publish(vec![message("default", Priority::Low)])
        .await;
    assert!(
        matches!(&published[0], Published::Refused(why) if why.contains("did not confirm")),
        "{published:?}"
    );
    assert!(
        from.elapsed() < Duration::from_secs(1),
        "a sick queue refuses at once"
    );
    healthy_ones_pass(&broker, subscription.as_mut()).await;
    wake(&server).await;
    // The old one, and perhaps the one whose confirm was given up.
    low_joins(subscription.as_mut()).await;
    low_is_published(&broker).await;
    low_joins(subscription.as_mut()).await;
    broker.close().await;
}

#[tokio::test]
async fn a_subscription_whose_only_queue_is_sick_waits_for_it() {
    let (server, broker) = prepared().await;
    let dead = "'%2F_longshore.dead'";
    eval(
        &server,
        &format!("ok = ra:stop_server(quorum_queues, {{{dead}, node()}})"),
    )
    .await;
    let consumer = broker.consumer();
    let subscribing = consumer.subscribe(Source::Archive, 10);
    tokio::pin!(subscribing);
    let early = tokio::time::timeout(Duration::from_secs(2), &mut subscribing).await;
    assert!(early.is_err(), "nobody may take the silence for an empty archive");
    eval(
        &server,
        &format!("ok = ra:restart_server(quorum_queues, {{{dead}, node()}})"),
    )
    .await;
    let mut subscription = tokio::time::timeout(Duration::from_secs(20), subscribing)
        .await
        .expect("the archive within 20 s")
        .unwrap();
    assert!(next_if_any(subscription.as_mut()).await.is_none());
    server.kill9();
    end(subscription.as_mut()).await;
    broker.close().await;
}

#[tokio::test]
async fn a_sick_queue_that_is_deleted_is_made_anew() {
    let (server, broker) = prepared().await;
    stop(&server).await;
    let mut subscription = subscribed_soon(&broker).await;
    let name = "rabbit_misc:r(<<\"/\">>, queue, <<\"jobs.default.low\">>)";
    eval(
        &server,
        &format!("rabbit_amqqueue:internal_delete({name}, <<\"x\">>)"),
    )
    .await;
    end(subscription.as_mut()).await;
    let mut again = subscribed_soon(&broker).await;
    eventually(Duration::from_secs(20), "LOW to be published", || async {
        broker
            .publisher()
            .publish(vec![message("default", Priority::Low)])
            .await
            == [Published::Confirmed]
    })
    .await
    .unwrap();
    low_joins(again.as_mut()).await;
    broker.close().await;
}
