//! What containers run: the probe, and the side-car that tells Kubernetes a pod's deletion cost.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use crate::binary::{Folder, LONG};

/// Answers every request by its head, and tells what it got.
fn serve(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer_one(stream.unwrap(), &answer, &sender);
        }
    });
    (address, receiver)
}

fn answer_one(
    mut stream: std::net::TcpStream,
    answer: &impl Fn(&str) -> (u16, String),
    told: &Sender<String>,
) {
    let (mut request, mut chunk) = (String::new(), [0; 4096]);
    loop {
        let got = stream.read(&mut chunk).unwrap();
        request += std::str::from_utf8(&chunk[..got]).unwrap();
        let Some((head, body)) = request.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, length)| length.parse().unwrap());
        if body.len() >= length {
            break;
        }
    }
    let (status, text) = answer(&request);
    drop(told.send(request));
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
    .unwrap();
}

#[test]
fn a_probe_is_a_question_with_an_exit_code() {
    let (address, _asked) = serve(|request| match request.split_whitespace().nth(1).unwrap() {
        "/readyz" => (503, "draining".to_owned()),
        "/livez" => (200, String::new()),
        _ => (404, String::new()),
    });
    let folder = Folder::bare();
    let port = address.port().to_string();
    folder.ok(&["probe", "live", "--port", &port]);
    let refused = folder.run(&["probe", "--port", &port]);
    assert_eq!(refused.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("503 Service Unavailable: draining"));
    let nobody = folder.run(&["probe", "--url", "http://127.0.0.1:1/readyz"]);
    assert_eq!(nobody.status.code(), Some(4));
    let told = String::from_utf8_lossy(&nobody.stderr);
    assert!(
        told.contains(
            "nobody answers at http://127.0.0.1:1/readyz: start the service with `[health] listen`"
        ),
        "{told}"
    );
    assert_eq!(folder.run(&["probe", "--url", "ftp://x"]).status.code(), Some(2));
}

#[test]
fn the_deletion_cost_follows_what_the_worker_runs() {
    let busy = Arc::new(AtomicU64::new(3));
    let shown = busy.clone();
    let (worker, _looked) = serve(move |_| {
        let busy = shown.load(Ordering::SeqCst);
        (200, format!("longshore_worker_slots_busy {busy}\n"))
    });
    // The second patch is refused once, and must be tried again.
    let refusals = Mutex::new(vec![200, 403]);
    let (api, patches) = serve(move |_| {
        let mut refusals = refusals.lock().unwrap();
        let status = if refusals.is_empty() {
            200
        } else {
            refusals.remove(0)
        };
        (status, "{}".to_owned())
    });
    let folder = Folder::bare();
    folder.file("token", "t0ken\n");
    let mut child = folder
        .command(&[
            "pod-cost",
            "--pod",
            "p-1",
            "--namespace",
            "jobs",
            "--interval",
            "1s",
        ])
        .args(["--metrics", &format!("http://{worker}/metrics")])
        .args(["--api", &format!("http://{api}")])
        .args(["--credentials", folder.path().to_str().unwrap()])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let first = patches.recv_timeout(LONG).unwrap();
    assert!(
        first.starts_with("PATCH /api/v1/namespaces/jobs/pods/p-1 "),
        "{first}"
    );
    assert!(first.contains("authorization: Bearer t0ken\r\n"), "{first}");
    assert!(
        first.contains("content-type: application/merge-patch+json"),
        "{first}"
    );
    assert!(
        first.ends_with(r#"{"metadata":{"annotations":{"controller.kubernetes.io/pod-deletion-cost":"3"}}}"#),
        "{first}"
    );
    busy.store(0, Ordering::SeqCst);
    for _ in 0..2 {
        let next = patches.recv_timeout(LONG).unwrap();
        assert!(next.contains(r#"deletion-cost":"0""#), "{next}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
