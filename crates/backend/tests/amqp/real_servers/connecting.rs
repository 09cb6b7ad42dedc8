use std::time::Duration;

use longshore_backend::Profile;
use longshore_backend::amqp::{Broker, Config, Error};
use longshore_core::Priority;
use longshore_core::port::PublishPort as _;
use longshore_core::port::broker::Published;
use longshore_core::shard::Shards;
use longshore_testkit::proxy::Proxy;
use longshore_testkit::servers::shared::vhost;
use longshore_testkit::servers::{RabbitMq, RabbitMqOptions};
use longshore_testkit::wait::eventually;

use crate::rig::{config, connect, message, messages, send};

/// The error of connecting, which shows no password.
async fn refused(config: Config) -> Error {
    let error = Broker::connect(config).await.expect_err("it connected");
    println!("{error}");
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains("s3cret"), "{text}");
    }
    error
}

#[tokio::test]
async fn a_wrong_url_is_told_plainly() {
    let vhost = vhost().await.unwrap();
    let quorum = |url: &str| config(url, Profile::Quorum);
    let at = vhost.addr();

    let error = refused(quorum(&format!("amqp://guest:s3cret@{at}/{}", vhost.name()))).await;
    assert!(
        matches!(error, Error::Credentials { ref user, .. } if user == "guest"),
        "{error:?}"
    );

    let error = refused(quorum(&format!("amqp://guest:guest@{at}/nowhere"))).await;
    assert!(
        matches!(error, Error::VirtualHost { ref vhost, .. } if vhost == "nowhere"),
        "{error:?}"
    );

    let user = format!("closed-{}", vhost.name());
    let closed = vhost.add_user(&user, "s3cret", ["^$", "^$", "^$"]).await.unwrap();
    let error = refused(quorum(&closed)).await;
    assert!(matches!(error, Error::Forbidden { .. }), "{error:?}");

    let error = refused(quorum("amqp://guest:s3cret@127.0.0.1:1/x")).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");

    let error = refused(quorum("amqp://guest:s3cret@no.such.host.invalid/x")).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");

    let error = refused(quorum(&format!("amqps://guest:s3cret@{at}/x"))).await;
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");

    let mut patient = quorum(&format!("amqp://guest:s3cret@{at}/x"));
    patient.wait_for_broker = true;
    let error = refused(patient).await;
    assert!(
        matches!(error, Error::Credentials { .. }),
        "waiting does not help: {error:?}"
    );
}

#[tokio::test]
async fn another_number_of_shards_is_refused() {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), Profile::Quorum).await;
    let mut other = config(vhost.amqp_url(), Profile::Quorum);
    other.shards = Shards::CLUSTER;
    assert_eq!(refused(other).await, Error::Shards { found: 4, wanted: 64 });
    broker.close().await;
}

#[tokio::test]
async fn another_profile_is_refused_with_the_fix() {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), Profile::Quorum).await;
    let error = refused(config(vhost.amqp_url(), Profile::Classic)).await;
    let text = error.to_string();
    assert!(
        text.contains("x-queue-type is quorum in RabbitMQ and classic here"),
        "{text}"
    );
    broker.close().await;
}

#[tokio::test]
async fn a_queue_made_by_others_is_named_and_its_neighbours_work() {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), Profile::Quorum).await;
    let declare = format!(
        "rabbit_amqqueue:declare({{resource, <<\"{}\">>, queue, <<\"jobs.odd.low\">>}}, true, false, [], none, <<\"x\">>)",
        vhost.name()
    );
    vhost.control().eval(&declare).await.unwrap();
    let mut batch = vec![message("odd", Priority::Low), message("odd", Priority::Normal)];
    batch.extend(messages("even", 2));
    let published = broker.publisher().publish(batch).await;
    match &published[0] {
        Published::Refused(why) => {
            println!("{why}");
            assert!(
                why.contains("jobs.odd.low: x-dead-letter-exchange is none"),
                "{why}"
            );
            assert!(why.contains("rabbitmqctl delete_queue jobs.odd.low"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        published[1..],
        [Published::Confirmed, Published::Confirmed, Published::Confirmed]
    );
    broker.close().await;
}

#[tokio::test]
async fn tls_takes_its_authority_from_the_file() {
    let server = RabbitMq::start_with(RabbitMqOptions::default().tls())
        .await
        .unwrap();
    let url = server.amqps_url().unwrap();
    let error = refused(config(&url, Profile::Quorum)).await;
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    let mut known = config(&url, Profile::Quorum);
    known.ca_file = Some("/no/such/file.pem".into());
    let error = refused(known.clone()).await;
    assert!(matches!(error, Error::CaFile { .. }), "{error:?}");
    known.ca_file = server.ca_file().map(Into::into);
    let broker = Broker::connect(known).await.unwrap();
    send(&broker, messages("default", 10)).await;
    broker.close().await;
}

/// Bytes after which both connections are open and the topology is not asserted yet.
const GREETINGS: u64 = 1_150;

#[tokio::test]
async fn a_broker_that_falls_silent_after_the_greeting_is_waited_for() {
    let vhost = vhost().await.unwrap();
    let proxy = Proxy::start(vhost.addr()).await.unwrap();
    let mut patient = config(&vhost.amqp_url_at(proxy.addr()), Profile::Quorum);
    proxy.cut_after(GREETINGS);
    let impatient = Broker::connect(patient.clone()).await;
    assert!(matches!(impatient, Err(Error::Lost { .. })), "{impatient:?}");
    proxy.cut_after(GREETINGS);
    patient.wait_for_broker = true;
    let broker = Broker::connect(patient).await.unwrap();
    eventually(Duration::from_secs(30), "publishing to work", || async {
        broker.publisher().publish(messages("default", 1)).await == [Published::Confirmed]
    })
    .await
    .unwrap();
    broker.close().await;
}
