//! Programs: enqueue, look, wait, list, cancel, ask why.

use http::header::{ETAG, IF_NONE_MATCH, LOCATION};
use longshore_gateway::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Rig, body, json_of};

#[tokio::test]
async fn a_job_goes_its_whole_way_over_http() {
    let rig = Rig::new().await;
    rig.work();
    let token = rig.token(Role::Producer).await;
    let request = json!({
        "function_name": "echo", "args": {"user": "ünï"}, "priority": "high", "tags": ["a", "b"],
        "metadata": {"order": 7}, "max_retries": 1, "name": "Say it"
    });
    let response = rig
        .request(Method::POST, "/jobs")
        .bearer_auth(&token)
        .json(&request)
        .send()
        .await
        .unwrap();
    let location = response.headers()[LOCATION].to_str().unwrap().to_owned();
    let (status, made) = json_of(response).await;
    assert_eq!(
        (status, made["acceptance"].as_str()),
        (StatusCode::CREATED, Some("published")),
        "{made}"
    );
    let id = made["id"].as_str().unwrap();
    assert_eq!(location, format!("/api/v1/jobs/{id}"));

    let job = rig.until(&token, id, "completed").await;
    assert_eq!(job["result"], json!({"user": "ünï"}));
    assert_eq!(job["args"], json!({"user": "ünï"}));
    assert_eq!(job["progress"]["fraction"], 1.0);
    assert_eq!(job["terms"]["metadata"], json!({"order": 7}));
    assert_eq!(job["terms"]["created_by"], "the producer");
    let (_, summary) = rig.get(&token, &format!("/jobs/{id}/summary")).await;
    assert_eq!(
        (&summary["name"], &summary["args"]),
        (&json!("Say it"), &Value::Null)
    );
}

#[tokio::test]
async fn the_same_key_is_the_same_job_and_another_job_under_it_is_a_conflict() {
    let rig = Rig::new().await;
    let token = rig.token(Role::Producer).await;
    let send = |args: Value| {
        let request = rig.request(Method::POST, "/jobs").bearer_auth(&token);
        body(
            request
                .header("idempotency-key", "order-1")
                .json(&json!({"function_name": "echo", "args": args})),
        )
    };
    let (first, one) = send(json!(1)).await;
    let (second, same) = send(json!(1)).await;
    assert_eq!((first, second), (StatusCode::CREATED, StatusCode::OK));
    assert_eq!(
        (&one["id"], &same["acceptance"]),
        (&same["id"], &json!("existing"))
    );
    let (third, problem) = send(json!(2)).await;
    assert_eq!(
        (third, problem["code"].as_str()),
        (StatusCode::CONFLICT, Some("conflict")),
        "{problem}"
    );
}

#[tokio::test]
async fn a_batch_whose_jobs_depend_on_each_other_is_taken_whole_or_not_at_all() {
    let rig = Rig::new().await;
    rig.work();
    let token = rig.token(Role::Producer).await;
    let parent = "0193f0a1-7c5e-4001-9313-0242ac120002";
    let jobs = |parent: &str| {
        json!({"jobs": [
            {"function_name": "echo", "args": 2, "depends_on": [{"id": parent}]},
            {"function_name": "echo", "args": 1, "id": "0193f0a1-7c5e-4001-9313-0242ac120002"},
        ]})
    };
    let (status, problem) = rig
        .post(
            &token,
            "/jobs/batch",
            jobs("0193f0a1-7c5e-4001-9313-0242ac120009"),
        )
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert_eq!(
        rig.get(&token, &format!("/jobs/{parent}")).await.0,
        StatusCode::NOT_FOUND
    );
    let (status, made) = rig.post(&token, "/jobs/batch", jobs(parent)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["jobs"][0]["acceptance"], "waiting");
    rig.until(&token, made["jobs"][0]["id"].as_str().unwrap(), "completed")
        .await;
}

