//! Bad input: a clear error that names the field and the fix, an exit code, and nothing half-written.

use crate::binary::Folder;

/// Arguments, the exit code, and what the error must say.
const CASES: &[(&[&str], i32, &[&str])] = &[
    (
        &["enqueue", "f", "--priority", "urgent"],
        2,
        &["priority", "critical"],
    ),
    (
        &["enqueue", "f", "--in", "-5s"],
        2,
        &["--in: \"-5s\" is negative"],
    ),
    (&["enqueue", "f", "--max-retries", "-1"], 2, &["--max-retries"]),
    (&["enqueue", "f", "{not json"], 2, &["args", "JSON"]),
    (&["enqueue", "bad name"], 2, &["function_name"]),
    (
        &[
            "enqueue",
            "f",
            "--depends-on",
            "0193f0a1-7c5e-8001-9313-0242ac120002",
        ],
        2,
        &["0193f0a1-7c5e-8001-9313-0242ac120002"],
    ),
    (&["enqueue", "f", "--depends-on", "nobody"], 2, &["nobody"]),
    (&["--amqp-url", "amqp://h", "job", "ls"], 3, &["redis_url"]),
    (
        &["--amqp-url", "http://h", "--redis-url", "redis://h", "job", "ls"],
        3,
        &["amqp_url", "amqp://"],
    ),
    (
        &["--set", "worker.max_workers=0", "job", "ls"],
        3,
        &["worker.max_workers"],
    ),
    (
        &["--set", "worker.max_worker=4", "job", "ls"],
        3,
        &["worker.max_worker", "max_workers"],
    ),
    (&["worker", "--max-workers", "0"], 2, &["--max-workers"]),
    (&["worker", "--queue", "a b"], 2, &["--queue", "not allowed"]),
    (
        &[
            "--set",
            "redis_url=redis-sentinel://h",
            "--set",
            "amqp_url=amqp://h",
            "--set",
            "oops",
            "config",
            "check",
        ],
        3,
        &["redis_url", "names no master", "\"oops\" is not KEY=VALUE"],
    ),
    (
        &[
            "--set",
            "worker.http.f.url=http://h",
            "--set",
            "worker.http.f.secret=whsec_!",
            "config",
            "check",
        ],
        3,
        &["worker.http.f.secret", "base64"],
    ),
    (&["cron", "add", "x", "0 0 31 2 *", "f"], 2, &["never happens"]),
    (
        &["cron", "add", "x", "0 0 * * *", "f", "--tz", "Europe/Berln"],
        2,
        &["Europe/Berlin"],
    ),
    (
        &["dlq", "requeue", "--filter", "fnuction=f"],
        2,
        &["fnuction", "function"],
    ),
    (&["dlq", "discard", "--all"], 2, &["--yes", "nothing was changed"]),
    (
        &["job", "cleanup", "--retention-days", "0"],
        2,
        &["--retention-days", "from 1 to 3650"],
    ),
    (
        &["job", "cleanup", "--retention-days", "-1"],
        2,
        &["--retention-days", "from 1 to 3650"],
    ),
    (
        &["queue", "purge", "nowhere", "--yes"],
        6,
        &["nowhere", "queue ls"],
    ),
    (
        &["queue", "purge", "nowhere", "--status", "running"],
        2,
        &["--status", "job cancel"],
    ),
    (&["queue", "peek", "nowhere", "-n", "0"], 2, &["1..=1000"]),
    (
        &["man", "--out", "/dev/null/pages"],
        1,
        &["--out", "/dev/null/pages"],
    ),
    (&["doctor", "--quick", "--fix"], 2, &["--quick", "--fix"]),
    (
        &["dev", "--listen", "localhost:8081"],
        2,
        &["--listen", "127.0.0.1:8081"],
    ),
    (&["gateway", "--listen", "8082"], 2, &["127.0.0.1:8082"]),
    (&["why", "0193f0a1"], 2, &["longshore job why"]),
    (&["ls"], 2, &["longshore job ls", "longshore queue ls"]),
    (&["cron", "peek"], 2, &["longshore queue peek"]),
    (&["job", "ls", "--after", "7"], 2, &["cursor"]),
    (&["job", "ls", "--since", "soon"], 2, &["--since"]),
    (
        &["enqueue", "f", "--deadline", "soon"],
        2,
        &["--deadline", "neither"],
    ),
    (
        &["job", "show", "0193f0a1-7c5e-8001-9313-0242ac120002"],
        6,
        &["job ls"],
    ),
];

#[test]
fn every_wrong_command_line_is_told_and_leaves_nothing() {
    let folder = Folder::new();
    for (args, code, words) in CASES {
        let output = folder.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {errors}");
        for word in *words {
            assert!(errors.contains(word), "{args:?} does not say {word}: {errors}");
        }
    }
    assert_eq!(folder.json(&["job", "ls"]), serde_json::json!([]));
}

