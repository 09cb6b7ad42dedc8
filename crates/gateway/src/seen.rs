//! A request as whoever observes sees it: its span, how long it took, and how it ended. By OpenTelemetry's conventions for
//! HTTP servers, without the path: those of watch links and pages name jobs, and the route says enough.

use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method};
use longshore_core::telemetry::{Begin, Event, Value};
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use crate::state::AppState;

const HTTP_METHOD: &str = "http.request.method";
const HTTP_ROUTE: &str = "http.route";
const HTTP_STATUS: &str = "http.response.status_code";
/// What stands for a method that HTTP does not have.
const OTHER: &str = "_OTHER";

/// What is found out about a request on its way in, and told on its way out.
#[derive(Clone, Debug, Default)]
struct Found(Arc<OnceLock<Routed>>);

#[derive(Debug)]
struct Routed {
    route: Option<MatchedPath>,
    traceparent: Option<String>,
}

/// Around everything: counts the request, whatever has refused it.
pub(crate) async fn count(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let telemetry = &state.ports().telemetry;
    if !telemetry.is_on() {
        return next.run(request).await;
    }
    let (began, method, found) = (Instant::now(), method(request.method()), Found::default());
    request.extensions_mut().insert(found.clone());
    let response = next.run(request).await;
    let routed = found.0.get();
    let route = routed.and_then(|routed| routed.route.as_ref());
    telemetry.observe(&Event::Requested {
        method,
        route: route.map(MatchedPath::as_str),
        status: response.status().as_u16(),
        took: began.elapsed(),
        traceparent: routed.and_then(|routed| routed.traceparent.as_deref()),
    });
    response
}

/// Around the routes: the span of a request that has found its own. Files are not worth one.
pub(crate) async fn trace(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let telemetry = &state.ports().telemetry;
    if !telemetry.is_on() {
        return next.run(request).await;
    }
    let route = request.extensions().get::<MatchedPath>().cloned();
    let found = request.extensions().get::<Found>().cloned().unwrap_or_default();
    let name = route.as_ref().map_or("", MatchedPath::as_str);
    if name.starts_with("/assets/") {
        // Nobody else sets it.
        drop(found.0.set(Routed {
            route,
            traceparent: None,
        }));
        return next.run(request).await;
    }
    let span = span(&state, request.method(), name, request.headers());
    let traceparent = telemetry.traceparent(&span);
    drop(found.0.set(Routed { route, traceparent }));
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    telemetry.set(&span, HTTP_STATUS, Value::Count(status.as_u16().into()));
    if status.is_server_error() {
        telemetry.failed(&span, status.as_str());
    }
    response
}

/// The span of a request, below that of its caller where it says one.
fn span(state: &AppState, method: &Method, route: &str, headers: &HeaderMap) -> Span {
    let telemetry = &state.ports().telemetry;
    let method = self::method(method);
    let name = format!("{method} {route}");
    let span = tracing::debug_span!(
        target: "longshore::trace",
        parent: None,
        "request",
        otel.name = name.trim_end(),
        otel.kind = "server",
    );
    let caller = headers.get("traceparent").and_then(|caller| caller.to_str().ok());
    telemetry.begin(
        &span,
        &Begin {
            parent: caller,
            ..Begin::default()
        },
    );
    telemetry.set(&span, HTTP_METHOD, Value::Text(method));
    if !route.is_empty() {
        telemetry.set(&span, HTTP_ROUTE, Value::Text(route));
    }
    span
}

/// The method; those that HTTP does not have are one, so that nobody makes up as many as they like.
fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or(OTHER)
}
