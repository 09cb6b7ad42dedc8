//! The doctor on real servers: what is broken on purpose is found, and `--fix` repairs it.

use longshore_testkit::servers::{Redis, RedisOptions, SharedServers};
use serde_json::{Value, json};

use crate::process::Fleet;

/// What the doctor says, and its exit code.
fn doctor(fleet: &Fleet, options: &[&str]) -> (Option<i32>, Value) {
    let args = [&["doctor", "-o", "json"], options].concat();
    let output = fleet.command(&args).output().unwrap();
    let said = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), said)
}

/// Findings whose problem has this text.
fn found<'a>(said: &'a Value, problem: &str) -> Vec<&'a Value> {
    let findings = said["findings"].as_array().unwrap();
    let has = |finding: &&Value| finding["problem"].as_str().unwrap().contains(problem);
    findings.iter().filter(has).collect()
}

/// Jobs that wait: due now, due later, behind a parent.
async fn jobs(fleet: &Fleet) -> Vec<String> {
    let mut ids = Vec::new();
    for options in [&["--in", "1h"][..], &["--in", "2h", "--expires-in", "3h"]] {
        for _ in 0..10 {
            let args = [&["enqueue", "f"], options].concat();
            ids.push(fleet.run(&args).await.unwrap().trim().to_owned());
        }
    }
    let parent = ids[0].clone();
    ids.push(
        fleet
            .run(&["enqueue", "f", "--depends-on", &parent])
            .await
            .unwrap()
            .trim()
            .to_owned(),
    );
    ids
}

