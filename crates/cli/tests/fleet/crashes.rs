//! Every line of the protocol's crash table: a process ends itself there, on real servers, and the history of the jobs
//! decides what that did.

use longshore_testkit::history::{Event, Ties};
use longshore_testkit::wait::eventually;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::scene::{REST, Scene, ended_at_its_point, family, id_of, jobs};

/// What a producer leaves behind that died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaves {
    /// Nothing at all, or whole shards of its jobs.
    Shards,
    /// Some of its jobs.
    Jobs,
}

/// A producer dies at `point` on its way through these jobs. Whatever it left ends although nobody asks again; then
/// somebody asks again for all.
async fn producer_dies(scene: &Scene, point: &str, family: &[Value], ties: &Ties, leaves: Leaves) {
    let (_worker, _scheduler) = (scene.worker(), scene.scheduler());
    // A queue that has just been made may refuse what comes first, and what is deferred reaches no later point.
    scene.enqueue(&jobs(1, "mark", 0.0)).await;
    let jobs = family;
    let producer = scene
        .fleet
        .start_until(point, &["enqueue", "--file", &scene.file(jobs)]);
    ended_at_its_point(&producer).await;
    let healed = Instant::now();
    let left = scene.look().await.unwrap().len() - 1;
    assert!(leaves == Leaves::Shards || left > 0, "nothing was left");
    assert!(leaves == Leaves::Jobs || left < jobs.len(), "all was left");
    scene.judge(healed, ties).await;
    scene.enqueue(jobs).await;
    let verdict = scene.judge(Instant::now(), ties).await;
    assert_eq!(verdict.acknowledged, jobs.len() + 1);
    nothing_is_left(scene).await;
    scene.nothing_started_twice().await;
}

