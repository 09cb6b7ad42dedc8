//! What a gateway works with besides its client.

use std::time::Duration;

use url::Url;

use crate::auth::hide::Hide;
use crate::auth::oidc::OidcSettings;
use crate::trace_url::TraceUrl;

/// Who gets in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Whoever shows a token that the store knows. Default.
    #[default]
    Tokens,
    /// Everybody, as an admin, on a loopback address and under a loopback name alone: for `longshore dev`.
    Open,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) access: Access,
    /// Empty, or `/` and a path without a slash at its end.
    pub(crate) base_path: String,
    /// Whether pages and assets are served, or the API alone.
    pub(crate) dashboard: bool,
    /// How a browser reaches the gateway, when not by the name that it asks for.
    pub(crate) public_url: Option<Url>,
    /// Where a trace can be looked at.
    pub(crate) trace_url: Option<TraceUrl>,
    /// Sites whose pages may use watch links.
    pub(crate) cors_origins: Vec<String>,
    /// Whether `X-Forwarded-For` and `X-Forwarded-Proto` are the word of a proxy of ours.
    pub(crate) trust_forwarded: bool,
    /// Through whom people sign in, besides tokens.
    pub(crate) oidc: Option<OidcSettings>,
    /// How long a browser's session lasts.
    pub(crate) session_lifetime: Duration,
    /// Requests a second of one token or address; 0 for any number.
    pub(crate) rate_limit: u32,
    /// How often a stream says that it is there, and asks whether who listens still may.
    pub(crate) heartbeat: Duration,
    /// Event streams and long polls at once of one caller; 0 for any number.
    pub(crate) streams_max: usize,
    /// Fields of jobs that not everybody sees.
    pub(crate) hide: Hide,
    /// Largest body of a request, in bytes.
    pub(crate) body_bytes_max: usize,
    /// How long a request may take, its body included.
    pub(crate) request_timeout: Duration,
    pub(crate) limits: ConnectionLimits,
}

/// Bounds of the connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// Connections at once; more wait in the kernel.
    pub(crate) connections_max: usize,
    /// Connections at once of one address; 0 for any number.
    pub(crate) per_address: usize,
    /// How long a client may take to send the head of a request, an idle connection included.
    pub(crate) header_timeout: Duration,
    /// How long a client may refuse to read what is written to it.
    pub(crate) write_timeout: Duration,
    /// How long requests may go on after a stop.
    pub(crate) drain_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access: Access::default(),
            base_path: String::new(),
            dashboard: true,
            public_url: None,
            trace_url: None,
            cors_origins: Vec::new(),
            trust_forwarded: false,
            oidc: None,
            session_lifetime: Duration::from_secs(12 * 3_600),
            rate_limit: 100,
            heartbeat: Duration::from_secs(15),
            streams_max: 500,
            hide: Hide::default(),
            body_bytes_max: 4 * 1024 * 1024,
            request_timeout: Duration::from_secs(30),
            limits: ConnectionLimits {
                connections_max: 2_048,
                per_address: 1_024,
                header_timeout: Duration::from_secs(10),
                write_timeout: Duration::from_secs(20),
                drain_timeout: Duration::from_secs(10),
            },
        }
    }
}
