//! The small HTTP listener of probes and metrics.

use std::io;
use std::net::{SocketAddr, TcpListener};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::{Health, Probe};
use crate::metrics::{Metrics, openmetrics};

/// Why the listener cannot be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "health.listen: {address} cannot be listened on: {reason}; use an address of this machine and a free port"
)]
pub struct Error {
    address: SocketAddr,
    reason: io::Error,
}

#[derive(Clone, Debug)]
struct Shared {
    health: Health,
    metrics: Option<Metrics>,
}

/// Serves the probes and, when there are metrics, `/metrics`, on a thread of its own and until the process ends. Answers
/// the address, whose port the system has chosen when `address` has port 0.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve(address: SocketAddr, health: &Health, metrics: Option<&Metrics>) -> Result<SocketAddr, Error> {
    let fail = |reason| Error { address, reason };
    let listener = TcpListener::bind(address).map_err(fail)?;
    listener.set_nonblocking(true).map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    if let Some(metrics) = metrics {
        health.measure(metrics);
    }
    let shared = Shared {
        health: health.clone(),
        metrics: metrics.cloned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(fail)?;
    std::thread::Builder::new()
        .name("longshore-health".to_owned())
        .spawn(move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(listener, router(shared)).await
            });
            if let Err(error) = served {
                tracing::error!(%error, "the health listener ended");
            }
        })
        .map_err(fail)?;
    tracing::info!(address = %bound, "health and metrics are served");
    Ok(bound)
}

fn router(shared: Shared) -> Router {
    let probe = |probe: Probe| get(move |State(shared): State<Shared>| async move { answer(&shared, probe) });
    Probe::ALL
        .into_iter()
        .fold(Router::new(), |router, question| {
            router.route(question.path(), probe(question))
        })
        .route(
            "/metrics",
            get(|State(shared): State<Shared>, headers: HeaderMap| async move { page(&shared, &headers) }),
        )
        .with_state(shared)
}

fn answer(shared: &Shared, probe: Probe) -> Response {
    let answer = shared.health.ask(probe);
    let status = if answer.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

fn page(shared: &Shared, headers: &HeaderMap) -> Response {
    let Some(metrics) = &shared.metrics else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    if accept.is_some_and(openmetrics::is_wanted) {
        let kind = [(header::CONTENT_TYPE, openmetrics::CONTENT_TYPE)];
        return (kind, metrics.openmetrics()).into_response();
    }
    match metrics.page() {
        Ok(page) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
