//! The fleet as separate processes on real servers: producer, schedulers and workers are the released binary, and some of
//! them are killed.
#![cfg(test)]

#[path = "fleet/bench.rs"]
mod bench;
#[path = "fleet/clocks.rs"]
mod clocks;
#[path = "fleet/crashes.rs"]
mod crashes;
#[path = "fleet/cron.rs"]
mod cron;
#[path = "fleet/dead_letters.rs"]
mod dead_letters;
#[path = "fleet/doctor.rs"]
mod doctor;
#[path = "fleet/exposed.rs"]
mod exposed;
#[path = "fleet/freezes.rs"]
mod freezes;
#[path = "fleet/handlers.rs"]
mod handlers;
#[path = "fleet/judgement.rs"]
mod judgement;
#[path = "fleet/messages.rs"]
mod messages;
#[path = "fleet/namespaces.rs"]
mod namespaces;
#[path = "fleet/neighbours.rs"]
mod neighbours;
#[path = "fleet/notifications.rs"]
mod notifications;
#[path = "fleet/observed.rs"]
mod observed;
#[path = "fleet/outages.rs"]
mod outages;
#[path = "fleet/partitions.rs"]
mod partitions;
#[path = "fleet/probed.rs"]
mod probed;
#[path = "fleet/process.rs"]
mod process;
#[path = "fleet/random_faults.rs"]
mod random_faults;
#[path = "fleet/random_load.rs"]
mod random_load;
#[path = "fleet/rights.rs"]
mod rights;
#[path = "fleet/rows.rs"]
mod rows;
#[path = "fleet/scene.rs"]
mod scene;
#[path = "fleet/secrets.rs"]
mod secrets;
#[path = "fleet/tap.rs"]
mod tap;
#[path = "fleet/upgrade.rs"]
mod upgrade;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_testkit::process::PortLease;
use longshore_testkit::servers::{Redis, RedisOptions, SharedServers};
use longshore_testkit::wait::eventually;
use process::Fleet;
use serde_json::{Value, json};
use uuid::Uuid;

/// How long a whole test may take.
const LONG: Duration = Duration::from_secs(120);

/// A folder of text files, written from this repository's own pages: real words, different in every file.
fn text_folder(files: usize) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let source = include_str!("../../../docs/reference/protocol.md");
    let lines: Vec<_> = source.lines().collect();
    let paths = (0..files)
        .map(|number| {
            let path = folder.path().join(format!("text-{number:03}.txt"));
            let text: String =
                lines
                    .iter()
                    .cycle()
                    .skip(number * 7)
                    .take(12)
                    .fold(String::new(), |mut text, line| {
                        writeln!(text, "{line}").unwrap();
                        text
                    });
            std::fs::write(&path, text).unwrap();
            path
        })
        .collect();
    (folder, paths)
}

/// The index, computed in one loop.
fn index_sequentially(paths: &[PathBuf]) -> (u64, BTreeMap<String, u64>) {
    let (mut words, mut counts) = (0, BTreeMap::new());
    for path in paths {
        let text = std::fs::read_to_string(path).unwrap().to_lowercase();
        for word in text
            .split(|char: char| !char.is_alphabetic())
            .filter(|word| !word.is_empty())
        {
            words += 1;
            *counts.entry(word.to_owned()).or_insert(0) += 1;
        }
    }
    (words, counts)
}

/// One job a file, and one that merges them all, as lines for `longshore enqueue --file`.
fn index_jobs(paths: &[PathBuf]) -> (String, Uuid) {
    let mut lines = String::new();
    let ids: Vec<_> = paths.iter().map(|_| Uuid::new_v4().to_string()).collect();
    for (path, id) in paths.iter().zip(&ids) {
        let job = json!({
            "id": id, "function_name": "sample.count_words", "args": {"path": path, "pace_ms": 30},
            "tags": ["index"],
        });
        writeln!(lines, "{job}").unwrap();
    }
    let merge = Uuid::new_v4();
    let job = json!({"id": merge.to_string(), "function_name": "sample.merge_counts", "args": {}, "depends_on": ids});
    writeln!(lines, "{job}").unwrap();
    (lines, merge)
}

fn write_jobs(folder: &Path, lines: &str) -> PathBuf {
    let file = folder.join("jobs.jsonl");
    std::fs::write(&file, lines).unwrap();
    file
}

