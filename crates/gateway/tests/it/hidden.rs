//! What is hidden from a role is on no page, in no answer and in no stream: every operation of the API's own description,
//! and every page that a link leads to.

use std::collections::{BTreeSet, VecDeque};

use longshore_gateway::{HideRule, Role};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::events::Events;
use crate::rig::{Rig, body};

/// What only admins may see.
const RULES: [&str; 6] = [
    "args",
    "result",
    "metadata",
    "error.message",
    "progress.message",
    "progress.card",
];
/// What stands in the places of the rules.
const SECRETS: [&str; 5] = [
    "s3cret-args",
    "s3cret-metadata",
    "s3cret-error",
    "s3cret-message",
    "s3cret-field",
];
/// Pages that a crawl visits at most.
const PAGES_MAX: usize = 150;

/// Jobs with secrets in every place.
struct Scene {
    /// Given up.
    dead: String,
    /// Completed, with a result.
    done: String,
    /// Running, and telling how far it is.
    running: String,
    /// A link to the job that is given up.
    link: String,
    /// A token that may be revoked.
    token: String,
}

async fn scene(rig: &Rig, admin: &str) -> Scene {
    let job = |function: &str| {
        json!({
            "function_name": function, "args": {"card": "s3cret-args"}, "metadata": {"note": "s3cret-metadata"},
            "max_retries": 1, "retry_delay_ms": 1, "tags": ["hidden"]
        })
    };
    let dead = rig.enqueue(admin, job("leak")).await;
    let done = rig.enqueue(admin, job("echo")).await;
    let running = rig.enqueue(admin, job("linger")).await;
    while rig.get(admin, &format!("/jobs/{running}")).await.1["progress"]["message"] != "s3cret-message" {
        tokio::task::yield_now().await;
    }
    rig.until(admin, &dead, "failed").await;
    rig.until(admin, &done, "completed").await;
    let put = rig.request(Method::PUT, "/cron/nightly").bearer_auth(admin);
    let entry =
        json!({"expression": "0 3 * * *", "job": {"function_name": "echo", "args": {"card": "s3cret-args"}}});
    assert!(body(put.json(&entry)).await.0.is_success());
    let (_, link) = rig
        .post(admin, &format!("/jobs/{dead}/watch-link"), json!({}))
        .await;
    let (_, made) = rig
        .post(admin, "/tokens", json!({"name": "x", "role": "viewer"}))
        .await;
    Scene {
        dead,
        done,
        running,
        link: link["token"].as_str().unwrap().to_owned(),
        token: made["id"].as_str().unwrap().to_owned(),
    }
}

