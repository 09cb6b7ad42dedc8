//! A pause reaches every worker, and outlives whatever dies meanwhile.

use std::time::Duration;

use longshore::{Priority, QueueName};
use longshore_backend::{Backend, BackendConfig, Endpoints, Profile};
use longshore_scheduler::Intervals;
use longshore_testkit::servers::{Redis, RedisOptions, SharedServers};
use longshore_testkit::wait::eventually;
use tokio::time::Instant;

use crate::rig::{LONG, Pace, Rig};

/// Workers are told at once; one that was not would find out with its next beat, after ten seconds.
const TOLD: Duration = Duration::from_secs(5);
const WORKERS: usize = 3;

async fn consumers(backend: &Backend) -> u64 {
    let depths = backend.ports().consume.depths(vec![QueueName::default()]);
    depths.await.unwrap().iter().map(|depth| depth.consumers).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_reaches_every_worker_at_once_and_outlives_a_kill_of_redis() {
    let servers = SharedServers::get().await.unwrap();
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let mut rig = Rig::servers(servers.amqp_url(), &redis.url(), Profile::Quorum).await;
    let endpoints = Endpoints::servers(servers.amqp_url(), &redis.url()).unwrap();
    let looking = Backend::connect(&BackendConfig::new(endpoints)).await.unwrap();
    rig.scheduler(Intervals::all(Duration::from_millis(100))).await;
    for _ in 0..WORKERS {
        rig.worker(2).await;
    }
    rig.enqueue(0..1, Pace::Quick, Priority::Normal).await;
    rig.all_completed(1).await;
    // Four queues a worker, one for each priority.
    let all = WORKERS as u64 * 4;
    eventually(LONG, "every worker consumes", || async {
        consumers(&looking).await == all
    })
    .await
    .unwrap();

    let paused_at = Instant::now();
    rig.client.pause("default").await.unwrap();
    eventually(LONG, "no worker consumes", || async {
        consumers(&looking).await == 0
    })
    .await
    .unwrap();
    let took = paused_at.elapsed();
    println!("{WORKERS} workers have stopped consuming {took:?} after the pause");
    assert!(took < TOLD, "they were not told: {took:?}");

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
