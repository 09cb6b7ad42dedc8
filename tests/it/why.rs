//! Why a job does not run, when it is a server's fault, and on servers at all.

use longshore::{JobHandle, JobStatus, Priority, Reason};
use longshore_backend::Profile;
use longshore_scheduler::Intervals;
use longshore_testkit::servers::{RabbitMq, Redis, RedisOptions, SharedServers};
use longshore_testkit::wait::eventually;
use serde_json::Value;

use crate::rig::{LONG, Pace, Rig};

async fn reasons(job: &JobHandle<Value>) -> Vec<Reason> {
    let why = job.why().await.unwrap();
    why.obstacles
        .into_iter()
        .map(|obstacle| obstacle.reason)
        .collect()
}

/// Waits until the first reason is this one.
async fn until(job: &JobHandle<Value>, wanted: impl Fn(&Reason) -> bool) -> Reason {
    eventually(LONG, "the answer changes", || async {
        let mut told = reasons(job).await;
        let first = told.remove(0);
        if wanted(&first) {
            Ok(first)
        } else {
            Err(format!("{first:?}"))
        }
    })
    .await
    .unwrap()
}

async fn one(rig: &Rig, number: u64, pace: Pace, priority: Priority) -> JobHandle<Value> {
    rig.enqueue(number..number + 1, pace, priority).await.remove(0)
}

async fn a_broker_that_is_away(profile: Profile) {
    let broker = RabbitMq::start().await.unwrap();
    let servers = SharedServers::get().await.unwrap();
    let mut rig = Rig::servers(&broker.amqp_url(), &servers.redis_url(), profile).await;
    let published = one(&rig, 0, Pace::Quick, Priority::Normal).await;
    rig.client.flush().await;
    rig.scheduler(Intervals::default()).await;
    rig.worker(1).await;
    rig.all_completed(1).await;
    assert!(matches!(
        reasons(&published).await[..],
        [Reason::Finished {
            ended: JobStatus::Completed,
            ..
        }]
    ));

    broker.kill9();
    let deferred = one(&rig, 1, Pace::Quick, Priority::Normal).await;
    let told = reasons(&deferred).await;
    assert!(
        matches!(
            told[..],
            [Reason::BrokerUnreachable { .. }, Reason::InOutbox { .. }]
        ),
        "{told:?}"
    );

    broker.restart().await.unwrap();
    until(&deferred, |reason| matches!(reason, Reason::Finished { .. })).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_why_with_quorum_queues() {
    a_broker_that_is_away(Profile::Quorum).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_why_with_classic_queues() {
    a_broker_that_is_away(Profile::Classic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_away_is_why() {
    let servers = SharedServers::get().await.unwrap();
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let rig = Rig::servers(servers.amqp_url(), &redis.url(), Profile::Quorum).await;
    let job = one(&rig, 0, Pace::Quick, Priority::Normal).await;
    redis.kill9();
    until(&job, |reason| matches!(reason, Reason::StoreUnreachable { .. })).await;
    redis.restart().await.unwrap();
    until(&job, |reason| {
        matches!(reason, Reason::NoWorkerHasFunction { live: 0, .. })
    })
    .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pauses_busy_slots_and_places_in_the_line_are_told_on_servers() {
    let servers = SharedServers::get().await.unwrap();
    let mut rig = Rig::servers(servers.amqp_url(), &servers.redis_url(), Profile::Quorum).await;
    rig.scheduler(Intervals::default()).await;
    rig.worker(1).await;
    let running = one(&rig, 0, Pace::Gated, Priority::Normal).await;
    rig.book.started(1).await;
    let told = reasons(&running).await;
    assert!(
        matches!(
            told[..],
            [Reason::Running {
                attempt: 1,
                worker: Some(_),
                ..
            }]
        ),
        "{told:?}"
    );
    let urgent = one(&rig, 1, Pace::Quick, Priority::High).await;
    let last = one(&rig, 2, Pace::Quick, Priority::Normal).await;
    rig.client.flush().await;
    let busy = until(&last, |reason| matches!(reason, Reason::SlotsBusy { .. })).await;
    let Reason::SlotsBusy { slots, line, .. } = busy else {
        panic!("{busy:?}");
    };
    assert_eq!((slots, line.ahead, line.or_more), (1, 1, false));
    let told = reasons(&urgent).await;
    assert!(
        matches!(&told[..], [Reason::SlotsBusy { line, .. }] if line.ahead == 0),
        "{told:?}"
    );
    rig.client.pause("default").await.unwrap();
    assert!(matches!(reasons(&last).await[0], Reason::QueuePaused { .. }));
    rig.client.resume("default").await.unwrap();
    rig.book.open(1);
    rig.all_completed(3).await;
    rig.stop().await;
}
