//! What happened, as the command tells it: of a round of real work, over the end of processes, and on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;

use nix::pty::{Winsize, openpty};
use serde_json::{Value, json};

use crate::binary::Folder;

fn row<'a>(rows: &'a Value, key: &str, name: &str) -> &'a Value {
    let mut rows = rows.as_array().unwrap().iter();
    rows.find(|row| row[key] == name).unwrap()
}

#[test]
fn a_round_of_work_is_counted_with_its_times_and_survives_the_process() {
    let folder = Folder::bare();
    folder.ok(&["dev", "--samples", "once", "--until-idle"]);
    let stats = folder.json(&["stats"]);
    let total = &stats["total"];
    assert_eq!(
        (&total["completed"], &total["failed"]),
        (&json!(12), &json!(1)),
        "{total:#}"
    );
    assert_eq!(total["enqueued"], 13, "{total:#}");
    let (started, retried) = (total["started"].as_u64(), total["retried"].as_u64());
    assert!(retried >= Some(1) && started >= Some(14), "{total:#}");
    assert_eq!(total["run"]["count"], total["started"], "{total:#}");
    assert_eq!(total["wait"]["count"], total["started"], "{total:#}");
    let hashed = row(&stats["functions"], "function", "sample.hash_file");
    assert!(hashed["window"]["run"]["p50_ms"].is_u64(), "{hashed:#}");
    assert_eq!(stats["jobs"], json!({"completed": 12, "failed": 1}));
    let series = stats["series"].as_array().unwrap();
    let in_steps: u64 = series
        .iter()
        .map(|point| point["window"]["completed"].as_u64().unwrap())
        .sum();
    assert_eq!(in_steps, 12);
    let text = folder.ok(&["stats"]);
    for told in [
        "jobs now    12 completed, 1 failed",
        "FUNCTION",
        "sample.hash_file",
        "QUEUE",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn a_queue_tells_its_length_and_the_age_of_its_oldest_job() {
    let folder = Folder::new();
    folder.ok(&["enqueue", "f", "--queue", "mails"]);
    folder.ok(&["enqueue", "g", "--queue", "mails"]);
    folder.ok(&["queue", "pause", "still", "--create"]);
    let queues = folder.json(&["queue", "ls"]);
    let mails = row(&queues, "queue", "mails");
    assert_eq!((&mails["length"], &mails["paused"]), (&json!(2), &json!(false)));
    assert!(mails["oldest_age_ms"].as_u64().is_some_and(|age| age < 3_600_000));
    assert_eq!(mails["window"]["enqueued"], 2);
    let still = row(&queues, "queue", "still");
    assert_eq!(
        (&still["paused"], &still["oldest_age_ms"]),
        (&json!(true), &Value::Null)
    );
    let one = folder.json(&["stats", "--function", "g"]);
    assert_eq!(one["total"]["enqueued"], 1);
}

#[test]
fn a_window_that_cannot_be_answered_is_refused_by_its_option() {
    let folder = Folder::new();
    for (args, told) in [
        (
            ["stats", "--window", "5s"],
            "--window: 5s is out of range; use 1 minute to 7 days",
        ),
        (
            ["stats", "--window", "9d"],
            "--window: 9d is out of range; use 1 minute to 7 days",
        ),
        (["stats", "--step", "7s"], "--step: 7s must be whole minutes"),
        (["top", "--every", "1ms"], "--every: 1ms is out of range"),
    ] {
        let output = folder.run(&args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
        assert!(errors.contains(told), "{args:?}: {errors}");
    }
}

#[test]
fn top_without_a_terminal_names_what_to_use_instead() {
    let folder = Folder::new();
    let output = folder.command(&["top"]).stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("longshore stats -o json"), "{errors}");
    assert!(output.stdout.is_empty());
}

#[test]
fn top_draws_on_a_terminal_follows_its_keys_and_gives_the_terminal_back() {
    let folder = Folder::new();
    folder.ok(&["enqueue", "f", "--queue", "mails"]);
    let size = Winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(Some(&size), None).unwrap();
    let mut command = folder.command(&["top", "--every", "100ms"]);
    let slave = terminal.slave;
    command
        .stdin(Stdio::from(slave.try_clone().unwrap()))
        .stdout(Stdio::from(slave.try_clone().unwrap()))
        .stderr(Stdio::from(slave));
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut master = File::from(terminal.master);
    let mut seen = String::new();
    let mut read_until = |master: &mut File, wanted: &str| {
        let mut chunk = [0; 4_096];
        while !seen.contains(wanted) {
            match master.read(&mut chunk) {
                Ok(count) if count > 0 => seen.push_str(&String::from_utf8_lossy(&chunk[..count])),
                _ => break,
            }
        }
        assert!(seen.contains(wanted), "{wanted}: {}", seen.escape_debug());
    };
    read_until(&mut master, "backlog");
    master.write_all(b"2").unwrap();
    read_until(&mut master, "mails");
    master.write_all(b"q").unwrap();
    // It leaves the other screen that it has drawn on.
    read_until(&mut master, "\u{1b}[?1049l");
    assert!(child.wait().unwrap().success());
}
