//! Two gateways behind a balancer that knows nothing: whichever answers, it is the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::{COOKIE, SET_COOKIE};
use longshore_gateway::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::events::Events;
use crate::rig::{LONG, Rig, Store, body};

/// Hands each connection to the next upstream.
async fn balance(upstreams: Vec<SocketAddr>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let at = count.fetch_add(1, Ordering::SeqCst) % upstreams.len();
            let upstream = upstreams[at];
            tokio::spawn(async move {
                if let Ok(mut far) = TcpStream::connect(upstream).await {
                    tokio::io::copy_bidirectional(&mut near, &mut far).await.ok();
                }
            });
        }
    });
    (address, taken)
}

/// A stream that one replica began goes on where it was on the other.
async fn streams_go_on(http: &reqwest::Client, address: SocketAddr, token: &str, id: &str) {
    let mut last = None;
    for _ in 0..4 {
        let mut request = http
            .get(format!("http://{address}/api/v1/events?jobs={id}"))
            .bearer_auth(token);
        if let Some(last) = last.take() {
            request = request.header("last-event-id", last);
        }
        let mut response = request.send().await.unwrap();
        let mut text = String::new();
        while !text.contains("event: job") {
            text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
        }
        let id = text
            .lines()
            .find_map(|line| line.strip_prefix("id: "))
            .unwrap()
            .to_owned();
        last = Some(id);
    }
}

