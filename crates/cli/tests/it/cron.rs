//! `longshore cron`, on embedded folders and on none.

use serde_json::{Value, json};

use crate::binary::Folder;

fn at(rows: &Value) -> Vec<String> {
    let rows = rows.as_array().unwrap();
    rows.iter()
        .map(|row| row["at"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_preview_needs_no_server_and_no_configuration() {
    let folder = Folder::bare();
    folder.file("longshore.toml", "this is no configuration");
    let spring = folder.json(&[
        "cron",
        "next",
        "30 2 * * *",
        "--tz",
        "Europe/Berlin",
        "-n",
        "3",
        "--from",
        "2026-03-27T12:00:00Z",
    ]);
    assert_eq!(
        at(&spring),
        [
            "2026-03-28T02:30:00+01:00",
            "2026-03-29T03:00:00+02:00",
            "2026-03-30T02:30:00+02:00"
        ]
    );
    let table = folder.ok(&[
        "cron",
        "next",
        "30 1 * * *",
        "--tz",
        "America/New_York",
        "-n",
        "2",
        "--from",
        "2026-10-31T12:00:00Z",
    ]);
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("TICK"), "{table}");
    assert!(
        lines[1].starts_with("2026-11-01T01:30:00-04:00  2026-11-01T05:30:00Z"),
        "{table}"
    );
    assert!(
        lines[2].starts_with("2026-11-02T01:30:00-05:00  2026-11-02T06:30:00Z"),
        "{table}"
    );
    assert_eq!(
        folder
            .json(&["cron", "next", "@hourly"])
            .as_array()
            .unwrap()
            .len(),
        10
    );
}

#[test]
fn an_entry_is_made_shown_paused_run_and_removed() {
    let folder = Folder::new();
    let add = [
        "cron",
        "add",
        "nightly",
        "30 2 * * *",
        "send_report",
        "{\"to\": \"a\"}",
        "--tz",
        "Europe/Berlin",
        "--overlap",
        "skip",
        "--misfire",
        "all:5",
        "--jitter",
        "90s",
        "--priority",
        "high",
        "--retry-delay",
        "2s",
        "--retry-backoff",
        "3",
        "--no-retry-jitter",
        "--retry-delay-max",
        "5m",
    ];
    assert_eq!(folder.json(&add)["changed"], json!(true));
    assert_eq!(folder.json(&add)["changed"], json!(false), "the same again");
    let shown = folder.json(&["cron", "show", "nightly"]);
    for (key, value) in [
        ("expression", json!("30 2 * * *")),
        ("zone", json!("Europe/Berlin")),
        ("overlap", json!("skip")),
        ("misfire", json!("all:5")),
        ("jitter_ms", json!(90_000)),
        ("source", json!("call")),
        ("paused", json!(false)),
        ("last", Value::Null),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    assert_eq!(shown["job"]["args"], json!({"to": "a"}));
    for (key, value) in [
        ("priority", json!("high")),
        ("retry_delay_ms", json!(2_000)),
        ("retry_backoff", json!(3.0)),
        ("retry_jitter", json!(false)),
        ("retry_delay_max_ms", json!(300_000)),
    ] {
        assert_eq!(shown["job"][key], value, "{key}");
    }
    assert!(folder.ok(&["cron", "show", "nightly"]).contains("tick "));

    folder.ok(&["cron", "pause", "nightly"]);
    let listed = folder.json(&["cron", "ls"]);
    assert_eq!(
        (&listed[0]["paused"], &listed[0]["next_at_ms"]),
        (&json!(true), &Value::Null)
    );
    assert!(folder.ok(&["cron", "ls"]).contains("paused"));
    let run = folder.json(&["cron", "run", "nightly"]);
    let job = folder.json(&["job", "show", run["id"].as_str().unwrap()]);
    assert_eq!(job["tags"], json!(["cron:nightly"]));
    assert_eq!(job["status"], json!("queued"));
    assert_eq!(folder.json(&["cron", "show", "nightly"])["last"]["id"], run["id"]);
    folder.ok(&["cron", "resume", "nightly"]);
    assert_eq!(folder.json(&["cron", "show", "nightly"])["paused"], json!(false));

    let other = ["cron", "add", "nightly", "0 3 * * *", "send_report"];
    let refused = folder.run(&other);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--replace"));
    folder.ok(&[&other[..], &["--replace"]].concat());
    assert_eq!(
        folder.json(&["cron", "show", "nightly"])["expression"],
        json!("0 3 * * *")
    );
    folder.ok(&["cron", "rm", "nightly"]);
    assert_eq!(folder.json(&["cron", "ls"]), json!([]));
}

#[test]
fn a_bad_entry_is_refused_with_every_problem_and_nothing_is_made() {
    let folder = Folder::new();
    let output = folder.run(&[
        "cron",
        "add",
        "bad",
        "0 0 31 2 *",
        "f",
        "{oops",
        "--tz",
        "Europe/Berln",
        "--misfire",
        "never",
        "--overlap",
        "queue",
        "--jitter=-5s",
        "--timeout",
        "0s",
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in [
        "expression: \"0 0 31 2 *\" never happens",
        "--tz: \"Europe/Berln\" is not a time zone; did you mean Europe/Berlin",
        "args: not JSON",
        "--misfire: \"never\" is not a policy; use skip, once, all",
        "--overlap: \"queue\" is not a policy; use allow, skip or cancel-previous",
        "--jitter: \"-5s\" is negative",
        "--timeout: ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(folder.json(&["cron", "ls"]), json!([]));
    let cases: [(&[&str], i32, &str); 6] = [
        (
            &["cron", "next", "61 * * * *"],
            2,
            "the minute \"61\" has \"61\"; use 0 to 59",
        ),
        (
            &["cron", "next", "* * * * *", "--tz", "PST"],
            2,
            "--tz: \"PST\" is not a time zone; did you mean America/Los_Angeles?",
        ),
        (&["cron", "next", "* * * * *", "-n", "0"], 2, "1..=1000"),
        (
            &["cron", "show", "nobody"],
            6,
            "no cron entry has the name nobody",
        ),
        (&["cron", "run", "nobody"], 6, "no cron entry has the name nobody"),
        (&["cron", "rm", "no body"], 2, "not allowed"),
    ];
    for (args, code, part) in cases {
        let output = folder.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(part), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn entries_of_the_configuration_file_fire_and_leave_with_it() {
    let folder = Folder::new();
    let file = "[cron.every-second]\nexpression = \"* * * * * *\"\nfunction = \"say\"\nargs = '{\"n\": 1}'\n\
                [worker.commands.say]\nprogram = \"cat\"\n";
    folder.file("longshore.toml", file);
    let dev = folder.dev(&["--samples", "off"]).await;
    let done = || async {
        let jobs = folder.json(&["job", "ls", "--status", "completed", "--tag", "cron:every-second"]);
        jobs.as_array().unwrap().len() >= 2
    };
    longshore_testkit::wait::eventually(crate::binary::LONG, "two ticks have run", done)
        .await
        .unwrap();
    assert_eq!(
        folder.json(&["cron", "show", "every-second"])["source"],
        json!("file")
    );
    folder.ok(&["cron", "add", "by-hand", "@daily", "say"]);
    drop(dev);
    folder.file("longshore.toml", "");
    let _dev = folder.dev(&["--samples", "off"]).await;
    let gone = || async {
        let names: Vec<_> = folder.json(&["cron", "ls"]).as_array().unwrap().clone();
        names.len() == 1 && names[0]["name"] == json!("by-hand")
    };
    longshore_testkit::wait::eventually(crate::binary::LONG, "the file's entry is gone", gone)
        .await
        .unwrap();
}
