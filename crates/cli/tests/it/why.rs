//! Asking why, and who works, through the command.

use longshore_testkit::wait::eventually;
use serde_json::json;

use crate::binary::{Folder, LONG};

#[test]
fn why_tells_people_and_programs_the_same() {
    let folder = Folder::new();
    let parent = folder.ok(&["enqueue", "p"]).trim().to_owned();
    let child = folder.ok(&["enqueue", "f", "--depends-on", &parent]);
    let child = child.trim();
    folder.ok(&["queue", "pause", "default"]);
    let told = folder.json(&["job", "why", child]);
    let obstacles = told["obstacles"].as_array().unwrap();
    let reasons: Vec<_> = obstacles.iter().map(|told| told["reason"].clone()).collect();
    assert_eq!(
        reasons,
        ["waits_for_parents", "queue_paused", "no_worker_has_function"]
    );
    assert_eq!(told["status"], json!("blocked"));
    assert_eq!(obstacles[0]["parents"][0]["id"], json!(parent));
    assert_eq!(obstacles[0]["parents"][0]["status"], json!("queued"));
    let text = folder.ok(&["job", "why", child]);
    for told in obstacles {
        for key in ["explanation", "remedy"] {
            assert!(text.contains(told[key].as_str().unwrap()), "{text}");
        }
    }

    let nobody = "0193f0a1-7c5e-8001-9313-0242ac120002";
    let output = folder.run(&["job", "why", nobody, "-o", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert_eq!(document["obstacles"][0]["reason"], json!("unknown"));
    assert_eq!(folder.run(&["job", "why", "no-id"]).status.code(), Some(2));
}

#[tokio::test]
async fn a_guest_of_dev_asks_why_and_lists_its_worker() {
    let folder = Folder::new();
    assert_eq!(folder.json(&["worker", "ls"]), json!([]));
    let _dev = folder.dev(&["--samples", "off", "--max-workers", "3"]).await;
    let workers = eventually(LONG, "the worker is listed", || async {
        let workers = folder.json(&["worker", "ls"]);
        (workers.as_array().unwrap().len() == 1).then_some(workers)
    })
    .await
    .unwrap();
    assert_eq!(
        (&workers[0]["slots"], &workers[0]["busy"]),
        (&json!(3), &json!(0))
    );
    assert!(folder.ok(&["worker", "ls"]).contains("working"));
    let id = folder.ok(&["enqueue", "nobody_has_this"]).trim().to_owned();
    eventually(LONG, "the job is parked", || async {
        let told = folder.json(&["job", "why", &id]);
        (told["obstacles"][0]["reason"] == json!("parked")).then_some(())
    })
    .await
    .unwrap();
    a_parked_job_is_in_sight(&folder, &id);
    let refused = folder.run(&["worker", "--samples", "ls"]);
    assert_eq!(refused.status.code(), Some(2));
}

/// Its status stays queued; every list that people look at says that no worker will take it.
fn a_parked_job_is_in_sight(folder: &Folder, id: &str) {
    let listed = folder.ok(&["job", "ls", "--status", "queued"]);
    assert!(
        listed.contains("queued") && listed.contains("no worker has its function"),
        "{listed}"
    );
    let shown = folder.ok(&["job", "show", id]);
    assert!(shown.contains("queued  no worker has its function"), "{shown}");
    let queues = folder.json(&["queue", "ls"]);
    assert_eq!(
        (&queues[0]["length"], &queues[0]["parked"]),
        (&json!(1), &json!(1)),
        "{queues}"
    );
    assert!(folder.ok(&["queue", "ls"]).contains("PARKED"));
    for quick in [&["doctor", "--quick"][..], &["doctor"]] {
        let told = folder.ok(quick);
        assert!(
            told.contains(
                "function nobody_has_this: 1 job(s) are put aside, because no live worker has this function"
            ),
            "{quick:?}: {told}"
        );
    }
}

#[test]
fn the_doctor_of_an_embedded_store_advises_what_can_run_on_one() {
    let folder = Folder::new();
    folder.ok(&["enqueue", "f"]);
    let output = folder.run(&["doctor", "-o", "json"]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(9), "{said}");
    let findings = said["findings"].as_array().unwrap();
    for subject in ["scheduler", "workers"] {
        let finding = findings
            .iter()
            .find(|finding| finding["subject"] == json!(subject));
        let fix = finding.unwrap()["fix"].as_str().unwrap();
        assert!(fix.contains("longshore dev"), "{fix}");
    }
    for process in ["`longshore worker", "`longshore scheduler"] {
        assert!(!said.to_string().contains(process), "{said}");
    }
}