/// Takes every third row of every index away, gives one job rows that it must not have, and makes rows of nobody.
async fn spoil(redis: &Redis, victim: &str) -> u64 {
    let script = "local taken = 0
        for shard = 0, 3 do
          local prefix = string.format('{s%02d}:', shard)
          for _, key in ipairs(redis.call('KEYS', prefix .. '*')) do
            if redis.call('TYPE', key).ok == 'zset' and not string.find(key, 'finished:%d$') then
              for at, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do
                if at % 3 == 1 then taken = taken + redis.call('ZREM', key, id) end
              end
            end
          end
          redis.call('ZADD', prefix .. 'running', 1, ARGV[1], 2, 'nobody', 3, '0193f0a17c5e8001')
        end
        return taken";
    let victim = victim.replace('-', "");
    redis
        .cli(&["EVAL", script, "0", &victim])
        .await
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_the_doctor_repairs_an_index_that_lost_rows_and_gained_others() {
    let servers = SharedServers::get().await.unwrap();
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let fleet = Fleet::on(servers.amqp_url().to_owned(), redis.url(), "quorum");
    let ids = jobs(&fleet).await;
    let (_, sound) = doctor(&fleet, &[]);
    assert_eq!(sound["compared"]["records"], json!(ids.len()), "{sound}");
    assert!(found(&sound, "row").is_empty(), "{sound}");

    let taken = spoil(&redis, &ids[5]).await;
    assert!(taken > 5, "{taken} rows were taken away");
    let (code, broken) = doctor(&fleet, &[]);
    assert_eq!(code, Some(9), "{broken}");
    for problem in [
        "have no row in due",
        "have no row in all",
        "of running belong to no job",
    ] {
        let found = found(&broken, problem);
        assert!(
            !found.is_empty() && found.iter().all(|finding| finding["repaired"] == json!(false)),
            "{problem}: {broken}"
        );
    }

    let (_, fixed) = doctor(&fleet, &["--fix"]);
    let repaired = found(&fixed, "row");
    assert!(!repaired.is_empty());
    assert!(
        repaired.iter().all(|finding| finding["repaired"] == json!(true)),
        "{fixed}"
    );
    let (_, after) = doctor(&fleet, &[]);
    assert!(found(&after, "row").is_empty(), "{after}");
    assert_eq!(fleet.jobs(&["--limit", "100"]).await.len(), ids.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_the_doctor_sees_what_differs_in_the_broker_and_makes_what_is_missing() {
    let servers = SharedServers::get().await.unwrap();
    let fleet = Fleet::on(servers.amqp_url().to_owned(), servers.redis_url(), "quorum");
    // A command that publishes makes the exchanges and the queue that it needs.
    fleet.run(&["enqueue", "f"]).await.unwrap();
    let vhost = servers.vhost();
    vhost.delete_queue("longshore.dead").await.unwrap();
    vhost.delete_queue("jobs.default.normal").await.unwrap();
    let (code, said) = doctor(&fleet, &["--quick"]);
    assert_eq!((code, &said["healthy"]), (Some(9), &json!(false)));
    assert_eq!(
        found(&said, "the queue longshore.dead is missing").len(),
        1,
        "{said}"
    );
    assert_eq!(found(&said, "in no queue of the broker").len(), 1, "{said}");
    assert_eq!(found(&said, "no scheduler runs").len(), 1, "{said}");
    assert_eq!(found(&said, "no worker is live").len(), 1, "{said}");
    let rabbitmq = &said["servers"][1];
    assert!(
        rabbitmq["version"].as_str().unwrap().starts_with("3."),
        "{rabbitmq}"
    );
    assert!(rabbitmq["latency_ms"].as_f64().unwrap() > 0.0, "{rabbitmq}");

    let (_, fixed) = doctor(&fleet, &["--fix"]);
    let made = found(&fixed, "the queue longshore.dead is missing");
    assert_eq!(made[0]["repaired"], json!(true), "{fixed}");
    let names: Vec<_> = vhost
        .list_queues()
        .await
        .unwrap()
        .into_iter()
        .map(|queue| queue.name)
        .collect();
    assert!(names.contains(&"longshore.dead".to_owned()), "{names:?}");

    // The same queues under another profile: every one was made otherwise.
    let classic = Fleet::on(servers.amqp_url().to_owned(), servers.redis_url(), "classic");
    let (code, said) = doctor(&classic, &["--quick"]);
    assert_eq!(code, Some(9));
    assert!(
        !found(&said, "x-queue-type is quorum in RabbitMQ and classic here").is_empty(),
        "{said}"
    );

    let policy = r#"{"alternate-exchange":"amq.fanout"}"#;
    let args = ["set_policy", "-p", vhost.name(), "ae", "^longshore.jobs$", policy];
    let args = [&args[..], &["--apply-to", "exchanges"]].concat();
    vhost.control().ctl(&args).await.unwrap();
    // The alternate exchange leads somewhere: what it takes does not come back.
    let resource =
        |kind: &str, name: &str| format!("{{resource, <<\"{}\">>, {kind}, <<\"{name}\">>}}", vhost.name());
    let bind = format!(
        "rabbit_binding:add({{binding, {}, <<>>, {}, []}}, <<\"test\">>)",
        resource("exchange", "amq.fanout"),
        resource("queue", "longshore.dead")
    );
    vhost.control().eval(&bind).await.unwrap();
    let (_, said) = doctor(&fleet, &["--quick"]);
    assert_eq!(found(&said, "has an alternate exchange").len(), 1, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_redis_that_may_lose_jobs_is_told_by_readers_and_refused_by_writers() {
    let servers = SharedServers::get().await.unwrap();
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let fleet = Fleet::on(servers.amqp_url().to_owned(), redis.url(), "quorum");
    fleet.run(&["enqueue", "f"]).await.unwrap();
    redis.config_set("maxmemory-policy", "allkeys-lru").await.unwrap();
    let run = |args: &[&str]| {
        let output = fleet.command(args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            said,
        )
    };
    let (code, listed, said) = run(&["job", "ls"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        listed.contains("queued") && said.contains("warning: ") && said.contains("noeviction"),
        "{said}"
    );
    let (code, _, said) = run(&["enqueue", "f"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("allow_degraded = true"), "{said}");
    let (code, _, said) = run(&["enqueue", "f", "--set", "allow_degraded=true"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = doctor(&fleet, &["--quick"]);
    assert_eq!(code, Some(9), "{said}");
    let told = found(&said, "maxmemory-policy is \"allkeys-lru\"");
    assert!(told[0]["fix"].as_str().unwrap().contains("noeviction"), "{said}");
    redis.kill9();
    let (code, said) = doctor(&fleet, &["--quick"]);
    assert_eq!(code, Some(9), "{said}");
    assert_eq!(said["servers"][0]["latency_ms"], json!(null), "{said}");
}
