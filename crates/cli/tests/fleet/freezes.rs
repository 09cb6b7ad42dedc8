//! Processes of ours that freeze and are woken long after others took their place.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_testkit::history::{Event, Ties};
use longshore_testkit::wait::eventually;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::scene::{REST, Scene, id_of, jobs};

/// Longer than a lease of a job, and than that of a scheduler's shards.
const FROZEN: Duration = Duration::from_secs(45);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_worker_woken_after_its_lease_finishes_nothing_twice() {
    let scene = Scene::shared().await;
    let scheduler = scene.scheduler();
    let frozen = scene.worker();
    scene.enqueue(&jobs(4, "mark", 2 + scene.below(3))).await;
    scene.started(4).await;
    scene.enqueue(&jobs(12, "mark", 0.2)).await;
    sleep(Duration::from_millis(scene.random_below(1_500))).await;
    frozen.stop();
    let other = scene.worker();
    sleep(FROZEN).await;
    // How its jobs ended with others is seen before it has a say again.
    eventually(REST, "others have taken over", || scene.at_rest())
        .await
        .unwrap();
    // Its handlers have ended meanwhile; it wakes with ends to tell that are nobody's any more.
    frozen.cont();
    let woken = Instant::now();
    scene.enqueue(&jobs(12, "mark", 0.2)).await;
    let verdict = scene.judge(woken, &Ties::default()).await;
    assert!(verdict.starts >= 32, "nobody took over: {verdict}");
    scene.end([frozen, other, scheduler], &Ties::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_scheduler_woken_after_a_freeze_makes_nothing_twice() {
    let scene = Scene::shared().await;
    let entries: BTreeSet<_> = ["a", "b", "c", "d"].into();
    let entry = |name: &&str| {
        format!("\n[cron.{name}]\nexpression = \"*/3 * * * * *\"\nfunction = \"mark\"\nargs = 0.05\n")
    };
    scene.configure(&entries.iter().map(entry).collect::<String>());
    let worker = scene.worker();
    let old = scene.scheduler();
    scene.started(4).await;
    let mut delayed = jobs(12, "mark", 0.1);
    for job in &mut delayed {
        job["delay"] = json!("2s");
    }
    scene.enqueue(&delayed).await;
    sleep(Duration::from_millis(scene.random_below(3_000))).await;
    old.stop();
    let new = scene.scheduler();
    let began = Instant::now();
    while began.elapsed() < FROZEN {
        scene.enqueue(&jobs(4, "mark", 0.1)).await;
        sleep(Duration::from_secs(5)).await;
    }
    scene.looked().await;
    old.cont();
    let woken = Instant::now();
    sleep(Duration::from_secs(7)).await;
    let pause: Vec<_> = ["cron", "pause"].into_iter().chain(entries).collect();
    scene.fleet.run(&pause).await.unwrap();
    let mut ties = Ties::default();
    for job in scene.look().await.unwrap() {
        let Some(tag) = job["tags"][0].as_str() else {
            continue;
        };
        let id = id_of(&job).uuid().simple().to_string();
        let tick = u64::from_str_radix(&id[..12], 16).unwrap();
        ties.ticks
            .entry((tag.to_owned(), tick))
            .or_default()
            .push(id_of(&job));
        scene.note(&[job], &Event::Acknowledged);
    }
    assert!(ties.ticks.len() > 8, "{:?}", ties.ticks);
    scene.judge(woken, &ties).await;
    scene.end([worker, old, new], &ties).await;
}
