//! Many jobs through one worker and one scheduler: what they hold does not grow.

use std::time::Duration;

use longshore::{Client, Job, JobError, JobStatus};
use longshore_backend::{Backend, BackendConfig, Endpoints};
use longshore_scheduler::{Intervals, Retention, Scheduler};
use longshore_testkit::servers::shared::vhost;
use longshore_testkit::servers::{Redis, RedisOptions};
use longshore_testkit::wait::eventually;
use longshore_worker::Worker;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

const JOBS: u64 = 200_000;
const BATCH: u64 = 1_000;
/// Jobs after which memory and descriptors are looked at.
const ROUND: u64 = 20_000;
/// Jobs that may wait at once: what grows then is a leak and no backlog.
const AHEAD: u64 = 4_000;
const PATIENCE: Duration = Duration::from_secs(600);
/// How long ended jobs are kept here.
const KEPT: Duration = Duration::from_secs(5);
/// What the last round may hold more than the third: buffers that follow the load, in KiB.
const GROWTH_MAX: u64 = 24 * 1024;

#[derive(Serialize, Deserialize)]
struct Add {
    number: u64,
}

impl Job for Add {
    const FUNCTION_NAME: &'static str = "add";
    type Output = u64;
}

async fn add(job: Add) -> Result<u64, JobError> {
    Ok(job.number + 1)
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Keys by kind: what stands after the shard, up to the id.
async fn keys(redis: &Redis) -> std::collections::BTreeMap<String, usize> {
    let listed = redis.cli(&["--scan"]).await.unwrap();
    let mut kinds = std::collections::BTreeMap::new();
    for key in listed.lines() {
        let name = key.split_once("}:").map_or(key, |(_, name)| name);
        *kinds
            .entry(name.split(':').next().unwrap().to_owned())
            .or_default() += 1;
    }
    kinds
}

async fn open_jobs(client: &Client) -> u64 {
    let queues = client.queues().await.unwrap();
    let counts = queues.values().flat_map(|queue| &queue.counts);
    counts
        .filter(|(status, _)| !status.is_terminal())
        .map(|(_, count)| *count)
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: scripts/test soak"]
async fn soak_two_hundred_thousand_jobs_leave_nothing_behind() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let vhost = vhost().await.unwrap();
    let config = BackendConfig::new(Endpoints::servers(vhost.amqp_url(), &redis.url()).unwrap());
    let stop = CancellationToken::new();
    let backends = [
        Backend::connect(&config).await.unwrap(),
        Backend::connect(&config).await.unwrap(),
        Backend::connect(&config).await.unwrap(),
    ];
    let client = Client::builder().backend(&backends[0]).unwrap();
    let worker = Worker::builder(backends[1].clone())
        .register(add)
        .max_workers(32)
        .shutdown(stop.clone())
        .build()
        .unwrap();
    let stats = worker.stats();
    let worker = tokio::spawn(worker.run());
    let scheduler = Scheduler::builder(backends[2].ports().clone())
        .intervals(Intervals::all(Duration::from_secs(1)))
        .retention(Retention::all(KEPT))
        .shutdown(stop.clone());
    let scheduler = tokio::spawn(scheduler.run());

    let mut rounds = Vec::new();
    for from in (0..JOBS).step_by(usize::try_from(BATCH).unwrap()) {
        let mut batch = longshore::Batch::new();
        for number in from..from + BATCH {
            batch.add(Add { number });
        }
        client.enqueue_many(batch).await.unwrap();
        eventually(PATIENCE, "the worker to keep up", || async {
            let open = open_jobs(&client).await;
            if open <= AHEAD {
                Ok(())
            } else {
                Err(format!("{open} wait"))
            }
        })
        .await
        .unwrap();
        if (from + BATCH).is_multiple_of(ROUND) {
            rounds.push((resident(), descriptors()));
            println!(
                "{} jobs: {} KiB resident, {} descriptors",
                from + BATCH,
                resident(),
                descriptors()
            );
        }
    }
    // Whatever is left: nothing in the broker, no record in Redis, tombstones alone, which end by themselves.
    eventually(PATIENCE, "every job to end and to be forgotten", || async {
        let kinds = keys(&redis).await;
        let left: Vec<_> = ["j", "p", "r", "e", "h", "o", "pr", "kt", "kw", "g", "gs"]
            .into_iter()
            .filter_map(|kind| kinds.get(kind).map(|count| (kind, *count)))
            .collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await
    .unwrap();
    let kinds = keys(&redis).await;
    println!("keys by kind: {kinds:?}; worker: {stats:?}");
    let others: usize = kinds
        .iter()
        .filter(|(kind, _)| *kind != "t")
        .map(|(_, count)| count)
        .sum();
    assert!(others < 400, "{kinds:?}");
    assert_eq!(
        kinds.get("t").copied(),
        Some(usize::try_from(JOBS).unwrap()),
        "a tombstone a job"
    );
    let depths = vhost.list_queues().await.unwrap();
    let messages: u64 = depths.iter().map(|queue| queue.ready + queue.unacked).sum();
    assert_eq!(messages, 0, "{depths:?}");
    assert_eq!(
        client
            .list(longshore::JobFilter::default())
            .stream()
            .next()
            .await
            .map(|job| job.unwrap().status),
        None::<JobStatus>
    );

    let (settled, last) = (rounds[2], rounds[rounds.len() - 1]);
    assert!(last.0 <= settled.0 + GROWTH_MAX, "memory grows: {rounds:?}");
    assert!(last.1 <= settled.1 + 4, "descriptors grow: {rounds:?}");
    stop.cancel();
    worker.await.unwrap().unwrap();
    scheduler.await.unwrap();
    client.close().await;
    for backend in backends {
        backend.close().await;
    }
}
