use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use longshore_core::port::notify::{ChannelPort as _, NotSent, Retry};
use longshore_notify::guard::Lookup;
use longshore_notify::signature::Key;
use longshore_notify::{Body, Webhook, WebhookSettings};
use longshore_testkit::process::run;
use longshore_testkit::servers::{Answer, Receiver};
use serde_json::Value;

use super::letter;

fn settings(url: String) -> WebhookSettings {
    WebhookSettings {
        allowed: "127.0.0.1".parse().unwrap(),
        timeout: Duration::from_secs(10),
        ..WebhookSettings::new("ops", url)
    }
}

async fn send(settings: WebhookSettings) -> Result<(), NotSent> {
    Webhook::new(settings).unwrap().send(letter()).await.map(drop)
}

/// A lookup that answers these addresses, and counts how often it is asked.
fn lookup(addresses: &[&str]) -> (Lookup, Arc<AtomicU32>) {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let lookup: Lookup = Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    });
    (lookup, asked)
}

/// The signature as Python's own library makes it.
async fn sign_elsewhere(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, body).unwrap();
    let script = "import base64, hashlib, hmac, sys\n\
                  secret, id, timestamp, file = sys.argv[1:]\n\
                  content = f'{id}.{timestamp}.'.encode() + open(file, 'rb').read()\n\
                  key = base64.b64decode(secret.removeprefix('whsec_'))\n\
                  print('v1,' + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode())";
    let python = longshore_testkit::servers::mail::environment().await.unwrap();
    let mut command = Command::new(python);
    command.args(["-c", script, secret, id, timestamp]).arg(&file);
    run(command, Duration::from_secs(20)).await.unwrap()
}

#[tokio::test]
async fn a_letter_arrives_signed_and_its_body_and_id_are_the_same_each_time() {
    let receiver = Receiver::start().await.unwrap();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let mut settings = settings(receiver.url("/hook?token=t0ken"));
    settings.key = Some(Key::parse(secret).unwrap());
    for _ in 0..2 {
        send(settings.clone()).await.unwrap();
    }
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    for request in &received {
        assert_eq!(request.target, "POST /hook?token=t0ken");
        assert_eq!(
            request.header("webhook-id"),
            Some("msg_00112233445566778899aabbccddeeff")
        );
        let timestamp = request.header("webhook-timestamp").unwrap();
        let id = request.header("webhook-id").unwrap();
        let expected = sign_elsewhere(secret, id, timestamp, &request.body).await;
        assert_eq!(request.header("webhook-signature"), Some(expected.as_str()));
    }
    assert_eq!(received[0].body, received[1].body);
    let body: Value = serde_json::from_slice(&received[0].body).unwrap();
    assert_eq!(body["type"], "longshore.dead_letter");
    assert_eq!(body["data"]["count"], 10);
    assert_eq!(
        body["data"]["samples"][0]["job_id"],
        "018bcfe5-6800-7000-8000-000000000001"
    );
}

