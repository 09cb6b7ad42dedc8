//! Metrics as others read them: over OTLP at a receiver that nobody here wrote, and as `OpenMetrics` by a parser that nobody
//! here wrote, with buckets that point to traces. And what a gateway tells of its requests.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use longshore_service::metrics::names::{From, METRICS};
use longshore_testkit::process::{PortLease, Proc};
use longshore_testkit::wait::eventually;
use serde_json::Value;

use super::probed::{LONG, Probed, end_gently};
use super::process::Fleet;
use super::tap::{Span, Tap, tool};

/// What counts nothing in a quiet fleet, or belongs to processes that are not started here.
const RARE: [&str; 5] = [
    "longshore.handler.panics",
    "longshore.worker.jobs.given_back",
    "longshore.leases.expired",
    "longshore.broker.blocked",
    // Where nobody asks for probes.
    "longshore.health",
];

/// Prometheus' own parser of `OpenMetrics`: it takes nothing that is not in the standard.
const PARSE: &str = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read
samples = [sample for family in read(sys.stdin.read()) for sample in family.samples]
print(json.dumps([
    {'name': s.name, 'labels': s.labels, 'value': s.value, 'exemplar': s.exemplar and s.exemplar.labels}
    for s in samples
]))
";

/// A sample of a page in `OpenMetrics`.
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
    exemplar: Option<BTreeMap<String, String>>,
}

fn parsed(page: &str) -> Vec<Sample> {
    let mut python = Command::new(tool("python"))
        .args(["-c", PARSE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = python.wait_with_output().unwrap();
    assert!(said.status.success(), "the parser refuses it:\n{page}");
    let samples: Vec<Value> = serde_json::from_slice(&said.stdout).unwrap();
    let texts = |value: &Value| -> Option<BTreeMap<String, String>> {
        let fields = value.as_object()?.iter();
        Some(
            fields
                .map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned()))
                .collect(),
        )
    };
    samples
        .iter()
        .map(|sample| Sample {
            name: sample["name"].as_str().unwrap().to_owned(),
            labels: texts(&sample["labels"]).unwrap_or_default(),
            value: sample["value"].as_f64().unwrap(),
            exemplar: texts(&sample["exemplar"]),
        })
        .collect()
}

/// The gateway of a fleet, with a token of a producer.
struct Door {
    url: String,
    token: String,
    http: reqwest::Client,
    process: Proc,
    _port: PortLease,
}

impl Door {
    async fn open(fleet: &Fleet) -> Self {
        let port = PortLease::take().unwrap();
        let address = port.addr().to_string();
        let process = fleet.start(&["gateway", "--listen", &address]);
        let token = fleet
            .run(&["token", "create", "shop", "--role", "producer"])
            .await;
        Self {
            url: format!("http://{address}"),
            token: token.unwrap().trim().to_owned(),
            http: reqwest::Client::new(),
            process,
            _port: port,
        }
    }

    fn ask(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
    }

    async fn enqueue(&self) -> String {
        self.enqueue_in(None).await
    }

