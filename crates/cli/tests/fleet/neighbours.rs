//! Jobs that must not wait for their neighbours: a function that one worker of ten has, and short jobs behind long ones.

use longshore_testkit::history::Ties;
use longshore_testkit::wait::eventually;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::scene::{REST, Scene, id_of, jobs};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_function_of_one_worker_of_ten_is_run_by_it() {
    let scene = Scene::shared().await;
    let _scheduler = scene.scheduler();
    let one = 1 + scene.below(9);
    let _workers: Vec<_> = (0..10)
        .map(|number| {
            let only = ["worker", "--max-workers", "2"];
            let rare = ["--set", "worker.commands.rare.program=cat"];
            let args = if number == one {
                [&only[..], &rare].concat()
            } else {
                only.to_vec()
            };
            scene.fleet.start(&args)
        })
        .collect();
    let rare = jobs(20, "rare", Value::Null);
    scene.enqueue(&rare).await;
    scene.enqueue(&jobs(40, "mark", 0.1)).await;
    let healed = Instant::now();
    scene.judge(healed, &Ties::default()).await;
    let known = scene.look().await.unwrap();
    for job in &rare {
        let seen = known.iter().find(|seen| id_of(seen) == id_of(job)).unwrap();
        assert_eq!(
            (&seen["status"], &seen["attempts"]),
            (&json!("completed"), &json!(1)),
            "{seen}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_deep_backlog_behind_long_jobs_is_done_by_the_idle() {
    let scene = Scene::shared().await;
    let _scheduler = scene.scheduler();
    let _busy = scene.fleet.start(&["worker", "--max-workers", "2"]);
    // Scaled: an hour is longer than anything here waits for.
    let long = jobs(2, "mark", 3_600);
    scene.enqueue(&long).await;
    scene.started(2).await;
    let backlog = jobs(200 + scene.below(100), "mark", 0.01);
    scene.enqueue(&backlog).await;
    let began = Instant::now();
    let _idle = scene.worker();
    eventually(REST, "the backlog is done", || async {
        let jobs = scene.look().await.unwrap();
        let open = jobs.iter().filter(|job| job["finished_at_ms"].is_null()).count();
        if open == 2 {
            Ok(())
        } else {
            Err(format!("{open} open"))
        }
    })
    .await
    .unwrap();
    eprintln!(
        "the backlog was done after {:.1} s",
        began.elapsed().as_secs_f64()
    );
    for job in &long {
        let shown = scene.fleet.job(job["id"].as_str().unwrap()).await;
        assert_eq!(shown["status"], "running", "{shown}");
        scene
            .fleet
            .run(&["job", "cancel", job["id"].as_str().unwrap()])
            .await
            .unwrap();
    }
    scene.judge(Instant::now(), &Ties::default()).await;
}
