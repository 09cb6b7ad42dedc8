//! `longshore dev`: every way a job can go, and on after kill -9.

use std::collections::BTreeMap;

use longshore_testkit::wait::eventually;
use serde_json::Value;

use crate::binary::{Folder, LONG};

fn by_status(jobs: &Value) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for job in jobs.as_array().unwrap() {
        *counts
            .entry(job["status"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    counts
}

fn named<'a>(jobs: &'a Value, name: &str) -> &'a Value {
    jobs.as_array()
        .unwrap()
        .iter()
        .find(|job| job["name"].as_str().unwrap().starts_with(name))
        .unwrap()
}

/// Words of the sample texts, counted in one loop.
fn words(folder: &Folder) -> usize {
    let texts = std::fs::read_dir(folder.path().join(".longshore/samples"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    texts
        .filter(|path| {
            ["readme", "architecture", "contributing", "changelog"]
                .iter()
                .any(|name| path.ends_with(format!("{name}.txt")))
        })
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.split(|char: char| !char.is_alphabetic())
                .filter(|word| !word.is_empty())
                .count()
        })
        .sum()
}

fn assert_a_whole_round(folder: &Folder) {
    let jobs = folder.json(&["job", "ls"]);
    assert_eq!(
        by_status(&jobs),
        BTreeMap::from([("completed".to_owned(), 12), ("failed".to_owned(), 1)]),
        "{jobs:#}"
    );
    assert!(
        named(&jobs, "Read the spool")["attempts"].as_u64().unwrap() > 1,
        "it is retried until the file is there"
    );
    assert_eq!(
        named(&jobs, "Parse the ledger")["attempts"],
        1,
        "a permanent error is not retried"
    );
    let report = folder.json(&[
        "job",
        "show",
        named(&jobs, "Write the report")["id"].as_str().unwrap(),
    ]);
    assert_eq!(
        report["result"],
        Value::from(words(folder)),
        "the chain counted what one loop counts"
    );
}

#[test]
fn a_round_of_samples_goes_every_way_a_job_can_go() {
    let folder = Folder::new();
    folder.ok(&["dev", "--samples", "once", "--until-idle"]);
    assert_a_whole_round(&folder);
}

#[tokio::test]
async fn a_folder_goes_on_where_it_was_after_kill_9() {
    let folder = Folder::new();
    let dev = folder.dev(&["--samples", "once"]).await;
    let some_ended = || async {
        let counts = by_status(&folder.json(&["job", "ls"]));
        counts.contains_key("running") && counts.get("completed").is_some_and(|done| *done >= 2)
    };
    eventually(LONG, "some jobs have ended and some run", some_ended)
        .await
        .unwrap();
    dev.kill9();
    folder.ok(&["dev", "--samples", "off", "--until-idle"]);
    assert_a_whole_round(&folder);
}

#[tokio::test]
async fn a_running_dev_takes_orders_from_other_processes() {
    let folder = Folder::new();
    let dev = folder.dev(&["--samples", "off"]).await;
    let blob = folder.file("blob", &"x".repeat(200_000));
    let args = serde_json::json!({"path": blob, "pace_ms": 200}).to_string();
    let id = folder
        .ok(&[
            "enqueue",
            "sample.hash_file",
            &args,
            "--priority",
            "high",
            "--tag",
            "mine",
        ])
        .trim()
        .to_owned();
    let running = || async { folder.json(&["job", "show", &id])["status"] == "running" };
    eventually(LONG, "it runs", running).await.unwrap();
    folder.ok(&["job", "cancel", &id, "--reason", "enough"]);
    let job = folder.ended(&id).await;
    assert_eq!(
        (job["status"].as_str(), job["cancel_reason"].as_str()),
        (Some("cancelled"), Some("enough"))
    );
    assert_eq!(
        folder
            .json(&["job", "ls", "--tag", "mine"])
            .as_array()
            .unwrap()
            .len(),
        1
    );

    folder.ok(&["queue", "pause", "default"]);
    let waiting = folder
        .ok(&["enqueue", "sample.hash_file", &args.replace("200}", "0}")])
        .trim()
        .to_owned();
    assert_eq!(folder.json(&["job", "show", &waiting])["status"], "queued");
    folder.ok(&["queue", "resume", "default"]);
    assert_eq!(folder.ended(&waiting).await["status"], "completed");
    dev.term();
    assert!(dev.wait(LONG).await.unwrap().success(), "{}", dev.log_text());
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_job_and_other_arguments_are_a_conflict() {
    let folder = Folder::new();
    let _dev = folder.dev(&["--samples", "off"]).await;
    let enqueue = |args: &str| {
        folder.run(&[
            "enqueue",
            "sample.write_spool",
            args,
            "--idempotency-key",
            "order-7",
        ])
    };
    let path = folder.path().join("spool");
    let args = serde_json::json!({ "path": path }).to_string();
    let (first, again) = (enqueue(&args), enqueue(&args));
    assert_eq!(first.stdout, again.stdout);
    assert!(String::from_utf8_lossy(&again.stderr).contains("existing job"));
    let other = enqueue(r#"{"path": "elsewhere"}"#);
    assert_eq!(
        other.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&other.stderr)
    );
}

#[test]
fn a_worker_that_cannot_start_ends_dev_with_its_reason() {
    let folder = Folder::bare();
    folder.file(
        "longshore.toml",
        "[worker.commands.\"sample.hash_file\"]\nprogram = \"true\"\n",
    );
    let output = folder.run(&["dev", "--samples", "off"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("sample.hash_file"), "{errors}");
}
