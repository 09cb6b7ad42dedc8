//! A cluster of which one master does not answer: its shards wait for it, the others go on.

use std::time::Duration;

use longshore_backend::redis::Store;
use longshore_core::QueueName;
use longshore_core::clock::{Clock as _, SystemClock};
use longshore_core::port::attempt::Claimed;
use longshore_core::port::{AttemptPort as _, EnqueuePort as _, SchedulePort as _};
use longshore_testkit::factory::Factory;
use longshore_testkit::servers::{RedisCluster, RedisOptions};
use tokio::time::Instant;

use super::rig::{claim, config};
use super::twin::worker;

/// Long before a worker's beat or a scheduler's leases would be late.
const IN_TIME: Duration = Duration::from_secs(8);
const LEASE: Duration = Duration::from_secs(60);

/// The node that has a key.
async fn home(cluster: &RedisCluster, key: &str) -> usize {
    for (at, node) in cluster.nodes().iter().enumerate() {
        // Every other one says where it has moved.
        if node.cli(&["EXISTS", key]).await.is_ok() {
            return at;
        }
    }
    panic!("nobody has {key}")
}

fn key(shard: u16, name: &str) -> String {
    format!("{{s{shard:02}}}:{name}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_and_schedulers_go_on_with_the_other_shards_when_a_master_is_frozen() {
    let options = RedisOptions::default().line("cluster-require-full-coverage no");
    let cluster = RedisCluster::start_with(&options).await.unwrap();
    let store = Store::connect(&config(&cluster.url())).await.unwrap();
    let registry = home(&cluster, "{longshore}:workers").await;
    // The number of shards, which everybody keeps, goes with it.
    let meta = home(&cluster, "longshore:meta").await;
    let leaver = if meta == registry {
        (registry + 1) % 3
    } else {
        meta
    };
    let (mut away, mut here) = (Vec::new(), Vec::new());
    for shard in store.shards().all() {
        let is_away = home(&cluster, &key(shard, "meta")).await == leaver;
        if is_away { &mut away } else { &mut here }.push(shard);
    }
    let factory = Factory::new(std::sync::Arc::new(SystemClock), rand::random());
    let (lost, job) = (factory.job(away[0], |_| {}), factory.job(here[0], |_| {}));
    store.enqueue(away[0], vec![lost.clone()]).await.unwrap();
    store.enqueue(here[0], vec![job.clone()]).await.unwrap();
    // As after a pause that was made in half of the shards.
    let node = &cluster.nodes()[leaver];
    node.cli(&["SADD", &key(away[0], "paused"), "still"])
        .await
        .unwrap();
    let paused = [QueueName::new("still").unwrap()];
    let worker = worker(SystemClock.now());
    assert_eq!(store.worker_beat(worker.clone()).await.unwrap(), paused);

    node.freeze();
    for round in 0..3 {
        let began = Instant::now();
        // Neither is a queue resumed because nobody says that it is paused.
        let beaten = store.worker_beat(worker.clone()).await;
        assert_eq!(beaten.unwrap(), paused, "round {round}");
        assert!(began.elapsed() < IN_TIME, "round {round}: {:?}", began.elapsed());
        let began = Instant::now();
        let leased = store.lease_shards("s-1".to_owned(), 64, LEASE).await.unwrap();
        assert_eq!(leased, here, "round {round}");
        assert!(began.elapsed() < IN_TIME, "round {round}: {:?}", began.elapsed());
    }
    let (_, claimed) = store.step(here[0], Vec::new(), vec![claim(&job)]).await.unwrap();
    assert!(matches!(claimed[..], [Claimed::Run(_)]), "{claimed:?}");
    let claims = vec![claim(&lost)];
    store.step(away[0], Vec::new(), claims).await.unwrap_err();
}
