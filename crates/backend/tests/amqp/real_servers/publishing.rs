use std::collections::BTreeSet;

use futures_util::future::join_all;
use longshore_backend::Profile;
use longshore_core::message::Message;
use longshore_core::port::PublishPort as _;
use longshore_core::port::broker::Published;
use longshore_testkit::servers::shared::vhost;
use uuid::Uuid;

use crate::rig::{confirmed, connect, messages, next_if_any, send, sent, subscribe};

/// Every id that waits in a queue; acknowledges them.
async fn drained(broker: &longshore_backend::amqp::Broker, queue: &str) -> BTreeSet<Uuid> {
    let mut subscription = subscribe(broker, queue, 500).await;
    let mut found = BTreeSet::new();
    while let Some(delivery) = next_if_any(subscription.as_mut()).await {
        assert!(found.insert(sent(&delivery).id), "it came twice");
        delivery.receipt.ack();
    }
    found
}

/// Publishes 4,000 in calls of many sizes at once, every seventh to a queue that was deleted, and compares every answer
/// with what is in the broker.
async fn every_seventh_is_unroutable(profile: Profile, broker_queue: &str) {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), profile).await;
    let mut refused_in_all = 0;
    for round in 0..4 {
        // Both queues are known to the publisher; then one goes away behind its back.
        send(&broker, messages("here", 1)).await;
        send(&broker, messages("gone", 1)).await;
        drained(&broker, "here").await;
        vhost.delete_queue(broker_queue).await.unwrap();

        let mut all: Vec<Message> = Vec::new();
        for number in 0..4_000 {
            all.extend(messages(if number % 7 == 3 { "gone" } else { "here" }, 1));
        }
        let mut rest = all.clone();
        let mut calls = Vec::new();
        for size in [1, 2, 700, 3, 1_500, 40, 1, 1, 600].into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let later = rest.split_off(size.min(rest.len()));
            calls.push(std::mem::replace(&mut rest, later));
        }
        let publisher = broker.publisher();
        let answers = join_all(calls.into_iter().map(|call| publisher.publish(call))).await;
        let answers: Vec<Published> = answers.into_iter().flatten().collect();
        assert_eq!(answers.len(), 4_000);

        let mut in_broker = drained(&broker, "here").await;
        in_broker.extend(drained(&broker, "gone").await);
        let mut refused = 0;
        for (message, answer) in all.iter().zip(&answers) {
            let there = in_broker.contains(&message.id);
            match answer {
                Published::Confirmed => assert!(there, "round {round}: confirmed and not there"),
                Published::Refused(_) => {
                    assert!(!there, "round {round}: refused and there");
                    assert_eq!(message.queue.as_str(), "gone");
                    refused += 1;
                }
                Published::Unknown => panic!("round {round}: nothing went wrong on the way"),
            }
        }
        println!("round {round}: {refused} of 4,000 were returned");
        assert!(
            refused > 0,
            "the queue was declared again before anything was published"
        );
        refused_in_all += refused;
    }
    println!("{refused_in_all} returned in all, each reported, and no other");
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_unroutable_ones_are_refused() {
    every_seventh_is_unroutable(Profile::Quorum, "jobs.gone.normal").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_unroutable_ones_are_refused_in_the_classic_profile() {
    every_seventh_is_unroutable(Profile::Classic, "jobs.gone").await;
}

#[tokio::test]
async fn a_message_out_of_bounds_is_refused_and_its_neighbours_are_not() {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), Profile::Quorum).await;
    let mut batch = messages("default", 3);
    batch[1].jobs.clear();
    let published = broker.publisher().publish(batch).await;
    assert!(matches!(
        published.as_slice(),
        [Published::Confirmed, Published::Refused(_), Published::Confirmed]
    ));
    broker.close().await;
    let published = broker.publisher().publish(messages("default", 2)).await;
    assert_eq!(confirmed(&published), 0);
    assert!(matches!(published[0], Published::Refused(_)), "{published:?}");
    assert!(!broker.publisher().is_ready());
}

#[tokio::test]
async fn dead_letters_go_to_the_archive_and_come_back() {
    use longshore_core::outcome::ErrorInfo;
    use longshore_core::port::ConsumePort as _;
    use longshore_core::port::broker::{Payload, Source};
    use longshore_core::port::schedule::DeadLetter;

    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), Profile::Quorum).await;
    let template = messages("default", 1).remove(0);
    let letter = DeadLetter {
        id: template.jobs[0].id,
        gen_: 3,
        epoch: 9,
        dead_at: template.published_at,
        queue: template.queue.clone(),
        envelope: template.jobs[0].envelope.clone(),
        error: ErrorInfo::new("io::Error", "disk full"),
        attempts: 4,
        history: Vec::new(),
    };
    let archived = broker.publisher().archive(vec![letter.clone(); 10]).await;
    assert_eq!(confirmed(&archived), 10);
    // A queue that was deleted is made anew.
    vhost.delete_queue("longshore.dead").await.unwrap();
    let archived = broker.publisher().archive(vec![letter.clone()]).await;
    assert!(matches!(archived[0], Published::Refused(_)), "{archived:?}");
    let archived = broker.publisher().archive(vec![letter.clone()]).await;
    assert_eq!(confirmed(&archived), 1, "{archived:?}");
    let mut archive = broker.consumer().subscribe(Source::Archive, 5).await.unwrap();
    let delivery = next_if_any(archive.as_mut()).await.expect("a dead letter");
    match delivery.payload {
        Payload::Dead(came) => assert_eq!(came, letter),
        other => panic!("{other:?}"),
    }
    broker.close().await;
}
