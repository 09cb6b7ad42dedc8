//! The gateway from outside: set it up, and serve.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use longshore::Client;
use longshore_core::port::Ports;
use longshore_core::random::{Random, SystemRandom};
use longshore_core::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::auth::hide::{Hide, HideRule};
use crate::auth::oidc::{OidcSettings, Provider, flow};
use crate::router;
use crate::server;
use crate::settings::{Access, Settings};
use crate::state::AppState;
use crate::trace_url::TraceUrl;

/// Serves the HTTP API and the dashboard. Any number of them may run side by side.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) state: AppState,
}

/// Sets a gateway up; made by [`Gateway::builder`].
#[derive(Clone, Debug)]
pub struct GatewayBuilder {
    client: Client,
    ports: Ports,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    settings: Settings,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidSetting {
    /// The setting, as the configuration calls it.
    pub field: &'static str,
    /// What is wrong, and the fix.
    pub problem: String,
}

impl Gateway {
    /// Starts to set a gateway up, on a client and the ports that it works with.
    pub fn builder(client: Client, ports: Ports) -> GatewayBuilder {
        GatewayBuilder {
            client,
            ports,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            settings: Settings::default(),
        }
    }

    /// Serves until `shutdown`; answers once the last request has ended, or 10 s after that.
    ///
    /// # Errors
    /// When the listener does not say its address, or it is not a loopback address with [`Access::Open`].
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        let address = listener.local_addr()?;
        if self.state.settings().access == Access::Open && !is_loopback(address) {
            return Err(std::io::Error::other(format!(
                "without tokens the gateway serves loopback addresses alone, and {address} is none"
            )));
        }
        let mut limits = self.state.settings().limits;
        if self.state.settings().trust_forwarded {
            // All connections are the proxy's.
            limits.per_address = 0;
        }
        let app = router::router(&self.state, &shutdown);
        server::serve(listener, app, limits, shutdown).await;
        Ok(())
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    }
}

impl GatewayBuilder {
    /// Who gets in. Default: whoever shows a token.
    #[must_use]
    pub const fn access(mut self, access: Access) -> Self {
        self.settings.access = access;
        self
    }

    /// The path below which everything is served, for example `/longshore`, where a proxy hands on a part of a site.
    /// Default: `/`.
    #[must_use]
    pub fn base_path(mut self, path: impl Into<String>) -> Self {
        path.into()
            .trim_end_matches('/')
            .clone_into(&mut self.settings.base_path);
        self
    }

    /// Whether the dashboard is served, or the API alone. Default: yes.
    #[must_use]
    pub const fn dashboard(mut self, served: bool) -> Self {
        self.settings.dashboard = served;
        self
    }

    /// How browsers reach the gateway, where a proxy asks it by another name: pages of this origin may ask for changes,
    /// and with `https` the session's cookie travels by TLS alone. Default: the name that is asked for.
    #[must_use]
    pub fn public_url(mut self, url: Option<Url>) -> Self {
        self.settings.public_url = url;
        self
    }

    /// Where a job's trace can be looked at: the job's page links to it. Default: no link.
    #[must_use]
    pub fn trace_url(mut self, url: Option<TraceUrl>) -> Self {
        self.settings.trace_url = url;
        self
    }

    /// Origins, such as `https://shop.example`, whose pages may use watch links. Default: none.
    #[must_use]
    pub fn cors_origins(mut self, origins: impl IntoIterator<Item = String>) -> Self {
        self.settings.cors_origins = origins.into_iter().collect();
        self
    }

    /// Whether `X-Forwarded-For` and `X-Forwarded-Proto` are believed: only behind a proxy that sets them. Default: no.
    #[must_use]
    pub const fn trust_forwarded(mut self, trust: bool) -> Self {
        self.settings.trust_forwarded = trust;
        self
    }

    /// The OpenID provider through which people sign in, besides tokens. It sends browsers back to
    /// `/login/oidc/callback` below [`GatewayBuilder::public_url`] and [`GatewayBuilder::base_path`]. Default: none.
    #[must_use]
    pub fn oidc(mut self, settings: Option<OidcSettings>) -> Self {
        self.settings.oidc = settings;
        self
    }

