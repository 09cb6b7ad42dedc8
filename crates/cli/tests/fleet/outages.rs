//! Servers that freeze, die, forget or refuse, under a fleet of processes.

use std::time::Duration;

use longshore_testkit::history::{Event, Ties};
use longshore_testkit::servers::{RabbitMq, RabbitMqOptions, Redis, RedisOptions, SharedServers};
use longshore_testkit::wait::eventually;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::process::Fleet;
use crate::scene::{REST, Scene, id_of, jobs};

async fn redis() -> Redis {
    Redis::start(RedisOptions::default()).await.unwrap()
}

/// Jobs that run for a while and jobs that wait behind them.
async fn load(scene: &Scene) {
    scene.enqueue(&jobs(6, "mark", 8)).await;
    scene.started(6).await;
    scene.enqueue(&jobs(30, "mark", 0.1)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_redis_that_freezes_ten_seconds_and_is_killed_costs_nothing() {
    let (servers, redis) = (SharedServers::get().await.unwrap(), redis().await);
    let scene = Scene::on_vhost(servers.vhost(), redis.url());
    let workers = [scene.worker(), scene.worker()];
    let scheduler = scene.scheduler();
    load(&scene).await;
    sleep(Duration::from_millis(scene.random_below(2_000))).await;
    redis.freeze();
    sleep(Duration::from_secs(10)).await;
    redis.kill9();
    redis.restart().await.unwrap();
    scene.judge(Instant::now(), &Ties::default()).await;
    scene
        .end(workers.into_iter().chain([scheduler]), &Ties::default())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_redis_that_forgets_its_last_seconds_costs_only_what_waited_in_it() {
    let (servers, redis) = (SharedServers::get().await.unwrap(), redis().await);
    let scene = Scene::on_vhost(servers.vhost(), redis.url());
    // What was published, taken and forgotten is found by the audit, which waits for nothing else here.
    scene.configure("\n[scheduler]\nhold_limit = \"10s\"\n");
    let worker = scene.worker();
    let scheduler = scene.scheduler();
    let long = jobs(3, "mark", 10);
    scene.enqueue(&long).await;
    scene.started(3).await;
    let before = jobs(20, "mark", 0.2);
    scene.enqueue(&before).await;

    let moment = redis.written().unwrap();
    let later = jobs(20, "mark", 0.2);
    scene.enqueue(&later).await;
    let mut waits = jobs(5, "mark", 0.1);
    for job in &mut waits {
        job["delay"] = json!("4s");
    }
    scene.enqueue(&waits).await;
    sleep(Duration::from_millis(300 + scene.random_below(1_000))).await;
    redis.restart_at(moment).await.unwrap();
    let healed = Instant::now();
    for jobs in [&long, &before, &later, &waits] {
        scene.note(jobs, &Event::StoreWentBack);
    }
    // Beyond the promise: what waited in the lost part of Redis alone, and what had been done in it and is forgotten.
    scene.excuse(&waits);
    let done = scene.ended();
    let forgotten: Vec<_> = later
        .iter()
        .filter(|job| done.contains(&id_of(job)))
        .cloned()
        .collect();
    scene.excuse(&forgotten);
    let verdict = scene.judge(healed, &Ties::default()).await;
    scene.end([worker, scheduler], &Ties::default()).await;
    assert!(verdict.excused >= waits.len(), "{verdict}");
    let known = scene.look().await.unwrap();
    for job in later.iter().filter(|job| !done.contains(&id_of(job))) {
        assert!(
            known.iter().any(|seen| seen["id"] == job["id"]),
            "{job} had a message and is gone"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_both_servers_killed_at_once_cost_nothing() {
    let (broker, redis) = (RabbitMq::start().await.unwrap(), redis().await);
    let scene = Scene::on_broker(&broker, redis.url());
    let workers = [scene.worker(), scene.worker()];
    let scheduler = scene.scheduler();
    load(&scene).await;
    // A node writes the definitions of its queues late; without them its restart is another fault than this one.
    broker.control().write_buffered().await.unwrap();
    sleep(Duration::from_millis(scene.random_below(2_000))).await;
    broker.kill9();
    redis.kill9();
    let (broker, redis) = tokio::join!(broker.restart(), redis.restart());
    broker.unwrap();
    redis.unwrap();
    scene.judge(Instant::now(), &Ties::default()).await;
    scene
        .end(workers.into_iter().chain([scheduler]), &Ties::default())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_broker_that_freezes_thirty_seconds_costs_nothing() {
    let (broker, redis) = (RabbitMq::start().await.unwrap(), redis().await);
    let scene = Scene::on_broker(&broker, redis.url());
    let workers = [scene.worker(), scene.worker()];
    let scheduler = scene.scheduler();
    load(&scene).await;
    sleep(Duration::from_millis(scene.random_below(2_000))).await;
    broker.freeze();
    let frozen = Instant::now();
    // Deferred: recorded, and published when the broker answers again.
    scene.enqueue(&jobs(20, "mark", 0.1)).await;
    assert!(frozen.elapsed() < Duration::from_secs(30), "the enqueue hung");
    tokio::time::sleep_until(frozen + Duration::from_secs(30)).await;
    broker.thaw();
    scene.judge(Instant::now(), &Ties::default()).await;
    scene
        .end(workers.into_iter().chain([scheduler]), &Ties::default())
        .await;
}

async fn messages(broker: &RabbitMq) -> u64 {
    let queues = broker.control().list_queues("/").await.unwrap();
    let jobs = queues.iter().filter(|queue| queue.name.starts_with("jobs."));
    jobs.map(|queue| queue.ready + queue.unacked).sum()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_memory_alarm_of_two_minutes_multiplies_nothing() {
    let (broker, redis) = (RabbitMq::start().await.unwrap(), redis().await);
    let mut fleet = Fleet::on(broker.amqp_url(), redis.url(), "quorum");
    // Messages are counted: one a job, whatever processes do otherwise.
    let one =
        ["BUNDLE_MAX", "SCHEDULER__BUNDLE_MAX"].map(|name| (format!("LONGSHORE_{name}"), "1".to_owned()));
    fleet.env(one);
    let scene = Scene::of(fleet);
    let _schedulers = [scene.scheduler(), scene.scheduler()];
    let worker = scene.worker();
    scene.enqueue(&jobs(4, "mark", 0.1)).await;
    scene.started(4).await;
    worker.term();
    broker.control().set_vm_memory_high_watermark(0.0).await.unwrap();
    let alarm = Instant::now();
    let mut waiting = 0;
    while alarm.elapsed() < Duration::from_secs(120) {
        let more = jobs(1 + scene.below(10), "mark", 0.1);
        scene.enqueue(&more).await;
        waiting += more.len() as u64;
        let seen = messages(&broker).await;
        assert!(seen <= waiting, "{seen} messages of {waiting} jobs");
        sleep(Duration::from_secs(5)).await;
    }
    broker.control().set_vm_memory_high_watermark(0.4).await.unwrap();
    let healed = Instant::now();
    // Nobody takes any: every job has its message in the end. A second one is possible only of what was written to a
    // connection before its owner heard of the alarm; the outbox, which looks again and again, adds none.
    eventually(REST, "every job has its message", || async {
        let seen = messages(&broker).await;
        assert!(seen <= waiting + waiting / 2, "{seen} messages of {waiting} jobs");
        if seen >= waiting {
            Ok(())
        } else {
            Err(format!("{seen} of {waiting}"))
        }
    })
    .await
    .unwrap();
    let _worker = scene.worker();
    scene.judge(healed, &Ties::default()).await;
    // Counts of quorum queues may be half a second old.
    eventually(REST, "no message is left", || async {
        let seen = messages(&broker).await;
        if seen == 0 { Ok(()) } else { Err(seen) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_consumer_time_out_that_is_exceeded_costs_nothing() {
    // Far below what the worker was told.
    let options = RabbitMqOptions::default().line("consumer_timeout = 10000");
    let (broker, redis) = (RabbitMq::start_with(options).await.unwrap(), redis().await);
    // A channel looks at its deliveries once a minute otherwise.
    let often = "ok = application:set_env(rabbit, channel_tick_interval, 2000)";
    broker.control().eval(often).await.unwrap();
    let scene = Scene::on_broker(&broker, redis.url());
    let workers = [scene.worker(), scene.worker()];
    let scheduler = scene.scheduler();
    scene.enqueue(&jobs(5, "mark", 25 + scene.below(10))).await;
    scene.started(5).await;
    let healed = Instant::now();
    for _ in 0..10 {
        scene.enqueue(&jobs(5, "mark", 0.1)).await;
        sleep(Duration::from_secs(2)).await;
    }
    scene.judge(healed, &Ties::default()).await;
    scene
        .end(workers.into_iter().chain([scheduler]), &Ties::default())
        .await;
    let closed = broker.log_text();
    assert!(
        closed.contains("delivery acknowledgement"),
        "no channel was closed: {closed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_deleted_dead_letter_queues_are_made_anew_and_lose_no_dead_letter() {
    let scene = Scene::shared().await;
    let vhost = scene.fleet.servers().vhost();
    let archived = || async {
        let queues = vhost.list_queues().await.unwrap();
        let archive = queues.iter().find(|queue| queue.name == "longshore.dead");
        archive.map_or(0, |queue| queue.ready + queue.unacked)
    };
    let _worker = scene.worker();
    let _scheduler = scene.scheduler();
    let letters = |count| {
        let mut letters = jobs(count, "once", Value::Null);
        for letter in &mut letters {
            letter["max_retries"] = json!(0);
        }
        letters
    };
    let (early, late) = (letters(10), letters(5 + scene.below(5)));
    scene.enqueue(&early).await;
    scene.judge(Instant::now(), &Ties::default()).await;
    eventually(REST, "the first have their twins", || async {
        archived().await >= 10
    })
    .await
    .unwrap();
    for queue in ["longshore.dead", "longshore.dlx.inbox"] {
        vhost.delete_queue(queue).await.unwrap();
    }
    scene.enqueue(&late).await;
    let healed = Instant::now();
    scene.judge(healed, &Ties::default()).await;
    let expected = late.len() as u64;
    eventually(REST, "the later ones have their twins", || async {
        archived().await >= expected
    })
    .await
    .unwrap();
    // The records have them all.
    for jobs in [&early, &late] {
        scene.note(jobs, &Event::Requeued);
    }
    let all = ["dlq", "requeue", "--function", "once"];
    scene.fleet.run(&all).await.unwrap();
    let healed = Instant::now();
    scene.judge(healed, &Ties::default()).await;
    let counts = scene.counts().await;
    assert_eq!(
        counts.get("completed"),
        Some(&(early.len() + late.len())),
        "{counts:?}"
    );
    eventually(REST, "no twin is left", || async { archived().await == 0 })
        .await
        .unwrap();
}