impl Scene {
    /// How each operation is asked for: path and body, or paths where several say more.
    fn requests(&self, operation: &str) -> Vec<(String, Value)> {
        let Self {
            dead, done, token, ..
        } = self;
        let one = |path: String, body: Value| vec![(path, body)];
        let both = |rest: &str| {
            let path = |id: &String| (format!("/jobs/{id}{rest}"), Value::Null);
            vec![path(dead), path(done), path(&self.running)]
        };
        let nothing = Value::Null;
        match operation {
            "get /jobs/{id}" => both(""),
            "get /jobs/{id}/summary" => both("/summary"),
            "get /jobs/{id}/why" => both("/why"),
            "get /jobs/{id}/wait" => both("/wait?timeout_ms=1"),
            "get /audit"
            | "get /cron"
            | "get /dead-letters"
            | "get /dead-letters/groups"
            | "get /jobs"
            | "get /operations"
            | "get /quarantine"
            | "get /queues"
            | "get /session"
            | "get /statistics"
            | "get /tokens"
            | "get /workers" => one(operation["get ".len()..].to_owned(), nothing),
            "get /cron/{name}" => one("/cron/nightly".to_owned(), nothing),
            "get /jobs/{id}/log" => one(format!("/jobs/{dead}/log"), nothing),
            "get /queues/{name}/next" => one("/queues/default/next".to_owned(), nothing),
            "post /jobs/cancel" => one("/jobs/cancel".to_owned(), json!({"ids": [done]})),
            "post /jobs/cleanup" => one(
                "/jobs/cleanup".to_owned(),
                json!({"keep_ms": 604_800_000, "statuses": ["expired"]}),
            ),
            "get /operations/{id}" => one("/operations/1".to_owned(), nothing),
            "get /queues/{name}" => one("/queues/default".to_owned(), nothing),
            "get /watch/{id}" => one(format!("/watch/{dead}"), nothing),
            "get /watch/{id}/events" => one(format!("/watch/{dead}/events"), nothing),
            "post /watch/{id}/cancel" => one(format!("/watch/{dead}/cancel"), nothing),
            "post /cron-preview" => one("/cron-preview".to_owned(), json!({"expression": "0 3 * * *"})),
            "put /cron/{name}" => one(
                "/cron/nightly".to_owned(),
                json!({"expression": "0 4 * * *", "job": {"function_name": "echo", "args": {}}}),
            ),
            "post /cron/{name}/pause" | "post /cron/{name}/resume" | "post /cron/{name}/run" => {
                let verb = operation.rsplit('/').next().unwrap();
                one(format!("/cron/nightly/{verb}"), nothing)
            }
            "delete /cron/{name}" => one("/cron/other".to_owned(), nothing),
            "post /dead-letters/requeue" | "post /dead-letters/discard" => {
                let ids = json!({"ids": [done]});
                one(operation["post ".len()..].to_owned(), ids)
            }
            "post /jobs" => one("/jobs".to_owned(), json!({"function_name": "echo"})),
            "post /jobs/batch" => one(
                "/jobs/batch".to_owned(),
                json!({"jobs": [{"function_name": "echo"}]}),
            ),
            "post /jobs/{id}/cancel" => one(format!("/jobs/{dead}/cancel"), json!({})),
            "post /jobs/{id}/discard" => one(format!("/jobs/{done}/discard"), nothing),
            "post /jobs/{id}/requeue" => one(format!("/jobs/{done}/requeue"), nothing),
            "post /jobs/{id}/edit" => one(format!("/jobs/{dead}/edit"), json!({"args": {"other": 1}})),
            "post /jobs/{id}/watch-link" => one(format!("/jobs/{dead}/watch-link"), json!({})),
            "post /operations" => one(
                "/operations".to_owned(),
                json!({"kind": "cancel", "jobs": {"tags": ["nobody has it"]}}),
            ),
            "post /operations/{id}/resume" => one("/operations/1/resume".to_owned(), nothing),
            "post /quarantine/drop" => one("/quarantine/drop".to_owned(), json!({"message_ids": ["x"]})),
            "post /queues/{name}/purge" => one("/queues/nobodys/purge".to_owned(), json!({})),
            "post /queues/{name}/pause" | "post /queues/{name}/resume" => {
                let verb = operation.rsplit('/').next().unwrap();
                one(format!("/queues/default/{verb}"), nothing)
            }
            "post /tokens" => one("/tokens".to_owned(), json!({"name": "y", "role": "viewer"})),
            "delete /tokens/{id}" => one(format!("/tokens/{token}"), nothing),
            "get /events" => Vec::new(),
            unknown => panic!("{unknown} is new: say here how it is asked for"),
        }
    }
}

async fn with_secrets() -> Rig {
    let rules: Vec<HideRule> = RULES.iter().map(|rule| rule.parse().unwrap()).collect();
    let rig = Rig::with(|gateway| gateway.hide(rules)).await;
    rig.work();
    rig
}

/// Every operation of the description, as `method path`; what reads comes first.
async fn operations(rig: &Rig) -> Vec<String> {
    let (_, document) = rig.get("", "/openapi.json").await;
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        all.extend(
            item.as_object()
                .unwrap()
                .keys()
                .map(|method| format!("{method} {path}")),
        );
    }
    assert!(all.len() > 40, "{all:?}");
    all.sort_by_key(|operation| !operation.starts_with("get "));
    all
}

/// Asks for everything as the holder of a token; answers everything that was told.
async fn everything(rig: &Rig, token: &str, scene: &Scene) -> Vec<(String, StatusCode, String)> {
    let mut told = Vec::new();
    for operation in operations(rig).await {
        let (method, path) = operation.split_once(' ').unwrap();
        let bearer = if path.starts_with("/watch") {
            &scene.link
        } else {
            token
        };
        for (path, body) in scene.requests(&operation) {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = rig.request(method, &path).bearer_auth(bearer);
            let request = if body.is_null() {
                request
            } else {
                request.json(&body)
            };
            let response = request.send().await.unwrap();
            let status = response.status();
            assert!(!status.is_server_error(), "{operation}: {status}");
            told.push((operation.clone(), status, response.text().await.unwrap()));
        }
    }
    told
}

