//! `longshore gateway`.

use longshore::Client;
use longshore_backend::Backend;
use longshore_gateway::{Access, Gateway};
use longshore_service::exit::ExitCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::args;
use crate::failure::Failure;
use crate::health;
use crate::output::Out;
use crate::setting::{Purpose, Setting};

/// Runs a replica until told to stop.
///
/// # Errors
/// When the servers cannot be reached at the start, the address is taken, or a second signal ends it.
pub(crate) async fn run(setting: &Setting, options: &args::Gateway, out: &mut Out) -> Result<(), Failure> {
    let listener = listen(setting, options).await?;
    let Some(backend) = setting.connect(Purpose::Service).await? else {
        return Ok(());
    };
    let client = Setting::client(&backend)?;
    setting.health.add(health::part(health::Gateway {
        stop: setting.stop.gentle.clone(),
    }));
    out.line(format!("longshore gateway: {}", address(setting, &listener)?))?;
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

/// Takes the address.
///
/// # Errors
/// When it is taken, or not this machine's.
pub(crate) async fn listen(setting: &Setting, options: &args::Gateway) -> Result<TcpListener, Failure> {
    let address = options.listen.unwrap_or(setting.config.gateway.listen);
    TcpListener::bind(address).await.map_err(|error| {
        let problem = if error.kind() == std::io::ErrorKind::AddrInUse {
            format!("{address} is in use by another process; use --listen with another port, or port 0 for a free one")
        } else {
            format!("{address} cannot be served: {error}; use --listen with an address of this machine")
        };
        Failure::new(ExitCode::Unavailable, problem)
    })
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
    let gateway = Gateway::builder(client.clone(), backend.ports().clone())
        .access(access)
        .base_path(&config.base_path)
        .dashboard(config.dashboard && !options.no_dashboard)
        .build()
        .map_err(|error| Failure::from_error(ExitCode::Config, &error))?;
    Ok(gateway.serve(listener, stop).await?)
}