async fn index_survives_kills(fleet: Fleet) {
    let (folder, paths) = text_folder(60);
    let (lines, merge) = index_jobs(&paths);
    let mut workers: Vec<_> = (0..3)
        .map(|_| fleet.start(&["worker", "--samples", "--max-workers", "4"]))
        .collect();
    let mut schedulers: Vec<_> = (0..2).map(|_| fleet.start(&["scheduler"])).collect();

    let file = write_jobs(folder.path(), &lines);
    fleet
        .run(&["enqueue", "--file", file.to_str().unwrap()])
        .await
        .unwrap();

    let running = || async { fleet.jobs(&["--status", "running"]).await.len() };
    eventually(LONG, "four jobs run", || async { running().await >= 4 })
        .await
        .unwrap();
    workers.remove(0).kill9();
    schedulers.remove(0).kill9();

    let merged = eventually(LONG, "the merge is done", || async {
        let job = fleet.job(&merge.to_string()).await;
        (job["status"] == "completed").then_some(job["result"].clone())
    });
    let merged = merged.await.unwrap();
    let (words, counts) = index_sequentially(&paths);
    assert_eq!(merged["files"], json!(60));
    assert_eq!(merged["words"], json!(words));
    assert_eq!(
        serde_json::from_value::<BTreeMap<String, u64>>(merged["counts"].clone()).unwrap(),
        counts
    );
    for job in fleet.jobs(&["--limit", "1000"]).await {
        assert_eq!(job["status"], Value::from("completed"), "{job}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_an_index_equals_the_sequential_one_with_kills_on_the_way() {
    index_survives_kills(Fleet::on_shared_servers("quorum").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_the_same_with_classic_queues() {
    index_survives_kills(Fleet::on_shared_servers("classic").await).await;
}

/// Runs a command that must fail, and gives its exit code and what it said.
fn failing(fleet: &Fleet, args: &[&str]) -> (i32, String) {
    let output = fleet.command(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{args:?}: {said}");
    assert!(!said.contains("s3cret"), "{said}");
    (output.status.code().unwrap(), said)
}

/// The URL with another user and password.
fn with_user(url: &str, user: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{user}@{host}")
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_commands_work_while_the_broker_is_away() {
    let servers = SharedServers::get().await.unwrap();
    let refused = PortLease::take().unwrap();
    let fleet = Fleet::on(
        format!("amqp://guest:guest@127.0.0.1:{}", refused.port()),
        servers.redis_url(),
        "quorum",
    );
    let made: Value =
        serde_json::from_str(&fleet.run(&["enqueue", "f", "-o", "json"]).await.unwrap()).unwrap();
    assert_eq!(
        (&made["deferred"], &made["existing"]),
        (&json!(true), &json!(false))
    );
    let id = made["id"].as_str().unwrap();
    assert_eq!(fleet.jobs(&[]).await.len(), 1);
    assert_eq!(fleet.job(id).await["status"], "queued");
    fleet.run(&["queue", "ls"]).await.unwrap();
    fleet.run(&["queue", "pause", "default"]).await.unwrap();
    fleet.run(&["job", "cancel", id]).await.unwrap();
    let told = fleet
        .run(&["stats", "--function", "f", "-o", "json"])
        .await
        .unwrap();
    let stats: Value = serde_json::from_str(&told).unwrap();
    assert!(stats["total"]["cancelled"].as_u64() >= Some(1), "{stats:#}");
    let (code, _) = failing(&fleet, &["job", "watch", id]);
    assert_eq!(code, 5, "it was cancelled");
    let (code, said) = failing(&fleet, &["scheduler"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("amqp_url: "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_wrong_credentials_and_hosts_are_told_with_their_field() {
    let servers = SharedServers::get().await.unwrap();
    let guarded = Redis::start(RedisOptions::default().password("right"))
        .await
        .unwrap();
    let (amqp, redis) = (servers.amqp_url().to_owned(), servers.redis_url());
    let locked = format!("redis://:s3cret@{}", guarded.url().rsplit_once('@').unwrap().1);
    let vhost = format!("{}/nowhere", amqp.rsplit_once('/').unwrap().0);
    let refused = PortLease::take().unwrap();
    let away = format!("redis://127.0.0.1:{}", refused.port());
    let cases = [
        (
            with_user(&amqp, "guest:s3cret"),
            redis.clone(),
            3,
            "amqp_url: ",
            "user and password",
        ),
        (vhost, redis.clone(), 3, "amqp_url: ", "add_vhost"),
        (amqp.clone(), locked, 3, "redis_url", "password"),
        (amqp.clone(), away, 4, "redis_url", "127.0.0.1"),
        (
            "http://u:s3cret@h".to_owned(),
            redis.clone(),
            3,
            "amqp_url",
            "amqp://user:password@host",
        ),
        (
            amqp,
            "redis-sentinel://u:s3cret@h".to_owned(),
            3,
            "redis_url",
            "names no master",
        ),
    ];
    for (amqp, redis, code, field, fix) in cases {
        let fleet = Fleet::on(amqp, redis, "quorum");
        for args in [
            &["enqueue", "f"][..],
            &["job", "ls"],
            &["worker", "--samples"],
            &["scheduler"],
        ] {
            let (ended, said) = failing(&fleet, args);
            assert_eq!(ended, code, "{args:?}: {said}");
            assert!(
                said.contains(field) && said.contains(fix),
                "{args:?} names neither {field} nor {fix}: {said}"
            );
        }
    }
    let fleet = Fleet::on(servers.amqp_url().to_owned(), servers.redis_url(), "quorum");
    assert!(fleet.jobs(&[]).await.is_empty(), "a refused enqueue left a job");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_redis_that_evicts_is_refused_and_left_empty() {
    let servers = SharedServers::get().await.unwrap();
    let redis = Redis::start(RedisOptions::default().line("maxmemory-policy allkeys-lru"))
        .await
        .unwrap();
    let fleet = Fleet::on(servers.amqp_url().to_owned(), redis.url(), "quorum");
    for args in [
        &["enqueue", "f"][..],
        &["queue", "pause", "default"],
        &["worker", "--samples"],
        &["scheduler"],
    ] {
        let (code, said) = failing(&fleet, args);
        assert_eq!(code, 3, "{args:?}: {said}");
        assert!(
            said.contains("maxmemory-policy") && said.contains("noeviction"),
            "{args:?}: {said}"
        );
    }
    let accepted = fleet
        .run(&["--set", "allow_degraded=true", "job", "ls", "-o", "json"])
        .await
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(&accepted).unwrap(), json!([]));
}
