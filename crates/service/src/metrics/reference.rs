//! The reference of every metric, rendered from the table that the instruments are made of.

use std::fmt::Write as _;

use longshore_core::telemetry::Repair;

use super::names::{From, Kind, METRICS, Metric};

const HEAD: &str = "\
# Metrics

The same instruments feed `GET /metrics` (Prometheus; `[health] listen`) and OTLP (`[telemetry] endpoint`). In OTLP a name has
dots where Prometheus has underscores, and neither the unit nor `_total` at its end. Names are part of the interface: they
change as the commands do.

Attributes are bounded: one process tells at most 200 queues and 200 functions apart; what comes after them is counted as
`_other`. Metrics of the whole fleet (`longshore_queue_…`) are read from the store every ten seconds by every scheduler, and
are absent while the store does not answer: take `max` over instances.

**Backlog in seconds** is how long the queue's slots need for what is queued:

    longshore_queue_backlog_seconds =
        (jobs queued − longshore_queue_jobs_parked) × longshore_queue_run_mean_seconds ÷ max(1, longshore_queue_slots)

Jobs that are parked, because no live worker has their function, are left out: further workers of the kind that is there
would not start them, and a fleet that scales by this would grow to its most and stay there. `longshore_queue_jobs_parked`
tells them, and is what to be warned of. Jobs are parked when a worker of their queue gets them and no live worker has their
function: a queue without a worker counts all that is queued.

A worker measures the mean run time of each of its queues, recent attempts counting more (each new one a twentieth), and
tells it with its beat; the queue's mean is that of its live workers, weighted by the attempts that each has measured. Slots
that serve several queues count for each. Without a worker the queue counts as having one slot, so that there is something to
scale up from.

Slots count whether they are busy or not: what waits keeps each of them busy, and one that is free now works off a second of
work a second as soon as it gets one. Counting only those in use would tell a fleet that has just been scaled up that nothing
has changed ([why, at length](../adr/0011-chart.md)). For workers with several queues, add the queues up.

**Exemplars.** Who asks for OpenMetrics (`Accept: application/openmetrics-text`, as Prometheus does) gets with each bucket of
`longshore_job_wait_duration_seconds`, `longshore_job_run_duration_seconds` and `http_server_request_duration_seconds` the
`trace_id` and `span_id` of the last sampled attempt or request in it. Prometheus keeps them with
`--enable-feature=exemplar-storage`, and Grafana draws them as points that open the trace. They need `[telemetry] endpoint`: without
traces there is nothing to point to. A process keeps at most 4,096 of them. OTLP carries none: OpenTelemetry's SDK for Rust does not
collect them.

This page is rendered from the code; a test holds it equal.
";

/// The page.
pub fn render() -> String {
    let mut page = HEAD.to_owned();
    for (from, title) in [
        (From::Producers, "Producers"),
        (From::Workers, "Workers"),
        (From::Schedulers, "Schedulers, and the fleet as they see it"),
        (From::Gateways, "Gateways"),
        (From::All, "Every service"),
    ] {
        page.extend([
            "\n## ",
            title,
            "\n\n| metric | type | attributes | meaning |\n|---|---|---|---|\n",
        ]);
        page.extend(METRICS.iter().filter(|metric| metric.from == from).map(row));
    }
    page += REPAIRS;
    for repair in Repair::ALL {
        // Writing to a string cannot fail.
        writeln!(
            page,
            "| {} | `{}` | {} |",
            repair.invariant(),
            repair.name(),
            repair.meaning()
        )
        .ok();
    }
    page
}

const REPAIRS: &str = "
## Invariants

`longshore_protocol_repairs_total` counts what held an invariant of [the protocol](protocol.md) when something had gone
wrong. None of these is a loss; many of them are a reason to look. Every process tells all of them, from 0 on. I4 is looked
at by the schedulers' daemon `compare_indexes`, which walks over records and index rows for ever; I5 by a worker at each start.
I9 (no amplification) is `longshore_queue_messages` against `longshore_queue_jobs{status=\"queued\"}`.

| invariant | `repair` | meaning |
|---|---|---|
";

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let attributes: Vec<_> = metric
        .attributes
        .iter()
        .map(|attribute| format!("`{attribute}`"))
        .collect();
    let attributes = if attributes.is_empty() {
        "—".to_owned()
    } else {
        attributes.join(", ")
    };
    format!(
        "| `{}` | {kind} | {attributes} | {} |\n",
        metric.prometheus(),
        metric.meaning
    )
}
