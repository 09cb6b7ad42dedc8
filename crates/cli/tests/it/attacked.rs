//! Attackers before `longshore gateway`, a process of its own: refused, not a secret in its log, and it goes on.

use std::net::SocketAddr;
use std::time::Duration;

use longshore_testkit::process::Proc;
use longshore_testkit::wait::eventually;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::binary::{Folder, LONG};

const SCRIPT: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg/onload=alert(3)>";
const SECRET: &str = "s3cret-argument-4711";

/// A gateway with its store, a worker with one function that fails, and everything secret that it was shown.
struct Attacked {
    folder: Folder,
    gateway: Proc,
    _dev: Proc,
    at: SocketAddr,
    token: String,
    job: String,
    secrets: Vec<String>,
}

impl Attacked {
    async fn new() -> Self {
        let folder = Folder::new();
        let program = format!(
            "cat >/dev/null; echo '{}'; echo '{}'; exit 1",
            json!({"progress": 0.5, "message": SCRIPT.replace('\'', ""), "fields": {"note": SCRIPT.replace('\'', "")}}),
            json!({"error": SCRIPT.replace('\'', "")}),
        );
        let config = format!(
            "[worker.commands.evil]\nprogram = \"/bin/sh\"\nargs = [\"-c\", {}]\n",
            json!(program)
        );
        folder.file("longshore.toml", &config);
        let dev = folder.dev(&["--samples", "off"]).await;
        let token = folder
            .ok(&["token", "create", "ada", "--role", "admin"])
            .trim()
            .to_owned();
        let mut command = folder.command(&["gateway", "--listen", "127.0.0.1:0"]);
        command.env("LONGSHORE_LOG__LEVEL", "debug");
        let gateway = Proc::spawn(command, folder.path().join("gateway.log")).unwrap();
        let text = || gateway.log_text();
        let probe = || async {
            let text = text();
            let (_, at) = text.split_once("longshore gateway: http://")?;
            at.split_once('/')?.0.parse::<SocketAddr>().ok()
        };
        let at = eventually(LONG, "the gateway serves", probe).await.unwrap();
        let mut attacked = Self {
            folder,
            gateway,
            _dev: dev,
            at,
            secrets: vec![token.clone(), SECRET.to_owned()],
            token,
            job: String::new(),
        };
        attacked.job = attacked.poisoned().await;
        attacked
    }

    /// A job with a script in every field that takes a text, given up with one in its error.
    async fn poisoned(&self) -> String {
        let job = json!({
            "function_name": "evil", "name": SCRIPT, "args": {SCRIPT: SCRIPT, "card": SECRET}, "tags": [SCRIPT],
            "metadata": {SCRIPT: SCRIPT}, "max_retries": 0,
        });
        let (status, made) = self.api("POST", "/jobs", &job.to_string()).await;
        assert_eq!(status, 201, "{made}");
        let id = made["id"].as_str().unwrap().to_owned();
        let (_, ended) = self
            .api("GET", &format!("/jobs/{id}/wait?timeout_ms=60000"), "")
            .await;
        assert_eq!(ended["status"], "failed", "{ended}");
        assert!(
            ended["error"]["message"].as_str().unwrap().contains("<script>"),
            "{ended}"
        );
        for field in ["function_name", "queue", "id", "priority"] {
            let mut job = json!({"function_name": "evil"});
            job[field] = json!(SCRIPT);
            let (status, problem) = self.api("POST", "/jobs", &job.to_string()).await;
            assert_eq!(status, 422, "{field}: {problem}");
        }
        id
    }

