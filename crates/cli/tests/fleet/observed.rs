//! What processes tell of themselves: traces at a receiver that nobody here wrote, and `/metrics`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use longshore_service::metrics::names::{From, Kind, METRICS, Metric};
use longshore_testkit::wait::eventually;
use serde_json::Value;

use super::probed::{LONG, Probed, end_gently};
use super::process::Fleet;
use super::tap::{Span, Tap};

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
    let trace = connected(&spans, enqueued);

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
    passes_are_named(&spans, &publishes);
}

/// The spans of the enqueue's trace: each is below another one of it, and all are below the enqueue.
fn connected<'a>(spans: &'a [Span], enqueued: &Span) -> Vec<&'a Span> {
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
    trace
}

/// Each publish names the pass that made it, and a pass in which nothing happened is no span.
fn passes_are_named(spans: &[Span], publishes: &[&Span]) {
    // A job that is due by the time its parent ends is not promoted: it is queued then, and dispatched.
    let publish = ["promote_due", "dispatch_outbox"];
    let passes = spans.iter().filter(|span| publish.contains(&span.name.as_str()));
    let made: BTreeSet<&str> = passes.map(|span| span.id.as_str()).collect();
    assert!(
        publishes
            .iter()
            .all(|publish| publish.links.iter().any(|link| made.contains(link.as_str()))),
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
        "longshore.broker.blocked",
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
        let missing = |page: &str| {
            let line = |metric: &Metric| format!("# TYPE {} {}\n", metric.prometheus(), kind(metric.kind));
            let missing = wanted.iter().find(|metric| !page.contains(&line(metric)));
            missing.map(|metric| metric.prometheus())
        };
        let page = eventually(LONG, "every metric is on the page", || async {
            let page = probed.get("/metrics").await.1;
            missing(&page).map_or(Ok(page), Err)
        });
        let page = page.await.unwrap();
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
    let known: BTreeSet<String> = METRICS.iter().map(Metric::prometheus).collect();
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
