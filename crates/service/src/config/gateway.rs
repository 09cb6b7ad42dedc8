//! `[gateway]`: what the gateway is told.

use std::net::SocketAddr;
use std::time::Duration;

use super::problem::Problem;
use super::read::Values;
use super::secret::Secret;

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
    /// Event streams and long polls at once of one caller; 0 for any number.
    pub streams_max: usize,
    /// Largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// Connections at once.
    pub connections_max: usize,
    /// Connections at once of one address; 0 for any number.
    pub connections_per_address: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Fields of jobs that not everybody sees.
    pub hide: Vec<String>,
    /// Through whom people sign in, besides tokens.
    pub oidc: Option<Oidc>,
}

/// `[gateway.oidc]`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Oidc {
    /// What the provider calls itself.
    pub issuer: String,
    /// What it calls this gateway.
    pub client_id: String,
    /// What this gateway shows to it.
    pub client_secret: Option<Secret>,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that gives people their roles.
    pub role_claim: String,
    /// What its values give, as `ROLE:VALUE`.
    pub roles: Vec<String>,
    /// What people are called.
    pub name_claim: String,
    /// What the button on the login page says.
    pub label: String,
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
        streams_max: values.count("gateway.streams_max").unwrap_or(0),
        body_bytes_max: values.count("gateway.body_bytes_max").unwrap_or(0),
        connections_max: values.count("gateway.connections_max").unwrap_or(1),
        connections_per_address: values.count("gateway.connections_per_address").unwrap_or(0),
        request_timeout: values.time("gateway.request_timeout").unwrap_or_default(),
        hide: values.list("gateway.hide"),
        oidc: oidc(values, problems),
    }
}

/// Every key that a provider needs, or the first problem of each.
fn oidc(values: &Values, problems: &mut Vec<Problem>) -> Option<Oidc> {
    let issuer = values.text("gateway.oidc.issuer");
    if issuer.is_empty() {
        return None;
    }
    let roles = values.list("gateway.oidc.roles");
    let needed = [
        (
            "gateway.oidc.client_id",
            values.text("gateway.oidc.client_id").is_empty(),
            "what the provider calls this gateway",
        ),
        (
            "gateway.oidc.roles",
            roles.is_empty(),
            "who may what, such as admin:platform-team; nobody could sign in",
        ),
        (
            "gateway.public_url",
            values.text("gateway.public_url").is_empty(),
            "where the provider sends browsers back to",
        ),
    ];
    for (key, missing, what) in needed {
        if missing {
            problems.push(Problem {
                key: key.to_owned(),
                origin: values.origin(key),
                message: format!("must be set with gateway.oidc.issuer: {what}"),
            });
        }
    }
    Some(Oidc {
        issuer,
        client_id: values.text("gateway.oidc.client_id"),
        client_secret: values.secret("gateway.oidc.client_secret"),
        scopes: values.list("gateway.oidc.scopes"),
        role_claim: values.text("gateway.oidc.role_claim"),
        roles,
        name_claim: values.text("gateway.oidc.name_claim"),
        label: values.text("gateway.oidc.label"),
    })
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
