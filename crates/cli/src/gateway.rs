//! `longshore gateway`.

use std::net::SocketAddr;

use longshore::Client;
use longshore_backend::Backend;
use longshore_gateway::{Access, Gateway, HideRule, OidcSettings, SecretText, TraceUrl};
use longshore_service::config::Oidc;
use longshore_service::exit::ExitCode;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use crate::args;
use crate::failure::Failure;
use crate::health;
use crate::output::Out;
use crate::setting::{Purpose, Setting};

/// What the system keeps at most for one connection that does not read, in bytes.
const SEND_BUFFER_BYTES: u32 = 256 * 1024;
/// Connections that wait to be taken.
const BACKLOG: u32 = 1_024;

/// Runs a replica until told to stop.
///
/// # Errors
/// When the servers cannot be reached at the start, the address is taken, or a second signal ends it.
pub(crate) async fn run(setting: &Setting, options: &args::Gateway, out: &mut Out) -> Result<(), Failure> {
    let listener = listen(setting, options)?;
    let Some(backend) = setting.connect(Purpose::Service).await? else {
        return Ok(());
    };
    let client = setting.client(&backend)?;
    setting.health.add(health::part(health::Gateway {
        stop: setting.stop.gentle.clone(),
    }));
    out.line(format!("longshore gateway: {}", address(setting, &listener)?))?;
    warn_of_no_tokens(&backend).await;
    let serving = serve(
        setting,
        options,
        &backend,
        &client,
        listener,
        setting.stop.gentle.clone(),
        Access::Tokens,
    );
    let ended = tokio::select! {
        ended = serving => ended,
        () = setting.stop.force.cancelled() => Err(Failure::new(ExitCode::Forced, "ended by a second signal")),
    };
    client.close().await;
    backend.close().await;
    ended
}

/// Without a token nobody gets in.
async fn warn_of_no_tokens(backend: &Backend) {
    let tokens = backend.ports().access.tokens().await;
    if tokens.is_ok_and(|tokens| tokens.is_empty()) {
        tracing::warn!(
            "there are no tokens, so nobody gets in; make one: longshore token create NAME --role admin"
        );
    }
}

/// Takes the address.
///
/// # Errors
/// When it is taken, or not this machine's.
pub(crate) fn listen(setting: &Setting, options: &args::Gateway) -> Result<TcpListener, Failure> {
    let address = options.listen.unwrap_or(setting.config.gateway.listen);
    bind(address).map_err(|error| {
        let problem = if error.kind() == std::io::ErrorKind::AddrInUse {
            format!("{address} is in use by another process; use --listen with another port, or port 0 for a free one")
        } else {
            format!("{address} cannot be served: {error}; use --listen with an address of this machine")
        };
        Failure::new(ExitCode::Unavailable, problem)
    })
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // An address that was just in use may be taken again.
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Where a browser finds it.
///
/// # Errors
/// When the system does not say.
pub(crate) fn address(setting: &Setting, listener: &TcpListener) -> Result<String, Failure> {
    let at = listener.local_addr()?;
    Ok(format!("http://{at}{}/", setting.config.gateway.base_path))
}

/// Serves until `stop`.
///
/// # Errors
/// When a setting cannot be used.
pub(crate) async fn serve(
    setting: &Setting,
    options: &args::Gateway,
    backend: &Backend,
    client: &Client,
    listener: TcpListener,
    stop: CancellationToken,
    access: Access,
) -> Result<(), Failure> {
    let config = &setting.config.gateway;
    let hide = config.hide.iter().map(|rule| rule.parse::<HideRule>());
    let hide = hide
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::from_error(ExitCode::Config, &error))?;
    let public_url = config.public_url.as_deref().map(url::Url::parse).transpose();
    let public_url = public_url.map_err(|error| Failure::from_error(ExitCode::Config, &error))?;
    let trace_url = config
        .trace_url
        .as_deref()
        .map(str::parse::<TraceUrl>)
        .transpose();
    let trace_url = trace_url.map_err(|error| Failure::from_error(ExitCode::Config, &error))?;
    let oidc = config.oidc.as_ref().map(oidc).transpose()?;
    let gateway = Gateway::builder(client.clone(), backend.ports().clone())
        .access(access)
        .base_path(&config.base_path)
        .dashboard(config.dashboard && !options.no_dashboard)
        .public_url(public_url)
        .trace_url(trace_url)
        .cors_origins(config.cors_origins.clone())
        .trust_forwarded(config.trust_forwarded)
        .oidc(oidc)
        .session_lifetime(config.session_lifetime)
        .rate_limit(config.rate_limit)
        .streams_max(config.streams_max)
        .body_bytes_max(config.body_bytes_max)
        .connections_max(config.connections_max)
        .connections_per_address(config.connections_per_address)
        .request_timeout(config.request_timeout)
        .hide(hide)
        .build()
        .map_err(|error| Failure::from_error(ExitCode::Config, &error))?;
    Ok(gateway.serve(listener, stop).await?)
}

fn oidc(config: &Oidc) -> Result<OidcSettings, Failure> {
    let roles = config.roles.iter().map(|rule| rule.parse());
    let secret = config.client_secret.as_ref();
    Ok(OidcSettings {
        issuer: url::Url::parse(&config.issuer)
            .map_err(|error| Failure::from_error(ExitCode::Config, &error))?,
        client_id: config.client_id.clone(),
        client_secret: secret.map(|secret| SecretText::new(secret.expose().to_owned())),
        scopes: config.scopes.clone(),
        role_claim: config.role_claim.clone(),
        name_claim: config.name_claim.clone(),
        roles: roles
            .collect::<Result<_, longshore_gateway::InvalidRoleRule>>()
            .map_err(|error| Failure::from_error(ExitCode::Config, &error))?,
        label: config.label.clone(),
    })
}
