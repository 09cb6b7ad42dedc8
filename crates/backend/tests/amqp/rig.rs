//! Messages to send, and short ways to the common steps.

use std::time::Duration;

use bytes::Bytes;
use longshore_backend::amqp::{Broker, Config};
use longshore_backend::{Profile, SecretUrl};
use longshore_core::clock::{Clock as _, SystemClock};
use longshore_core::message::{Message, MessageJob};
use longshore_core::port::broker::{Delivery, Payload, Published, Source, Subscription};
use longshore_core::port::{ConsumePort as _, PublishPort as _};
use longshore_core::random::SystemRandom;
use longshore_core::shard::Shards;
use longshore_core::{JobId, Priority, QueueName};

/// A configuration for the broker at this URL. `RUST_LOG` shows what goes on.
pub(crate) fn config(url: &str, profile: Profile) -> Config {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    // An error means that an earlier call has set it.
    drop(tracing_subscriber::fmt().with_env_filter(filter).try_init());
    Config {
        url: SecretUrl::parse(url).unwrap(),
        profile,
        shards: Shards::STANDALONE,
        ca_file: None,
        consumer_timeout: Duration::from_secs(30 * 60),
        connection_name: "test".to_owned(),
        wait_for_broker: false,
        telemetry: longshore_core::telemetry::Telemetry::off(),
    }
}

/// Connects to a broker that is there.
pub(crate) async fn connect(url: &str, profile: Profile) -> Broker {
    Broker::connect(config(url, profile)).await.unwrap()
}

pub(crate) fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

/// A message with one job of 200 bytes.
pub(crate) fn message(queue_name: &str, priority: Priority) -> Message {
    let now = SystemClock.now();
    Message {
        traceparent: None,
        id: longshore_core::port::broker::message_id(),
        queue: queue(queue_name),
        priority,
        shard: 0,
        epoch: 7,
        published_at: now,
        norecord: false,
        jobs: vec![MessageJob {
            id: JobId::generate(now, 0, &SystemRandom),
            gen_: 1,
            attempts: 0,
            retries: 0,
            losts: 0,
            envelope: Bytes::from(vec![7; 200]),
        }],
    }
}

pub(crate) fn messages(queue_name: &str, count: usize) -> Vec<Message> {
    (0..count)
        .map(|_| message(queue_name, Priority::Normal))
        .collect()
}

/// Publishes messages that must all be taken.
pub(crate) async fn send(broker: &Broker, messages: Vec<Message>) {
    let count = messages.len();
    let published = broker.publisher().publish(messages).await;
    let confirmed = published.iter().filter(|one| one.is_confirmed()).count();
    assert_eq!(
        confirmed,
        count,
        "{:?}",
        published.iter().find(|one| !one.is_confirmed())
    );
}

pub(crate) fn confirmed(published: &[Published]) -> usize {
    published.iter().filter(|one| one.is_confirmed()).count()
}

pub(crate) async fn subscribe(broker: &Broker, queue_name: &str, prefetch: u16) -> Box<dyn Subscription> {
    let source = Source::Jobs(queue(queue_name));
    broker.consumer().subscribe(source, prefetch).await.unwrap()
}

/// The next delivery, which must come.
pub(crate) async fn next(subscription: &mut dyn Subscription) -> Delivery {
    tokio::time::timeout(Duration::from_secs(20), subscription.next())
        .await
        .expect("a delivery within 20 s")
        .expect("a subscription that goes on")
}

/// The next delivery, unless none comes for half a second.
pub(crate) async fn next_if_any(subscription: &mut dyn Subscription) -> Option<Delivery> {
    tokio::time::timeout(Duration::from_millis(500), subscription.next())
        .await
        .ok()
        .map(|delivery| delivery.expect("a subscription that goes on"))
}

/// Waits for the subscription's end, letting deliveries pass.
pub(crate) async fn end(subscription: &mut dyn Subscription) {
    let ended = async { while subscription.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(30), ended)
        .await
        .expect("the subscription ends within 30 s");
}

pub(crate) fn sent(delivery: &Delivery) -> &Message {
    match &delivery.payload {
        Payload::Jobs(message) => message,
        other => panic!("not jobs: {other:?}"),
    }
}
