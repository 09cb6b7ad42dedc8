//! Bounds of what one caller may have: streams, connections, wrong tokens; and sessions that end end their streams.

use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE};
use longshore_gateway::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpStream;

use crate::events::Events;
use crate::rawhttp::{read, send};
use crate::rig::{LONG, Rig, body};

/// Asks for a stream until the answer is the wanted one: a place is free again once the server has seen the other end go.
async fn until_stream(rig: &Rig, token: &str, wanted: StatusCode) {
    for _ in 0..600 {
        let request = rig.request(Method::GET, "/events?queues").bearer_auth(token);
        if request.send().await.unwrap().status() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no answer {wanted}");
}

#[tokio::test]
async fn a_caller_has_only_so_many_streams_and_waits_and_others_have_theirs() {
    let rig = Rig::with(|gateway| gateway.streams_max(2)).await;
    let (one, other) = (rig.token(Role::Operator).await, rig.token(Role::Viewer).await);
    let id = rig.enqueue(&one, json!({"function_name": "nobody"})).await;
    let (_, link) = rig.post(&one, &format!("/jobs/{id}/watch-link"), json!({})).await;
    let link = link["token"].as_str().unwrap();
    let first = Events::open(&rig, &one, "/events?queues", None).await;
    let _second = Events::open(&rig, &one, "/events?overview", None).await;
    for path in [
        "/events?queues".to_owned(),
        format!("/jobs/{id}/wait?timeout_ms=1"),
    ] {
        let request = rig.request(Method::GET, &path).bearer_auth(&one);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
        assert_eq!(response.headers()["retry-after"], "5");
        let problem: serde_json::Value = response.json().await.unwrap();
        assert_eq!(problem["code"], "rate_limited");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("gateway.streams_max"),
            "{problem}"
        );
    }
    let _others = Events::open(&rig, &other, "/events?queues", None).await;
    // The link's holders share the link's places, and those of their address.
    let path = format!("/watch/{id}/events");
    let _watch = Events::open(&rig, link, &path, None).await;
    let _again = Events::open(&rig, link, &path, None).await;
    let (status, _) = body(rig.request(Method::GET, &path).bearer_auth(link)).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    drop(first);
    until_stream(&rig, &one, StatusCode::OK).await;
}

#[tokio::test]
async fn an_address_has_only_so_many_connections_unless_a_trusted_proxy_has_it() {
    for trusts in [false, true] {
        let rig = Rig::with(|gateway| gateway.connections_per_address(4).trust_forwarded(trusts)).await;
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(TcpStream::connect(rig.address).await.unwrap());
        }
        // The server may not have taken all four yet; it takes them in order.
        let answer = send(
            rig.address,
            b"GET /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            LONG,
        )
        .await;
        let expected = if trusts { "HTTP/1.1 200" } else { "HTTP/1.1 429" };
        assert!(answer.starts_with(expected), "{answer}");
        assert_eq!(answer.contains("too many connections"), !trusts);
        let mut last = open.pop().unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut last).await.unwrap();
        read(&mut last, LONG).await;
        drop(last);
        for _ in 0..600 {
            let answer = send(
                rig.address,
                b"GET /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
                LONG,
            )
            .await;
            if answer.starts_with("HTTP/1.1 200") {
                break;
            }
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 429"),
                "{answer}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn wrong_tokens_keep_no_good_one_at_the_same_address_out() {
    let rig = Rig::new().await;
    let good = rig.token(Role::Viewer).await;
    let wrong = "lsk_0000000000000000_x";
    let mut refused = false;
    for _ in 0..60 {
        refused |= rig.get(wrong, "/session").await.0 == StatusCode::TOO_MANY_REQUESTS;
    }
    assert!(refused);
    assert_eq!(rig.get(&good, "/session").await.0, StatusCode::OK);
    let login = rig
        .page(Method::POST, "/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={good}"));
    assert_eq!(login.send().await.unwrap().status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn whoever_leaves_is_told_nothing_more() {
    let rig = Rig::with(|gateway| gateway.heartbeat(Duration::from_millis(100))).await;
    let good = rig.token(Role::Operator).await;
    let sign_in = || async {
        let request = rig
            .page(Method::POST, "/login")
            .header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(format!("token={good}")).send().await.unwrap();
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    };
    let open = async |cookie: String| {
        let request = rig_events(&rig, &cookie);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response
    };
    let told = |response: reqwest::Response| {
        tokio::spawn(async move {
            tokio::time::timeout(LONG, response.text())
                .await
                .unwrap()
                .unwrap()
        })
    };
    // Signed out, in another tab.
    let (left, stays) = (sign_in().await, sign_in().await);
    let (ends, goes_on) = (told(open(left.clone()).await), told(open(stays.clone()).await));
    let page = rig
        .page(Method::GET, "/")
        .header(COOKIE, &left)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let csrf = page
        .split("name=\"csrf\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let out = rig
        .page(Method::POST, "/logout")
        .header(COOKIE, &left)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("csrf={csrf}"));
    assert_eq!(out.send().await.unwrap().status(), StatusCode::SEE_OTHER);
    assert!(ends.await.unwrap().contains("event: unauthenticated"));
    assert!(!goes_on.is_finished(), "another session of the same token stays");
    let session = |cookie: &str| body(rig.request(Method::GET, "/session").header(COOKIE, cookie));
    assert_eq!(
        session(&left).await.0,
        StatusCode::UNAUTHORIZED,
        "a copy of the cookie"
    );
    assert_eq!(session(&stays).await.0, StatusCode::OK);
    // Another key: every session and link, and their streams.
    let id = rig.enqueue(&good, json!({"function_name": "nobody"})).await;
    let (_, link) = rig
        .post(&good, &format!("/jobs/{id}/watch-link"), json!({}))
        .await;
    let watch = rig
        .request(Method::GET, &format!("/watch/{id}/events"))
        .bearer_auth(link["token"].as_str().unwrap());
    let watch = watch.send().await.unwrap();
    rig.tokens().rotate_key().await.unwrap();
    assert!(goes_on.await.unwrap().contains("event: unauthenticated"));
    let text = tokio::time::timeout(LONG, watch.text()).await.unwrap().unwrap();
    assert!(text.contains("event: unauthenticated"), "{text}");
    assert_eq!(session(&stays).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(
        rig.get(&good, "/session").await.0,
        StatusCode::OK,
        "the token stays good"
    );
    // A token that is revoked.
    let mut events = Events::open(&rig, &good, "/events?queues", None).await;
    let id = rig.tokens().list().await.unwrap()[0].id;
    rig.tokens().revoke(id).await.unwrap();
    events.named("unauthenticated").await;
}

fn rig_events(rig: &Rig, cookie: &str) -> reqwest::RequestBuilder {
    rig.request(Method::GET, "/events?queues").header(COOKIE, cookie)
}