#[tokio::test]
async fn every_wrong_field_is_named_in_one_answer() {
    let rig = Rig::new().await;
    let token = rig.token(Role::Producer).await;
    let wrong =
        json!({"function_name": "no good", "queue": "a/b", "delay_ms": 1, "scheduled_at_ms": 1, "id": "x"});
    let request = rig
        .request(Method::POST, "/jobs")
        .bearer_auth(&token)
        .json(&wrong);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let (status, problem) = json_of(response).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, Some("invalid"))
    );
    let problems = problem["problems"].to_string();
    for field in ["function_name: ", "queue: ", "delay_ms: ", "id: "] {
        assert!(problems.contains(field), "{field}: {problems}");
    }
    assert_eq!(
        (&problem["type"], &problem["status"]),
        (&json!("about:blank"), &json!(422))
    );
    assert!(!problem["request_id"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn listings_are_filtered_and_read_page_by_page() {
    let rig = Rig::new().await;
    let token = rig.token(Role::Producer).await;
    for number in 0..5 {
        let tag = if number % 2 == 0 { "even" } else { "odd" };
        rig.enqueue(
            &token,
            json!({"function_name": "echo", "args": number, "tags": [tag]}),
        )
        .await;
    }
    let (_, page) = rig
        .get(&token, "/jobs?tag=even&status=queued&status=running&limit=2")
        .await;
    assert_eq!(page["jobs"].as_array().unwrap().len(), 2, "{page}");
    let next = page["next"].as_str().unwrap();
    let (_, rest) = rig
        .get(&token, &format!("/jobs?tag=even&limit=2&after={next}"))
        .await;
    assert_eq!(rest["jobs"].as_array().unwrap().len(), 1, "{rest}");
    for wrong in [
        "stauts=failed",
        "status=nope",
        "limit=0",
        "limit=1001",
        "after=x",
        "limit=1&limit=2",
    ] {
        let (status, problem) = rig.get(&token, &format!("/jobs?{wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}: {problem}");
    }
}

#[tokio::test]
async fn who_polls_what_has_not_changed_gets_no_body() {
    let rig = Rig::new().await;
    let token = rig.token(Role::Producer).await;
    let id = rig.enqueue(&token, json!({"function_name": "echo"})).await;
    let ask = |tag: Option<String>| {
        let mut request = rig
            .request(Method::GET, &format!("/jobs/{id}"))
            .bearer_auth(&token);
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        request.send()
    };
    let tag = ask(None).await.unwrap().headers()[ETAG]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        ask(Some(tag.clone())).await.unwrap().status(),
        StatusCode::NOT_MODIFIED
    );
    rig.post(&token, &format!("/jobs/{id}/cancel"), json!({})).await;
    assert_eq!(ask(Some(tag)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_wait_ends_when_the_job_does_and_at_its_limit() {
    let rig = Rig::new().await;
    rig.work();
    let token = rig.token(Role::Producer).await;
    let id = rig.enqueue(&token, json!({"function_name": "hang"})).await;
    let (status, job) = rig.get(&token, &format!("/jobs/{id}/wait?timeout_ms=50")).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(job["status"], "completed");
    let path = format!("/jobs/{id}/wait?timeout_ms=60000");
    let waiting = rig.get(&token, &path);
    let cancelling = async {
        rig.post(&token, &format!("/jobs/{id}/cancel"), json!({"reason": "enough"}))
            .await
    };
    let ((_, job), (_, cancelled)) = tokio::join!(waiting, cancelling);
    assert_eq!(job["status"], "cancelled", "{job}");
    assert!(
        ["requested", "cancelled"].contains(&cancelled["outcome"].as_str().unwrap()),
        "{cancelled}"
    );
    let (_, again) = rig.post(&token, &format!("/jobs/{id}/cancel"), json!({})).await;
    assert_eq!(
        (again["outcome"].as_str(), again["status"].as_str()),
        (Some("already_finished"), Some("cancelled"))
    );
    let (status, _) = rig
        .get(&token, &format!("/jobs/{id}/wait?timeout_ms=60001"))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn why_a_job_does_not_run_is_told() {
    let rig = Rig::new().await;
    let (token, operator) = (rig.token(Role::Producer).await, rig.token(Role::Operator).await);
    let id = rig.enqueue(&token, json!({"function_name": "echo"})).await;
    rig.post(&operator, "/queues/default/pause", json!({})).await;
    let (status, why) = rig.get(&token, &format!("/jobs/{id}/why")).await;
    assert_eq!(
        (status, why["obstacles"][0]["reason"].as_str()),
        (StatusCode::OK, Some("queue_paused")),
        "{why}"
    );
    let (status, why) = rig
        .get(&token, "/jobs/0193f0a1-7c5e-4001-9313-0242ac120002/why")
        .await;
    assert_eq!(
        (status, why["obstacles"][0]["reason"].as_str()),
        (StatusCode::OK, Some("unknown"))
    );
}