    /// A request by hand; gives status and whole answer.
    async fn send(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        let request = format!(
            "{head}host: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.at,
            body.len()
        );
        // Whoever is refused early need not be read to the end.
        stream.write_all(request.as_bytes()).await.ok();
        let mut answer = Vec::new();
        tokio::time::timeout(LONG, stream.read_to_end(&mut answer))
            .await
            .unwrap()
            .ok();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or(0), answer)
    }

    async fn api(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
            self.token
        );
        let (status, answer) = self.send(&head, body).await;
        let json = answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body)
            .unwrap_or_default();
        (status, serde_json::from_str(json).unwrap_or_default())
    }

    async fn sign_in(&mut self) -> String {
        let head = "POST /login HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\n";
        let (status, answer) = self.send(head, &format!("token={}", self.token)).await;
        assert_eq!(status, 303, "{answer}");
        let cookie = answer
            .split("longshore_session=")
            .nth(1)
            .unwrap()
            .split(';')
            .next()
            .unwrap();
        self.secrets.push(cookie.to_owned());
        format!("longshore_session={cookie}")
    }

    /// Every page as a browser shows it: none of it runs what a job brought.
    async fn pages_escape(&self, cookie: &str) {
        let job = &self.job;
        for path in [
            "/".to_owned(),
            "/jobs".to_owned(),
            format!("/jobs/{job}"),
            format!("/jobs/{job}/edit"),
            format!("/jobs/{job}/cancel"),
            format!("/jobs/{job}/requeue"),
            format!("/jobs/{job}/link"),
            "/dead".to_owned(),
            "/audit".to_owned(),
            "/operations".to_owned(),
            "/workers".to_owned(),
            "/queues".to_owned(),
            format!("/jobs?text={}", "%3Cscript%3Ealert(1)%3C/script%3E"),
            "/jobs?tag=%22%3E%3Cscript%3Ealert(1)".to_owned(),
            "/login?next=%22%3E%3Cscript%3Ealert(1)".to_owned(),
        ] {
            let head = format!("GET {path} HTTP/1.1\r\naccept: text/html\r\ncookie: {cookie}\r\n");
            let (status, answer) = self.send(&head, "").await;
            assert!((200..400).contains(&status), "{path}: {status}");
            assert!(answer.contains("script-src 'self'"), "{path}");
            for raw in ["<script>alert", "<img src=x", "<svg/onload"] {
                assert!(!answer.contains(raw), "{path}: {answer}");
            }
        }
    }

    async fn forged_requests(&self, cookie: &str) {
        let form = "content-type: application/x-www-form-urlencoded\r\n";
        let cancel = format!(
            "POST /jobs/{}/discard HTTP/1.1\r\n{form}cookie: {cookie}\r\n",
            self.job
        );
        for (what, head) in [
            ("no token of the form", cancel.clone()),
            (
                "another origin",
                format!("{cancel}origin: https://evil.example\r\n"),
            ),
            ("another site", format!("{cancel}sec-fetch-site: cross-site\r\n")),
        ] {
            let (status, answer) = self.send(&head, "csrf=wrong").await;
            assert_eq!(status, 403, "{what}: {answer}");
        }
        let head = format!(
            "POST /api/v1/jobs/{}/discard HTTP/1.1\r\ncookie: {cookie}\r\norigin: https://evil.example\r\n",
            self.job
        );
        assert_eq!(self.send(&head, "").await.0, 403);
        let (_, job) = self.api("GET", &format!("/jobs/{}", self.job), "").await;
        assert_eq!(job["status"], "failed", "it is still there");
    }

    /// A link for another job, an expired one, and changed ones; a token that has expired.
    async fn foreign_tokens(&mut self) {
        let (_, made) = self.api("POST", "/jobs", "{\"function_name\": \"nobody\"}").await;
        let other = made["id"].as_str().unwrap().to_owned();
        let path = format!("/jobs/{}/watch-link", self.job);
        let (_, link) = self.api("POST", &path, "{\"cancel\": true}").await;
        let (_, short) = self.api("POST", &path, "{\"expires_in_ms\": 1000}").await;
        let link = link["token"].as_str().unwrap().to_owned();
        let short = short["token"].as_str().unwrap().to_owned();
        let this = &*self;
        let ask = |token: String, path: String| async move {
            let head = format!("GET /api/v1{path} HTTP/1.1\r\nauthorization: Bearer {token}\r\n");
            this.send(&head, "").await
        };
        assert_eq!(ask(link.clone(), format!("/watch/{}", self.job)).await.0, 200);
        assert_eq!(ask(link.clone(), format!("/watch/{other}")).await.0, 403);
        assert_eq!(ask(link.clone(), "/jobs".to_owned()).await.0, 401);
        let middle = link.len() / 2;
        let letter = if &link[middle..=middle] == "A" { "B" } else { "A" };
        let mut tampered = link.clone();
        tampered.replace_range(middle..=middle, letter);
        assert_eq!(ask(tampered, format!("/watch/{}", self.job)).await.0, 401);
        let expired = || async { ask(short.clone(), format!("/watch/{}", self.job)).await.0 == 401 };
        eventually(LONG, "the link has expired", expired).await.unwrap();
        let old = self
            .folder
            .ok(&["token", "create", "old", "--role", "admin", "--expires-in", "1s"]);
        let old = old.trim().to_owned();
        let expired = || async { ask(old.clone(), "/jobs".to_owned()).await.0 == 401 };
        eventually(LONG, "the token has expired", expired).await.unwrap();
        let in_query = format!("/watch/{}?token={link}", self.job);
        assert_eq!(
            ask("x".to_owned(), in_query.clone()).await.0,
            401,
            "the header counts"
        );
        let head = format!("GET /api/v1{in_query} HTTP/1.1\r\n");
        assert_eq!(self.send(&head, "").await.0, 200);
        self.secrets.extend([link, short, old]);
    }

    async fn paths_that_climb(&self) {
        for path in [
            "/assets/../../../../etc/passwd",
            "/assets/..%2f..%2f..%2fetc%2fpasswd",
            "/assets/%2e%2e/%2e%2e/etc/passwd",
            "//etc/passwd",
            "/api/v1/jobs/..%2f..%2ftokens",
        ] {
            let (status, answer) = self.send(&format!("GET {path} HTTP/1.1\r\n"), "").await;
            assert!((300..500).contains(&status), "{path}: {answer}");
            assert!(!answer.contains("root:"), "{path}");
        }
    }

    async fn floods(&self) {
        let authorised = format!(
            "authorization: Bearer {}\r\ncontent-type: application/json\r\n",
            self.token
        );
        // 100 MB that are told beforehand, and 100 MB that are not.
        let mut told = TcpStream::connect(self.at).await.unwrap();
        let head = format!(
            "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\n{authorised}content-length: 104857600\r\n\r\n{{"
        );
        told.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        tokio::time::timeout(LONG, told.read_exact(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer, b"HTTP/1.1 413");
        let mut endless = TcpStream::connect(self.at).await.unwrap();
        let head = format!(
            "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\n{authorised}transfer-encoding: chunked\r\n\r\n"
        );
        endless.write_all(head.as_bytes()).await.unwrap();
        let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
        let mut sent = 0_usize;
        while sent < 100 && endless.write_all(&chunk).await.is_ok() {
            sent += 1;
        }
        assert!(sent < 100, "it stops reading");
        // Headers without number, and without end.
        let many = (0..500).fold("GET / HTTP/1.1\r\n".to_owned(), |head, number| {
            head + &format!("x-{number}: y\r\n")
        });
        let long = format!("GET / HTTP/1.1\r\nx-long: {}\r\n", "y".repeat(200_000));
        for bomb in [many, long] {
            let (status, answer) = self.send(&bomb, "").await;
            assert!(status == 0 || (400..500).contains(&status), "{answer}");
        }
        let started = tokio::time::Instant::now();
        let mut slow = TcpStream::connect(self.at).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await.unwrap();
        let mut rest = Vec::new();
        tokio::time::timeout(LONG, slow.read_to_end(&mut rest))
            .await
            .unwrap()
            .ok();
        assert!(
            started.elapsed() >= Duration::from_secs(5),
            "it was given some time"
        );
    }
}

#[tokio::test]
async fn attackers_of_a_gateways_process_are_refused_and_its_log_has_no_secret() {
    let mut attacked = Attacked::new().await;
    let cookie = attacked.sign_in().await;
    attacked.pages_escape(&cookie).await;
    attacked.forged_requests(&cookie).await;
    attacked.foreign_tokens().await;
    attacked.paths_that_climb().await;
    attacked.floods().await;
    let (status, who) = attacked.api("GET", "/session", "").await;
    assert_eq!((status, &who["who"]), (200, &json!("ada")), "it goes on");
    assert_eq!(attacked.gateway.try_wait(), None, "the process is alive");
    let log = attacked.gateway.log_text();
    assert!(
        log.contains("Refused, because the request comes from another site"),
        "{log}"
    );
    for secret in &attacked.secrets {
        // A part of it is one too.
        let part = &secret[secret.len() - 12..];
        assert!(
            !log.contains(secret.as_str()) && !log.contains(part),
            "{secret}: {log}"
        );
    }
}
