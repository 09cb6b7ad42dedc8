//! What handlers say of their jobs.

use longshore_gateway::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::events::Events;
use crate::rig::Rig;

fn texts(log: &Value) -> Vec<&str> {
    let lines = log["lines"].as_array().unwrap();
    lines.iter().map(|line| line["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_log_is_read_whole_or_from_a_line_on() {
    let rig = Rig::new().await;
    rig.work();
    let token = rig.token(Role::Producer).await;
    let say = json!({"function_name": "say", "args": ["one", "two", "<b>three</b>"]});
    let id = rig.enqueue(&token, say).await;
    rig.until(&token, &id, "completed").await;
    let (status, log) = rig.get(&token, &format!("/jobs/{id}/log")).await;
    assert_eq!(
        (status, texts(&log)),
        (StatusCode::OK, vec!["one", "two", "<b>three</b>"])
    );
    assert_eq!(
        (&log["lines"][2]["number"], &log["lines"][2]["attempt"]),
        (&json!(3), &json!(1))
    );
    let (_, rest) = rig.get(&token, &format!("/jobs/{id}/log?after=2")).await;
    assert_eq!(texts(&rest), ["<b>three</b>"]);
    let unknown = "00000000-0000-8000-8000-000000000000";
    let (status, _) = rig.get(&token, &format!("/jobs/{unknown}/log")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, problem) = rig.get(&token, &format!("/jobs/{id}/log?after=-1")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
}

#[tokio::test]
async fn a_log_is_followed_line_by_line_and_resumed() {
    let rig = Rig::new().await;
    rig.work();
    let token = rig.token(Role::Producer).await;
    let slow = json!({"function_name": "say", "args": ["first", "pause", "second"]});
    let id = rig.enqueue(&token, slow).await;
    let path = format!("/events?log={id}");
    let mut events = Events::open(&rig, &token, &path, None).await;
    let mut seen: Vec<String> = Vec::new();
    let mut last_id = String::new();
    while seen.len() < 3 {
        let event = events.named("log").await;
        assert_eq!(event.data["id"], json!(id));
        seen.extend(texts(&event.data).into_iter().map(str::to_owned));
        last_id = event.id;
    }
    assert_eq!(seen, ["first", "pause", "second"], "each line once");
    let mut again = Events::open(&rig, &token, &path, Some(&last_id)).await;
    loop {
        let event = again.next().await.unwrap();
        assert_ne!(event.name, "log", "nothing was missed");
        if event.comment.contains("nothing was missed") {
            break;
        }
    }
    let mut behind = Events::open(&rig, &token, &path, Some("1")).await;
    assert_eq!(texts(&behind.named("log").await.data).len(), 3, "all of it");
}

#[tokio::test]
async fn a_hidden_log_is_hidden_everywhere() {
    let rig = Rig::with(|gateway| gateway.hide(["log", "args"].map(|rule| rule.parse().unwrap()))).await;
    rig.work();
    let (producer, admin) = (rig.token(Role::Producer).await, rig.token(Role::Admin).await);
    let id = rig
        .enqueue(
            &producer,
            json!({"function_name": "say", "args": ["the key is s3cret"]}),
        )
        .await;
    rig.until(&producer, &id, "completed").await;
    for path in [format!("/jobs/{id}/log"), format!("/jobs/{id}")] {
        let (_, seen) = rig.get(&producer, &path).await;
        assert!(!seen.to_string().contains("the key"), "{path}: {seen}");
    }
    let (_, log) = rig.get(&producer, &format!("/jobs/{id}/log")).await;
    assert_eq!(texts(&log), ["[hidden]"]);
    let mut events = Events::open(&rig, &producer, &format!("/events?log={id}"), None).await;
    assert_eq!(texts(&events.named("log").await.data), ["[hidden]"]);
    let (_, log) = rig.get(&admin, &format!("/jobs/{id}/log")).await;
    assert_eq!(texts(&log), ["the key is s3cret"]);
}