#[test]
fn arguments_that_are_too_large_or_too_deep_are_refused() {
    let folder = Folder::new();
    let large = format!(
        "{{\"function_name\": \"f\", \"args\": \"{}\"}}",
        "x".repeat(1 << 20)
    );
    let deep = format!(
        "{{\"function_name\": \"f\", \"args\": {}1{}}}",
        "[".repeat(110),
        "]".repeat(110)
    );
    let deeper = format!(
        "{{\"function_name\": \"f\", \"args\": {}1{}}}",
        "[".repeat(2_000),
        "]".repeat(2_000)
    );
    for (line, words) in [
        (large, "1 MiB"),
        (deep, "deeper than 100"),
        (deeper, "args: nested deeper than 100"),
        ("{\"function_name\": \"f\", \"tags\": \"x\"}".to_owned(), "tags: "),
    ] {
        let file = folder.file("jobs.jsonl", &format!("{{\"function_name\": \"ok\"}}\n{line}\n"));
        let output = folder.run(&["enqueue", "--file", file.to_str().unwrap()]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains("line 2") || words == "1 MiB", "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
    assert_eq!(folder.json(&["job", "ls"]), serde_json::json!([]));
}

#[test]
fn a_reason_that_is_too_long_is_the_callers_mistake() {
    let folder = Folder::new();
    let reason = "x".repeat(2_000);
    let output = folder.run(&[
        "job",
        "cancel",
        "0193f0a1-7c5e-8001-9313-0242ac120002",
        "--reason",
        &reason,
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("reason: "), "{errors}");
}

#[test]
fn arguments_far_too_deep_are_told_by_their_field() {
    let folder = Folder::new();
    let args = format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000));
    let output = folder.run(&["enqueue", "f", &args]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("args: nested deeper than 100") && !errors.contains("quote it"),
        "{errors}"
    );
}

#[test]
fn an_input_file_over_the_bound_is_refused() {
    let folder = Folder::new();
    let file = folder.file("jobs.jsonl", "");
    std::fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len((1 << 30) + 1)
        .unwrap();
    let output = folder.run(&["enqueue", "--file", file.to_str().unwrap()]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("split it"), "{errors}");
}

#[test]
fn with_nothing_configured_nothing_is_made_and_the_ways_are_named() {
    let folder = Folder::bare();
    for args in [
        &["job", "ls"][..],
        &["enqueue", "f"],
        &["queue", "ls"],
        &["scheduler"],
    ] {
        let output = folder.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {errors}");
        for way in ["LONGSHORE_AMQP_URL", "--embedded", "longshore dev"] {
            assert!(errors.contains(way), "{args:?} does not name {way}: {errors}");
        }
    }
    let output = folder.run(&["--embedded", "elsewhere", "job", "ls"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("elsewhere"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_batch_with_a_cycle_is_refused_and_names_a_job() {
    let folder = Folder::new();
    let (one, two) = (
        "11111111-1111-4111-8111-111111111111",
        "22222222-2222-4222-8222-222222222222",
    );
    let lines = format!(
        "{{\"id\": \"{one}\", \"function_name\": \"f\", \"depends_on\": [\"{two}\"]}}\n\
         {{\"id\": \"{two}\", \"function_name\": \"f\", \"depends_on\": [\"{one}\"]}}\n"
    );
    let file = folder.file("jobs.jsonl", &lines);
    let output = folder.run(&["enqueue", "--file", file.to_str().unwrap()]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("wait for each other") && errors.contains("job 1"),
        "{errors}"
    );
    assert_eq!(folder.json(&["job", "ls"]), serde_json::json!([]));
}

#[test]
fn a_password_never_reaches_an_error() {
    let folder = Folder::new();
    let url = "amqp://user:hunter2secret@127.0.0.1:1";
    for args in [
        &[
            "--amqp-url",
            url,
            "--redis-url",
            "redis://:hunter2secret@127.0.0.1:1",
            "job",
            "ls",
        ][..],
        &[
            "--amqp-url",
            url,
            "--redis-url",
            "redis://:hunter2secret@127.0.0.1:1",
            "config",
            "show",
        ],
        &[
            "--amqp-url",
            "amqp//user:hunter2secret",
            "--redis-url",
            "x:hunter2secret",
            "job",
            "ls",
        ],
    ] {
        let output = folder.run(args);
        let all = [output.stdout, output.stderr].concat();
        assert!(
            !String::from_utf8_lossy(&all).contains("hunter2secret"),
            "{args:?}"
        );
    }
}
