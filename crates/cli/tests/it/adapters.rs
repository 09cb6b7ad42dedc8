//! Any program and any HTTP endpoint is a handler.

use std::io::{Read, Write};
use std::net::TcpListener;

use longshore_testkit::wait::eventually;

use crate::binary::{Folder, LONG};

fn script(folder: &Folder, name: &str, body: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.file(name, &format!("#!/bin/sh\n{body}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn enqueue(folder: &Folder, args: &[&str]) -> String {
    folder.ok(&[&["enqueue"], args].concat()).trim().to_owned()
}

#[tokio::test]
async fn a_program_is_a_handler() {
    let folder = Folder::new();
    let echo = script(
        &folder,
        "echo.sh",
        r#"read -r line; echo '{"progress": 0.5, "message": "half"}'; echo to stdout; echo to stderr >&2; echo "{\"result\": $line}""#,
    );
    let flaky = script(
        &folder,
        "flaky.sh",
        "[ -e done ] || { touch done; echo try later >&2; exit 75; }",
    );
    let bad = script(&folder, "bad.sh", "echo no such order >&2; exit 3");
    let sleeper = script(&folder, "sleeper.sh", "sleep 300 & echo $! > pid; wait");
    let programs = [
        ("echo", echo),
        ("flaky", flaky),
        ("bad", bad),
        ("sleeper", sleeper),
    ];
    let table = |(name, program)| format!("[worker.commands.{name}]\nprogram = \"{program}\"\n");
    let config = programs.map(table).concat();
    folder.file("longshore.toml", &config);
    let _dev = folder.dev(&["--samples", "off"]).await;

    let id = enqueue(&folder, &["echo", r#"{"order": 7}"#]);
    let job = folder.ended(&id).await;
    assert_eq!(
        (job["status"].as_str(), &job["result"]),
        (Some("completed"), &serde_json::json!({"order": 7}))
    );
    let mut said: Vec<&str> = job["log"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["text"].as_str().unwrap())
        .collect();
    said.sort_unstable();
    assert_eq!(said, ["to stderr", "to stdout"], "{job:#}");
    let printed = folder.ok(&["job", "logs", &id, "--follow"]);
    assert!(
        printed.lines().any(|line| line.ends_with("  1  to stderr")),
        "{printed}"
    );
    let job = folder
        .ended(&enqueue(&folder, &["flaky", "--retry-delay", "100ms"]))
        .await;
    assert_eq!(
        (job["status"].as_str(), job["attempts"].as_u64()),
        (Some("completed"), Some(2))
    );
    let job = folder.ended(&enqueue(&folder, &["bad"])).await;
    assert_eq!(
        (job["status"].as_str(), job["attempts"].as_u64()),
        (Some("failed"), Some(1))
    );
    assert!(
        job["error"]["message"]
            .as_str()
            .unwrap()
            .contains("exit code 3: no such order"),
        "{job:#}"
    );

    let id = enqueue(&folder, &["sleeper"]);
    let pid = || async {
        std::fs::read_to_string(folder.path().join("pid"))
            .ok()
            .filter(|pid| pid.ends_with('\n'))
    };
    let pid = eventually(LONG, "the program runs", pid).await.unwrap();
    folder.ok(&["job", "cancel", &id]);
    assert_eq!(folder.ended(&id).await["status"], "cancelled");
    let stat = format!("/proc/{}/stat", pid.trim());
    let gone = || async { std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z ")) };
    eventually(LONG, "its whole process group is gone", gone)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_program_is_held_to_its_bounds_and_gets_no_settings() {
    let folder = Folder::new();
    let large = script(
        &folder,
        "large.sh",
        r#"printf '{"result": "'; head -c 600000 /dev/zero | tr '\0' x; echo '"}'"#,
    );
    let leaver = script(
        &folder,
        "leaver.sh",
        r#"sleep 300 & echo $! > pid; echo '{"result": "left"}'"#,
    );
    let env = script(
        &folder,
        "env.sh",
        r#"echo "{\"result\": [\"$LONGSHORE_LOG__LEVEL\", \"$LONGSHORE_ATTEMPT\", \"$TOKEN\"]}""#,
    );
    let programs = [
        ("large", large),
        ("leaver", leaver),
        ("env", env),
        ("nobody", "/nowhere/program".to_owned()),
    ];
    let table = |(name, program)| format!("[worker.commands.{name}]\nprogram = \"{program}\"\n");
    folder.file(
        "longshore.toml",
        &format!(
            "{}[worker.commands.env.env]\nTOKEN = \"t\"\n",
            programs.map(table).concat()
        ),
    );
    // As an installation gives its workers their settings.
    let mut command = folder.command(&["dev", "--samples", "off"]);
    command.env("LONGSHORE_LOG__LEVEL", "info");
    let _dev = folder.start(command).await;

    let job = folder.ended(&enqueue(&folder, &["large"])).await;
    assert_eq!(
        (job["status"].as_str(), job["attempts"].as_u64()),
        (Some("failed"), Some(1)),
        "{job:#}"
    );
    assert!(
        job["error"]["message"].as_str().unwrap().contains("524288 bytes"),
        "{job:#}"
    );

    // What it leaves behind would hold the slot for longer than this waits.
    let job = folder.ended(&enqueue(&folder, &["leaver"])).await;
    assert_eq!(
        (job["status"].as_str(), job["result"].as_str()),
        (Some("completed"), Some("left")),
        "{job:#}"
    );

    let job = folder.ended(&enqueue(&folder, &["env"])).await;
    assert_eq!(job["result"], serde_json::json!(["", "1", "t"]), "{job:#}");

    let job = folder.ended(&enqueue(&folder, &["nobody"])).await;
    assert_eq!(
        (job["status"].as_str(), job["attempts"].as_u64()),
        (Some("failed"), Some(1)),
        "{job:#}"
    );
    assert_eq!(job["error"]["error_type"], "command_not_started");
}

/// Answers each request in turn with one of these, and gives the requests.
fn serve(listener: TcpListener, answers: Vec<&'static str>) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut chunk) = (String::new(), [0_u8; 4_096]);
            while !request.contains("\"args\"") {
                let count = stream.read(&mut chunk).unwrap();
                assert!(count > 0, "the request ended early: {request}");
                request.push_str(&String::from_utf8_lossy(&chunk[..count]));
            }
            requests.push(request);
            stream.write_all(answer.as_bytes()).unwrap();
        }
        requests
    })
}

#[tokio::test]
async fn an_http_endpoint_is_a_handler() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jobs/invoice", listener.local_addr().unwrap());
    folder.file(
        "longshore.toml",
        &format!("[worker.http.invoice]\nurl = \"{url}\"\nsecret = \"planted\"\n"),
    );
    let served = serve(
        listener,
        vec![
            "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{\"paid\": true}",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\nConnection: close\r\n\r\nnowhere",
        ],
    );
    let _dev = folder.dev(&["--samples", "off"]).await;
    let job = folder
        .ended(&enqueue(
            &folder,
            &["invoice", r#"{"id": 1}"#, "--retry-delay", "50ms"],
        ))
        .await;
    assert_eq!(
        (job["status"].as_str(), job["attempts"].as_u64()),
        (Some("completed"), Some(3)),
        "{job:#}"
    );
    let job = folder
        .ended(&enqueue(&folder, &["invoice", r#"{"id": 2}"#]))
        .await;
    assert_eq!(
        (job["status"].as_str(), job["attempts"].as_u64()),
        (Some("failed"), Some(1)),
        "{job:#}"
    );
    assert!(
        job["error"]["message"].as_str().unwrap().contains("404"),
        "{job:#}"
    );
    let requests = served.join().unwrap();
    for header in ["webhook-id: ", "webhook-timestamp: ", "webhook-signature: v1,"] {
        assert!(
            requests.iter().all(|request| request.contains(header)),
            "{header}"
        );
    }
    assert!(
        !std::fs::read_to_string(folder.path().join("dev.log"))
            .unwrap()
            .contains("planted")
    );
}
