//! What programs read: one document, words that stay, and nothing lost without a sign.

use serde_json::json;

use crate::binary::Folder;

fn ids(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_command_writes_one_json_document() {
    let folder = Folder::new();
    let file = folder.file(
        "jobs.jsonl",
        "{\"function_name\": \"a\"}\n{\"function_name\": \"b\"}\n",
    );
    let many = folder.json(&["enqueue", "--file", file.to_str().unwrap()]);
    let id = |at: usize| many[at]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (many.as_array().unwrap().len(), &many[0]["existing"]),
        (2, &json!(false))
    );
    let one = folder.json(&["enqueue", "c"]);
    assert_eq!(one["deferred"], json!(false));

    let paused = folder.json(&["queue", "pause", "default"]);
    assert_eq!(paused, json!({"queue": "default", "paused": true}));
    assert_eq!(
        folder.json(&["queue", "resume", "default"])["paused"],
        json!(false)
    );

    let cancelled = folder.json(&["job", "cancel", &id(0), &id(1)]);
    assert_eq!(
        cancelled,
        json!([
            {"id": id(0), "status": "cancelled", "already_finished": false},
            {"id": id(1), "status": "cancelled", "already_finished": false},
        ])
    );
    assert_eq!(
        folder.json(&["job", "cancel", &id(0)])[0]["already_finished"],
        json!(true)
    );

    assert_eq!(folder.json(&["config", "check"]), json!({"problems": []}));
    assert_eq!(
        folder.json(&["config", "show"])["worker"]["max_workers"],
        json!(8)
    );
    let output = folder.run(&["--set", "profile=x", "config", "check", "-o", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &document["problems"][0]["key"]),
        (Some(3), &json!("profile"))
    );
}

#[test]
fn a_listing_that_is_cut_says_so_and_goes_on_by_its_cursor() {
    let folder = Folder::new();
    let file = folder.file("jobs.jsonl", &"{\"function_name\": \"a\"}\n".repeat(5));
    let mut all = ids(&folder.ok(&["enqueue", "--file", file.to_str().unwrap()]));
    let (mut seen, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
    loop {
        let mut args = vec!["job", "ls", "-n", "2", "-o", "json"];
        if let Some(cursor) = &after {
            args.extend(["--after", cursor]);
        }
        let output = folder.run(&args);
        let page: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        seen.extend(
            page.as_array()
                .unwrap()
                .iter()
                .map(|job| job["id"].as_str().unwrap().to_owned()),
        );
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        after = errors
            .split_once("--after ")
            .map(|(_, rest)| rest.split(',').next().unwrap().to_owned());
        if after.is_none() {
            break;
        }
    }
    all.sort();
    seen.sort();
    assert_eq!(seen, all);
    assert_eq!(folder.json(&["job", "ls", "--until", "1h"]), json!([]));
    assert_eq!(
        folder
            .json(&["job", "ls", "--since", "1h"])
            .as_array()
            .unwrap()
            .len(),
        5
    );
}

#[test]
fn options_are_the_defaults_of_lines_and_every_field_can_be_said() {
    let folder = Folder::new();
    let parent = folder.ok(&["enqueue", "p"]).trim().to_owned();
    let line = json!({
        "function_name": "f", "priority": "low",
        "depends_on": [{"id": parent, "on_failed": "cancel", "on_cancelled": "run"}],
    });
    let file = folder.file("jobs.jsonl", &format!("{line}\n{{\"function_name\": \"g\"}}\n"));
    let options = [
        "enqueue",
        "--file",
        file.to_str().unwrap(),
        "--priority",
        "high",
        "--tag",
        "nightly",
        "--created-by",
        "cron",
        "--fencing",
        "strict",
        "--on-lost-record",
        "quarantine",
    ];
    let made = ids(&folder.ok(&options));
    let (one, other) = (
        folder.json(&["job", "show", &made[0]]),
        folder.json(&["job", "show", &made[1]]),
    );
    assert_eq!(
        (&one["priority"], &other["priority"]),
        (&json!("low"), &json!("high"))
    );
    assert_eq!(
        (&one["tags"], &other["tags"]),
        (&json!(["nightly"]), &json!(["nightly"]))
    );
    let terms = &one["envelope"];
    assert_eq!(
        (&terms["created_by"], &terms["fencing"], &terms["on_lost_record"]),
        (&json!("cron"), &json!("strict"), &json!("quarantine"))
    );
    assert_eq!(
        terms["depends_on"],
        json!([{"id": parent, "on_failed": "cancel", "on_cancelled": "run"}])
    );
    let typed = folder.ok(&[
        "enqueue",
        "f",
        "--depends-on",
        &parent,
        "--on-parent-failed",
        "run",
        "--deadline",
        "2100-01-01T00:00:00Z",
    ]);
    let terms = &folder.json(&["job", "show", typed.trim()])["envelope"];
    assert_eq!(terms["depends_on"][0]["on_failed"], json!("run"));
    assert_eq!(terms["deadline_ms"], json!(4_102_444_800_000_u64));
}

#[test]
fn who_enqueues_where_nobody_runs_is_told() {
    let folder = Folder::new();
    let output = folder.run(&["enqueue", "f"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no process runs the jobs"));
}

#[test]
fn a_watch_goes_on_when_one_of_its_jobs_is_unknown() {
    let folder = Folder::new();
    let id = folder.ok(&["enqueue", "f"]).trim().to_owned();
    folder.ok(&["job", "cancel", &id]);
    let nobody = "0193f0a1-7c5e-8001-9313-0242ac120002";
    let output = folder.run(&["job", "watch", nobody, &id, "-o", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(
        (&document[0]["status"], &document[1]["status"]),
        (&json!("unknown"), &json!("cancelled"))
    );
    assert_eq!(folder.run(&["job", "watch", nobody]).status.code(), Some(6));
}
