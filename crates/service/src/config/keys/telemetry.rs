//! `[telemetry]` and `[health]`

use super::{Key, Kind, SECOND, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "telemetry.endpoint",
        Kind::Endpoint,
        "",
        "OTLP receiver for traces and metrics, for example `http://collector:4317`; nothing is exported unless set. `OTEL_EXPORTER_OTLP_ENDPOINT` is taken when this is not set.",
    ),
    key(
        "telemetry.protocol",
        Kind::Choice(&["grpc", "http"]),
        "grpc",
        "OTLP over gRPC, or over HTTP with protobuf (`/v1/traces` and `/v1/metrics` are added to the endpoint).",
    ),
    key(
        "telemetry.headers",
        Kind::SecretTable,
        "",
        "Headers of every export, for example `authorization`.",
    ),
    key(
        "telemetry.sample_ratio",
        Kind::Ratio,
        "1",
        "Share of traces that are kept, 0 to 1. A job whose caller has decided already keeps to that.",
    ),
    key(
        "telemetry.service_name",
        Kind::Text("name"),
        "",
        "`service.name`; `longshore-worker`, `longshore-scheduler` and so on unless set here or in `OTEL_SERVICE_NAME`.",
    ),
    key(
        "telemetry.resource",
        Kind::SecretTable,
        "",
        "Attributes of everything that is exported, for example `\"deployment.environment.name\" = \"production\"`; those of `OTEL_RESOURCE_ATTRIBUTES` count too.",
    ),
    key(
        "telemetry.metrics_interval",
        Kind::Time(SECOND, 3_600 * SECOND),
        "30s",
        "How often metrics are exported to the receiver.",
    ),
    key(
        "telemetry.flush_timeout",
        Kind::Time(0, 60 * SECOND),
        "3s",
        "How long the end of a process waits until what it has not exported yet is.",
    ),
    key(
        "health.listen",
        Kind::Text("address"),
        "",
        "Where `/startupz`, `/livez`, `/readyz` and `/metrics` are served, for example `127.0.0.1:9464`; nowhere unless set.",
    ),
    key(
        "health.deaf_after",
        Kind::Time(SECOND, 3_600 * SECOND),
        "5m",
        "How long a worker may be without the consumer of a queue that is not paused before it counts as dead.",
    ),
    key(
        "health.stuck_after",
        Kind::Time(2 * SECOND, 3_600 * SECOND),
        "30s",
        "How long the control loop of a worker, or every daemon of a scheduler, may stand still before the process counts as dead.",
    ),
];
