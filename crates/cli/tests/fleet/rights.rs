//! Commands as a user of deploy/ that may not do everything: a refusal is told as one, with who may.

use std::time::Duration;

use longshore_testkit::servers::shared::vhost;
use longshore_testkit::servers::{Redis, RedisOptions};
use longshore_testkit::wait::eventually;

use super::process::Fleet;

const LONG: Duration = Duration::from_secs(60);

/// Makes the producer of deploy/ in this Redis.
async fn add_producer(redis: &Redis) {
    let commands = include_str!("../../../../deploy/redis/commands.txt");
    let commands: Vec<_> = commands.lines().filter(|line| !line.starts_with('#')).collect();
    let users = include_str!("../../../../deploy/redis/users.acl.in");
    let users = users
        .replace("@COMMANDS@", &commands.join(" "))
        .replace("#@PRODUCER@", ">secret");
    let line = users
        .lines()
        .find_map(|line| line.strip_prefix("user producer "))
        .unwrap();
    let rules = line.split_whitespace();
    let command: Vec<&str> = ["ACL", "SETUSER", "producer"].into_iter().chain(rules).collect();
    redis.cli(&command).await.unwrap();
}

#[tokio::test]
async fn real_servers_show_a_producer_the_workers_and_tell_it_who_may_do_more() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let broker = vhost().await.unwrap();
    add_producer(&redis).await;
    let scheduler = Fleet::on(broker.amqp_url().to_owned(), redis.url(), "quorum");
    // A store is made by who may write all of it.
    scheduler.run(&["enqueue", "first"]).await.unwrap();
    let url = format!("redis://producer:secret@127.0.0.1:{}", redis.port());
    let producer = Fleet::on(broker.amqp_url().to_owned(), url, "quorum");
    let run = |args: &[&str]| {
        let output = producer.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            said,
        )
    };
    // Without a worker a fleet is not yet there, and nothing is said.
    let (code, _, said) = run(&["enqueue", "nobody_has_it"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let _worker = scheduler.start(&["worker", "--samples"]);
    eventually(LONG, "the producer sees a worker", || async {
        let (code, told, said) = run(&["worker", "ls", "-o", "jsonl"]);
        assert_eq!(code, Some(0), "{told}{said}");
        if told.is_empty() {
            let log = std::fs::read_to_string(scheduler.folder().join("worker-0.log"));
            Err(format!("{said}{}", log.unwrap_or_default()))
        } else {
            Ok(())
        }
    })
    .await
    .unwrap();
    // The registry of workers is theirs to read: a slip is told at once.
    let (code, id, said) = run(&["enqueue", "nobody_has_it"]);
    assert_eq!(code, Some(0), "{id}{said}");
    assert!(
        said.contains("no live worker has the function nobody_has_it"),
        "{said}"
    );
    for args in [&["worker", "ls"][..], &["stats"], &["job", "why", id.trim()]] {
        let (code, told, said) = run(args);
        assert_eq!(code, Some(0), "{args:?}: {told}{said}");
    }
    let (code, _, said) = run(&["token", "ls"]);
    assert_eq!(code, Some(10), "{said}");
    assert!(
        said.contains("longshore:tokens") && said.contains("gateway and scheduler may"),
        "{said}"
    );
}