    /// How long a browser's session lasts; its token's own end and revocation end it before. Default: 12 h.
    #[must_use]
    pub const fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.session_lifetime = lifetime;
        self
    }

    /// Requests a second of one token, or of one address without any; twice as many at once. 0 for any number.
    /// Default: 100.
    #[must_use]
    pub const fn rate_limit(mut self, per_second: u32) -> Self {
        self.settings.rate_limit = per_second;
        self
    }

    /// Event streams and long polls at once of one token, session or watch link, and of one address with watch links. 0 for
    /// any number. Default: 500.
    #[must_use]
    pub const fn streams_max(mut self, streams: usize) -> Self {
        self.settings.streams_max = streams;
        self
    }

    /// How often a stream of events says that it is there, and asks whether who listens still may: whoever has signed out is
    /// told nothing more after that time. Default: 15 s.
    #[must_use]
    pub const fn heartbeat(mut self, every: Duration) -> Self {
        self.settings.heartbeat = every;
        self
    }

    /// Fields of jobs that not everybody sees. Default: everybody sees everything.
    #[must_use]
    pub fn hide(mut self, rules: impl IntoIterator<Item = HideRule>) -> Self {
        self.settings.hide = Hide::new(rules.into_iter().collect());
        self
    }

    /// Largest body of a request, in bytes. Default: 4 MiB.
    #[must_use]
    pub const fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.body_bytes_max = bytes;
        self
    }

    /// How long a request may take, its body included; long polls and event streams take their time besides.
    /// Default: 30 s.
    #[must_use]
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.request_timeout = timeout;
        self
    }

    /// Connections at once; more wait. Default: 2,048.
    #[must_use]
    pub const fn connections_max(mut self, connections: usize) -> Self {
        self.settings.limits.connections_max = connections;
        self
    }

    /// Connections at once of one address; more are refused. 0 for any number, and for behind a proxy that is trusted.
    /// Default: 1,024.
    #[must_use]
    pub const fn connections_per_address(mut self, connections: usize) -> Self {
        self.settings.limits.per_address = connections;
        self
    }

    /// How long a client may take to send the head of a request, and how long a connection may be idle.
    /// Default: 10 s.
    #[must_use]
    pub const fn header_timeout(mut self, timeout: Duration) -> Self {
        self.settings.limits.header_timeout = timeout;
        self
    }

    /// How long a client may leave what is sent to it unread before its connection is closed. Default: 20 s.
    #[must_use]
    pub const fn write_timeout(mut self, timeout: Duration) -> Self {
        self.settings.limits.write_timeout = timeout;
        self
    }

    /// Another clock. Default: the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of randomness. Default: the operating system's.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`InvalidSetting`] for the first that cannot be used.
    pub fn build(self) -> Result<Gateway, InvalidSetting> {
        check(&self.settings)?;
        let provider = provider(&self.settings)?;
        let state = AppState::new(
            self.client,
            self.ports,
            self.clock,
            self.random,
            self.settings,
            provider,
        );
        Ok(Gateway { state })
    }
}

/// The provider, when one is set and the settings fit together.
fn provider(settings: &Settings) -> Result<Option<Provider>, InvalidSetting> {
    let Some(oidc) = settings.oidc.clone() else {
        return Ok(None);
    };
    let public_url = settings.public_url.as_ref();
    oidc.check(public_url)
        .map_err(|(field, problem)| InvalidSetting { field, problem })?;
    let callback = public_url.and_then(|url| {
        url.join(&format!("{}{}", settings.base_path, flow::CALLBACK))
            .ok()
    });
    let provider = callback.map(|callback| Provider::new(oidc, callback)).transpose();
    provider.map_err(|error| InvalidSetting {
        field: "gateway.oidc.issuer",
        problem: format!("cannot be asked: {error}; look at the machine's TLS roots"),
    })
}

fn check(settings: &Settings) -> Result<(), InvalidSetting> {
    let path = &settings.base_path;
    let segments = |path: &str| {
        path.split('/').skip(1).all(|segment| {
            !segment.is_empty()
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
                && !segment.bytes().all(|byte| byte == b'.')
        })
    };
    let fits = path.is_empty() || (path.starts_with('/') && segments(path));
    if !fits {
        return Err(InvalidSetting {
            field: "gateway.base_path",
            problem: format!(
                "\"{path}\" is no path; use one such as /longshore, of letters, digits and -_.~"
            ),
        });
    }
    for origin in &settings.cors_origins {
        let parsed = Url::parse(origin);
        if !parsed.is_ok_and(|url| url.origin().ascii_serialization() == *origin) {
            return Err(InvalidSetting {
                field: "gateway.cors_origins",
                problem: format!(
                    "\"{origin}\" is no origin; use scheme, host and port alone: https://shop.example"
                ),
            });
        }
    }
    if settings.limits.connections_max == 0 {
        return Err(InvalidSetting {
            field: "gateway.connections_max",
            problem: "0 connections serve nobody; use at least 1".to_owned(),
        });
    }
    Ok(())
}
