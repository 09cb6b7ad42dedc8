//! `[gateway]`: what the gateway is told.

use std::net::SocketAddr;
use std::time::Duration;

use super::problem::Problem;
use super::read::Values;

/// `[gateway]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gateway {
    /// Where it serves.
    pub listen: SocketAddr,
    /// Whether it serves the dashboard besides the API.
    pub dashboard: bool,
    /// The path below which everything is served; empty for `/`.
    pub base_path: String,
    /// How browsers reach it; the name that they ask for when `None`.
    pub public_url: Option<String>,
    /// Where a trace can be looked at, `{trace_id}` standing for its id; no link when `None`.
    pub trace_url: Option<String>,
    /// Sites whose pages may use watch links.
    pub cors_origins: Vec<String>,
    /// Whether a proxy's word about the client is believed.
    pub trust_forwarded: bool,
    /// How long a browser's session lasts.
    pub session_lifetime: Duration,
    /// Requests a second of one token or address; 0 for any number.
    pub rate_limit: u32,
    /// Largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// Connections at once.
    pub connections_max: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Fields of jobs that not everybody sees.
    pub hide: Vec<String>,
}

/// The gateway's part of the configuration.
pub(super) fn build(values: &Values, problems: &mut Vec<Problem>) -> Gateway {
    let public_url = values.text("gateway.public_url");
    let trace_url = values.text("gateway.trace_url");
    Gateway {
        listen: listen(values, problems),
        dashboard: values.switch("gateway.dashboard"),
        base_path: values.text("gateway.base_path"),
        public_url: (!public_url.is_empty()).then_some(public_url),
        trace_url: (!trace_url.is_empty()).then_some(trace_url),
        cors_origins: values.list("gateway.cors_origins"),
        trust_forwarded: values.switch("gateway.trust_forwarded"),
        session_lifetime: values.time("gateway.session_lifetime").unwrap_or_default(),
        rate_limit: values.count("gateway.rate_limit").unwrap_or(0),
        body_bytes_max: values.count("gateway.body_bytes_max").unwrap_or(0),
        connections_max: values.count("gateway.connections_max").unwrap_or(1),
        request_timeout: values.time("gateway.request_timeout").unwrap_or_default(),
        hide: values.list("gateway.hide"),
    }
}

fn listen(values: &Values, problems: &mut Vec<Problem>) -> SocketAddr {
    let key = "gateway.listen";
    let text = values.text(key);
    text.parse().unwrap_or_else(|_| {
        problems.push(Problem {
            key: key.to_owned(),
            origin: values.origin(key),
            message: format!("\"{text}\" is no address with a port; use one such as 127.0.0.1:8080"),
        });
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}
