use std::time::Duration;

use longshore_backend::Profile;
use longshore_core::Priority;
use longshore_core::port::{ConsumePort as _, PublishPort as _};
use longshore_testkit::servers::Vhost;
use longshore_testkit::servers::shared::vhost;
use longshore_testkit::wait::eventually;
use rand::seq::SliceRandom as _;

use crate::rig::{connect, end, message, messages, next, next_if_any, queue, send, sent, subscribe};

/// Ready and unacknowledged messages in the queues of jobs.
async fn left(vhost: &Vhost) -> (u64, u64) {
    let queues = vhost.list_queues().await.unwrap();
    queues
        .iter()
        .filter(|queue| queue.name.starts_with("jobs."))
        .fold((0, 0), |(ready, unacked), queue| {
            (ready + queue.ready, unacked + queue.unacked)
        })
}

#[tokio::test]
async fn acknowledgements_in_any_order_empty_the_queue() {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), Profile::Quorum).await;
    for priority in Priority::DESCENDING {
        send(&broker, (0..500).map(|_| message("default", priority)).collect()).await;
    }
    let mut subscription = subscribe(&broker, "default", 200).await;
    let mut held = Vec::new();
    let mut rng = rand::rng();
    for _ in 0..2_000 {
        held.push(next(subscription.as_mut()).await.receipt);
        if held.len() == 150 {
            held.shuffle(&mut rng);
            held.drain(..100)
                .for_each(longshore_core::port::broker::Receipt::ack);
        }
    }
    assert!(next_if_any(subscription.as_mut()).await.is_none());
    held.into_iter()
        .for_each(longshore_core::port::broker::Receipt::ack);
    eventually(Duration::from_secs(10), "an empty queue", || async {
        let left = left(&vhost).await;
        if left == (0, 0) {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await
    .unwrap();
    broker.close().await;
}

#[tokio::test]
async fn a_long_job_at_the_head_holds_no_acknowledgement_back() {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), Profile::Quorum).await;
    send(&broker, messages("default", 101)).await;
    let mut subscription = subscribe(&broker, "default", 10).await;
    let long = next(subscription.as_mut()).await;
    for _ in 0..100 {
        next(subscription.as_mut()).await.receipt.ack();
    }
    eventually(
        Duration::from_secs(10),
        "only the long job to be left",
        || async {
            let left = left(&vhost).await;
            if left == (0, 1) {
                Ok(())
            } else {
                Err(format!("{left:?}"))
            }
        },
    )
    .await
    .unwrap();
    long.receipt.ack();
    drop(subscription);
    eventually(Duration::from_secs(10), "an empty queue", || async {
        let left = left(&vhost).await;
        if left == (0, 0) {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await
    .unwrap();
    broker.close().await;
}

#[tokio::test]
async fn what_is_acknowledged_before_a_subscription_is_dropped_does_not_come_again() {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), Profile::Quorum).await;
    send(&broker, messages("default", 20)).await;
    let mut subscription = subscribe(&broker, "default", 20).await;
    for _ in 0..19 {
        next(subscription.as_mut()).await.receipt.ack();
    }
    let late = next(subscription.as_mut()).await;
    drop(subscription);
    // Its channel is closed: this acknowledges nothing.
    let mut again = subscribe(&broker, "default", 20).await;
    let came = next(again.as_mut()).await;
    assert!(came.redelivered);
    assert_eq!(sent(&came).id, sent(&late).id);
    late.receipt.ack();
    assert!(next_if_any(again.as_mut()).await.is_none());
    assert_eq!(
        left(&vhost).await.1,
        1,
        "the stale receipt acknowledged something"
    );
    broker.close().await;
}

#[tokio::test]
async fn what_is_acknowledged_before_the_broker_is_closed_does_not_come_again() {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), Profile::Quorum).await;
    send(&broker, messages("default", 20)).await;
    let mut subscription = subscribe(&broker, "default", 20).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(next(subscription.as_mut()).await.receipt);
    }
    let first = held.remove(0);
    held.into_iter()
        .for_each(longshore_core::port::broker::Receipt::ack);
    broker.close().await;
    let other = connect(vhost.amqp_url(), Profile::Quorum).await;
    let mut again = subscribe(&other, "default", 20).await;
    next(again.as_mut()).await.receipt.ack();
    assert!(
        next_if_any(again.as_mut()).await.is_none(),
        "only the first was held"
    );
    first.ack();
    other.close().await;
}

