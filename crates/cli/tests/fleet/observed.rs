//! What processes tell of themselves: traces and metrics at a receiver that nobody here wrote, `/metrics`, probes.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use longshore_service::metrics::names::{From, Kind, METRICS};
use longshore_testkit::process::{PortLease, Proc, ServerDir};
use longshore_testkit::proxy::Proxy;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;
use serde_json::Value;

use super::process::Fleet;

/// How long a step may take.
const LONG: Duration = Duration::from_secs(60);

/// A receiver of OTLP over HTTP: `oteltap` of PyPI, which prints a line of JSON for what it gets.
struct Tap {
    _process: Proc,
    log: PathBuf,
    port: PortLease,
    _dir: ServerDir,
}

impl Tap {
    async fn start() -> Self {
        let dir = ServerDir::new("oteltap").unwrap();
        let log = dir.path().join("oteltap.log");
        let port = PortLease::take().unwrap();
        let program = tool("oteltap");
        let mut command = std::process::Command::new(program);
        command
            .args(["--port", &port.port().to_string()])
            .env("PYTHONUNBUFFERED", "1");
        let process = Proc::spawn(command, log.clone()).unwrap();
        let tap = Self {
            _process: process,
            log,
            port,
            _dir: dir,
        };
        eventually(LONG, "the receiver listens", || async {
            tokio::net::TcpStream::connect(tap.port.addr()).await.is_ok()
        })
        .await
        .unwrap();
        tap
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.port.addr())
    }

    /// Every span that came.
    fn spans(&self) -> Vec<Span> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        // What is not a span has no span's fields.
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter_map(|line| span(&line)).collect()
    }
}

/// A program of the Python environment that the gate makes.
fn tool(name: &str) -> PathBuf {
    let venv = std::env::var_os("LONGSHORE_TEST_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-python"),
        PathBuf::from,
    );
    let program = venv.join("bin").join(name);
    assert!(
        program.exists(),
        "{} is missing: run `scripts/test setup`",
        program.display()
    );
    program
}

/// One span, as the receiver had it.
#[derive(Clone, Debug)]
struct Span {
    name: String,
    trace: String,
    id: String,
    parent: String,
    links: Vec<String>,
    attributes: BTreeMap<String, String>,
    failed: bool,
}

impl Span {
    fn is(&self, name: &str, attribute: &str, value: &str) -> bool {
        self.name == name && self.attributes.get(attribute).is_some_and(|has| has == value)
    }
}

fn span(line: &Value) -> Option<Span> {
    let links = line["links"].as_array().into_iter().flatten();
    Some(Span {
        name: text(line, "name")?,
        trace: text(line, "traceId")?,
        id: text(line, "spanId")?,
        parent: text(line, "parentSpanId").unwrap_or_default(),
        links: links.filter_map(|link| text(link, "spanId")).collect(),
        attributes: attributes(line),
        failed: line["status"]["code"] == 2,
    })
}

fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field)?.as_str().map(str::to_owned)
}

fn attributes(value: &Value) -> BTreeMap<String, String> {
    let attributes = value["attributes"].as_array().into_iter().flatten();
    attributes
        .filter_map(|attribute| {
            let value = attribute["value"].as_object()?.values().next()?;
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some((text(attribute, "key")?, value))
        })
        .collect()
}

