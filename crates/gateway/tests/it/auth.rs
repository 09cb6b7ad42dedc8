//! Who gets in, and what they may.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use longshore_core::port::attempt::Quarantined;
use longshore_core::{Clock, QueueName, Timestamp};
use longshore_gateway::{HideRule, Role};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::rig::{Rig, body};

#[tokio::test]
async fn nobody_gets_in_without_a_token_that_is_good() {
    let rig = Rig::new().await;
    for path in [
        "/jobs",
        "/queues",
        "/session",
        "/audit",
        "/tokens",
        "/statistics",
        "/events?queues",
    ] {
        let response = rig.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(response.headers().contains_key("www-authenticate"), "{path}");
    }
    let good = rig.token(Role::Viewer).await;
    assert_eq!(
        rig.get(&good, "/session").await.1,
        json!({"who": "the viewer", "role": "viewer"})
    );
    let mut tampered = good.clone();
    tampered.replace_range(good.len() - 2.., "__");
    for wrong in [
        "",
        "x",
        &tampered,
        "lsk_0000000000000000_x",
        &good[..good.len() - 1],
    ] {
        assert_eq!(
            rig.get(wrong, "/session").await.0,
            StatusCode::UNAUTHORIZED,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn an_expired_and_a_revoked_token_are_good_no_more() {
    let rig = Rig::new().await;
    let short = rig.token_for(Role::Admin, Some(Duration::from_secs(1))).await;
    let admin = rig.token(Role::Admin).await;
    let mut tries = 0;
    while rig.get(&short, "/session").await.0 != StatusCode::UNAUTHORIZED {
        tries += 1;
        assert!(tries < 100, "it has not expired");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (status, made) = rig
        .post(&admin, "/tokens", json!({"name": "shop", "role": "producer"}))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(rig.get(secret, "/session").await.0, StatusCode::OK);
    let (_, list) = rig.get(&admin, "/tokens").await;
    assert!(
        list.to_string().contains("shop") && !list.to_string().contains(secret),
        "{list}"
    );
    let path = format!("/tokens/{}", made["id"].as_str().unwrap());
    let revoke = |path: String| body(rig.request(Method::DELETE, &path).bearer_auth(&admin));
    assert_eq!(revoke(path.clone()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(revoke(path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(rig.get(secret, "/session").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_role_may_what_it_says_and_no_more() {
    let rig = Rig::new().await;
    let producer = rig.token(Role::Producer).await;
    let id = rig.enqueue(&producer, json!({"function_name": "echo"})).await;
    let acts = [
        (
            "/jobs".to_owned(),
            json!({"function_name": "echo"}),
            Role::Producer,
        ),
        (format!("/jobs/{id}/cancel"), json!({}), Role::Producer),
        (format!("/jobs/{id}/watch-link"), json!({}), Role::Producer),
        (format!("/jobs/{id}/requeue"), json!({}), Role::Operator),
        (format!("/jobs/{id}/discard"), json!({}), Role::Operator),
        (format!("/jobs/{id}/edit"), json!({"args": 1}), Role::Operator),
        (
            "/dead-letters/requeue".to_owned(),
            json!({"ids": [id]}),
            Role::Operator,
        ),
        (
            "/dead-letters/discard".to_owned(),
            json!({"ids": [id]}),
            Role::Operator,
        ),
        (
            "/operations".to_owned(),
            json!({"kind": "requeue"}),
            Role::Operator,
        ),
        ("/queues/default/pause".to_owned(), json!({}), Role::Operator),
        ("/queues/default/resume".to_owned(), json!({}), Role::Operator),
        ("/cron/c/run".to_owned(), json!({}), Role::Operator),
        (
            "/quarantine/drop".to_owned(),
            json!({"message_ids": ["m"]}),
            Role::Operator,
        ),
        (
            "/tokens".to_owned(),
            json!({"name": "x", "role": "viewer"}),
            Role::Admin,
        ),
    ];
    for role in [Role::Viewer, Role::Producer, Role::Operator, Role::Admin] {
        let token = rig.token(role).await;
        for (path, json, needed) in &acts {
            let (status, answer) = rig.post(&token, path, json.clone()).await;
            let refused = status == StatusCode::FORBIDDEN;
            assert_eq!(refused, role < *needed, "{role} {path}: {status} {answer}");
        }
        let audit = rig.get(&token, "/audit").await.0;
        assert_eq!(audit == StatusCode::OK, role >= Role::Operator);
    }
}

#[tokio::test]
async fn a_browser_signs_in_acts_with_its_token_alone_and_is_signed_out_by_a_revocation() {
    let rig = Rig::new().await;
    let made = rig
        .tokens()
        .create("ada", Role::Operator, None, "a test")
        .await
        .unwrap();
    let login = |token: &str, next: &str| {
        let form = format!("token={token}&next={next}");
        let request = rig
            .page(Method::POST, "/login")
            .header("content-type", "application/x-www-form-urlencoded");
        request.body(form).send()
    };
    assert_eq!(
        login("wrong", "/").await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let response = login(made.text.expose(), "%2F%2Fevil.example").await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["location"]),
        (StatusCode::SEE_OTHER, &"/".parse().unwrap())
    );
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(
        !cookie.contains(made.text.expose()),
        "the cookie is not the token"
    );
    let pair = cookie.split(';').next().unwrap().to_owned();

    let session = || body(rig.request(Method::GET, "/session").header(COOKIE, &pair));
    assert_eq!(session().await.1["who"], "ada");
    let pause = |csrf: Option<&str>| {
        let mut request = rig
            .request(Method::POST, "/queues/default/pause")
            .header(COOKIE, &pair)
            .json(&json!({}));
        if let Some(csrf) = csrf {
            request = request.header("x-csrf-token", csrf);
        }
        body(request)
    };
    assert_eq!(pause(None).await.1["code"], "cross_site");
    assert_eq!(pause(Some("wrong")).await.1["code"], "cross_site");

    let mut tampered = pair.clone();
    let middle = pair.len() / 2;
    let letter = if &pair[middle..=middle] == "A" { "B" } else { "A" };
    tampered.replace_range(middle..=middle, letter);
    let request = rig.request(Method::GET, "/session").header(COOKIE, tampered);
    assert_eq!(body(request).await.0, StatusCode::UNAUTHORIZED);
    rig.tokens().revoke(made.token.id).await.unwrap();
    assert_eq!(session().await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_cookie_of_a_site_with_tls_travels_by_tls_alone() {
    let rig = Rig::with(|gateway| {
        gateway
            .public_url("https://jobs.example/".parse().ok())
            .base_path("/ls")
    })
    .await;
    let token = rig.token(Role::Viewer).await;
    let request = rig
        .page(Method::POST, "/ls/login")
        .header("content-type", "application/x-www-form-urlencoded");
    let response = request.body(format!("token={token}")).send().await.unwrap();
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.contains("; Secure") && cookie.contains("Path=/ls"),
        "{cookie}"
    );
    assert_eq!(response.headers()["location"], "/ls/");
}

#[tokio::test]
async fn fields_are_hidden_from_roles_everywhere_and_cannot_be_written_over() {
    let rules = [
        "args.card",
        "operator:result",
        "metadata.email",
        "error.message",
        "history",
    ];
    let rules: Vec<HideRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let rig = Rig::with(|gateway| gateway.hide(rules)).await;
    rig.work();
    let (producer, operator, admin) = (
        rig.token(Role::Producer).await,
        rig.token(Role::Operator).await,
        rig.token(Role::Admin).await,
    );
    let args = json!({"card": "4111-s3cret", "name": "n"});
    let request =
        json!({"function_name": "fail", "args": args, "metadata": {"email": "s3cret@x"}, "max_retries": 0});
    let id = rig.enqueue(&producer, request).await;
    rig.until(&producer, &id, "failed").await;
    let paths = [
        format!("/jobs/{id}"),
        format!("/jobs/{id}/summary"),
        "/jobs".to_owned(),
        "/dead-letters".to_owned(),
        "/dead-letters/groups".to_owned(),
        format!("/jobs/{id}/why"),
    ];
    for path in &paths {
        let (status, seen) = rig.get(&operator, path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let seen = seen.to_string();
        assert!(
            !seen.contains("s3cret") && !seen.contains("it never works"),
            "{path}: {seen}"
        );
    }
    let (_, all) = rig.get(&admin, &paths[0]).await;
    assert_eq!(all["args"], args);
    assert_eq!(all["error"]["message"], "it never works");
    let (status, problem) = rig
        .post(
            &operator,
            &format!("/jobs/{id}/edit"),
            json!({"args": {"card": "[hidden]"}}),
        )
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{problem}");
}

#[tokio::test]
async fn a_cron_entry_with_hidden_arguments_is_neither_shown_whole_nor_written_over() {
    let rule: HideRule = "args.card".parse().unwrap();
    let rig = Rig::with(|gateway| gateway.hide([rule])).await;
    let (operator, admin) = (rig.token(Role::Operator).await, rig.token(Role::Admin).await);
    let put = |token: &str, card: &str| {
        let job = json!({"function_name": "echo", "args": {"card": card}});
        let request = rig.request(Method::PUT, "/cron/nightly").bearer_auth(token);
        body(request.json(&json!({"expression": "0 3 * * *", "job": job})))
    };
    let page = |token: &str| {
        let request = rig.page(Method::GET, "/cron/nightly").bearer_auth(token);
        body(request.header("accept", "text/html"))
    };
    let (status, made) = put(&admin, "4111-s3cret").await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let (status, seen) = page(&operator).await;
    let seen = seen.as_str().unwrap();
    assert_eq!(status, StatusCode::OK, "{seen}");
    assert!(seen.contains("[hidden]") && !seen.contains("s3cret"), "{seen}");
    assert!(seen.contains("class=\"fields\" disabled"), "{seen}");
    let (_, all) = page(&admin).await;
    assert!(all.as_str().unwrap().contains("4111-s3cret"), "{all}");
    let (status, problem) = put(&operator, "[hidden]").await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{problem}");
    let (status, changed) = put(&admin, "5555").await;
    assert_eq!(
        (status, &changed["says"]["args"]["card"]),
        (StatusCode::OK, &json!("5555"))
    );
}

#[tokio::test]
async fn what_is_in_a_message_of_the_quarantine_is_shown_to_admins_alone() {
    let rig = Rig::new().await;
    let message = Quarantined {
        message_id: "m-1".to_owned(),
        queue: QueueName::default(),
        reason: "not MessagePack".to_owned(),
        body: Bytes::from_static(b"s3cret body"),
        headers: vec![("x".to_owned(), "s3cret header".to_owned())],
        jobs: Vec::new(),
        dispatches: Vec::new(),
    };
    rig.ports.attempt.quarantine(vec![message]).await.unwrap();
    for role in [Role::Viewer, Role::Operator, Role::Admin] {
        let token = rig.token(role).await;
        let request = rig.page(Method::GET, "/quarantine").bearer_auth(&token);
        let (status, page) = body(request.header("accept", "text/html")).await;
        let page = page.as_str().unwrap();
        assert_eq!(status, StatusCode::OK, "{page}");
        assert!(page.contains("not MessagePack"), "{page}");
        for secret in ["s3cret body", "s3cret header"] {
            assert_eq!(page.contains(secret), role == Role::Admin, "{role} {page}");
        }
    }
}

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp(1_900_000_000_000)
    }
}

#[tokio::test]
async fn requests_are_limited_by_token_and_wrong_tokens_by_address() {
    // Time stands still, so that it does not matter how fast this is.
    let rig = Rig::with(|gateway| gateway.rate_limit(5).clock(Arc::new(Stopped))).await;
    let (one, other) = (rig.token(Role::Viewer).await, rig.token(Role::Viewer).await);
    let mut limited = None;
    for _ in 0..200 {
        let response = rig
            .request(Method::GET, "/session")
            .bearer_auth(&one)
            .send()
            .await
            .unwrap();
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            limited = Some(response.headers()["retry-after"].clone());
            break;
        }
    }
    assert!(limited.is_some());
    assert_eq!(
        rig.get(&other, "/session").await.0,
        StatusCode::OK,
        "another token has its own allowance"
    );
    let wrong = "lsk_0000000000000000_x";
    for _ in 0..20 {
        assert_eq!(rig.get(wrong, "/session").await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(rig.get(wrong, "/session").await.0, StatusCode::TOO_MANY_REQUESTS);
}