/// Signs in as a browser does; answers the session's cookie.
async fn login(http: &reqwest::Client, address: SocketAddr, token: &str) -> String {
    let signed = http
        .post(format!("http://{address}/login"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={token}"))
        .send()
        .await
        .unwrap();
    let cookie = signed.headers()[SET_COOKIE].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn nothing_depends_on_which_replica_answers() {
    let store = Store::new();
    let one = Rig::on(Arc::clone(&store), |gateway| gateway).await;
    let other = Rig::on(store, |gateway| gateway).await;
    one.work();
    let (address, taken) = balance(vec![one.address, other.address]).await;
    let token = one.token(Role::Operator).await;
    // A connection a request, so that the balancer has a choice each time.
    let http = reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let ask = |method: Method, path: &str| http.request(method, format!("http://{address}{path}"));

    let cookie = login(&http, address, &token).await;
    let job = json!({"function_name": "hang"});
    let made = ask(Method::POST, "/api/v1/jobs")
        .bearer_auth(&token)
        .json(&job)
        .send()
        .await
        .unwrap();
    let made: serde_json::Value = made.json().await.unwrap();
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/v1/jobs/{id}/watch-link");
    let link = ask(Method::POST, &path)
        .bearer_auth(&token)
        .json(&json!({"cancel": true}))
        .send()
        .await
        .unwrap();
    let link: serde_json::Value = link.json().await.unwrap();
    let watch = link["token"].as_str().unwrap();

    let mut tags = Vec::new();
    for _ in 0..4 {
        let seen = ask(Method::GET, "/api/v1/session")
            .header(COOKIE, &cookie)
            .send()
            .await
            .unwrap();
        assert_eq!(
            seen.status(),
            StatusCode::OK,
            "the session is good on every replica"
        );
        let seen = ask(Method::GET, &format!("/api/v1/watch/{id}"))
            .bearer_auth(watch)
            .send()
            .await
            .unwrap();
        assert_eq!(seen.status(), StatusCode::OK, "so is the link");
        let seen = ask(Method::GET, "/api/v1/queues/nothing")
            .bearer_auth(&token)
            .send()
            .await
            .unwrap();
        tags.push(seen.headers()["etag"].clone());
    }
    assert!(tags.iter().all(|tag| *tag == tags[0]), "{tags:?}");

    streams_go_on(&http, address, &token, id).await;
    let path = format!("/api/v1/watch/{id}/cancel");
    assert_eq!(
        ask(Method::POST, &path)
            .bearer_auth(watch)
            .send()
            .await
            .unwrap()
            .status(),
        StatusCode::OK
    );
    let path = format!("/api/v1/jobs/{id}/wait");
    let ended = ask(Method::GET, &path).bearer_auth(&token).send().await.unwrap();
    let ended: serde_json::Value = ended.json().await.unwrap();
    assert_eq!(ended["status"], "cancelled");
    one.tokens()
        .revoke(one.tokens().list().await.unwrap()[0].id)
        .await
        .unwrap();
    for _ in 0..2 {
        let seen = ask(Method::GET, "/api/v1/session")
            .header(COOKIE, &cookie)
            .send()
            .await
            .unwrap();
        assert_eq!(
            seen.status(),
            StatusCode::UNAUTHORIZED,
            "a revocation reaches every replica at once"
        );
    }
    assert!(taken.load(Ordering::SeqCst) > 8);
}

/// Two gateways on one store, each asked by its own name.
async fn pair() -> [Rig; 2] {
    let store = Store::new();
    let one = Rig::on(Arc::clone(&store), |gateway| gateway).await;
    let other = Rig::on(store, |gateway| gateway).await;
    [one, other]
}

#[tokio::test]
async fn a_stream_goes_on_at_the_other_replica_with_what_was_missed_and_nothing_else() {
    let [one, other] = pair().await;
    let token = one.token(Role::Operator).await;
    // Nobody runs it: it changes when it is told to, and not before.
    let id = one.enqueue(&token, json!({"function_name": "nobody"})).await;
    let second = one.enqueue(&token, json!({"function_name": "nobody"})).await;
    let path = format!("/events?jobs={id}");
    let mut events = Events::open(&one, &token, &path, None).await;
    let last = events.named("job").await.id;
    drop(events);

    let mut events = Events::open(&other, &token, &path, Some(&last)).await;
    assert_eq!(events.next().await.unwrap().comment, "open");
    let first = events.next().await.unwrap();
    assert_eq!(
        (first.comment.as_str(), first.name.as_str()),
        ("nothing was missed", "")
    );
    drop(events);

    // While nobody listened; told by the replica that did not do it.
    one.post(&token, &format!("/jobs/{id}/cancel"), json!({})).await;
    let mut events = Events::open(&other, &token, &path, Some(&last)).await;
    let missed = events.named("job").await;
    assert_eq!(missed.data["status"], "cancelled");
    assert_ne!(missed.id, last);
    drop(events);

    // And back, as it stands now.
    let mut events = Events::open(&one, &token, &path, Some(&missed.id)).await;
    assert_eq!(events.next().await.unwrap().comment, "open");
    assert_eq!(events.next().await.unwrap().comment, "nothing was missed");
    drop(events);

    // A change reaches an open stream of the replica that did not make it.
    let mut events = Events::open(&one, &token, &format!("/events?jobs={second}"), None).await;
    events.named("job").await;
    other
        .post(&token, &format!("/jobs/{second}/cancel"), json!({}))
        .await;
    assert_eq!(events.named("job").await.data["status"], "cancelled");
}

#[tokio::test]
async fn sessions_forms_links_and_operations_of_one_replica_are_good_at_the_other() {
    let [one, other] = pair().await;
    one.work();
    let token = one.token(Role::Operator).await;
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let cookie = login(&http, one.address, &token).await;
    // The form of one replica, posted to the other.
    let page = one
        .page(Method::GET, "/")
        .header(COOKIE, &cookie)
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
    let posted = other
        .page(Method::POST, "/queues/default/pause")
        .header(COOKIE, &cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("csrf={csrf}"));
    assert_eq!(posted.send().await.unwrap().status(), StatusCode::SEE_OTHER);
    assert_eq!(one.get(&token, "/queues/default").await.1["paused"], json!(true));
    // A link of one, used at the other.
    let id = one.enqueue(&token, json!({"function_name": "echo"})).await;
    let (_, link) = one
        .post(&token, &format!("/jobs/{id}/watch-link"), json!({"cancel": true}))
        .await;
    let link = link["token"].as_str().unwrap();
    assert_eq!(other.get(link, &format!("/watch/{id}")).await.0, StatusCode::OK);
    // An operation of one, looked at and taken up at the other.
    let request = json!({"kind": "cancel", "jobs": {"queue": "default"}, "id": "ab"});
    let (status, begun) = one.post(&token, "/operations", request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun}");
    let path = format!("/operations/{}", begun["id"].as_str().unwrap());
    let ended = async {
        while other.get(&token, &path).await.1["ended_at_ms"].is_null() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, ended).await.unwrap();
    let (status, again) = other.post(&token, &format!("{path}/resume"), json!({})).await;
    assert_eq!(
        (status, &again["done"]),
        (StatusCode::ACCEPTED, &json!(1)),
        "{again}"
    );
    assert_eq!(
        other.get(&token, &format!("/jobs/{id}")).await.1["status"],
        json!("cancelled")
    );
    // Out at one, out at the other.
    let out = one
        .page(Method::POST, "/logout")
        .header(COOKIE, &cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("csrf={csrf}"));
    assert_eq!(out.send().await.unwrap().status(), StatusCode::SEE_OTHER);
    let session = other.request(Method::GET, "/session").header(COOKIE, &cookie);
    assert_eq!(body(session).await.0, StatusCode::UNAUTHORIZED);
}
