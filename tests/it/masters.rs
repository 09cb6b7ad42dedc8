//! A cluster of which one master is away, under a worker.

use std::time::Duration;

use longshore_backend::Profile;
use longshore_core::random::SystemRandom;
use longshore_core::{Clock as _, JobId, SystemClock};
use longshore_testkit::servers::{RedisCluster, RedisOptions, SharedServers};

use crate::rig::{Pace, Rig, Step};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_starts_jobs_of_the_other_masters_while_one_is_away() {
    let servers = SharedServers::get().await.unwrap();
    let options = RedisOptions::default().line("cluster-require-full-coverage no");
    let cluster = RedisCluster::start_with(&options).await.unwrap();
    let mut rig = Rig::servers(servers.amqp_url(), &cluster.url(), Profile::Quorum).await;
    rig.worker(4).await;
    let leaver = (home(&cluster, "{longshore}:workers").await + 1) % cluster.nodes().len();
    let mut here = Vec::new();
    for shard in rig.client_ports().enqueue.shards().all() {
        if home(&cluster, &format!("{{s{shard:02}}}:meta")).await != leaver {
            here.push(shard);
        }
    }
    let work = async |number: u64| {
        let shard = here[usize::try_from(number).unwrap() % here.len()];
        let id = JobId::generate(SystemClock.now(), shard, &SystemRandom);
        let pace = Pace::Quick;
        rig.client.enqueue(Step { number, pace }).id(id).await.unwrap();
        rig.book.started(usize::try_from(number).unwrap() + 1).await;
    };
    work(0).await;
    cluster.nodes()[leaver].kill9();
    // Over more than one beat of the worker.
    for number in 1..9 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        work(number).await;
    }
    cluster.nodes()[leaver].restart().await.unwrap();
    rig.stop().await;
}
