//! Requests to the gateway: path, query, headers and body, through its whole router and without a socket.
//!
//! An input is a few lines: the operation as `GET /jobs/{id}`, what stands for `{id}` or `{name}`, the query, the value of
//! every header that is a text, and from there on the body.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, Once};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName};
use http::{HeaderValue, Method, Request, Response};
use longshore::Client;
use longshore_backend::embedded::{Options, Store};
use longshore_gateway::{Access, Gateway, Unconnected};
use tokio::runtime::Runtime;

/// After so many requests a new store is made, so that one does not grow for ever.
const ASKED_MAX: u32 = 20_000;
/// How long an answer is waited for, and one of those that are long on purpose.
const PATIENCE: Duration = Duration::from_secs(10);
const SLOW: Duration = Duration::from_millis(2);
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Pages that take forms; the API is in its own document.
const PAGES: &[&str] = &[
    "GET /",
    "GET /enqueue",
    "POST /enqueue",
    "GET /jobs",
    "GET /jobs/cancel",
    "POST /jobs/cancel",
    "GET /jobs/{id}",
    "GET /jobs/{id}/link",
    "POST /jobs/{id}/link",
    "POST /jobs/{id}/cancel",
    "POST /jobs/{id}/requeue",
    "POST /jobs/{id}/discard",
    "GET /jobs/{id}/edit",
    "POST /jobs/{id}/edit",
    "GET /queues",
    "POST /queues/{name}/pause",
    "GET /dead",
    "GET /dead/{name}",
    "POST /dead/{name}",
    "GET /operations",
    "POST /operations/{id}/resume",
    "GET /quarantine",
    "POST /quarantine/drop",
    "GET /cron",
    "POST /cron",
    "GET /cron/new",
    "GET /cron/preview",
    "GET /cron/{name}",
    "POST /cron/{name}/pause",
    "GET /workers",
    "GET /audit",
    "GET /login",
    "POST /login",
    "POST /logout",
    "GET /assets/{name}",
];
/// Bodies and queries that are right, by operation.
const RIGHT: &[(&str, &str, &str)] = &[
    (
        "POST /api/v1/jobs",
        "",
        r#"{"function_name": "f", "args": {"a": [1, "x", null]}, "priority": "high", "queue": "mail", "delay_ms": 5, "tags": ["t"], "metadata": {"k": {"d": 1}}, "max_retries": 2, "retry_backoff": 1.5, "depends_on": []}"#,
    ),
    (
        "POST /api/v1/jobs/batch",
        "",
        r#"{"jobs": [{"function_name": "f", "id": "0193f0a1-7c5e-8001-9313-0242ac120002"}, {"function_name": "g", "depends_on": [{"id": "0193f0a1-7c5e-8001-9313-0242ac120002"}]}]}"#,
    ),
    (
        "POST /api/v1/jobs/cancel",
        "",
        r#"{"ids": ["0193f0a1-7c5e-8001-9313-0242ac120002"], "reason": "enough"}"#,
    ),
    (
        "POST /api/v1/jobs/cleanup",
        "",
        r#"{"keep_ms": 60000, "statuses": ["completed"]}"#,
    ),
    ("POST /api/v1/jobs/{id}/cancel", "", r#"{"reason": "enough"}"#),
    ("POST /api/v1/jobs/{id}/edit", "", r#"{"args": {"a": 1}}"#),
    (
        "POST /api/v1/jobs/{id}/watch-link",
        "",
        r#"{"cancel": true, "error": true, "expires_in_ms": 60000}"#,
    ),
    (
        "POST /api/v1/dead-letters/requeue",
        "",
        r#"{"ids": ["0193f0a1-7c5e-8001-9313-0242ac120002"]}"#,
    ),
    ("POST /api/v1/dead-letters/discard", "", r#"{"ids": []}"#),
    (
        "POST /api/v1/operations",
        "",
        r#"{"kind": "cancel", "jobs": {"function_name": "f"}, "reason": "r", "id": "1f"}"#,
    ),
    ("POST /api/v1/quarantine/drop", "", r#"{"message_ids": ["m"]}"#),
    (
        "POST /api/v1/tokens",
        "",
        r#"{"name": "shop", "role": "producer", "expires_in_ms": 60000}"#,
    ),
    (
        "POST /api/v1/cron-preview",
        "",
        r#"{"expression": "*/5 * * * *", "zone": "Europe/Berlin", "count": 3, "after_ms": 1}"#,
    ),
    (
        "PUT /api/v1/cron/{name}",
        "",
        r#"{"expression": "*/5 * * * *", "zone": "UTC", "misfire": "all:3", "overlap": "skip", "jitter_ms": 10, "job": {"function_name": "f", "args": null}}"#,
    ),
    (
        "GET /api/v1/jobs",
        "status=failed&status=queued&tag=t&function_name=f&queue=mail&created_from_ms=1&created_until_ms=9&limit=3",
        "",
    ),
    (
        "GET /api/v1/dead-letters",
        "fingerprint=00&died_from_ms=1&died_until_ms=2&limit=1",
        "",
    ),
    (
        "GET /api/v1/statistics",
        "window_ms=3600000&step_ms=60000&function_name=f",
        "",
    ),
    (
        "GET /api/v1/events",
        "jobs=0193f0a1-7c5e-8001-9313-0242ac120002&queues=1&overview=1",
        "",
    ),
    ("GET /api/v1/jobs/{id}/wait", "timeout_ms=1", ""),
    ("GET /jobs", "status=failed&tag=t&text=x&limit=3", ""),
    ("GET /dead", "function=f&queue=mail&died=1h", ""),
    (
        "GET /cron/preview",
        "expression=*/5+*+*+*+*&zone=Europe%2FBerlin",
        "",
    ),
    (
        "POST /enqueue",
        "",
        "function=f&args=%7B%7D&queue=mail&priority=high&delay=5s",
    ),
    (
        "POST /cron",
        "",
        "name=n&expression=*/5+*+*+*+*&zone=UTC&function_name=f&args=null",
    ),
    ("POST /login", "", "token=lsk_x&next=/jobs"),
    ("POST /jobs/{id}/edit", "", "args=%7B%22a%22%3A1%7D"),
];

/// The statuses that the API's document allows, by operation.
static API: LazyLock<Vec<(String, BTreeSet<u16>)>> = LazyLock::new(|| {
    let document: serde_json::Value =
        serde_json::from_str(include_str!("../../docs/reference/openapi.json")).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| {
            let statuses = operation["responses"].as_object().unwrap().keys();
            let statuses = statuses.map(|status| status.parse().unwrap()).collect();
            (format!("{} /api/v1{path}", method.to_uppercase()), statuses)
        })
    });
    operations.collect()
});
static OPERATIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let pages = PAGES.iter().map(|page| (*page).to_owned());
    let api = API.iter().map(|(operation, _)| operation.clone());
    api.chain(pages).collect()
});
static PANICKED: AtomicBool = AtomicBool::new(false);

