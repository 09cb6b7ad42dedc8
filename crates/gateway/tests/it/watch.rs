//! Watch links: one job, for a while, from pages of other sites.

use std::time::Duration;

use longshore_gateway::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Rig, body};

async fn link(rig: &Rig, id: &str, json: Value) -> String {
    let token = rig.token(Role::Producer).await;
    let (status, link) = rig.post(&token, &format!("/jobs/{id}/watch-link"), json).await;
    assert_eq!(status, StatusCode::CREATED, "{link}");
    link["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_link_shows_its_job_without_what_is_inside_and_nothing_else() {
    let rig = Rig::new().await;
    rig.work();
    let token = rig.token(Role::Producer).await;
    let request = json!({"function_name": "fail", "args": "s3cret", "max_retries": 0, "name": "Your report"});
    let id = rig.enqueue(&token, request).await;
    let other = rig.enqueue(&token, json!({"function_name": "echo"})).await;
    rig.until(&token, &id, "failed").await;
    let watch = link(&rig, &id, json!({})).await;
    let (status, job) = rig.get(&watch, &format!("/watch/{id}")).await;
    assert_eq!(
        (status, &job["status"], &job["ended"]),
        (StatusCode::OK, &json!("failed"), &json!(true))
    );
    let text = job.to_string();
    assert!(
        !text.contains("s3cret") && !text.contains("it never works"),
        "{text}"
    );
    let granted = link(&rig, &id, json!({"error": true})).await;
    let (_, job) = rig.get(&granted, &format!("/watch/{id}")).await;
    assert_eq!(job["error"], json!("it never works"));
    assert!(!job.to_string().contains("s3cret"), "{job}");
    let in_query = body(rig.request(Method::GET, &format!("/watch/{id}?token={watch}"))).await;
    assert_eq!(in_query.0, StatusCode::OK);

    assert_eq!(
        rig.get(&watch, &format!("/watch/{other}")).await.0,
        StatusCode::FORBIDDEN,
        "another job's"
    );
    for path in ["/jobs", "/session", &format!("/jobs/{id}"), "/audit"] {
        assert_eq!(rig.get(&watch, path).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(
        rig.get(&token, &format!("/watch/{id}")).await.0,
        StatusCode::UNAUTHORIZED,
        "no watch link"
    );
    assert_eq!(
        rig.post(&watch, &format!("/watch/{id}/cancel"), json!({}))
            .await
            .0,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn an_expired_and_a_changed_link_are_refused() {
    let rig = Rig::new().await;
    let token = rig.token(Role::Producer).await;
    let id = rig.enqueue(&token, json!({"function_name": "echo"})).await;
    let short = link(&rig, &id, json!({"expires_in_ms": 1000})).await;
    let path = format!("/watch/{id}");
    let mut tries = 0;
    while rig.get(&short, &path).await.0 == StatusCode::OK {
        tries += 1;
        assert!(tries < 100, "it has not expired");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let good = link(&rig, &id, json!({"cancel": false})).await;
    for at in [4, 10, good.len() / 2, good.len() - 2] {
        let mut changed = good.clone();
        let letter = if &changed[at..=at] == "A" { "B" } else { "A" };
        changed.replace_range(at..=at, letter);
        let (status, problem) = rig.get(&changed, &path).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{at}: {problem}");
        assert!(!problem.to_string().contains(&good[5..20]), "{problem}");
    }
    let (status, _) = rig
        .post(
            &token,
            &format!("/jobs/{id}/watch-link"),
            json!({"expires_in_ms": 1}),
        )
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let viewer = rig.token(Role::Viewer).await;
    let (status, _) = rig
        .post(&viewer, &format!("/jobs/{id}/watch-link"), json!({}))
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_link_that_may_cancel_cancels_its_job_from_a_page_of_a_known_site() {
    let shop = "https://shop.example".to_owned();
    let rig = Rig::with(|gateway| gateway.cors_origins([shop])).await;
    let token = rig.token(Role::Admin).await;
    let id = rig.enqueue(&token, json!({"function_name": "echo"})).await;
    let watch = link(&rig, &id, json!({"cancel": true})).await;
    let path = format!("/watch/{id}/cancel");
    let preflight = |origin: &'static str| {
        let request = rig.request(Method::OPTIONS, &path).header("origin", origin);
        request.header("access-control-request-method", "POST").send()
    };
    let allowed = preflight("https://shop.example").await.unwrap();
    assert_eq!(
        allowed.headers()["access-control-allow-origin"],
        "https://shop.example"
    );
    assert!(
        allowed.headers()["access-control-allow-headers"]
            .to_str()
            .unwrap()
            .contains("authorization")
    );
    let refused = preflight("https://evil.example").await.unwrap();
    assert!(!refused.headers().contains_key("access-control-allow-origin"));

    let request = rig
        .request(Method::POST, &path)
        .bearer_auth(&watch)
        .header("origin", "https://shop.example");
    let response = request
        .header("sec-fetch-site", "cross-site")
        .send()
        .await
        .unwrap();
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://shop.example"
    );
    assert_eq!(response.status(), StatusCode::OK);
    let (_, job) = rig.get(&watch, &format!("/watch/{id}")).await;
    assert_eq!(
        (&job["status"], &job["can_cancel"]),
        (&json!("cancelled"), &json!(false))
    );
    let (_, log) = rig.get(&token, "/audit").await;
    assert_eq!(
        (&log["lines"][0]["who"], &log["lines"][0]["action"]),
        (&json!("watch link"), &json!("job.cancel"))
    );
    // The rest of the API is for no other site.
    let request = rig
        .request(Method::GET, "/jobs")
        .bearer_auth(&token)
        .header("origin", "https://shop.example");
    assert!(
        !request
            .send()
            .await
            .unwrap()
            .headers()
            .contains_key("access-control-allow-origin")
    );
    // An error can be read by the page as well.
    let request = rig
        .request(Method::GET, &format!("/watch/{id}"))
        .header("origin", "https://shop.example");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://shop.example"
    );
}
