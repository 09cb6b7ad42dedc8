//! A gateway on a port of its own, with a store, a scheduler and a worker behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use longshore::Client;
use longshore_backend::embedded::{Options, Store as Folder};
use longshore_core::port::Ports;
use longshore_core::random::SystemRandom;
use longshore_core::{JobError, SystemClock};
use longshore_gateway::{Access, Gateway, GatewayBuilder, Role, Tokens};
use longshore_scheduler::Scheduler;
use longshore_worker::{JobContext, Worker};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a test waits for one thing.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) ports: Ports,
    pub(crate) client: Client,
    pub(crate) stop: CancellationToken,
    pub(crate) serving: JoinHandle<std::io::Result<()>>,
    http: reqwest::Client,
    tokens: Tokens,
    _folder: Arc<Store>,
}

/// The store; dropped last.
pub(crate) struct Store {
    folder: Folder,
    _dir: tempfile::TempDir,
}

impl Store {
    pub(crate) fn new() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), Options::default()).unwrap();
        Arc::new(Self { folder, _dir: dir })
    }
}

impl Rig {
    /// A gateway that asks for tokens.
    pub(crate) async fn new() -> Self {
        Self::with(|gateway| gateway).await
    }

    /// A gateway that lets everybody on this machine in.
    pub(crate) async fn open() -> Self {
        Self::with(|gateway| gateway.access(Access::Open)).await
    }

    pub(crate) async fn with(set: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        Self::on(Store::new(), set).await
    }

    pub(crate) async fn on(store: Arc<Store>, set: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::listening(listener, store, set)
    }

    pub(crate) fn listening(
        listener: TcpListener,
        store: Arc<Store>,
        set: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
    ) -> Self {
        let ports = store.folder.ports();
        Self::serving(listener, store, ports, set)
    }

    /// A gateway whose store answers by these ports.
    pub(crate) async fn through(change: impl FnOnce(Ports) -> Ports) -> Self {
        let (store, listener) = (Store::new(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let ports = change(store.folder.ports());
        Self::serving(listener, store, ports, |gateway| gateway)
    }

    fn serving(
        listener: TcpListener,
        store: Arc<Store>,
        ports: Ports,
        set: impl FnOnce(GatewayBuilder) -> GatewayBuilder,
    ) -> Self {
        // Another test may have been quicker.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::builder().ports(ports.clone()).unwrap();
        let gateway = set(Gateway::builder(client.clone(), ports.clone()).rate_limit(0));
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(gateway.build().unwrap().serve(listener, stop.clone()));
        let no_redirects = reqwest::redirect::Policy::none();
        Self {
            address,
            tokens: Tokens::new(
                ports.access.clone(),
                Arc::new(SystemClock),
                Arc::new(SystemRandom),
            ),
            ports,
            client,
            stop,
            serving,
            http: reqwest::Client::builder().redirect(no_redirects).build().unwrap(),
            _folder: store,
        }
    }

    /// A scheduler and a worker with the functions of these tests.
    pub(crate) fn work(&self) {
        let scheduler = Scheduler::builder(self.ports.clone())
            .shutdown(self.stop.clone())
            .build();
        tokio::spawn(scheduler.run());
        let worker = Worker::builder(self.ports.clone())
            .shutdown(self.stop.clone())
            .register_named("echo", echo)
            .register_named("fail", fail)
            .register_named("say", say)
            .register_named("leak", leak)
            .register_named("linger", linger)
            .register_named("hang", hang);
        tokio::spawn(worker.run());
    }

    pub(crate) async fn token(&self, role: Role) -> String {
        self.token_for(role, None).await
    }

    pub(crate) async fn token_for(&self, role: Role, lifetime: Option<Duration>) -> String {
        let name = format!("the {role}");
        let made = self.tokens.create(&name, role, lifetime, "a test").await.unwrap();
        made.text.expose().to_owned()
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request below `/api/v1`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(&format!("/api/v1{path}")))
    }

    pub(crate) fn page(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> (StatusCode, Value) {
        body(self.request(Method::GET, path).bearer_auth(token)).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, json: Value) -> (StatusCode, Value) {
        body(self.request(Method::POST, path).bearer_auth(token).json(&json)).await
    }

    /// Enqueues a job; gives its id.
    pub(crate) async fn enqueue(&self, token: &str, json: Value) -> String {
        let (status, job) = self.post(token, "/jobs", json).await;
        assert_eq!(status, StatusCode::CREATED, "{job}");
        job["id"].as_str().unwrap().to_owned()
    }

    /// The job once it has this status.
    pub(crate) async fn until(&self, token: &str, id: &str, status: &str) -> Value {
        let mut tries = 0;
        loop {
            let (code, job) = self.get(token, &format!("/jobs/{id}/wait?timeout_ms=1000")).await;
            assert_eq!(code, StatusCode::OK, "{job}");
            if job["status"] == status {
                return job;
            }
            tries += 1;
            assert!(tries < LONG.as_secs() && !is_over(&job), "{status}: {job:#}");
        }
    }
}

fn is_over(job: &Value) -> bool {
    ["completed", "failed", "cancelled", "expired"].contains(&job["status"].as_str().unwrap())
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Status and JSON of an answer.
pub(crate) async fn body(request: RequestBuilder) -> (StatusCode, Value) {
    json_of(request.send().await.unwrap()).await
}

pub(crate) async fn json_of(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let text = response.text().await.unwrap();
    let json = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    };
    (status, json)
}

async fn echo(args: Value, context: JobContext) -> Result<Value, JobError> {
    context.progress(0.5, "half").field("items", 1);
    Ok(args)
}

async fn fail(_args: Value) -> Result<Value, JobError> {
    Err(JobError::permanent("it never works"))
}

/// Says each of its arguments, and waits a little at the word `pause`.
async fn say(args: Value, context: JobContext) -> Result<Value, JobError> {
    for line in args.as_array().into_iter().flatten().filter_map(Value::as_str) {
        context.log(line);
        if line == "pause" {
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    }
    Ok(Value::Null)
}

async fn leak(_args: Value, context: JobContext) -> Result<Value, JobError> {
    context
        .progress(0.5, "s3cret-message")
        .field("card", "s3cret-field");
    tokio::time::sleep(Duration::from_millis(300)).await;
    Err(JobError::transient("s3cret-error"))
}

async fn linger(_args: Value, context: JobContext) -> Result<Value, JobError> {
    loop {
        context.check_cancelled()?;
        context
            .progress(0.5, "s3cret-message")
            .field("card", "s3cret-field");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn hang(_args: Value, context: JobContext) -> Result<Value, JobError> {
    for step in 0..10_000_u32 {
        context.check_cancelled()?;
        context.progress(f64::from(step % 100) / 100.0, format!("step {step}"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Value::Null)
}
