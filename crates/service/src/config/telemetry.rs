//! `[telemetry]` and `[health]`: what a process tells of itself, and to whom.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::problem::Problem;
use super::read::Values;
use super::secret::Secret;

/// `[telemetry]`
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Telemetry {
    /// The OTLP receiver; nothing is exported when `None`.
    pub endpoint: Option<Secret>,
    /// How to talk to it.
    pub protocol: OtlpProtocol,
    /// Headers of every export.
    pub headers: BTreeMap<String, Secret>,
    /// Share of traces that are kept, 0 to 1.
    pub sample_ratio: f64,
    /// `service.name`, when it is not the default.
    pub service_name: Option<String>,
    /// Attributes of everything that is exported.
    pub resource: BTreeMap<String, Secret>,
    /// How often metrics are exported.
    pub metrics_interval: Duration,
    /// How long the end of the process waits for exports.
    pub flush_timeout: Duration,
}

/// How to talk to an OTLP receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC.
    #[default]
    Grpc,
    /// HTTP with protobuf.
    Http,
}

/// `[health]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Where probes and metrics are served; nowhere when `None`.
    pub listen: Option<SocketAddr>,
    /// How long a worker may be without a consumer that it should have.
    pub deaf_after: Duration,
    /// How long a control loop or the daemons may stand still.
    pub stuck_after: Duration,
}

/// The part `[telemetry]`.
pub(super) fn telemetry(values: &Values) -> Telemetry {
    let name = values.text("telemetry.service_name");
    Telemetry {
        endpoint: values.secret("telemetry.endpoint"),
        protocol: match values.text("telemetry.protocol").as_str() {
            "http" => OtlpProtocol::Http,
            _ => OtlpProtocol::Grpc,
        },
        headers: values.table("telemetry.headers"),
        sample_ratio: values.text("telemetry.sample_ratio").parse().unwrap_or(1.0),
        service_name: Some(name).filter(|name| !name.is_empty()),
        resource: values.table("telemetry.resource"),
        metrics_interval: super::check::time(values, "telemetry.metrics_interval"),
        flush_timeout: super::check::time(values, "telemetry.flush_timeout"),
    }
}

/// The part `[health]`.
pub(super) fn health(values: &Values, problems: &mut Vec<Problem>) -> Health {
    let text = values.text("health.listen");
    let listen = match text.parse() {
        Ok(address) => Some(address),
        Err(_) if text.is_empty() => None,
        Err(_) => {
            problems.push(Problem {
                key: "health.listen".to_owned(),
                origin: values.origin("health.listen"),
                message: format!("\"{text}\" is no address with a port; use for example 127.0.0.1:9464"),
            });
            None
        }
    };
    Health {
        listen,
        deaf_after: super::check::time(values, "health.deaf_after"),
        stuck_after: super::check::time(values, "health.stuck_after"),
    }
}
