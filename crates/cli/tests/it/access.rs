//! The gateway from the command line: its address, tokens, watch links and the audit log.

use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::binary::Folder;

/// One request by hand; gives the status line and the body.
async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 0\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

fn address(log: &std::path::Path) -> SocketAddr {
    let text = std::fs::read_to_string(log).unwrap();
    let at = text.split_once("http://").unwrap().1;
    at.split_once('/').unwrap().0.parse().unwrap()
}

#[tokio::test]
async fn dev_serves_the_api_and_tokens_and_links_are_made_beside_it() {
    let folder = Folder::new();
    let _dev = folder.dev(&["--samples", "off"]).await;
    let at = address(&folder.path().join("dev.log"));
    let (status, who) = ask(at, "GET", "/api/v1/session", "").await;
    assert!(status.ends_with("200 OK"), "{status}");
    assert_eq!(
        serde_json::from_str::<Value>(&who).unwrap(),
        json!({"who": "dev", "role": "admin"})
    );

    let made = folder.json(&[
        "token",
        "create",
        "shop",
        "--role",
        "producer",
        "--expires-in",
        "90d",
    ]);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("lsk_"), "{made}");
    let id = made["id"].as_str().unwrap();
    let list = folder.ok(&["token", "ls"]);
    assert!(
        list.contains(id) && list.contains("producer") && !list.contains(secret),
        "{list}"
    );

    let job = folder.ok(&["enqueue", "nobody_has_this"]).trim().to_owned();
    let link = folder.ok(&["job", "link", &job, "--cancel", "--expires-in", "5m"]);
    let header = format!("authorization: Bearer {}\r\n", link.trim());
    let (status, body) = ask(at, "POST", &format!("/api/v1/watch/{job}/cancel"), &header).await;
    assert!(status.ends_with("200 OK"), "{status} {body}");
    let audit = folder.json(&["audit", "ls"]);
    assert_eq!(
        (&audit[0]["action"], &audit[0]["subject"]),
        (&json!("job.cancel"), &json!(job))
    );

    folder.ok(&["token", "revoke", id]);
    assert_eq!(folder.run(&["token", "revoke", id]).status.code(), Some(6));
    assert_eq!(
        folder
            .run(&["job", "link", &job, "--expires-in", "31d"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(
        folder
            .run(&["token", "create", "x", "--role", "root"])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn an_address_that_is_taken_is_told_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let folder = Folder::bare();
    let output = folder.run(&["dev", "--samples", "off", "--listen", &at]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(errors.contains(&at) && errors.contains("--listen"), "{errors}");
}

#[test]
fn what_hides_nothing_is_told_with_the_rest_of_the_configuration() {
    let folder = Folder::bare();
    folder.file(
        "longshore.toml",
        "[gateway]\nhide = [\"argument.card\"]\nlisten = \"8080\"\npublic_url = \"jobs.example\"\ntrace_url = \"https://tempo.example/\"\n",
    );
    let output = folder.run(&["config", "check"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    for key in [
        "gateway.hide",
        "gateway.listen",
        "gateway.public_url",
        "gateway.trace_url",
    ] {
        assert!(errors.contains(key), "{key}: {errors}");
    }
}
