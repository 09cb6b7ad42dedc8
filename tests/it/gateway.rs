//! Two gateways, each with connections of its own, on RabbitMQ and Redis.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use longshore::JobStatus;
use longshore_backend::Profile;
use longshore_core::SystemClock;
use longshore_core::random::SystemRandom;
use longshore_gateway::{Role, Tokens};
use longshore_scheduler::Intervals;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{LONG, Rig};

struct Caller {
    http: reqwest::Client,
    gateways: [SocketAddr; 2],
    token: String,
}

impl Caller {
    /// Asks one of the two gateways.
    async fn ask(&self, at: usize, method: Method, path: &str, json: Option<Value>) -> (StatusCode, Value) {
        let url = format!("http://{}/api/v1{path}", self.gateways[at % 2]);
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if let Some(json) = json {
            request = request.json(&json);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn post(&self, at: usize, path: &str, json: Value) -> Value {
        let (status, answer) = self.ask(at, Method::POST, path, Some(json)).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }
}

async fn caller(rig: &mut Rig) -> Caller {
    rustls::crypto::ring::default_provider().install_default().ok();
    let access = rig.client_ports().access.clone();
    let tokens = Tokens::new(access, Arc::new(SystemClock), Arc::new(SystemRandom));
    let made = tokens.create("test", Role::Admin, None, "a test").await.unwrap();
    Caller {
        http: reqwest::Client::new(),
        gateways: [rig.gateway().await, rig.gateway().await],
        token: made.text.expose().to_owned(),
    }
}

/// Reads a stream until a job of it has ended.
async fn ended(caller: &Caller, at: usize, id: &str) -> String {
    let url = format!("http://{}/api/v1/events?jobs={id}", caller.gateways[at]);
    let mut stream = caller
        .http
        .get(url)
        .bearer_auth(&caller.token)
        .send()
        .await
        .unwrap();
    let mut text = String::new();
    let reading = async {
        while !text.contains("\"status\":\"completed\"") {
            let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    tokio::time::timeout(LONG, reading).await.unwrap();
    text
}

async fn a_job_passes_through_either_gateway(profile: Profile) {
    let servers = SharedServers::get().await.unwrap();
    let mut rig = Rig::servers(servers.amqp_url(), &servers.redis_url(), profile).await;
    rig.scheduler(Intervals::default()).await;
    rig.worker(4).await;
    let caller = caller(&mut rig).await;
    let step = |pace: Value| json!({"function_name": "step", "args": {"number": 1, "pace": pace}});

    let made = caller.post(0, "/jobs", step(json!({"Takes": 1500}))).await;
    let id = made["id"].as_str().unwrap();
    let told = ended(&caller, 1, id).await;
    assert!(told.contains("event: job"), "{told}");
    let (_, job) = caller.ask(1, Method::GET, &format!("/jobs/{id}"), None).await;
    assert_eq!(job["result"], 1, "{job}");

    caller.post(1, "/queues/default/pause", json!({})).await;
    let waiting = caller.post(0, "/jobs", step(json!("Quick"))).await;
    let waiting = waiting["id"].as_str().unwrap();
    let (_, why) = caller
        .ask(1, Method::GET, &format!("/jobs/{waiting}/why"), None)
        .await;
    assert_eq!(why["obstacles"][0]["reason"], "queue_paused", "{why}");
    let link = caller
        .post(0, &format!("/jobs/{waiting}/watch-link"), json!({"cancel": true}))
        .await;
    let watch = link["token"].as_str().unwrap();
    let url = format!("http://{}/api/v1/watch/{waiting}/cancel", caller.gateways[1]);
    let cancelled = caller.http.post(url).bearer_auth(watch).send().await.unwrap();
    assert_eq!(cancelled.status(), StatusCode::OK);
    caller.post(0, "/queues/default/resume", json!({})).await;
    let (_, job) = caller
        .ask(0, Method::GET, &format!("/jobs/{waiting}/wait"), None)
        .await;
    assert_eq!(job["status"], "cancelled");
    let (_, log) = caller.ask(1, Method::GET, "/audit", None).await;
    let acts: Vec<_> = log["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["action"].clone())
        .collect();
    assert_eq!(
        acts,
        ["queue.resume", "job.cancel", "job.watch-link", "queue.pause"]
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_passes_through_either_gateway_on_quorum_queues() {
    a_job_passes_through_either_gateway(Profile::Quorum).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_requeued_by_an_operation_of_a_gateway() {
    let servers = SharedServers::get().await.unwrap();
    let mut rig = Rig::servers(servers.amqp_url(), &servers.redis_url(), Profile::Quorum).await;
    rig.scheduler(Intervals::default()).await;
    rig.worker(4).await;
    let caller = caller(&mut rig).await;
    // Arguments that the function does not take: a dead letter at once.
    let jobs: Vec<_> = (0..5)
        .map(|_| json!({"function_name": "step", "args": "nonsense", "max_retries": 0}))
        .collect();
    caller.post(0, "/jobs/batch", json!({"jobs": jobs})).await;
    let failed = || async {
        let counts = rig.counts().await.unwrap();
        counts.get(&JobStatus::Failed) == Some(&5)
    };
    eventually(LONG, "five dead letters", failed).await.unwrap();
    let begun = caller
        .post(
            0,
            "/operations",
            json!({"kind": "discard", "filter": {"function_name": "step"}}),
        )
        .await;
    let path = format!("/operations/{}", begun["id"].as_str().unwrap());
    let over = || async {
        let (_, operation) = caller.ask(1, Method::GET, &path, None).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        if operation["ended_at_ms"].is_null() {
            Err(operation.to_string())
        } else {
            Ok(operation)
        }
    };
    let operation = eventually(LONG, "the operation has ended", over).await.unwrap();
    assert_eq!(
        (&operation["total"], &operation["done"]),
        (&json!(5), &json!(5)),
        "{operation}"
    );
    rig.stop().await;
}