/// A gateway that lets everybody in, and its store.
struct Door {
    gateway: Unconnected,
    csrf: String,
    asked: u32,
    runtime: Runtime,
    _store: Store,
    _folder: tempfile::TempDir,
}

static DOOR: Mutex<Option<Door>> = Mutex::new(None);

/// Asks; the answer's status is one that the document has for the operation, what says that it is JSON is, a refusal has a
/// code, and no task has panicked.
pub(crate) fn check(bytes: &[u8]) {
    note_panics();
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(5, '\n');
    let [operation, segment, query, header, body] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let operation = known(operation);
    let mut door = DOOR.lock().unwrap();
    if door.as_ref().is_none_or(|door| door.asked >= ASKED_MAX) {
        *door = Some(Door::open());
    }
    let door = door.as_mut().unwrap();
    door.asked += 1;
    if let Some(request) = request(operation, segment, query, header, body, &door.csrf) {
        door.ask(operation, request);
    }
    assert!(
        !PANICKED.load(Ordering::Relaxed),
        "{operation}: a task panicked\n{text}"
    );
}

/// Closes the store, and removes its folder.
#[cfg(test)]
pub(crate) fn close() {
    drop(DOOR.lock().unwrap().take());
}

/// One right request of every operation.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let of = |operation: &String| {
        let right = RIGHT.iter().find(|(of, _, _)| of == operation);
        let (_, query, body) = right.unwrap_or(&("", "", ""));
        let segment = if operation.contains("{id}") {
            "0193f0a1-7c5e-8001-9313-0242ac120002"
        } else {
            "mail"
        };
        format!("{operation}\n{segment}\n{query}\n\"1\"\n{body}").into_bytes()
    };
    OPERATIONS.iter().map(of).collect()
}

/// The operation that a line names, or another one that it stands for.
fn known(line: &str) -> &'static str {
    OPERATIONS.iter().find(|known| *known == line).unwrap_or_else(|| {
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % OPERATIONS.len() as u64).unwrap();
        &OPERATIONS[at]
    })
}

