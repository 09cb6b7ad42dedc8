//! `longshore dlq`, `longshore quarantine` and `longshore job cleanup`, on jobs that died in a folder.

use std::sync::Arc;
use std::time::Duration;

use longshore_backend::embedded::{Options, Store};
use longshore_core::outcome::{ErrorInfo, Outcome};
use longshore_core::port::Ports;
use longshore_core::port::attempt::{Claim, Claimed, Finish, Quarantined};
use longshore_core::{Clock, JobId, QueueName, SystemClock, Timestamp, WorkerId};
use longshore_testkit::factory::Factory;
use serde_json::{Value, json};

use crate::binary::Folder;

/// A clock that is behind.
#[derive(Debug)]
struct Ago(Duration);

impl Clock for Ago {
    fn now(&self) -> Timestamp {
        SystemClock.now().before(self.0)
    }
}

/// Opens the folder's store as it was that long ago.
fn store(folder: &Folder, ago: Duration) -> Store {
    let options = Options {
        clock: Arc::new(Ago(ago)),
        ..Options::default()
    };
    Store::open(&folder.path().join(".longshore"), options).unwrap()
}

/// A job that was given up with this error.
async fn die(ports: &Ports, seed: u64, ago: Duration, message: &str) -> JobId {
    let factory = Factory::new(Arc::new(Ago(ago)), seed);
    let job = factory.job(0, |spec| {
        spec.tags.insert("nightly".to_owned());
    });
    let nonce = factory.nonce();
    ports.enqueue.enqueue(0, vec![job.clone()]).await.unwrap();
    let claim = Claim {
        id: job.id,
        gen_: 1,
        nonce,
        worker: WorkerId("w-1".to_owned()),
    };
    let (_, claimed) = ports.attempt.step(0, Vec::new(), vec![claim]).await.unwrap();
    assert!(matches!(claimed[0], Claimed::Run(_)), "{claimed:?}");
    let mut error = ErrorInfo::new("io", message);
    error.causes = vec!["the disk is on fire".to_owned()];
    error.traceback = Some("0: main".to_owned());
    let finish = Finish {
        id: job.id,
        nonce,
        outcome: Outcome::Failed { error },
        progress: None,
    };
    ports.attempt.step(0, vec![finish], Vec::new()).await.unwrap();
    job.id
}

/// A folder with three dead letters: two alike, one other.
async fn three() -> (Folder, Vec<String>) {
    let folder = Folder::new();
    let store = store(&folder, Duration::from_secs(60));
    let ports = store.ports();
    let mut ids = Vec::new();
    for (seed, message) in [
        (1, "user 17 not found"),
        (2, "user 4 not found"),
        (3, "disk full"),
    ] {
        ids.push(
            die(&ports, seed, Duration::from_secs(60), message)
                .await
                .to_string(),
        );
    }
    store.close().unwrap();
    (folder, ids)
}

fn count(folder: &Folder, args: &[&str]) -> usize {
    let args = [&["dlq", "ls"], args].concat();
    folder.json(&args).as_array().unwrap().len()
}

fn failing(folder: &Folder, args: &[&str]) -> (i32, String) {
    let output = folder.run(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), said)
}

