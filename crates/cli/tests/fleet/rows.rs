//! Rows of indexes that vanish under a fleet that works.

use std::time::Duration;

use longshore_testkit::servers::{Redis, RedisOptions, SharedServers};
use longshore_testkit::wait::eventually;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::scene::{REST, Scene, family, jobs};

/// Takes rows of every index of every shard away, each third one beginning with the one that the test says.
async fn take_rows(redis: &Redis, first: usize) -> u64 {
    let script = "local taken = 0
        for shard = 0, 3 do
          for _, key in ipairs(redis.call('KEYS', string.format('{s%02d}:*', shard))) do
            if redis.call('TYPE', key).ok == 'zset' then
              for at, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do
                if at % 3 == tonumber(ARGV[1]) then taken = taken + redis.call('ZREM', key, id) end
              end
            end
          end
        end
        return taken";
    let taken = redis
        .cli(&["EVAL", script, "0", &first.to_string()])
        .await
        .unwrap();
    taken.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_rows_of_indexes_that_vanish_are_made_anew_by_the_doctor() {
    let servers = SharedServers::get().await.unwrap();
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let scene = Scene::on_vhost(servers.vhost(), redis.url());
    let workers = [scene.worker(), scene.worker()];
    let scheduler = scene.scheduler();
    scene.enqueue(&jobs(6, "mark", 6)).await;
    scene.started(6).await;
    let mut delayed = jobs(20, "mark", 0.1);
    for job in &mut delayed {
        job["delay"] = json!("3s");
    }
    let (family, ties) = family(12);
    for jobs in [&jobs(20, "mark", 0.2), &delayed, &family] {
        scene.enqueue(jobs).await;
    }
    sleep(Duration::from_millis(scene.random_below(2_000))).await;
    let taken = take_rows(&redis, scene.below(3)).await;
    assert!(taken > 5, "{taken} rows were there");
    // Somebody runs the doctor until it finds no row to repair, while daemons and jobs go on.
    eventually(REST, "the doctor finds nothing to repair in indexes", || {
        let findings = scene.findings(&["--fix"]);
        let of_indexes: Vec<_> = findings
            .into_iter()
            .filter(|finding| finding["subject"] == "index")
            .collect();
        for finding in &of_indexes {
            assert_eq!(finding["repaired"], true, "{finding}");
        }
        async move { of_indexes.is_empty() }
    })
    .await
    .unwrap();
    scene.judge(Instant::now(), &ties).await;
    scene.end(workers.into_iter().chain([scheduler]), &ties).await;
}
