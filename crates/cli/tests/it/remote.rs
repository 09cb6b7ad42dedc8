//! The commands through a gateway: the same words as without one, roles, and what goes wrong on the way.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use longshore_testkit::process::Proc;
use longshore_testkit::wait::eventually;

use crate::binary::{Folder, LONG};

/// A store with jobs in it, and a gateway that asks for tokens.
struct Served {
    folder: Folder,
    url: String,
    _dev: Proc,
    gateway: Proc,
}

impl Served {
    async fn new() -> Self {
        let folder = Folder::new();
        let dev = folder.dev(&["--samples", "off"]).await;
        let log = folder.path().join("gateway.log");
        let command = folder.command(&["gateway", "--listen", "127.0.0.1:0"]);
        let gateway = Proc::spawn(command, log.clone()).unwrap();
        let address = || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let (_, at) = text.split_once("http://")?;
            let end = at.find(|char: char| !char.is_ascii_digit() && char != '.' && char != ':');
            Some(at[..end.unwrap_or(at.len())].to_owned())
        };
        let address = eventually(LONG, "the gateway serves", || async { address() })
            .await
            .unwrap();
        Self {
            folder,
            url: format!("http://{address}/"),
            _dev: dev,
            gateway,
        }
    }

    fn token(&self, role: &str) -> String {
        self.folder
            .ok(&["token", "create", role, "--role", role])
            .trim()
            .to_owned()
    }

    fn command(&self, token: &str, args: &[&str]) -> Command {
        let mut command = self.folder.command(args);
        command.env("LONGSHORE_API__URL", &self.url);
        if !token.is_empty() {
            command.env("LONGSHORE_API__TOKEN", token);
        }
        command
    }

    fn run(&self, token: &str, args: &[&str]) -> Output {
        self.command(token, args).output().unwrap()
    }

    fn ok(&self, token: &str, args: &[&str]) -> String {
        let output = self.run(token, args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Without what differs from one moment to the next: numbers, ids, and the width of columns that hold them.
fn steady(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut words = Vec::new();
    for line in text.lines() {
        let word = |word: &str| {
            let is_id = word.chars().filter(|char| *char == '-').count() >= 4;
            let numbers = word.replace(|char: char| char.is_ascii_digit(), "#");
            if is_id {
                "ID".to_owned()
            } else {
                numbers.replace("##", "#").replace("##", "#")
            }
        };
        let line: Vec<_> = line.split_whitespace().map(word).collect();
        words.push(line.join(" ").replace("ms", "s").replace("#.#", "#"));
    }
    words.join("\n")
}

/// Jobs of several kinds, a cron entry and a queue: a job that is done, a dead one, one that is due later, and its child.
async fn furnish(served: &Served, token: &str) -> [String; 4] {
    let file = served.folder.file("numbers.txt", "1\n2\n");
    let args = format!("{{\"path\": \"{}\"}}", file.display());
    let done = served.ok(token, &["enqueue", "sample.parse_ledger", &args, "--tag", "a"]);
    let done = done.trim().to_owned();
    served.folder.ended(&done).await;
    let dead = served.ok(
        token,
        &[
            "enqueue",
            "sample.parse_ledger",
            "{\"path\": \"/nowhere\"}",
            "--max-retries",
            "0",
        ],
    );
    let dead = dead.trim().to_owned();
    served.folder.ended(&dead).await;
    let later = served.ok(
        token,
        &["enqueue", "nobody", "[1]", "--in", "1h", "--name", "Later"],
    );
    let later = later.trim().to_owned();
    let child = served.ok(
        token,
        &[
            "enqueue",
            "nobody",
            "--depends-on",
            &later,
            "--on-parent-failed",
            "run",
        ],
    );
    let child = child.trim().to_owned();
    served.ok(
        token,
        &[
            "cron",
            "add",
            "nightly",
            "0 3 * * *",
            "nobody",
            "{\"a\": 1}",
            "--tz",
            "Europe/Berlin",
            "--expires-in",
            "5m",
        ],
    );
    served.ok(token, &["queue", "pause", "mail", "--create"]);
    [done, dead, later, child]
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_say_the_same_with_and_without_a_gateway() {
    let served = Served::new().await;
    let token = served.token("admin");
    let [done, dead, later, child] = furnish(&served, &token).await;
    let unknown = "0193f0a1-7c5e-8001-9313-0242ac120002";
    // By then the clock has moved on, or the next digits differ.
    let done_begin = done.get(..23).unwrap();
    let table: &[&[&str]] = &[
        &["job", "ls", "-n", "2"],
        &["job", "ls", "--status", "failed,scheduled", "--tag", "a"],
        &["job", "show", &done],
        &["job", "show", &dead],
        &["job", "show", done_begin],
        &["job", "show", "0193f0a1"],
        &["job", "logs", &done],
        &["job", "logs", unknown],
        &["job", "ls", "--text", "ledger"],
        &["job", "show", &child],
        &["job", "show", unknown],
        &["job", "why", &later],
        &["job", "why", &child],
        &["job", "why", unknown],
        &["job", "watch", &done],
        &["job", "watch", &dead, unknown],
        &["job", "cancel", &done, unknown],
        &["job", "cleanup", "--retention-days", "1", "--dry-run"],
        &["job", "cleanup", "--retention-days", "0"],
        &["queue", "peek", "default"],
        &["queue", "pause", "default"],
        &["queue", "resume", "default"],
        &["queue", "purge", "default", "--dry-run"],
        &["queue", "purge", "nothing", "--dry-run"],
        &["queue", "purge", "default"],
        &["cron", "ls"],
        &["cron", "show", "nightly"],
        &["cron", "show", "nobody"],
        &["cron", "pause", "nightly", "nobody"],
        &["cron", "resume", "nightly"],
        &["cron", "rm", "nobody"],
        &["cron", "rm", "nightly", "--dry-run"],
        &["queue", "pause", "mial"],
        &["cron", "add", "nightly", "0 4 * * *", "nobody"],
        &["dlq", "ls"],
        &["dlq", "ls", "--group"],
        &["dlq", "show", &dead],
        &["dlq", "show", &done],
        &["dlq", "requeue", &done],
        &["dlq", "requeue", "--all", "--dry-run"],
        &["dlq", "discard", "--function", "sample.parse_ledger"],
        &["dlq", "ops"],
        &["dlq", "resume", "12"],
        &["quarantine", "ls"],
        &["quarantine", "show", "nobody"],
        &["worker", "ls"],
        &["token", "ls"],
        &["token", "revoke", "5f1c9a2b00c3d417"],
        &["enqueue", "nobody", "--id", &later],
        &["enqueue", "nobody", "--queue", "a/b"],
    ];
    for line in table {
        for format in ["table", "json", "jsonl"] {
            let line = [line, &["-o", format][..]].concat();
            let here = served.folder.run(&line);
            let there = served.run(&token, &line);
            let said = |output: &Output| {
                (
                    output.status.code(),
                    steady(&output.stdout),
                    steady(&output.stderr),
                )
            };
            assert_eq!(said(&there), said(&here), "{line:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_watched_and_letters_are_requeued_through_a_gateway() {
    let served = Served::new().await;
    let token = served.token("operator");
    let file = served.folder.file("numbers.txt", "1\n2\n");
    let job = |path: &str| {
        format!(
            "{{\"function_name\": \"sample.parse_ledger\", \"args\": {{\"path\": \"{path}\"}}, \"max_retries\": 0}}\n"
        )
    };
    let good = job(&file.display().to_string());
    served.folder.file("jobs.jsonl", &good.repeat(3));
    let watched = served.ok(
        &token,
        &["enqueue", "--file", "jobs.jsonl", "--watch", "-o", "json"],
    );
    let watched: serde_json::Value = serde_json::from_str(&watched).unwrap();
    assert_eq!(watched.as_array().unwrap().len(), 3, "{watched}");
    served.folder.file("bad.jsonl", &job("/nowhere").repeat(3));
    let failed = served.run(&token, &["enqueue", "--file", "bad.jsonl", "--watch"]);
    assert_eq!(failed.status.code(), Some(5), "{failed:?}");
    let done = served.ok(&token, &["dlq", "discard", "--all", "--yes", "-o", "json"]);
    let done: serde_json::Value = serde_json::from_str(&done).unwrap();
    assert_eq!((&done["total"], &done["done"]), (&3.into(), &3.into()), "{done}");
    assert!(!done["ended_at_ms"].is_null(), "{done}");
    let other = served.folder.ok(&["enqueue", "nobody", "--queue", "mail"]);
    let purged = served.ok(&token, &["queue", "purge", "mail", "--yes"]);
    assert!(purged.starts_with("1 jobs cancelled"), "{purged} {other}");
    let audit = served.folder.ok(&["audit", "ls"]);
    for action in ["bulk.discard", "queue.purge"] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_may_not_do_is_said_with_the_role_and_never_with_the_token() {
    let served = Served::new().await;
    let viewer = served.token("viewer");
    served.ok(&viewer, &["job", "ls"]);
    let cases: &[(&str, &[&str], &str)] = &[
        (&viewer, &["queue", "pause", "default"], "operator"),
        (&viewer, &["enqueue", "f"], "producer"),
        (&viewer, &["token", "ls"], "admin"),
        ("lsk_wrong", &["job", "ls"], "wrong, expired or revoked"),
        ("", &["job", "ls"], "asks for a token"),
    ];
    for (token, args, says) in cases {
        let output = served.run(token, args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        // Without a token there is something to configure; with one, it is the token that may not.
        let code = if token.is_empty() { 3 } else { 10 };
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        assert!(
            error.contains(says) && error.contains("api.token"),
            "{args:?}: {error}"
        );
        assert!(token.is_empty() || !error.contains(token), "{error}");
    }
    let shown = served.ok(&viewer, &["config", "show"]);
    assert!(shown.contains("api") && !shown.contains(&viewer), "{shown}");
    let url = format!("--url={}", served.url);
    for args in [["worker", &url], ["doctor", &url], ["scheduler", &url]] {
        let output = served.folder.run(&args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(2) && error.contains("--amqp-url"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_cut_goes_on_with_the_next_gateway() {
    let mut served = Served::new().await;
    let token = served.token("producer");
    let job = served.ok(&token, &["enqueue", "nobody", "--in", "1h"]);
    let job = job.trim().to_owned();
    let log = served.folder.path().join("watch.log");
    let watch = served.command(&token, &["job", "watch", &job]);
    let watch = Proc::spawn(watch, log.clone()).unwrap();
    let said = |text: &'static str| {
        let log = log.clone();
        move || {
            let found = std::fs::read_to_string(&log).unwrap_or_default().contains(text);
            async move { found }
        }
    };
    eventually(LONG, "the job is shown", said("scheduled"))
        .await
        .unwrap();
    served.gateway.kill9();
    eventually(LONG, "the gateway is missed", said("looking again"))
        .await
        .unwrap();
    let listen = served.url.trim_start_matches("http://").trim_end_matches('/');
    let again = served.folder.command(&["gateway", "--listen", listen]);
    served.gateway = Proc::spawn(again, served.folder.path().join("again.log")).unwrap();
    served
        .folder
        .ok(&["job", "cancel", &job, "--reason", "no longer needed"]);
    eventually(LONG, "the end is shown", said("cancelled: see"))
        .await
        .unwrap();
    assert_eq!(watch.wait(LONG).await.unwrap().code(), Some(5));
}

/// Answers one request after the other with this text.
fn answering(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _read = stream.read(&mut request).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
        }
    });
    format!("http://{address}/")
}

#[test]
fn who_answers_in_place_of_a_gateway_is_told_from_one() {
    let folder = Folder::bare();
    let html =
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\nconnection: close\r\n\r\n<p/>";
    let bad = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 4\r\nconnection: close\r\n\r\n<p/>";
    let moved = "HTTP/1.1 302 Found\r\nlocation: https://login.example/s3cret\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cases = [
        (answering(html), 3, "not JSON"),
        (answering(bad), 3, "502"),
        (answering(moved), 3, "https://login.example"),
        (format!("http://{free}/"), 4, "cannot be reached"),
        ("http://jobs.example/".to_owned(), 3, "use https"),
        ("ftp://jobs.example/".to_owned(), 3, "https://jobs.example"),
    ];
    for (url, code, says) in cases {
        let output = folder
            .command(&["job", "ls", "--url", &url])
            .env("LONGSHORE_API__TOKEN", "lsk_s3cret")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{url}: {error}");
        assert!(error.contains(says), "{url}: {error}");
        assert!(!error.contains("s3cret"), "{url}: {error}");
    }
}