#[tokio::test]
async fn dead_letters_are_listed_by_filter_and_grouped_by_error() {
    let (folder, ids) = three().await;
    assert_eq!(count(&folder, &[]), 3);
    assert_eq!(count(&folder, &["--function", "nobody"]), 0);
    assert_eq!(count(&folder, &["--tag", "nightly", "--queue", "default"]), 3);
    assert_eq!(count(&folder, &["--older-than", "1h"]), 0);
    assert_eq!(
        count(&folder, &["--newer-than", "1h", "--filter", "older-than=10s"]),
        3
    );
    let groups = folder.json(&["dlq", "ls", "--group"]);
    let sizes: Vec<_> = groups
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["count"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes, [2, 1]);
    let fingerprint = groups[0]["fingerprint"].as_str().unwrap();
    assert_eq!(count(&folder, &["--fingerprint", fingerprint]), 2);
    assert!(folder.ok(&["dlq", "ls"]).contains(fingerprint));
    let one = folder.json(&["dlq", "show", &ids[0]]);
    assert_eq!(one["fingerprint"], json!(fingerprint));
    assert_eq!(one["history"][0]["worker"], json!("w-1"));
    assert_eq!(one["error"]["causes"], json!(["the disk is on fire"]));
    let text = folder.ok(&["dlq", "show", &ids[0]]);
    for part in [
        "given up",
        "permanent",
        "0: main",
        "caused by",
        "w-1",
        fingerprint,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn letters_are_requeued_edited_and_discarded_by_id() {
    let (folder, ids) = three().await;
    let nobody = "0193f0a1-7c5e-8001-9313-0242ac120002";
    let done = folder.json(&["dlq", "requeue", &ids[0]]);
    assert_eq!(done, json!([{"id": ids[0], "change": "done"}]));
    assert_eq!(folder.json(&["job", "show", &ids[0]])["status"], json!("queued"));
    assert_eq!(failing(&folder, &["dlq", "requeue", &ids[0], nobody]).0, 6);
    assert_eq!(failing(&folder, &["dlq", "show", &ids[0]]).0, 6);

    let (code, said) = failing(&folder, &["dlq", "edit", &ids[1], "{"]);
    assert!(code == 2 && said.contains("args: not JSON"), "{code}: {said}");
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let (code, said) = failing(&folder, &["dlq", "edit", &ids[1], &deep]);
    assert!(code == 2 && said.contains("args"), "{code}: {said}");
    assert_eq!(failing(&folder, &["dlq", "edit", nobody, "1"]).0, 6);
    folder.ok(&["dlq", "edit", &ids[1], "{\"user\": 5}"]);
    let edited = folder.json(&["job", "show", &ids[1]]);
    assert_eq!(
        (&edited["status"], &edited["args"], &edited["tags"]),
        (&json!("queued"), &json!({"user": 5}), &json!(["nightly"]))
    );

    let (code, said) = failing(&folder, &["dlq", "discard", &ids[2]]);
    assert!(code == 2 && said.contains("--yes"), "{code}: {said}");
    assert_eq!(count(&folder, &[]), 1, "nothing was changed");
    folder.ok(&["dlq", "discard", &ids[2], "--yes"]);
    assert_eq!(count(&folder, &[]), 0);
    assert_eq!(failing(&folder, &["job", "show", &ids[2]]).0, 6);
}

#[tokio::test]
async fn what_matches_is_an_operation_and_a_dry_run_changes_nothing() {
    let (folder, _) = three().await;
    let groups = folder.json(&["dlq", "ls", "--group"]);
    let fingerprint = groups[0]["fingerprint"].as_str().unwrap();
    let filter = ["--fingerprint", fingerprint];
    let dry = folder.json(&[&["dlq", "discard", "--dry-run"], &filter[..]].concat());
    assert_eq!((&dry["count"], count(&folder, &[])), (&json!(2), 3));
    assert_eq!(folder.json(&["dlq", "ops"]), json!([]));
    let (code, _) = failing(&folder, &[&["dlq", "discard"], &filter[..]].concat());
    assert_eq!((code, count(&folder, &[])), (2, 3), "--yes is missing");
    let done = folder.json(&[&["dlq", "discard", "--yes", "--operation", "a1"], &filter[..]].concat());
    assert_eq!(
        (&done["done"], &done["total"], &done["kind"]),
        (&json!(2), &json!(2), &json!("discard"))
    );
    assert_eq!(count(&folder, &[]), 1);
    assert_eq!(folder.json(&["dlq", "resume", "a1"]), done);
    let (code, said) = failing(&folder, &["dlq", "requeue", "--all", "--operation", "a1"]);
    assert!(code == 2 && said.contains("is a discard"), "{code}: {said}");
    let all = folder.json(&["dlq", "requeue", "--all"]);
    assert_eq!(all["done"], json!(1));
    assert_eq!(folder.json(&["dlq", "ops"]).as_array().unwrap().len(), 2);
    assert_eq!(failing(&folder, &["dlq", "resume", "ff"]).0, 6);
}

#[tokio::test]
async fn slips_name_the_field_and_the_fix_and_change_nothing() {
    let (folder, ids) = three().await;
    let cases: [(&[&str], &str); 9] = [
        (
            &["dlq", "requeue", "--filter", "fuction=x"],
            "known filters: function, queue, tag, fingerprint, older-than, newer-than",
        ),
        (&["dlq", "discard", "--yes", "--fuction", "x"], "--function"),
        (&["dlq", "requeue"], "--all"),
        (&["dlq", "requeue", &ids[0], "--all"], "in one way"),
        (&["dlq", "ls", "--fingerprint", "7"], "12 hexadecimal digits"),
        (&["dlq", "ls", "--older-than", "soon"], "--older-than"),
        (&["job", "cleanup", "--retention-days", "0"], "--retention-days"),
        (&["job", "cleanup", "--retention-days", "-1"], "from 1 to 3650"),
        (
            &["job", "cleanup", "--retention-days", "1", "--status", "running"],
            "have not ended",
        ),
    ];
    for (args, part) in cases {
        let (code, said) = failing(&folder, args);
        assert!(code == 2 && said.contains(part), "{args:?}: {code}: {said}");
    }
    assert_eq!(count(&folder, &[]), 3);
}

#[tokio::test]
async fn cleanup_deletes_what_ended_long_ago() {
    let folder = Folder::new();
    for (days, seed) in [(10, 1), (3, 2)] {
        let ago = Duration::from_secs(days * 86_400);
        let store = store(&folder, ago);
        die(&store.ports(), seed, ago, "gone").await;
        store.close().unwrap();
    }
    let cleanup = |args: &[&str]| folder.json(&[&["job", "cleanup", "--retention-days"], args].concat());
    assert_eq!(cleanup(&["20"])["deleted"], json!(0));
    assert_eq!(
        cleanup(&["7", "--status", "completed,expired"])["deleted"],
        json!(0)
    );
    assert_eq!(cleanup(&["1", "--dry-run"]), json!({"dry_run": true, "jobs": 2}));
    assert_eq!(cleanup(&["7", "--dry-run"])["jobs"], json!(1));
    assert_eq!(count(&folder, &[]), 2);
    assert_eq!(cleanup(&["7"])["deleted"], json!(1));
    assert_eq!(count(&folder, &[]), 1);
    assert_eq!(
        cleanup(&["1", "--status", "failed"]),
        json!({"deleted": 1, "held_by_children": 0})
    );
    assert_eq!(count(&folder, &[]), 0);
}

#[tokio::test]
async fn the_quarantine_shows_raw_bytes_and_is_emptied() {
    let folder = Folder::new();
    assert_eq!(folder.json(&["quarantine", "ls"]), json!([]));
    let store = store(&folder, Duration::ZERO);
    let message = |number: u8| Quarantined {
        message_id: format!("m-{number}"),
        queue: QueueName::default(),
        reason: "not an envelope".to_owned(),
        body: vec![0x93, 1, 2, number].into(),
        headers: vec![("schema".to_owned(), "9".to_owned())],
        jobs: Vec::new(),
        dispatches: Vec::new(),
    };
    let messages = (0..20).map(message).collect();
    store.ports().attempt.quarantine(messages).await.unwrap();
    store.close().unwrap();
    let listed = folder.json(&["quarantine", "ls"]);
    assert_eq!(listed.as_array().unwrap().len(), 20);
    assert!(listed[0]["at_ms"].is_u64() && listed[0]["bytes"] == json!(4));
    let text = folder.ok(&["quarantine", "show", "m-7"]);
    for part in ["not an envelope", "schema: 9", "93 01 02 07", "[1,2,7]"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(
        folder.json(&["quarantine", "show", "m-7"])["body_base64"],
        json!("kwECBw==")
    );
    assert_eq!(failing(&folder, &["quarantine", "show", "m-99"]).0, 6);
    assert_eq!(failing(&folder, &["quarantine", "drop", "m-7"]).0, 2);
    folder.ok(&["quarantine", "drop", "m-7", "--yes"]);
    assert_eq!(failing(&folder, &["quarantine", "drop", "m-7", "--yes"]).0, 6);
    folder.ok(&["quarantine", "drop", "--all", "--yes"]);
    assert_eq!(folder.json(&["quarantine", "ls"]), Value::Array(Vec::new()));
}
