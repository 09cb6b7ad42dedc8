//! Attackers: refused, without secrets in the answer, and the gateway goes on.

use std::time::Duration;

use longshore_gateway::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::rawhttp::{read, send};
use crate::rig::{LONG, Rig, body};

/// That the gateway still answers.
async fn is_alive(rig: &Rig) {
    let response = rig.request(Method::GET, "/openapi.json").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_script_in_any_field_is_data_and_no_page_may_run_it() {
    let rig = Rig::new().await;
    rig.work();
    let token = rig.token(Role::Operator).await;
    let script = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    let request = json!({
        "function_name": "echo", "name": script, "args": {script: script}, "tags": [script],
        "metadata": {script: script},
    });
    let id = rig.enqueue(&token, request).await;
    rig.until(&token, &id, "completed").await;
    rig.post(&token, &format!("/jobs/{id}/cancel"), json!({"reason": script}))
        .await;
    for path in [format!("/jobs/{id}"), "/jobs".to_owned()] {
        let response = rig
            .request(Method::GET, &path)
            .bearer_auth(&token)
            .send()
            .await
            .unwrap();
        let headers = response.headers();
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("script-src 'self'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(
            response.text().await.unwrap().contains("<script>"),
            "the field itself is kept as it is"
        );
    }
    // What is not found is told to a browser that asks for a page; the path is not echoed as HTML.
    let request = rig
        .page(Method::GET, "/nowhere/%3Cscript%3E")
        .header("accept", "text/html");
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(!text.contains("<script>alert"), "{text}");
}

#[tokio::test]
async fn another_site_may_not_ask_for_changes() {
    let rig = Rig::open().await;
    let cross = [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    for (name, value) in cross {
        let request = rig
            .request(Method::POST, "/queues/default/pause")
            .header(name, value)
            .json(&json!({}));
        let (status, problem) = body(request).await;
        assert_eq!(
            (status, problem["code"].as_str()),
            (StatusCode::FORBIDDEN, Some("cross_site")),
            "{name}: {value}"
        );
    }
    // A password that the browser remembers for this host comes along by itself.
    let request = rig
        .request(Method::POST, "/queues/default/pause")
        .header("origin", "https://evil.example")
        .header("authorization", "Basic YTpi");
    assert_eq!(body(request.json(&json!({}))).await.0, StatusCode::FORBIDDEN);
    let own = format!("http://{}", rig.address);
    let request = rig
        .request(Method::POST, "/queues/default/pause")
        .header("origin", own);
    assert_eq!(
        body(request.header("sec-fetch-site", "same-origin").json(&json!({})))
            .await
            .0,
        StatusCode::OK
    );
    // A form of another site needs no preflight; its body is no JSON.
    let request = rig
        .request(Method::POST, "/queues/default/pause")
        .header("content-type", "text/plain");
    assert_eq!(
        body(request.body("{}")).await.0,
        StatusCode::OK,
        "a pause takes no body"
    );
    let request = rig
        .request(Method::POST, "/jobs")
        .header("content-type", "text/plain");
    assert_eq!(
        body(request.body("{}")).await.0,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    // Without an answer that allows it, the browser of the other site does not show what it reads.
    let response = rig
        .request(Method::GET, "/jobs")
        .header("origin", "https://evil.example")
        .send()
        .await
        .unwrap();
    assert!(!response.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_name_that_a_stranger_points_here_is_not_answered_without_tokens() {
    let rig = Rig::open().await;
    for host in [
        "evil.example",
        "evil.example:8080",
        "10.0.0.1",
        "127.0.0.1.evil.example",
    ] {
        let request = rig.request(Method::GET, "/jobs").header("host", host);
        assert_eq!(body(request).await.0, StatusCode::FORBIDDEN, "{host}");
    }
    for host in ["localhost:1", "127.0.0.1", "[::1]:9"] {
        let request = rig.request(Method::GET, "/jobs").header("host", host);
        assert_eq!(body(request).await.0, StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn without_tokens_nothing_but_loopback_is_served() {
    use longshore_gateway::{Access, Gateway};
    let rig = Rig::new().await;
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let gateway = Gateway::builder(rig.client.clone(), rig.ports.clone())
        .access(Access::Open)
        .build()
        .unwrap();
    let refused = gateway.serve(listener, rig.stop.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("loopback"), "{refused}");
}

#[tokio::test]
async fn a_path_that_climbs_finds_nothing() {
    let rig = Rig::new().await;
    for path in [
        "/assets/../../../../etc/passwd",
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets/....//....//etc/passwd",
        "/api/v1/jobs/..%2f..%2ftokens",
        "//etc/passwd",
    ] {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            rig.address
        );
        let answer = send(rig.address, head.as_bytes(), LONG).await;
        assert!(
            answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 303"),
            "{path}: {answer}"
        );
        assert!(!answer.contains("root:"), "{path}");
    }
    is_alive(&rig).await;
}

#[tokio::test]
async fn a_body_of_100_megabytes_is_refused_before_it_is_read() {
    let rig = Rig::new().await;
    let token = rig.token(Role::Producer).await;
    let told = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: 104857600\r\n\r\n{{"
    );
    let answer = send(rig.address, told.as_bytes(), Duration::from_secs(5)).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // Chunked, so that nothing tells how much comes.
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let head = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
    let mut sent = 0_usize;
    while sent < 100 && stream.write_all(&chunk).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 100, "the gateway stops reading");
    is_alive(&rig).await;
}

#[tokio::test]
async fn who_sends_a_head_or_a_body_too_slowly_is_cut_off() {
    let rig = Rig::with(|gateway| {
        gateway
            .header_timeout(Duration::from_millis(500))
            .request_timeout(Duration::from_secs(1))
    })
    .await;
    let token = rig.token(Role::Producer).await;
    let slow = |head: String| async move {
        let mut stream = TcpStream::connect(rig_address(&head).0).await.unwrap();
        stream.write_all(rig_address(&head).1.as_bytes()).await.unwrap();
        read(&mut stream, LONG).await
    };
    let head = format!("{}|GET /api/v1/jobs HTTP/1.1\r\nhost: x\r\nx-a: ", rig.address);
    let answer = tokio::time::timeout(LONG, slow(head)).await.unwrap();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
        "{answer}"
    );
    let body = format!(
        "{}|POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n{{",
        rig.address
    );
    let answer = tokio::time::timeout(LONG, slow(body)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(!answer.contains(&token));
    is_alive(&rig).await;
}

fn rig_address(text: &str) -> (&str, &str) {
    text.split_once('|').unwrap()
}

#[tokio::test]
async fn many_slow_clients_do_not_lock_out_for_longer_than_their_head_may_take() {
    let rig = Rig::with(|gateway| {
        gateway
            .connections_max(8)
            .header_timeout(Duration::from_millis(500))
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        slow.push(stream);
    }
    tokio::time::timeout(LONG, is_alive(&rig)).await.unwrap();
}

#[tokio::test]
async fn a_stranger_signs_in_with_a_small_form_alone() {
    let rig = Rig::new().await;
    for (bytes, expected) in [
        (1_000, StatusCode::UNAUTHORIZED),
        (9_000, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let request = rig
            .page(Method::POST, "/login")
            .header("content-type", "application/x-www-form-urlencoded");
        let form = format!("token={}", "x".repeat(bytes));
        assert_eq!(body(request.body(form)).await.0, expected, "{bytes}");
    }
}

#[tokio::test]
async fn bombs_of_headers_are_refused() {
    let rig = Rig::new().await;
    let many = (0..500).fold("GET / HTTP/1.1\r\nhost: x\r\n".to_owned(), |head, number| {
        head + &format!("x-{number}: y\r\n")
    });
    let long = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n",
        "y".repeat(200_000)
    );
    let target = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(200_000));
    for bomb in [many + "\r\n", long, target] {
        let answer = send(rig.address, bomb.as_bytes(), LONG).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    is_alive(&rig).await;
}

#[tokio::test]
async fn nonsense_is_an_error_of_the_caller_and_never_of_the_gateway() {
    let rig = Rig::new().await;
    let token = rig.token(Role::Admin).await;
    let deep = format!(
        "{{\"function_name\":\"echo\",\"args\":{}1{}}}",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    for (kind, text) in [
        ("application/json", deep.as_str()),
        ("application/json", "{"),
        ("application/json", "\u{0}"),
        ("application/json", "{\"function_name\":\"echo\",\"args\":1e999}"),
        ("text/xml", "<a/>"),
    ] {
        let request = rig
            .request(Method::POST, "/jobs")
            .bearer_auth(&token)
            .header("content-type", kind);
        let (status, problem) = body(request.body(text.to_owned())).await;
        assert!(status.is_client_error(), "{kind}: {status} {problem}");
    }
    for path in [
        "/jobs/x",
        "/jobs/%00",
        "/cron/a%2fb",
        "/queues/%ff",
        "/operations/zz",
        "/tokens",
        "/watch/x",
    ] {
        let (status, problem) = rig.get(&token, path).await;
        assert!(!status.is_server_error(), "{path}: {status} {problem}");
    }
    let (status, problem) = body(rig.request(Method::DELETE, "/jobs").bearer_auth(&token)).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, Some("method_not_allowed"))
    );
    is_alive(&rig).await;
}