/// A program that fails once, in a way that passes, and then succeeds.
fn fails_once(folder: &Path) -> PathBuf {
    let program = folder.join("fails_once");
    let mark = folder.join("was_here");
    let text = format!(
        "#!/bin/sh\ncat >/dev/null\nif [ -e {mark} ]; then exit 0; fi\ntouch {mark}\necho not yet >&2\nexit 75\n",
        mark = mark.display()
    );
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

fn telemetry(tap: &Tap) -> Vec<(String, String)> {
    vec![
        ("LONGSHORE_TELEMETRY__ENDPOINT".to_owned(), tap.endpoint()),
        ("LONGSHORE_TELEMETRY__PROTOCOL".to_owned(), "http".to_owned()),
        (
            "LONGSHORE_TELEMETRY__METRICS_INTERVAL".to_owned(),
            "1s".to_owned(),
        ),
    ]
}

async fn enqueue(fleet: &Fleet, args: &[&str]) -> String {
    let args = [&["enqueue", "-o", "json"], args].concat();
    let said: Value = serde_json::from_str(&fleet.run(&args).await.unwrap()).unwrap();
    said["id"].as_str().unwrap().to_owned()
}

async fn until_completed(fleet: &Fleet, id: &str) {
    eventually(LONG, "the job is completed", || async {
        fleet.job(id).await["status"] == "completed"
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_scheduled_retried_job_with_a_parent_is_one_trace_at_a_strange_receiver() {
    let tap = Tap::start().await;
    let folder = tempfile::tempdir().unwrap();
    let program = fails_once(folder.path());
    let mut fleet = Fleet::on_shared_servers("quorum").await;
    fleet.env(telemetry(&tap));
    fleet.env([
        (
            "LONGSHORE_WORKER__COMMANDS__FLAKY__PROGRAM".to_owned(),
            program.display().to_string(),
        ),
        (
            "LONGSHORE_WORKER__COMMANDS__PARENT__PROGRAM".to_owned(),
            "true".to_owned(),
        ),
    ]);
    let (worker, scheduler) = (fleet.start(&["worker"]), fleet.start(&["scheduler"]));
    let parent = enqueue(&fleet, &["parent"]).await;
    let child = enqueue(
        &fleet,
        &[
            "flaky",
            "--depends-on",
            &parent,
            "--in",
            "1s",
            "--max-retries",
            "2",
            "--retry-delay",
            "100ms",
        ],
    )
    .await;
    until_completed(&fleet, &child).await;
    // Their ends export what they have.
    for process in [worker, scheduler] {
        end_gently(process).await;
    }

    let spans = tap.spans();
    let named = |name: &str| -> Vec<&Span> {
        let of_child = spans
            .iter()
            .filter(|span| span.is(name, "longshore.job.id", &child));
        of_child.collect()
    };
    let [enqueued] = named("enqueue")[..] else {
        panic!("{spans:#?}")
    };
    let trace: Vec<&Span> = spans.iter().filter(|span| span.trace == enqueued.trace).collect();
    let ids: BTreeSet<&str> = trace.iter().map(|span| span.id.as_str()).collect();
    for span in &trace {
        assert!(
            span.parent.is_empty() == (span.id == enqueued.id),
            "only the enqueue has no parent: {span:#?}"
        );
        assert!(
            span.parent.is_empty() || ids.contains(span.parent.as_str()),
            "its parent is in the trace: {span:#?}"
        );
    }
    let mut runs = named("process");
    runs.sort_by_key(|span| span.attributes["longshore.job.attempt"].clone());
    let [first, second] = runs[..] else {
        panic!("{spans:#?}")
    };
    let publishes = named("publish");
    assert_eq!(publishes.len(), 2, "its start and its retry: {publishes:#?}");
    for run in [first, second] {
        assert_eq!((&run.trace, &run.parent), (&enqueued.trace, &enqueued.id));
        assert_eq!(run.attributes["messaging.operation.type"], "process");
        assert_eq!(run.attributes["messaging.destination.name"], "default");
        assert!(run.attributes["longshore.job.wait"].parse::<f64>().is_ok());
        let linked = |publish: &&&Span| run.links.contains(&publish.id);
        assert_eq!(
            publishes.iter().filter(linked).count(),
            1,
            "{run:#?}\n{publishes:#?}"
        );
        for name in ["command", "finish"] {
            let below = trace
                .iter()
                .filter(|span| span.name == name && span.parent == run.id);
            assert_eq!(below.count(), 1, "{name} below {run:#?}");
        }
    }
    assert!(publishes.iter().all(|publish| publish.parent == enqueued.id));
    assert!(second.links.contains(&first.id), "{second:#?}");
    assert_eq!(
        (first.attributes["longshore.outcome"].as_str(), first.failed),
        ("retried", true)
    );
    assert_eq!(
        (second.attributes["longshore.outcome"].as_str(), second.failed),
        ("completed", false)
    );
    let of_parent = spans
        .iter()
        .find(|span| span.is("process", "longshore.job.id", &parent));
    let of_parent = of_parent.unwrap();
    assert_ne!(of_parent.trace, enqueued.trace, "it was enqueued by itself");
    assert!(first.links.contains(&of_parent.id), "{first:#?}\n{of_parent:#?}");
    let passes = spans.iter().filter(|span| span.name == "promote_due");
    let promoted: BTreeSet<&str> = passes.map(|span| span.id.as_str()).collect();
    assert!(
        publishes
            .iter()
            .all(|publish| publish.links.iter().any(|link| promoted.contains(link.as_str()))),
        "each publish names the pass that made it: {publishes:#?}"
    );
    assert!(
        spans
            .iter()
            .filter_map(|span| span.attributes.get("longshore.scheduler.rows"))
            .all(|rows| rows != "0"),
        "a pass in which nothing happened is no span"
    );
}

/// SIGTERM, and the end that follows. Answers how long it took.
async fn end_gently(process: Proc) -> Duration {
    let began = Instant::now();
    process.term();
    let status = process.wait(LONG).await.unwrap();
    assert!(status.success(), "{status:?}");
    began.elapsed()
}

/// A process with a health listener, and what it answers.
struct Probed {
    address: String,
    client: reqwest::Client,
}

impl Probed {
    /// Takes a port for the next process of the fleet.
    fn next(fleet: &mut Fleet) -> (Self, PortLease) {
        let port = PortLease::take().unwrap();
        let address = port.addr().to_string();
        fleet.env([("LONGSHORE_HEALTH__LISTEN".to_owned(), address.clone())]);
        // An error means that another test has chosen.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap();
        (Self { address, client }, port)
    }

    /// Status and body; 0 when nobody answers.
    async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.address);
        match self.client.get(url).send().await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
            Err(_) => (0, String::new()),
        }
    }

    async fn becomes(&self, path: &str, status: u16) {
        let what = format!("{path} answers {status}");
        eventually(LONG, &what, || async { self.get(path).await.0 == status })
            .await
            .unwrap();
    }

    async fn is_up(&self) {
        for path in ["/startupz", "/livez", "/readyz"] {
            self.becomes(path, 200).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_every_metric_of_the_reference_is_on_the_page_of_a_live_process() {
    let folder = tempfile::tempdir().unwrap();
    let program = fails_once(folder.path());
    let mut fleet = Fleet::on_shared_servers("quorum").await;
    fleet.env([(
        "LONGSHORE_WORKER__COMMANDS__FLAKY__PROGRAM".to_owned(),
        program.display().to_string(),
    )]);
    let (on_worker, _worker_port) = Probed::next(&mut fleet);
    let _worker = fleet.start(&["worker"]);
    let (on_scheduler, _scheduler_port) = Probed::next(&mut fleet);
    let _scheduler = fleet.start(&["scheduler"]);
    on_worker.is_up().await;
    on_scheduler.is_up().await;
    let id = enqueue(
        &fleet,
        &[
            "flaky",
            "--in",
            "1s",
            "--max-retries",
            "1",
            "--retry-delay",
            "100ms",
        ],
    )
    .await;
    until_completed(&fleet, &id).await;
    // These count what does not happen in a quiet fleet, or are the producers'.
    let rare: BTreeSet<&str> = [
        "longshore.handler.panics",
        "longshore.worker.jobs.given_back",
        "longshore.leases.expired",
        "longshore.protocol.repairs",
        "longshore.broker.blocked",
        "longshore.queue.oldest.age",
    ]
    .into();
    for (probed, from) in [(&on_worker, From::Workers), (&on_scheduler, From::Schedulers)] {
        let wanted: Vec<_> = METRICS
            .iter()
            .filter(|metric| metric.from == from || metric.from == From::All)
            .filter(|metric| !rare.contains(metric.name))
            // A worker publishes nothing.
            .filter(|metric| from == From::Schedulers || !metric.name.contains("publish"))
            .collect();
        let mut page = String::new();
        let there = |page: &str| {
            wanted
                .iter()
                .find(|metric| {
                    !page.contains(&format!("# TYPE {} {}\n", metric.prometheus(), kind(metric.kind)))
                })
                .map(|metric| metric.prometheus())
        };
        let began = Instant::now();
        while let Some(missing) = there(&page) {
            assert!(began.elapsed() < LONG, "{missing} is not on the page:\n{page}");
            tokio::time::sleep(Duration::from_millis(200)).await;
            page = probed.get("/metrics").await.1;
        }
        only_known(&page);
    }
    let page = on_worker.get("/metrics").await.1;
    for line in [
        r#"longshore_attempts_ended_total{function="flaky",outcome="retried",queue="default"} 1"#,
        r#"longshore_attempts_ended_total{function="flaky",outcome="completed",queue="default"} 1"#,
        r#"longshore_job_run_duration_seconds_count{function="flaky",outcome="completed",queue="default"} 1"#,
        "longshore_worker_slots 8",
    ] {
        assert!(page.lines().any(|on_page| on_page == line), "{line}\n{page}");
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    }
}

/// Nothing is on the page that the reference does not name.
fn only_known(page: &str) {
    let known: BTreeSet<String> = METRICS.iter().map(|metric| metric.prometheus()).collect();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(
            known.contains(name) || name == "target_info",
            "{name} is in no reference"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_receiver_that_swallows_everything_holds_nothing_up() {
    // Connections are accepted, and nothing is ever answered.
    let hole = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = hole.local_addr().unwrap();
    let swallowed = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = hole.accept().await {
            held.push(socket);
        }
    });
    for (endpoint, protocol) in [
        (format!("http://{address}"), "grpc"),
        (format!("http://{address}"), "http"),
        ("http://no-such-host.invalid:4317".to_owned(), "grpc"),
    ] {
        let mut fleet = Fleet::on_shared_servers("quorum").await;
        fleet.env([
            ("LONGSHORE_TELEMETRY__ENDPOINT".to_owned(), endpoint.clone()),
            ("LONGSHORE_TELEMETRY__PROTOCOL".to_owned(), protocol.to_owned()),
            (
                "LONGSHORE_TELEMETRY__METRICS_INTERVAL".to_owned(),
                "1s".to_owned(),
            ),
            ("LONGSHORE_TELEMETRY__FLUSH_TIMEOUT".to_owned(), "1s".to_owned()),
            (
                "LONGSHORE_WORKER__COMMANDS__PARENT__PROGRAM".to_owned(),
                "true".to_owned(),
            ),
        ]);
        let (probed, _port) = Probed::next(&mut fleet);
        let worker = fleet.start(&["worker"]);
        probed.is_up().await;
        fleet.env([("LONGSHORE_HEALTH__LISTEN".to_owned(), "127.0.0.1:0".to_owned())]);
        for _ in 0..5 {
            let id = enqueue(&fleet, &["parent"]).await;
            until_completed(&fleet, &id).await;
        }
        assert_eq!(probed.get("/readyz").await.0, 200, "{endpoint} {protocol}");
        let took = end_gently(worker).await;
        assert!(took < Duration::from_secs(20), "{endpoint} {protocol}: {took:?}");
    }
    swallowed.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_worker_cut_from_its_broker_lives_for_a_while_and_is_not_ready() {
    let servers = SharedServers::get().await.unwrap();
    let (user, host) = servers.amqp_url().rsplit_once('@').unwrap();
    let (host, vhost) = host.split_once('/').unwrap();
    let proxy = Proxy::start(host.parse().unwrap()).await.unwrap();
    let mut fleet = Fleet::on(
        format!("{user}@{}/{vhost}", proxy.addr()),
        servers.redis_url(),
        "quorum",
    );
    fleet.env([("LONGSHORE_HEALTH__DEAF_AFTER".to_owned(), "8s".to_owned())]);
    let (probed, _port) = Probed::next(&mut fleet);
    let _worker = fleet.start(&["worker", "--samples"]);
    probed.is_up().await;
    proxy.refuse().await;
    proxy.cut();
    probed.becomes("/readyz", 503).await;
    let (live, said) = probed.get("/livez").await;
    assert_eq!(live, 200, "not ready, and alive: {said}");
    probed.becomes("/livez", 503).await;
    let (_, said) = probed.get("/livez").await;
    assert!(
        said.contains("queue default") && said.contains("detached"),
        "{said}"
    );
    proxy.heal().await.unwrap();
    probed.is_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_worker_whose_control_loop_stands_still_is_not_alive() {
    let mut fleet = Fleet::on_shared_servers("quorum").await;
    fleet.env([("LONGSHORE_HEALTH__STUCK_AFTER".to_owned(), "3s".to_owned())]);
    let (probed, _port) = Probed::next(&mut fleet);
    let worker = fleet.start(&["worker", "--samples"]);
    probed.is_up().await;
    let held = StoppedThread::hold(worker.pid(), "longshore-contr");
    probed.becomes("/livez", 503).await;
    let (_, said) = probed.get("/livez").await;
    assert!(said.contains("control loop"), "{said}");
    assert_eq!(probed.get("/readyz").await.0, 503);
    drop(held);
    probed.is_up().await;
}

/// One thread of another process, stopped by a tracer while the others go on: what a deadlock looks like from outside.
/// The tracer is a thread of its own, because only the thread that attached may let go.
struct StoppedThread {
    release: std::sync::mpsc::Sender<()>,
    tracer: Option<std::thread::JoinHandle<()>>,
}

impl StoppedThread {
    fn hold(pid: u32, name: &str) -> Self {
        let thread = std::fs::read_dir(format!("/proc/{pid}/task"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .find(|entry| {
                let comm = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                comm.trim() == name
            })
            .unwrap_or_else(|| panic!("process {pid} has no thread {name}"));
        let thread: i32 = thread.file_name().to_str().unwrap().parse().unwrap();
        let thread = nix::unistd::Pid::from_raw(thread);
        let (release, released) = std::sync::mpsc::channel();
        let (stopped, is_stopped) = std::sync::mpsc::channel();
        let tracer = std::thread::spawn(move || {
            nix::sys::ptrace::attach(thread).unwrap();
            let all = Some(nix::sys::wait::WaitPidFlag::__WALL);
            nix::sys::wait::waitpid(thread, all).unwrap();
            stopped.send(()).unwrap();
            released.recv().ok();
            nix::sys::ptrace::detach(thread, None).unwrap();
        });
        is_stopped.recv_timeout(LONG).unwrap();
        Self {
            release,
            tracer: Some(tracer),
        }
    }
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        self.release.send(()).ok();
        if let Some(tracer) = self.tracer.take() {
            tracer.join().ok();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_worker_that_is_told_to_stop_under_load_leaves_nothing_and_burns_no_attempt() {
    const JOBS: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::on_shared_servers("quorum").await;
    let program = folder.path().join("slow");
    let starts = folder.path().join("starts");
    let text = format!(
        "#!/bin/sh\ncat >/dev/null\necho $LONGSHORE_JOB_ID >> {}\nsleep 1\n",
        starts.display()
    );
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    fleet.env([
        (
            "LONGSHORE_WORKER__COMMANDS__SLOW__PROGRAM".to_owned(),
            program.display().to_string(),
        ),
        ("LONGSHORE_WORKER__DRAIN_DEADLINE".to_owned(), "20s".to_owned()),
    ]);
    let (probed, _port) = Probed::next(&mut fleet);
    let worker = fleet.start(&["worker", "--max-workers", "4"]);
    probed.is_up().await;
    let lines: String = (0..JOBS)
        .map(|_| "{\"function_name\":\"slow\",\"args\":{}}\n")
        .collect();
    let file = super::write_jobs(folder.path(), &lines);
    fleet
        .run(&["enqueue", "--file", file.to_str().unwrap()])
        .await
        .unwrap();
    let started = || {
        std::fs::read_to_string(&starts)
            .unwrap_or_default()
            .lines()
            .count()
    };
    eventually(LONG, "jobs run", || async { started() >= 8 })
        .await
        .unwrap();

    let began = Instant::now();
    worker.term();
    probed.becomes("/readyz", 503).await;
    let unready = began.elapsed();
    assert!(unready < Duration::from_secs(5), "{unready:?}");
    assert_eq!(
        probed.get("/livez").await.0,
        200,
        "a process that drains is alive"
    );
    let after = started();
    let status = worker.wait(LONG).await.unwrap();
    assert!(status.success(), "{status:?}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "within the grace: {:?}",
        began.elapsed()
    );
    // A claim that was granted before the stop may have started after the look.
    assert!(started() <= after + 4, "{} then {}", after, started());
    let jobs = fleet.jobs(&["--limit", "1000"]).await;
    let of = |status: &str| jobs.iter().filter(|job| job["status"] == status).count();
    assert_eq!(of("completed") + of("queued"), JOBS, "{jobs:?}");
    assert_eq!(
        of("completed"),
        started(),
        "what has started has ended: nothing runs twice"
    );
    for job in jobs.iter().filter(|job| job["status"] == "queued") {
        assert_eq!(job["attempts"], 0, "no attempt is burnt: {job}");
    }

    let _scheduler = fleet.start(&["scheduler"]);
    fleet.env([("LONGSHORE_HEALTH__LISTEN".to_owned(), "127.0.0.1:0".to_owned())]);
    let _other = fleet.start(&["worker", "--max-workers", "16"]);
    eventually(LONG, "another worker does the rest", || async {
        let jobs = fleet.jobs(&["--limit", "1000"]).await;
        jobs.iter().all(|job| job["status"] == "completed")
    })
    .await
    .unwrap();
    assert_eq!(started(), JOBS, "each job has started once");
}
