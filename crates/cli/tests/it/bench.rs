//! `longshore bench` on the embedded store.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::binary::Folder;

fn modes(document: &Value) -> BTreeSet<&str> {
    let rows = document["summary"].as_array().unwrap().iter();
    rows.map(|row| row["mode"].as_str().unwrap()).collect()
}

#[test]
fn every_mode_is_measured_and_leaves_nothing_open() {
    let folder = Folder::bare();
    let names = [
        "enqueue",
        "drain",
        "end-to-end",
        "latency",
        "fan-out",
        "chain",
        "schedule",
    ];
    let options = ["bench", "--jobs", "40", "--rate", "200", "--repeat", "2"];
    let document = folder.json(&[&options[..], &names[..]].concat());
    assert_eq!(modes(&document), BTreeSet::from(names));
    assert_eq!(document["runs"].as_array().unwrap().len(), 2 * names.len());
    for row in document["summary"].as_array().unwrap() {
        assert_eq!(
            (row["system"].as_str(), row["runs"].as_u64()),
            (Some("longshore"), Some(2))
        );
        assert!(row["per_second"].as_f64().unwrap() > 0.0, "{row}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "the store that it made for itself is gone"
    );
}

#[test]
fn a_queue_with_other_peoples_jobs_is_refused_and_left_alone() {
    let folder = Folder::new();
    folder.ok(&["enqueue", "someone.elses", "--queue", "longshore-bench"]);
    let store = folder.path().join(".longshore");
    let output = folder.run(&["bench", "--jobs", "10", "--embedded", store.to_str().unwrap()]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("longshore-bench holds 1 open job(s)"), "{errors}");
    assert_eq!(
        folder
            .json(&["job", "ls", "--status", "queued"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn one_half_leaves_a_queue_alone_that_holds_jobs_of_other_functions() {
    let folder = Folder::new();
    folder.ok(&["enqueue", "someone.elses", "--queue", "halves"]);
    let store = folder.path().join(".longshore");
    let options = [
        "--jobs",
        "5",
        "--queue",
        "halves",
        "--embedded",
        store.to_str().unwrap(),
    ];
    for half in ["work", "hand-over"] {
        let output = folder.run(&[&["bench", half], &options[..]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        let says = "halves holds 1 open job(s) of other functions";
        assert!(errors.contains(says), "{errors}");
    }
    let queued = folder.json(&["job", "ls", "--status", "queued"]);
    assert_eq!(queued.as_array().unwrap().len(), 1);
}

#[test]
fn one_half_works_off_what_the_other_has_handed_over() {
    let folder = Folder::new();
    let store = folder.path().join(".longshore");
    let options = ["--jobs", "40", "--embedded", store.to_str().unwrap()];
    for half in ["hand-over", "work", "hand-over", "work"] {
        folder.ok(&[&["bench", half], &options[..]].concat());
    }
    let stats = folder.json(&["stats"]);
    assert_eq!(stats["jobs"]["completed"], 80, "{stats}");
}

#[test]
fn one_half_ends_as_many_jobs_as_it_was_asked_for_and_gives_the_others_back() {
    let folder = Folder::new();
    let store = folder.path().join(".longshore");
    let bench = |half: &str, jobs: &str| {
        let embedded = ["--embedded", store.to_str().unwrap()];
        folder.ok(&[
            &["bench", half, "--jobs", jobs, "--max-workers", "8"],
            &embedded[..],
        ]
        .concat());
    };
    bench("hand-over", "60");
    for completed in [20, 40, 60] {
        bench("work", "20");
        let stats = folder.json(&["stats"]);
        assert_eq!(stats["jobs"]["completed"], completed, "{stats}");
    }
}

#[test]
fn what_needs_servers_says_so() {
    let folder = Folder::bare();
    for (args, says) in [
        (
            ["bench", "--floor"],
            "--floor: the floor is measured on RabbitMQ and Redis",
        ),
        (["bench", "memory"], "memory: is measured on one Redis"),
    ] {
        let output = folder.run(&args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(says), "{errors}");
    }
}

#[test]
fn a_run_that_breaks_off_cancels_what_it_has_enqueued() {
    let folder = Folder::new();
    folder.ok(&["enqueue", "someone.elses"]);
    let store = folder.path().join(".longshore");
    // Twenty milliseconds each, one after the other.
    let options = [
        "bench",
        "urgent",
        "--jobs",
        "1000",
        "--max-workers",
        "1",
        "--time-limit",
        "1s",
    ];
    let output = folder.run(&[&options[..], &["--embedded", store.to_str().unwrap()]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("did not end within 1s"), "{errors}");
    let open = folder.json(&["job", "ls", "--status", "queued", "--limit", "50"]);
    let functions: Vec<_> = open
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["function_name"].as_str().unwrap())
        .collect();
    assert_eq!(functions, ["someone.elses"], "{errors}");
}
