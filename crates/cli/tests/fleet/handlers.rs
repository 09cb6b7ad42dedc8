//! Handlers that take their worker with them, and workers that die with a job that was cancelled.

use longshore_testkit::history::{Event, Ties};
use longshore_testkit::process::Proc;
use serde_json::Value;
use tokio::time::Instant;

use crate::scene::{REST, Scene, id_of, jobs};

/// Starts every worker anew that has ended, as a supervisor does, until every job has ended.
async fn supervise(scene: &Scene, workers: &mut [Proc]) -> usize {
    let mut deaths = 0;
    let began = Instant::now();
    while scene.at_rest().await.is_err() {
        assert!(began.elapsed() < REST, "jobs wait for ever");
        for worker in &mut *workers {
            if worker.try_wait().is_some() {
                deaths += 1;
                *worker = scene.worker();
            }
        }
    }
    deaths
}

fn status_of<'a>(known: &'a [Value], job: &Value) -> &'a str {
    let found = known.iter().find(|seen| id_of(seen) == id_of(job));
    found.unwrap()["status"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_handler_that_aborts_its_process_fails_in_the_end_and_harms_nobody() {
    let scene = Scene::shared().await;
    let _scheduler = scene.scheduler();
    let mut workers = [scene.worker(), scene.worker()];
    let innocent = jobs(20 + scene.below(20), "mark", 0.2);
    let (once, always) = (jobs(1, "poison", 1), jobs(1, "poison", 99));
    for jobs in [&innocent, &once, &always] {
        scene.enqueue(jobs).await;
    }
    let began = Instant::now();
    let deaths = supervise(&scene, &mut workers).await;
    scene.judge(began, &Ties::default()).await;
    let known = scene.look().await.unwrap();
    assert_eq!(
        status_of(&known, &always[0]),
        "failed",
        "it took {deaths} workers"
    );
    assert_eq!(status_of(&known, &once[0]), "completed");
    for job in &innocent {
        assert_eq!(status_of(&known, job), "completed");
    }
    // Three of the job that always does it, and one of the other unless they shared the first.
    assert!((3..=5).contains(&deaths), "{deaths} workers died");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_worker_that_is_told_to_end_hands_its_long_jobs_back() {
    let scene = Scene::shared().await;
    let _scheduler = scene.scheduler();
    let short = [
        "worker",
        "--max-workers",
        "4",
        "--set",
        "worker.drain_deadline=1s",
    ];
    let ending = scene.fleet.start(&short);
    scene.enqueue(&jobs(4, "mark", 6 + scene.below(4))).await;
    scene.started(4).await;
    scene.enqueue(&jobs(8, "mark", 0.1)).await;
    ending.term();
    let status = ending.wait(REST).await.unwrap();
    assert!(status.success(), "{status}: {}", ending.log_tail());
    let healed = Instant::now();
    let _other = scene.worker();
    scene.judge(healed, &Ties::default()).await;
    for job in scene.look().await.unwrap() {
        // One in sixteen fails once; a start that was undone counts for nothing.
        assert!(job["attempts"].as_u64() <= Some(2), "{job}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_cancel_outlives_the_worker_that_dies_with_it() {
    let scene = Scene::shared().await;
    let _scheduler = scene.scheduler();
    let dying = scene.worker();
    let long = jobs(3, "mark", 40 + scene.below(10));
    scene.enqueue(&long).await;
    scene.started(3).await;
    // The worker is told and cannot act any more.
    dying.stop();
    for job in &long {
        let id = job["id"].as_str().unwrap();
        scene.fleet.run(&["job", "cancel", id]).await.unwrap();
    }
    scene.note(&long, &Event::CancelTold);
    dying.kill9();
    let healed = Instant::now();
    let _other = scene.worker();
    scene.judge(healed, &Ties::default()).await;
    let known = scene.look().await.unwrap();
    for job in &long {
        assert_eq!(status_of(&known, job), "cancelled");
    }
    assert_eq!(scene.starts(), 3, "nobody started what was cancelled");
}