#[tokio::test]
async fn a_quiet_subscription_gives_back_what_it_has_not_handed_out() {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), Profile::Quorum).await;
    send(&broker, messages("default", 10)).await;
    let mut subscription = subscribe(&broker, "default", 10).await;
    let held = next(subscription.as_mut()).await;
    eventually(Duration::from_secs(5), "all to be pushed", || async {
        left(&vhost).await == (0, 10)
    })
    .await
    .unwrap();
    subscription.quiet().await;
    let mut other = subscribe(&broker, "default", 10).await;
    for _ in 0..9 {
        let came = next(other.as_mut()).await;
        assert_ne!(sent(&came).id, sent(&held).id);
        came.receipt.ack();
    }
    held.receipt.ack();
    eventually(Duration::from_secs(5), "an empty queue", || async {
        left(&vhost).await == (0, 0)
    })
    .await
    .unwrap();
    drop(subscription);
    broker.close().await;
}

#[tokio::test]
async fn a_deleted_queue_ends_the_subscription_and_is_reported_as_made_anew() {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), Profile::Quorum).await;
    send(&broker, messages("default", 5)).await;
    let before = broker.consumer().depths(vec![queue("default")]).await.unwrap();
    let mut subscription = subscribe(&broker, "default", 10).await;
    let held = next(subscription.as_mut()).await;
    vhost.delete_queue("jobs.default.low").await.unwrap();
    end(subscription.as_mut()).await;
    // The channel is up: what was delivered from the other queues can still be acknowledged.
    held.receipt.ack();
    drop(subscription);
    vhost.delete_queue("jobs.default.high").await.unwrap();
    let depths = broker.consumer().depths(vec![queue("default")]).await.unwrap();
    let recreated = |priority| {
        let of = |depths: &[longshore_core::port::broker::Depth]| {
            let depth = depths
                .iter()
                .find(|depth| depth.priority == Some(priority))
                .unwrap();
            depth.recreated_at
        };
        of(&depths) != of(&before)
    };
    assert!(
        recreated(Priority::Low) && recreated(Priority::High),
        "{depths:?}"
    );
    assert!(
        !recreated(Priority::Normal) && !recreated(Priority::Critical),
        "{depths:?}"
    );
    let ids = messages("default", 1);
    send(&broker, ids.clone()).await;
    let mut again = subscribe(&broker, "default", 10).await;
    let mut came = 0;
    while let Some(delivery) = next_if_any(again.as_mut()).await {
        delivery.receipt.ack();
        came += 1;
    }
    assert_eq!(came, 5, "four that were not acknowledged, and the new one");
    assert!(broker.publisher().is_ready());
    broker.close().await;
}

#[tokio::test]
async fn the_most_urgent_of_those_that_are_there_comes_first() {
    for profile in [Profile::Quorum, Profile::Classic] {
        let vhost = vhost().await.unwrap();
        let broker = connect(vhost.amqp_url(), profile).await;
        for priority in Priority::DESCENDING.into_iter().rev() {
            send(&broker, (0..3).map(|_| message("default", priority)).collect()).await;
        }
        let mut subscription = subscribe(&broker, "default", 20).await;
        eventually(Duration::from_secs(5), "all to be pushed", || async {
            left(&vhost).await == (0, 12)
        })
        .await
        .unwrap();
        let mut order = Vec::new();
        for _ in 0..12 {
            order.push(sent(&next(subscription.as_mut()).await).priority);
        }
        assert!(order.is_sorted_by(|earlier, later| earlier >= later), "{order:?}");
        broker.close().await;
    }
}