    /// As a caller does that is in a trace itself.
    async fn enqueue_in(&self, traceparent: Option<&str>) -> String {
        let mut asked = self
            .ask(reqwest::Method::POST, "/api/v1/jobs")
            .header("content-type", "application/json")
            .body(r#"{"function_name": "parent", "args": {}}"#);
        if let Some(context) = traceparent {
            asked = asked.header("traceparent", context);
        }
        let answer = asked.send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        said["id"].as_str().unwrap().to_owned()
    }
}

async fn openmetrics(probed: &Probed) -> Vec<Sample> {
    let page = probed
        .get_as(
            "/metrics",
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
        )
        .await;
    assert!(page.ends_with("# EOF\n"), "{page}");
    parsed(&page)
}

/// Traces that buckets of this histogram point to.
fn pointed(samples: &[Sample], histogram: &str) -> BTreeSet<String> {
    let bucket = format!("{histogram}_bucket");
    samples
        .iter()
        .filter(|sample| sample.name == bucket)
        .filter_map(|sample| sample.exemplar.as_ref()?.get("trace_id").cloned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_fleets_metrics_are_read_by_strangers_and_point_to_its_traces() {
    let tap = Tap::start().await;
    let mut fleet = Fleet::on_shared_servers("quorum").await;
    fleet.env([
        ("LONGSHORE_TELEMETRY__ENDPOINT".to_owned(), tap.endpoint()),
        ("LONGSHORE_TELEMETRY__PROTOCOL".to_owned(), "http".to_owned()),
        (
            "LONGSHORE_TELEMETRY__METRICS_INTERVAL".to_owned(),
            "1s".to_owned(),
        ),
        (
            "LONGSHORE_WORKER__COMMANDS__PARENT__PROGRAM".to_owned(),
            "true".to_owned(),
        ),
    ]);
    let (on_worker, _worker_port) = Probed::next(&mut fleet);
    let worker = fleet.start(&["worker"]);
    let (on_scheduler, _scheduler_port) = Probed::next(&mut fleet);
    let scheduler = fleet.start(&["scheduler"]);
    let (on_gateway, _gateway_port) = Probed::next(&mut fleet);
    let door = Door::open(&fleet).await;
    for probed in [&on_worker, &on_scheduler, &on_gateway] {
        probed.is_up().await;
    }

    let id = door.enqueue().await;
    eventually(LONG, "the job is completed", || async {
        fleet.job(&id).await["status"] == "completed"
    })
    .await
    .unwrap();
    streams_are_counted(&door, &on_gateway).await;
    let unknown = door.ask(reqwest::Method::GET, "/nowhere").send().await.unwrap();
    assert_eq!(unknown.status(), 404);

    let (of_worker, of_gateway) = (openmetrics(&on_worker).await, openmetrics(&on_gateway).await);
    invariants_are_told(&of_worker);
    requests_are_counted(&of_gateway);
    every_name_is_exported(&tap).await;
    let Door { process: gateway, .. } = door;
    for process in [worker, scheduler, gateway] {
        end_gently(process).await;
    }

    let spans = tap.spans();
    let trace = below_its_request(&spans, &id);
    for (samples, histogram) in [
        (&of_worker, "longshore_job_wait_duration_seconds"),
        (&of_worker, "longshore_job_run_duration_seconds"),
        (&of_gateway, "http_server_request_duration_seconds"),
    ] {
        let pointed = pointed(samples, histogram);
        assert!(pointed.contains(&trace), "{histogram}: {pointed:?}, not {trace}");
        let known: BTreeSet<_> = spans.iter().map(|span| span.trace.clone()).collect();
        assert!(pointed.is_subset(&known), "{histogram} points to what nobody got");
    }
}

/// A page that watches is a stream more, and one less when it is closed.
async fn streams_are_counted(door: &Door, on_gateway: &Probed) {
    let streams = |open: u64| async move {
        let what = format!("{open} stream(s)");
        eventually(LONG, &what, || async {
            let page = on_gateway.get("/metrics").await.1;
            let line = format!("longshore_gateway_streams {open}");
            page.lines().any(|on_page| on_page == line)
        })
        .await
        .unwrap();
    };
    streams(0).await;
    let watching = door.ask(reqwest::Method::GET, "/api/v1/events?queues");
    let watching = watching.send().await.unwrap();
    assert!(watching.status().is_success(), "{watching:?}");
    streams(1).await;
    drop(watching);
    streams(0).await;
}

/// Each invariant is told by every process, before anything has gone wrong.
fn invariants_are_told(samples: &[Sample]) {
    let repairs = samples
        .iter()
        .filter(|sample| sample.name == "longshore_protocol_repairs_total");
    let told: BTreeMap<_, _> = repairs
        .map(|sample| (sample.labels["invariant"].as_str(), sample.value))
        .collect();
    let all = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8"];
    assert_eq!(told.keys().copied().collect::<Vec<_>>(), all);
}

fn requests_are_counted(samples: &[Sample]) {
    let answered = |method: &str, route: &str, status: &str| {
        let wanted = [
            ("http_request_method", method),
            ("http_route", route),
            ("http_response_status_code", status),
        ];
        let mut counts = samples
            .iter()
            .filter(|sample| sample.name == "http_server_request_duration_seconds_count");
        counts
            .find(|sample| wanted.iter().all(|(name, value)| sample.labels[*name] == *value))
            .map(|sample| sample.value)
    };
    assert_eq!(answered("POST", "/api/v1/jobs", "201"), Some(1.0));
    assert_eq!(answered("GET", "_other", "404"), Some(1.0));
}

/// Every metric of the reference arrives, under its own name and as what it is.
async fn every_name_is_exported(tap: &Tap) {
    let wanted: BTreeSet<_> = METRICS
        .iter()
        .filter(|metric| metric.from == From::All || metric.from != From::Producers)
        .map(|metric| metric.name)
        .filter(|name| !RARE.contains(name))
        .collect();
    let missing = || {
        let told = tap.metrics();
        let missing: Vec<_> = wanted
            .iter()
            .filter(|name| !told.contains(**name))
            .copied()
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(missing.join(", "))
        }
    };
    eventually(LONG, "every metric arrives", || async { missing() })
        .await
        .unwrap();
}

/// The trace of a job that was enqueued over HTTP: its enqueue is below the request.
fn below_its_request(spans: &[Span], id: &str) -> String {
    let enqueue = spans
        .iter()
        .find(|span| span.is("enqueue", "longshore.job.id", id))
        .unwrap();
    let request = spans.iter().find(|span| span.id == enqueue.parent).unwrap();
    assert_eq!(request.name, "POST /api/v1/jobs");
    assert_eq!(request.trace, enqueue.trace);
    assert!(request.parent.is_empty(), "{request:#?}");
    assert_eq!(request.attributes["http.request.method"], "POST");
    assert_eq!(request.attributes["http.route"], "/api/v1/jobs");
    assert_eq!(request.attributes["http.response.status_code"], "201");
    let run = spans
        .iter()
        .find(|span| span.is("process", "longshore.job.id", id))
        .unwrap();
    assert_eq!((&run.trace, &run.parent), (&enqueue.trace, &enqueue.id));
    run.trace.clone()
}

/// Nothing is sampled of what nobody asked for, and all of what a caller samples; its lines of the log name its trace.
#[tokio::test(flavor = "multi_thread")]
async fn real_servers_a_caller_that_samples_is_followed_where_the_ratio_samples_nothing() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let tap = Tap::start().await;
    let mut fleet = Fleet::on_shared_servers("quorum").await;
    let settings = [
        ("TELEMETRY__ENDPOINT", tap.endpoint().as_str()),
        ("TELEMETRY__PROTOCOL", "http"),
        ("TELEMETRY__SAMPLE_RATIO", "0"),
        ("LOG__FORMAT", "json"),
        ("LOG__LEVEL", "info,longshore::job_log=debug"),
        ("WORKER__COMMANDS__PARENT__PROGRAM", "echo"),
        ("WORKER__COMMANDS__PARENT__ARGS", "said by the job"),
    ]
    .map(|(name, value)| (format!("LONGSHORE_{name}"), value.to_owned()));
    fleet.env(settings);
    let worker = fleet.start(&["worker"]);
    let (on_gateway, _gateway_port) = Probed::next(&mut fleet);
    let door = Door::open(&fleet).await;
    on_gateway.is_up().await;
    fleet.env([("LONGSHORE_HEALTH__LISTEN".to_owned(), "127.0.0.1:0".to_owned())]);
    // A queue that was just made refuses a publish now and then: the scheduler sends it again.
    let scheduler = fleet.start(&["scheduler"]);

    let plain = door.enqueue().await;
    let traced = door
        .enqueue_in(Some(&format!("00-{TRACE}-b7ad6b7169203331-01")))
        .await;
    for id in [&plain, &traced] {
        eventually(LONG, "the job is completed", || async {
            fleet.job(id).await["status"] == "completed"
        })
        .await
        .unwrap();
    }
    let Door { process: gateway, .. } = door;
    for process in [worker, gateway, scheduler] {
        end_gently(process).await;
    }

    let spans = tap.spans();
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");
    let run = spans
        .iter()
        .find(|span| span.is("process", "longshore.job.id", &traced));
    assert!(run.is_some(), "{spans:#?}");
    let log = std::fs::read_to_string(fleet.folder().join("worker-0.log")).unwrap();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let said: Vec<_> = lines
        .filter(|line| line["message"] == "said by the job")
        .map(|line| (line["span"]["id"].clone(), line["trace_id"].clone()))
        .collect();
    assert!(said.contains(&(traced.into(), TRACE.into())), "{log}");
}