/// Neither the outbox nor the broker has anything of jobs that have ended, and nothing starts any more.
async fn nothing_is_left(scene: &Scene) {
    scene.nothing_is_left().await;
    scene.looked().await;
    let verdict = scene.verdict(&Ties::default());
    assert_eq!(verdict.violations, [], "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_producer_that_dies_before_the_record_leaves_nothing_of_it() {
    let scene = Scene::shared().await;
    let (jobs, point) = (
        jobs(24, "mark", 0.05),
        format!("before-record:{}", 1 + scene.below(3)),
    );
    producer_dies(&scene, &point, &jobs, &Ties::default(), Leaves::Shards).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_producer_that_dies_after_the_record_loses_none() {
    let scene = Scene::shared().await;
    let (jobs, point) = (
        jobs(24, "mark", 0.05),
        format!("after-record:{}", 1 + scene.below(3)),
    );
    producer_dies(&scene, &point, &jobs, &Ties::default(), Leaves::Jobs).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_producer_that_dies_after_publish_before_the_mark_doubles_none() {
    let scene = Scene::shared().await;
    let jobs = jobs(24, "mark", 0.05);
    producer_dies(&scene, "before-mark", &jobs, &Ties::default(), Leaves::Jobs).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_producer_that_dies_before_the_registration_strands_no_child() {
    let scene = Scene::shared().await;
    let (jobs, ties) = family(12);
    let point = format!("before-registration:{}", 1 + scene.below(3));
    producer_dies(&scene, &point, &jobs, &ties, Leaves::Jobs).await;
}

/// A worker dies at `point`; another one goes on.
async fn worker_dies(scene: &Scene, point: &str) {
    let _scheduler = scene.scheduler();
    let dying = scene.fleet.start_until(point, &["worker", "--max-workers", "4"]);
    scene.enqueue(&jobs(24, "mark", 0.1)).await;
    ended_at_its_point(&dying).await;
    let healed = Instant::now();
    let _worker = scene.worker();
    scene.judge(healed, &Ties::default()).await;
    nothing_is_left(scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_worker_that_dies_before_its_first_claim_loses_none() {
    worker_dies(&Scene::shared().await, "before-claim").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_worker_that_dies_before_a_claim_loses_none() {
    let scene = Scene::shared().await;
    let point = format!("before-claim:{}", 2 + scene.below(8));
    worker_dies(&scene, &point).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_worker_that_dies_with_granted_claims_loses_none() {
    let scene = Scene::shared().await;
    let point = format!("after-claim:{}", 1 + scene.below(8));
    worker_dies(&scene, &point).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_worker_that_dies_after_a_finish_before_the_ack_doubles_none() {
    let scene = Scene::shared().await;
    let point = format!("after-finish:{}", 1 + scene.below(8));
    worker_dies(&scene, &point).await;
}

/// A scheduler dies at `point` while it looks after these jobs; another one goes on.
async fn scheduler_dies(scene: &Scene, point: &str, jobs: &[Value], ties: &Ties) {
    let _worker = scene.worker();
    let dying = scene.fleet.start_until(point, &["scheduler"]);
    scene.enqueue(jobs).await;
    ended_at_its_point(&dying).await;
    let healed = Instant::now();
    let _scheduler = scene.scheduler();
    scene.judge(healed, ties).await;
    nothing_is_left(scene).await;
    scene.nothing_started_twice().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_scheduler_that_dies_with_leased_rows_loses_none() {
    let scene = Scene::shared().await;
    let (jobs, ties) = family(12);
    let point = format!("after-lease:{}", 1 + scene.below(3));
    scheduler_dies(&scene, &point, &jobs, &ties).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_scheduler_that_dies_with_promoted_jobs_loses_none() {
    let scene = Scene::shared().await;
    let mut delayed = jobs(16, "mark", 0.05);
    for job in &mut delayed {
        job["delay"] = json!("2s");
    }
    let point = format!("after-promotion:{}", 1 + scene.below(3));
    scheduler_dies(&scene, &point, &delayed, &Ties::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_scheduler_that_dies_after_publish_before_the_mark_doubles_none() {
    let scene = Scene::shared().await;
    let (jobs, ties) = family(12);
    let point = format!("before-mark:{}", 1 + scene.below(3));
    scheduler_dies(&scene, &point, &jobs, &ties).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_scheduler_that_dies_before_it_tells_children_strands_none() {
    let scene = Scene::shared().await;
    let (jobs, ties) = family(12);
    let point = format!("before-telling:{}", 1 + scene.below(4));
    scheduler_dies(&scene, &point, &jobs, &ties).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_scheduler_that_dies_after_it_told_children_starts_none_twice() {
    let scene = Scene::shared().await;
    let (jobs, ties) = family(12);
    let point = format!("after-telling:{}", 1 + scene.below(4));
    scheduler_dies(&scene, &point, &jobs, &ties).await;
}

/// The archive's messages.
async fn archived(scene: &Scene) -> u64 {
    let queues = scene.fleet.servers().vhost().list_queues().await.unwrap();
    let archive = queues.iter().find(|queue| queue.name == "longshore.dead");
    archive.map_or(0, |queue| queue.ready + queue.unacked)
}

/// A scheduler dies at `point` while it copies dead letters; each has its twin in the end, and none once all are gone.
async fn keeper_dies(point: &str) {
    let scene = Scene::shared().await;
    let mut letters = jobs(12, "fails", Value::Null);
    for letter in &mut letters {
        letter["max_retries"] = json!(0);
    }
    scheduler_dies(&scene, point, &letters, &Ties::default()).await;
    let _keeper = scene.scheduler();
    eventually(REST, "every dead letter has its twin", || async {
        let twins = archived(&scene).await;
        if (12..=24).contains(&twins) {
            Ok(())
        } else {
            Err(format!("{twins} twins"))
        }
    })
    .await
    .unwrap();
    scene
        .fleet
        .run(&["dlq", "discard", "--function", "fails", "--yes"])
        .await
        .unwrap();
    eventually(REST, "no twin is left", || async {
        let twins = archived(&scene).await;
        if twins == 0 {
            Ok(())
        } else {
            Err(format!("{twins} twins"))
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_scheduler_that_dies_before_the_archive_copy_loses_no_twin() {
    keeper_dies("before-copy").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_scheduler_that_dies_after_the_archive_copy_leaves_no_stray_twin() {
    keeper_dies("after-copy").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a line of the crash table; `scripts/faults` runs it"]
async fn real_servers_soak_a_scheduler_that_dies_after_a_tick_makes_one_job_of_it() {
    let scene = Scene::shared().await;
    let entries = ["a", "b", "c", "d"];
    let entry = |name: &&str| {
        format!("\n[cron.{name}]\nexpression = \"*/2 * * * * *\"\nfunction = \"mark\"\nargs = 0.05\n")
    };
    scene.configure(&entries.iter().map(entry).collect::<String>());
    let _worker = scene.worker();
    let point = format!("after-tick:{}", 1 + scene.below(4));
    let dying = scene.fleet.start_until(&point, &["scheduler"]);
    ended_at_its_point(&dying).await;
    let healed = Instant::now();
    let _scheduler = scene.scheduler();
    scene.started(12).await;
    let pause = [&["cron", "pause"][..], &entries].concat();
    scene.fleet.run(&pause).await.unwrap();
    let mut ties = Ties::default();
    for job in scene.look().await.unwrap() {
        let tag = job["tags"][0].as_str().unwrap().to_owned();
        // The id of a tick's job begins with its time.
        let id = id_of(&job).uuid().simple().to_string();
        let tick = u64::from_str_radix(&id[..12], 16).unwrap();
        ties.ticks.entry((tag, tick)).or_default().push(id_of(&job));
        scene.note(&[job], &Event::Acknowledged);
    }
    assert!(ties.ticks.len() >= 8, "{:?}", ties.ticks);
    scene.judge(healed, &ties).await;
    nothing_is_left(&scene).await;
}
