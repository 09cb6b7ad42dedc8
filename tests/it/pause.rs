//! A pause reaches every worker, and outlives whatever dies meanwhile.

use std::time::Duration;

use longshore::{Priority, QueueName};
use longshore_backend::{Backend, BackendConfig, Endpoints, Profile};
use longshore_core::port::Ports;
use longshore_scheduler::Intervals;
use longshore_testkit::servers::{Redis, RedisOptions, SharedServers};
use longshore_testkit::wait::eventually;
use tokio::time::Instant;

use crate::rig::{LONG, Pace, Rig};

/// What is promised.
const WITHIN: Duration = Duration::from_secs(1);
/// What a loaded machine may make of it. A worker that is not told would find out with its next beat, after up to ten
/// seconds: several that find out within this, round after round, were told.
const TOLD: Duration = Duration::from_secs(5);
const ROUNDS: usize = 5;
const WORKERS: usize = 3;

/// Pauses and resumes; all workers follow. Their beats fall anywhere in a round, so that half of the rounds within a
/// second is nothing that beats alone could do.
async fn every_worker_follows(rig: &Rig, looking: &Ports, all: u64) {
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        for (paused, expected) in [(true, 0), (false, all)] {
            let began = Instant::now();
            if paused {
                rig.client.pause("default").await.unwrap();
            } else {
                rig.client.resume("default").await.unwrap();
            }
            eventually(LONG, "every worker follows", || async {
                consumers(looking).await == expected
            })
            .await
            .unwrap();
            took.push(began.elapsed());
        }
        println!("round {round}: {took:?}");
    }
    took.sort_unstable();
    assert!(
        took.iter().all(|took| *took < TOLD),
        "they were not told: {took:?}"
    );
    assert!(took[ROUNDS] < WITHIN, "they were told late: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_a_pause_and_its_end_reach_every_worker_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Rig::embedded(folder.path()).await;
    rig.scheduler(Intervals::all(Duration::from_millis(100))).await;
    for _ in 0..WORKERS {
        rig.worker(2).await;
    }
    let all = consuming(&rig, rig.client_ports()).await;
    every_worker_follows(&rig, rig.client_ports(), all).await;
    rig.stop().await;
}

/// Waits until every worker consumes; answers how many consumers that are.
async fn consuming(rig: &Rig, looking: &Ports) -> u64 {
    rig.enqueue(0..1, Pace::Quick, Priority::Normal).await;
    rig.all_completed(1).await;
    let depths = looking.consume.depths(vec![QueueName::default()]);
    // One for each priority that has a queue of its own.
    let all = WORKERS as u64 * depths.await.unwrap().len() as u64;
    eventually(LONG, "every worker consumes", || async {
        consumers(looking).await == all
    })
    .await
    .unwrap();
    all
}

async fn consumers(looking: &Ports) -> u64 {
    let depths = looking.consume.depths(vec![QueueName::default()]);
    depths.await.unwrap().iter().map(|depth| depth.consumers).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_reaches_every_worker_within_a_second_and_outlives_a_kill_of_redis() {
    let servers = SharedServers::get().await.unwrap();
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let mut rig = Rig::servers(servers.amqp_url(), &redis.url(), Profile::Quorum).await;
    let endpoints = Endpoints::servers(servers.amqp_url(), &redis.url()).unwrap();
    let looking = Backend::connect(&BackendConfig::new(endpoints)).await.unwrap();
    rig.scheduler(Intervals::all(Duration::from_millis(100))).await;
    for _ in 0..WORKERS {
        rig.worker(2).await;
    }
    let all = consuming(&rig, looking.ports()).await;
    every_worker_follows(&rig, looking.ports(), all).await;
    rig.client.pause("default").await.unwrap();
    eventually(LONG, "no worker consumes", || async {
        consumers(looking.ports()).await == 0
    })
    .await
    .unwrap();

    rig.enqueue(1..21, Pace::Quick, Priority::Critical).await;
    redis.kill9();
    redis.restart().await.unwrap();
    eventually(LONG, "the queue is still paused", || async {
        let queues = rig.client.queues().await.map_err(|error| error.to_string())?;
        let view = queues.get(&QueueName::default()).ok_or("the queue is gone")?;
        if view.paused {
            Ok(())
        } else {
            Err("it runs".to_owned())
        }
    })
    .await
    .unwrap();
    // One that starts now knows of the pause as well.
    rig.worker(2).await;
    eventually(LONG, "the new worker is live", || async {
        let workers = rig.client.workers().await;
        workers.is_ok_and(|workers| workers.len() > WORKERS)
    })
    .await
    .unwrap();
    assert_eq!(rig.book.starts(), [0], "nothing has started since the pause");

    rig.client.resume("default").await.unwrap();
    assert_eq!(rig.all_completed(21).await, 21);
    assert_eq!(rig.book.runs(), (21, 21));
    looking.close().await;
    rig.stop().await;
}
