//! A clock of Redis that jumps by an hour and back, under a fleet that works.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::Timestamp;
use longshore_testkit::clock::ServerClock;
use longshore_testkit::history::Ties;
use longshore_testkit::servers::{Redis, RedisOptions, SharedServers};
use longshore_testkit::wait::eventually;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::scene::{REST, Scene, family, id_of, jobs};

const HOUR: Duration = Duration::from_secs(3_600);
/// How exact the moved clock runs.
const TICK: Duration = Duration::from_millis(10);

/// Lets the server's clock run on from where it is set, for this long.
async fn run(clock: &ServerClock, time: Duration) {
    let (from, began) = (clock.now(), Instant::now());
    while began.elapsed() < time {
        sleep(TICK).await;
        let passed = u64::try_from(began.elapsed().as_millis()).unwrap();
        clock.set(Timestamp(from.millis() + passed)).unwrap();
    }
}

async fn work(scene: &Scene) -> Ties {
    scene.enqueue(&jobs(4, "mark", 1 + scene.below(3))).await;
    let mut delayed = jobs(8, "mark", 0.1);
    for job in &mut delayed {
        job["delay"] = json!("4s");
    }
    scene.enqueue(&delayed).await;
    let (family, ties) = family(8);
    scene.enqueue(&family).await;
    ties
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_clock_of_redis_that_jumps_an_hour_ahead_costs_nothing() {
    let clock = ServerClock::new().await.unwrap();
    let servers = SharedServers::get().await.unwrap();
    let options = RedisOptions::default().environment(clock.environment());
    let redis = Redis::start(options).await.unwrap();
    let scene = Scene::on(servers.amqp_url().to_owned(), redis.url());
    let _workers = [scene.worker(), scene.worker()];
    let _scheduler = scene.scheduler();
    let mut ties = work(&scene).await;
    scene.started(4).await;
    sleep(Duration::from_millis(scene.random_below(2_000))).await;
    clock.freeze().unwrap();
    clock.advance(HOUR).unwrap();
    let healed = Instant::now();
    let judged = async {
        ties.parents.extend(work(&scene).await.parents);
        scene.judge(healed, &ties).await
    };
    tokio::select! {
        _ = judged => {}
        () = run(&clock, Duration::from_secs(600)) => panic!("it does not come to rest"),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_clock_of_redis_that_goes_back_a_minute_costs_a_minute() {
    let clock = ServerClock::new().await.unwrap();
    let servers = SharedServers::get().await.unwrap();
    let options = RedisOptions::default().environment(clock.environment());
    let redis = Redis::start(options).await.unwrap();
    let scene = Scene::on(servers.amqp_url().to_owned(), redis.url());
    let _workers = [scene.worker(), scene.worker()];
    let _scheduler = scene.scheduler();
    let mut ties = work(&scene).await;
    scene.started(4).await;
    sleep(Duration::from_millis(scene.random_below(2_000))).await;
    clock.freeze().unwrap();
    let now = clock.now().millis();
    clock.set(Timestamp(now - 60_000)).unwrap();
    let healed = Instant::now();
    let judged = async {
        ties.parents.extend(work(&scene).await.parents);
        scene.judge(healed, &ties).await
    };
    tokio::select! {
        _ = judged => {}
        () = run(&clock, Duration::from_secs(600)) => panic!("it does not come to rest"),
    }
}

/// What waits for a time waits for the clock: it is due an hour late, or once the clock is right. Everything else goes on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_clock_of_redis_that_goes_back_an_hour_holds_up_what_waits_for_a_time_alone() {
    let clock = ServerClock::new().await.unwrap();
    let servers = SharedServers::get().await.unwrap();
    let options = RedisOptions::default().environment(clock.environment());
    let redis = Redis::start(options).await.unwrap();
    let scene = Scene::on(servers.amqp_url().to_owned(), redis.url());
    let _workers = [scene.worker(), scene.worker()];
    let _scheduler = scene.scheduler();
    let ties = work(&scene).await;
    scene.started(4).await;
    sleep(Duration::from_millis(scene.random_below(2_000))).await;
    clock.freeze().unwrap();
    let now = clock.now().millis();
    clock.set(Timestamp(now - 3_600_000)).unwrap();
    let meanwhile = jobs(20, "mark", 0.1);
    let worked = async {
        scene.enqueue(&meanwhile).await;
        let ids: BTreeSet<_> = meanwhile.iter().map(id_of).collect();
        eventually(REST, "what came under the wrong clock has ended", || async {
            let jobs = scene.look().await.unwrap_or_default();
            let ended = jobs
                .iter()
                .filter(|job| ids.contains(&id_of(job)) && !job["finished_at_ms"].is_null())
                .count();
            if ended == ids.len() {
                Ok(())
            } else {
                Err(format!("{ended} have"))
            }
        })
        .await
        .unwrap();
    };
    tokio::select! {
        () = worked => {}
        () = run(&clock, Duration::from_secs(600)) => panic!("it does not come to rest"),
    }
    clock.advance(HOUR).unwrap();
    let healed = Instant::now();
    tokio::select! {
        _ = scene.judge(healed, &ties) => {}
        () = run(&clock, Duration::from_secs(600)) => panic!("it does not come to rest"),
    }
}
