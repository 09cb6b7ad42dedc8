use std::time::Duration;

use longshore_backend::Profile;
use longshore_testkit::servers::shared::vhost;
use longshore_testkit::wait::eventually;
use tokio::time::Instant;

use crate::rig::{connect, messages, next, send, subscribe};

const COUNT: usize = 10_000;

async fn rates(profile: Profile) {
    let vhost = vhost().await.unwrap();
    let broker = connect(vhost.amqp_url(), profile).await;
    send(&broker, messages("default", 100)).await;
    let batch = messages("default", COUNT - 100);
    let start = Instant::now();
    send(&broker, batch).await;
    let publishing = start.elapsed();
    let start = Instant::now();
    let mut subscription = subscribe(&broker, "default", 200).await;
    for _ in 0..COUNT {
        next(subscription.as_mut()).await.receipt.ack();
    }
    let consuming = start.elapsed();
    eventually(Duration::from_secs(10), "an empty queue", || async {
        let queues = vhost.list_queues().await.unwrap();
        queues.iter().all(|queue| queue.ready + queue.unacked == 0)
    })
    .await
    .unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = |count: usize, took: Duration| count as f64 / took.as_secs_f64();
    println!(
        "{profile:?}: {:.0} published and confirmed/s, {:.0} consumed and acknowledged/s",
        rate(COUNT - 100, publishing),
        rate(COUNT, consuming)
    );
    broker.close().await;
}

#[tokio::test]
async fn ten_thousand_messages_pass_through_quorum_queues() {
    rates(Profile::Quorum).await;
}

#[tokio::test]
async fn ten_thousand_messages_pass_through_a_classic_queue() {
    rates(Profile::Classic).await;
}
