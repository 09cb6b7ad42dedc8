//! Streams of events.

use std::time::Duration;

use longshore_gateway::Role;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::rig::{LONG, Rig, Store};

/// An open stream.
pub(crate) struct Events {
    response: Response,
    text: String,
}

/// One event.
#[derive(Debug, Default)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
    pub(crate) comment: String,
    pub(crate) retry: String,
}

impl Events {
    pub(crate) async fn open(rig: &Rig, token: &str, path: &str, last_id: Option<&str>) -> Self {
        let mut request = rig.request(Method::GET, path).bearer_auth(token);
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next event or comment; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = parse(event);
                self.text = rest.to_owned();
                return Some(event);
            }
            let chunk = tokio::time::timeout(LONG, self.response.chunk()).await.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk.ok()??).unwrap());
        }
    }

    /// The next event of this name.
    pub(crate) async fn named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }
}

fn parse(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap();
        let value = value.trim_start().to_owned();
        match field {
            "" => event.comment = value,
            "event" => event.name = value,
            "id" => event.id = value,
            "retry" => event.retry = value,
            "data" => event.data = serde_json::from_str(&value).unwrap(),
            other => panic!("{other}"),
        }
    }
    event
}

#[tokio::test]
async fn a_page_follows_jobs_queues_and_numbers_over_one_stream() {
    let rig = Rig::new().await;
    rig.work();
    let token = rig.token(Role::Operator).await;
    let id = rig.enqueue(&token, json!({"function_name": "hang"})).await;
    let nobody = "0193f0a1-7c5e-4001-9313-0242ac120002";
    let path = format!("/events?jobs={id},{nobody}&queues&overview&stats");
    let mut events = Events::open(&rig, &token, &path, None).await;
    let (mut seen, mut moved) = (Vec::new(), 0);
    while seen.len() < 5 || moved < 3 {
        let event = events.next().await.unwrap();
        if event.name == "job" {
            assert_eq!(event.data["id"], json!(id));
            moved += usize::from(event.data["progress"]["message"] != "");
        }
        if event.name == "gone" {
            assert_eq!(event.data["id"], json!(nobody));
        }
        if !event.name.is_empty() && !seen.contains(&event.name) {
            seen.push(event.name);
        }
    }
    rig.post(&token, &format!("/jobs/{id}/cancel"), json!({})).await;
    while events.named("job").await.data["status"] != "cancelled" {}
    for wrong in ["/events", "/events?jobs=x", "/events?job=1"] {
        assert_eq!(rig.get(&token, wrong).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn who_resumes_is_told_what_was_missed_and_nothing_when_nothing_was() {
    let rig = Rig::new().await;
    let token = rig.token(Role::Operator).await;
    let (one, other) = (
        rig.enqueue(&token, json!({"function_name": "echo"})).await,
        rig.enqueue(&token, json!({"function_name": "echo"})).await,
    );
    let path = format!("/events?jobs={one},{other}");
    let mut events = Events::open(&rig, &token, &path, None).await;
    events.named("job").await;
    let last = events.named("job").await.id;
    drop(events);
    let mut again = Events::open(&rig, &token, &path, Some(&last)).await;
    while again.next().await.unwrap().comment != "nothing was missed" {}
    rig.post(&token, &format!("/jobs/{one}/cancel"), json!({})).await;
    let first = again.named("job").await;
    assert_eq!(
        (&first.data["id"], &first.data["status"]),
        (&json!(one), &json!("cancelled")),
        "only what is new"
    );
    drop(again);
    let mut behind = Events::open(&rig, &token, &path, Some(&last)).await;
    let ids = [
        behind.named("job").await.data["id"].clone(),
        behind.named("job").await.data["id"].clone(),
    ];
    assert!(
        ids.contains(&json!(one)) && ids.contains(&json!(other)),
        "{ids:?}"
    );
}

#[tokio::test]
async fn a_link_follows_its_job_until_it_has_ended() {
    let rig = Rig::new().await;
    let token = rig.token(Role::Producer).await;
    let id = rig.enqueue(&token, json!({"function_name": "echo"})).await;
    let (_, link) = rig
        .post(&token, &format!("/jobs/{id}/watch-link"), json!({}))
        .await;
    let watch = link["token"].as_str().unwrap();
    let mut events = Events::open(&rig, watch, &format!("/watch/{id}/events"), None).await;
    assert_eq!(events.named("job").await.data["ended"], json!(false));
    rig.work();
    while events.named("job").await.data["ended"] != json!(true) {}
    assert!(events.next().await.is_none(), "the stream has ended");
}

#[tokio::test]
async fn a_stop_closes_streams_and_says_when_to_come_back() {
    let mut rig = Rig::new().await;
    let token = rig.token(Role::Viewer).await;
    let mut events = Events::open(&rig, &token, "/events?queues", None).await;
    events.named("queues").await;
    rig.stop.cancel();
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    let last = last.unwrap();
    assert_eq!(
        (last.comment.as_str(), last.retry.as_str()),
        ("the gateway stops", "1000")
    );
    let serving = &mut rig.serving;
    tokio::time::timeout(LONG, serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_reader_that_stops_is_dropped_and_nobody_else_notices() {
    // Small buffers of the system, so that they are full soon.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4_096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let rig = Rig::listening(listener, Store::new(), |gateway| {
        gateway.rate_limit(0).write_timeout(Duration::from_secs(2))
    });
    rig.work();
    let token = rig.token(Role::Producer).await;
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(
            rig.enqueue(&token, json!({"function_name": "hang", "name": "x".repeat(200)}))
                .await,
        );
    }
    let path = format!("/events?jobs={}", ids.join(","));
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stalled = socket.connect(rig.address).await.unwrap();
    let head = format!("GET /api/v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    stalled.write_all(head.as_bytes()).await.unwrap();
    let mut good = Events::open(&rig, &token, &path, None).await;
    // Nothing is read from the stalled one meanwhile: the gateway's writes to it stop, and its connection is closed.
    let began = tokio::time::Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        good.named("job").await;
    }
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stalled.read_to_end(&mut rest)).await;
    assert!(
        ended.is_ok(),
        "the connection is closed: it does not go on for whoever begins to read again"
    );
    assert!(rest.len() < 128 * 1024, "{} bytes were kept for it", rest.len());
    good.named("job").await;
}
