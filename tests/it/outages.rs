//! The broker or Redis goes away, or forgets, under work.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore::{Acceptance, JobStatus, Priority};
use longshore_backend::Profile;
use longshore_scheduler::Intervals;
use longshore_testkit::servers::{RabbitMq, Redis, RedisOptions, SharedServers};
use longshore_testkit::wait::eventually;

use crate::rig::{LONG, Pace, Rig, seed};

const JOBS: u64 = 1_000;

/// A Redis that loses nothing when it is killed: with `everysec` it holds writes back while an fsync is under way.
async fn redis() -> Redis {
    let options = RedisOptions::default().line("appendfsync always");
    Redis::start(options).await.unwrap()
}

async fn broker_is_stopped_while_jobs_are_enqueued(profile: Profile) {
    let broker = RabbitMq::start().await.unwrap();
    let servers = SharedServers::get().await.unwrap();
    let mut rig = Rig::servers(&broker.amqp_url(), &servers.redis_url(), profile).await;
    rig.scheduler(Intervals::default()).await;
    rig.worker(8).await;
    rig.enqueue(0..1, Pace::Quick, Priority::Normal).await;
    assert_eq!(rig.all_completed(1).await, 1);
    broker.control().write_buffered().await.unwrap();

    broker.kill9();
    let handles = rig.enqueue(1..JOBS + 1, Pace::Quick, Priority::Normal).await;
    let deferred = handles
        .iter()
        .filter(|handle| handle.acceptance() == Some(Acceptance::Deferred))
        .count();
    assert_eq!(deferred, 1_000);
    assert_eq!(rig.book.starts(), [0]);

    broker.restart().await.unwrap();
    assert_eq!(rig.all_completed(JOBS + 1).await, JOBS + 1);
    assert_eq!(rig.book.runs(), (1_001, 1_001));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_enqueued_while_the_broker_is_stopped_are_deferred_and_done() {
    broker_is_stopped_while_jobs_are_enqueued(Profile::Quorum).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_enqueued_while_the_broker_is_stopped_are_deferred_and_done_with_classic_queues() {
    broker_is_stopped_while_jobs_are_enqueued(Profile::Classic).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn soak_a_broker_killed_during_ten_thousand_enqueues_loses_none() {
    const ALL: u64 = 10_000;
    let broker = RabbitMq::start().await.unwrap();
    let servers = SharedServers::get().await.unwrap();
    let mut rig = Rig::servers(&broker.amqp_url(), &servers.redis_url(), Profile::Quorum).await;
    rig.scheduler(Intervals::default()).await;
    for _ in 0..2 {
        rig.worker(16).await;
    }
    rig.enqueue(0..1, Pace::Quick, Priority::Normal).await;
    assert_eq!(rig.all_completed(1).await, 1);
    // The definitions of the queues; the messages are on the disk before they are confirmed.
    broker.control().write_buffered().await.unwrap();
    let kill_at = 2_000 + seed() % 6_000;
    let kill = async {
        rig.book.started(usize::try_from(kill_at / 4).unwrap()).await;
        broker.kill9();
        broker.restart().await.unwrap();
    };
    let enqueue = async {
        let mut deferred = 0;
        for from in (1..ALL).step_by(250) {
            let handles = rig
                .enqueue(from..ALL.min(from + 250), Pace::Quick, Priority::Normal)
                .await;
            deferred += handles
                .iter()
                .filter(|handle| handle.acceptance() == Some(Acceptance::Deferred))
                .count();
        }
        deferred
    };
    let ((), deferred) = tokio::join!(kill, enqueue);
    assert!(deferred > 0, "no enqueue was under way while the broker was dead");
    let healed = tokio::time::Instant::now();
    assert_eq!(rig.all_completed(ALL).await, ALL);
    let recovery = healed.elapsed().as_secs_f64();
    let (jobs, runs) = rig.book.runs();
    eprintln!(
        "figures: seed={} acknowledged={ALL} starts={} lost={} doubled={} excused=0 recovery={recovery:.1}",
        seed(),
        rig.book.starts().len(),
        usize::try_from(ALL).unwrap() - jobs,
        runs - jobs,
    );
    // Who ran when the broker died was cut off from it and not from the store: nothing runs a second time.
    assert_eq!((jobs, runs), (10_000, 10_000));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn published_jobs_are_done_once_after_redis_is_wiped() {
    let (servers, redis) = (SharedServers::get().await.unwrap(), redis().await);
    let mut rig = Rig::servers(servers.amqp_url(), &redis.url(), Profile::Quorum).await;
    rig.scheduler(Intervals::default()).await;
    let jobs = rig.enqueue(0..JOBS, Pace::Quick, Priority::Normal).await;
    // A broker that is busy with other tests may have to be asked twice: what is only recorded would go with its record.
    rig.published(&jobs).await;

    redis.flushall().await.unwrap();
    rig.worker(8).await;
    assert_eq!(rig.all_completed(JOBS).await, JOBS);
    assert_eq!(rig.book.runs(), (1_000, 1_000));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn published_jobs_are_done_although_redis_is_wiped_while_they_run() {
    let (servers, redis) = (SharedServers::get().await.unwrap(), redis().await);
    let mut rig = Rig::servers(servers.amqp_url(), &redis.url(), Profile::Quorum).await;
    rig.scheduler(Intervals::default()).await;
    rig.enqueue(0..JOBS, Pace::Takes(20), Priority::Normal).await;
    rig.worker(8).await;
    rig.worker(8).await;
    rig.book.started(300).await;

    redis.flushall().await.unwrap();
    eventually(LONG, "every job has run", || async {
        let (jobs, _) = rig.book.runs();
        if jobs == 1_000 {
            Ok(())
        } else {
            Err(format!("{jobs} ran"))
        }
    })
    .await
    .unwrap();
    // What ended before the wipe is forgotten; all that Redis knows afterwards is done.
    let completed = rig.all_completed(500).await;
    assert!(completed <= JOBS, "{completed}");
    // A second run is allowed only to those that had ended, or were running, when Redis forgot them.
    let (_, runs) = rig.book.runs();
    assert!(runs <= 1_000 + 2 * (8 + 24), "{runs} runs");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn running_jobs_outlive_a_minute_without_redis() {
    let (servers, redis) = (SharedServers::get().await.unwrap(), redis().await);
    let mut rig = Rig::servers(servers.amqp_url(), &redis.url(), Profile::Quorum).await;
    for _ in 0..2 {
        rig.scheduler(Intervals::default()).await;
        rig.worker(4).await;
    }
    // Half of them end while Redis is away, half after it is back.
    rig.enqueue(0..4, Pace::Takes(20_000), Priority::Normal).await;
    rig.enqueue(4..8, Pace::Takes(75_000), Priority::Normal).await;
    rig.book.started(8).await;
    eventually(LONG, "all eight run", || async {
        rig.counts().await.unwrap().get(&JobStatus::Running) == Some(&8)
    })
    .await
    .unwrap();

    redis.kill9();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.book.ends().len(), 4);
    redis.restart().await.unwrap();

    assert_eq!(rig.all_completed(8).await, 8);
    assert_eq!(rig.book.starts().len(), 8);
    assert_eq!(
        rig.book.ends().into_iter().collect::<BTreeSet<_>>(),
        (0..8).collect()
    );
    rig.stop().await;
}