fn request(
    operation: &str,
    segment: &str,
    query: &str,
    header: &str,
    body: &str,
    csrf: &str,
) -> Option<Request<Bytes>> {
    let (method, template) = operation.split_once(' ').unwrap();
    let path = template
        .replace("{id}", &escaped(segment, "/?#%"))
        .replace("{name}", &escaped(segment, "/?#%"));
    let is_api = path.starts_with("/api/");
    let (kind, accept, body) = if is_api {
        ("application/json", "application/json", body.to_owned())
    } else {
        let form = "application/x-www-form-urlencoded";
        (form, "text/html", format!("csrf={csrf}&{body}"))
    };
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(format!("{path}?{}", escaped(query, "#")))
        .header(HOST, "127.0.0.1")
        .header(CONTENT_TYPE, kind)
        .header(ACCEPT, accept);
    if !header.is_empty()
        && let Ok(value) = HeaderValue::from_str(header)
    {
        for name in [
            "if-match",
            "if-none-match",
            "idempotency-key",
            "last-event-id",
            "x-request-id",
            "cookie",
        ] {
            request = request.header(HeaderName::from_static(name), value.clone());
        }
    }
    // What no client could send is no request.
    request.body(Bytes::from(body)).ok()
}

/// A text as a part of a URL; what is in `more` is escaped as well.
fn escaped(text: &str, more: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let char = char::from(byte);
        if byte.is_ascii_graphic() && !"\"<>`\\^{|}".contains(char) && !more.contains(char) {
            out.push(char);
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
    }
    out
}

impl Door {
    fn open() -> Self {
        // Another test may have been quicker.
        rustls::crypto::ring::default_provider().install_default().ok();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let inside = runtime.enter();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let client = Client::builder().ports(store.ports()).unwrap();
        let gateway = Gateway::builder(client, store.ports())
            .access(Access::Open)
            .rate_limit(0)
            .build()
            .unwrap();
        let gateway = Unconnected::from(gateway);
        let page = request("GET /enqueue", "", "", "", "", "").unwrap();
        let page = runtime.block_on(gateway.ask(page, ANSWER_BYTES_MAX));
        let page = page.into_body().unwrap();
        let page = String::from_utf8_lossy(&page);
        let (_, csrf) = page
            .split_once("name=\"csrf\" value=\"")
            .expect("a form has its token");
        let csrf = csrf.split('"').next().unwrap().to_owned();
        drop(inside);
        Self {
            gateway,
            csrf,
            asked: 0,
            runtime,
            _store: store,
            _folder: folder,
        }
    }

    fn ask(&self, operation: &str, request: Request<Bytes>) {
        let is_slow = operation.contains("/wait") || operation.contains("/events");
        let patience = if is_slow { SLOW } else { PATIENCE };
        let told = format!("{} {} {:?}", request.method(), request.uri(), request.body());
        let answer = self.runtime.block_on(async {
            let answer = self.gateway.ask(request, ANSWER_BYTES_MAX);
            tokio::time::timeout(patience, answer).await
        });
        if let Ok(answer) = answer {
            judge(operation, &told, &answer);
        } else {
            assert!(is_slow, "no answer within {PATIENCE:?}: {told}");
        }
    }
}

fn judge(operation: &str, told: &str, answer: &Response<Option<Bytes>>) {
    let status = answer.status();
    let is_allowed = match API.iter().find(|(of, _)| of == operation) {
        Some((_, statuses)) => statuses.contains(&status.as_u16()),
        None => !status.is_server_error() || status == http::StatusCode::SERVICE_UNAVAILABLE,
    };
    assert!(is_allowed, "{status}: {told}: {:?}", answer.body());
    let kind = answer
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if let Some(body) = answer
        .body()
        .as_ref()
        .filter(|_| kind.is_some_and(|kind| kind.contains("json")))
    {
        let read = serde_json::from_slice::<serde_json::Value>(body);
        let is_problem = status.is_client_error();
        assert!(
            read.is_ok_and(|said| !is_problem || said["code"].is_string()),
            "{status}: {told}: {body:?}"
        );
    }
}

/// A panic of a task that nobody waits for is to be seen as well.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICKED.store(true, Ordering::Relaxed);
            before(panic);
        }));
    });
}

#[test]
fn right_requests_are_taken() {
    let door = Door::open();
    for operation in [
        "POST /api/v1/jobs",
        "POST /api/v1/jobs/batch",
        "POST /api/v1/tokens",
        "POST /api/v1/operations",
        "PUT /api/v1/cron/{name}",
        "GET /api/v1/jobs",
        "GET /api/v1/statistics",
        "POST /enqueue",
        "GET /jobs",
    ] {
        let (_, query, body) = RIGHT.iter().find(|(of, _, _)| *of == operation).unwrap();
        let asked = request(known(operation), "mail", query, "", body, &door.csrf).unwrap();
        let answer = door.runtime.block_on(door.gateway.ask(asked, ANSWER_BYTES_MAX));
        let status = answer.status().as_u16();
        assert!(
            (200..400).contains(&status),
            "{operation}: {status} {:?}",
            answer.body()
        );
    }
}