#[tokio::test]
async fn slack_gets_a_text_without_markup_of_the_error() {
    let receiver = Receiver::start().await.unwrap();
    let mut settings = settings(receiver.url("/services/T0/B0/x"));
    settings.body = Body::Slack;
    send(settings).await.unwrap();
    let body: Value = serde_json::from_slice(&receiver.received()[0].body).unwrap();
    let text = body["text"].as_str().unwrap();
    assert!(
        text.starts_with("*10 dead letters: io: größer als &lt;erlaubt&gt; &amp; mehr*\n"),
        "{text}"
    );
    assert_eq!(body.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn a_name_that_resolves_to_a_forbidden_address_is_refused_when_it_is_sent() {
    let receiver = Receiver::start().await.unwrap();
    let port = receiver.addr().port();
    let cases: [&[&str]; 8] = [
        &["169.254.169.254"],
        &["127.0.0.1"],
        &["::ffff:127.0.0.1"],
        &["10.1.2.3"],
        &["fd00::1"],
        // One of several is enough.
        &["1.1.1.1", "127.0.0.1"],
        &["::1"],
        // Public, and in the clear.
        &["1.1.1.1"],
    ];
    for addresses in cases {
        let mut settings = WebhookSettings::new("ops", format!("http://hooks.example:{port}/s3cret"));
        settings.lookup = lookup(addresses).0;
        let refused = send(settings).await.unwrap_err();
        assert_eq!(refused.retry, Retry::Never, "{addresses:?}: {refused:?}");
        assert!(refused.reason.contains("allow_addresses"), "{refused:?}");
        assert!(!refused.reason.contains("s3cret"), "{refused:?}");
    }
    assert_eq!(receiver.received(), []);
}

#[tokio::test]
async fn a_name_is_resolved_once_and_the_vetted_address_gets_the_right_host() {
    let receiver = Receiver::start().await.unwrap();
    let port = receiver.addr().port();
    let mut settings = settings(format!("http://hooks.example:{port}/x"));
    let (lookup, asked) = lookup(&["127.0.0.1"]);
    settings.lookup = lookup;
    send(settings).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let host = format!("hooks.example:{port}");
    assert_eq!(receiver.received()[0].header("host"), Some(host.as_str()));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (receiver, other) = (Receiver::start().await.unwrap(), Receiver::start().await.unwrap());
    for status in [301, 302, 307, 308] {
        receiver.answer(Answer::Status(
            status,
            vec![("location", other.url("/"))],
            Vec::new(),
        ));
        let refused = send(settings(receiver.url("/"))).await.unwrap_err();
        assert_eq!(refused.retry, Retry::Never);
        assert!(
            refused.reason.contains("redirects are not followed"),
            "{refused:?}"
        );
    }
    assert_eq!(other.received(), []);
}

#[tokio::test]
async fn what_the_answer_means_is_kept_to() {
    let receiver = Receiver::start().await.unwrap();
    let after = |status| Answer::Status(status, vec![("retry-after", "90".to_owned())], Vec::new());
    let cases = [
        (Answer::status(204), None),
        (Answer::status(400), Some(Retry::Never)),
        (Answer::status(404), Some(Retry::Never)),
        (Answer::status(410), Some(Retry::Never)),
        (Answer::status(408), Some(Retry::Later)),
        (Answer::status(500), Some(Retry::Later)),
        (after(429), Some(Retry::After(Duration::from_secs(90)))),
        (after(503), Some(Retry::After(Duration::from_secs(90)))),
    ];
    for (answer, expected) in cases {
        receiver.answer(answer.clone());
        let end = send(settings(receiver.url("/")))
            .await
            .err()
            .map(|error| error.retry);
        assert_eq!(end, expected, "{answer:?}");
    }
}

#[tokio::test]
async fn a_large_or_late_answer_costs_little() {
    let receiver = Receiver::start().await.unwrap();
    let huge = format!("no\r\n\u{1b}[2J{}", "x".repeat(3_000_000));
    receiver.answer(Answer::Status(500, Vec::new(), huge.into_bytes()));
    let refused = send(settings(receiver.url("/"))).await.unwrap_err();
    assert!(
        refused.reason.len() < 400 && !refused.reason.contains('\u{1b}'),
        "{refused:?}"
    );
    receiver.answer(Answer::Hold);
    let mut settings = settings(receiver.url("/s3cret"));
    settings.timeout = Duration::from_millis(300);
    let late = send(settings).await.unwrap_err();
    assert_eq!(late.retry, Retry::Later);
    assert!(!late.reason.contains("s3cret"), "{late:?}");
}

#[tokio::test]
async fn an_address_that_is_not_public_is_told_when_the_channel_is_made() {
    let told = Webhook::new(WebhookSettings::new("ops", "http://169.254.169.254/latest")).unwrap_err();
    assert_eq!(told.field, "url");
    assert!(
        told.problem.contains("metadata") && told.problem.contains("allow_addresses"),
        "{told}"
    );
    let shown = format!(
        "{:?}",
        Webhook::new(settings("http://127.0.0.1/s3cret".to_owned())).unwrap()
    );
    assert!(!shown.contains("s3cret"), "{shown}");
}