/// The stream of a page with both jobs and everything else on it, until all of it was told.
async fn stream(rig: &Rig, token: &str, scene: &Scene) -> String {
    let path = format!(
        "/events?jobs={},{},{}&queues&overview&stats",
        scene.dead, scene.done, scene.running
    );
    let mut events = Events::open(rig, token, &path, None).await;
    let (mut seen, mut text) = (BTreeSet::new(), String::new());
    while seen.len() < 6 {
        let event = events.next().await.unwrap();
        text.push_str(&event.data.to_string());
        if !event.name.is_empty() {
            seen.insert((event.name, event.data["id"].to_string()));
        }
    }
    text
}

/// Every page that a link of another leads to.
async fn pages(rig: &Rig, token: &str, scene: &Scene) -> Vec<(String, String)> {
    let first = ["/", "/jobs/dead", "/jobs/done", "/jobs/running"].map(|path| {
        let path = path.replace("dead", &scene.dead).replace("done", &scene.done);
        path.replace("running", &scene.running)
    });
    let (mut known, mut open) = (BTreeSet::from(first.clone()), VecDeque::from(first));
    let mut seen = Vec::new();
    while let Some(path) = open.pop_front() {
        let request = rig.page(Method::GET, &path).bearer_auth(token);
        let text = request
            .header("accept", "text/html")
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        for link in text.split("href=\"").skip(1) {
            let link = link
                .split('"')
                .next()
                .unwrap()
                .replace("&#38;", "&")
                .replace("&amp;", "&");
            let is_page = link.starts_with('/') && !link.starts_with("/assets") && !link.starts_with("/api");
            if is_page && known.len() < PAGES_MAX && known.insert(link.clone()) {
                open.push_back(link);
            }
        }
        seen.push((path, text));
    }
    seen
}

#[tokio::test]
async fn no_answer_page_or_stream_tells_a_role_what_is_hidden_from_it() {
    let rig = with_secrets().await;
    let admin = rig.token(Role::Admin).await;
    for role in [Role::Viewer, Role::Producer, Role::Operator] {
        let token = rig.token(role).await;
        let scene = scene(&rig, &admin).await;
        let streamed = stream(&rig, &token, &scene).await;
        let visited = pages(&rig, &token, &scene).await;
        let told = everything(&rig, &token, &scene).await;
        assert!(visited.len() > 15, "{role}: {}", visited.len());
        let reads = told
            .iter()
            .filter(|(operation, ..)| operation.starts_with("get "));
        for (operation, status, _) in reads {
            let is_for_others =
                ["get /audit", "get /tokens", "get /operations/{id}"].contains(&operation.as_str());
            assert!(
                is_for_others || *status == StatusCode::OK,
                "{role} {operation}: {status}"
            );
        }
        for secret in SECRETS {
            assert!(!streamed.contains(secret), "{role}: {streamed}");
            for (path, text) in &visited {
                assert!(!text.contains(secret), "{role} {path}: {text}");
            }
            for (operation, _, text) in &told {
                assert!(!text.contains(secret), "{role} {operation}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_may_see_it_finds_everything_where_others_find_nothing() {
    let rig = with_secrets().await;
    let admin = rig.token(Role::Admin).await;
    let scene = scene(&rig, &admin).await;
    let streamed = stream(&rig, &admin, &scene).await;
    let visited: String = pages(&rig, &admin, &scene)
        .await
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    let told: String = everything(&rig, &admin, &scene)
        .await
        .into_iter()
        .map(|(.., text)| text)
        .collect();
    for secret in SECRETS {
        assert!(
            told.contains(secret) && visited.contains(secret),
            "{secret}: the test above would see nothing"
        );
    }
    for secret in ["s3cret-error", "s3cret-message", "s3cret-field"] {
        assert!(streamed.contains(secret), "{secret}: {streamed}");
    }
}
