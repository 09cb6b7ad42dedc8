//! Where requests go, and what they pass on the way.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_LENGTH;
use tokio_util::sync::CancellationToken;

use crate::answer::{headers, present};
use crate::api::watch;
use crate::auth::oidc::flow;
use crate::auth::{login, site};
use crate::error::{Error, ErrorCode};
use crate::state::AppState;
use crate::{api, assets, events, pages, seen};

/// Everything that is served. `shutdown` ends event streams and long polls.
pub(crate) fn router(state: &AppState, shutdown: &CancellationToken) -> Router {
    let mut quick = Router::new().nest("/api/v1", api::routes());
    if state.settings().dashboard {
        let small = DefaultBodyLimit::max(login::FORM_BYTES_MAX);
        let session = Router::new()
            .route("/login", post(login::sign_in).layer(small))
            .route("/logout", post(login::sign_out))
            .route(flow::PATH, get(flow::begin))
            .route(flow::CALLBACK, get(flow::finish));
        quick = quick
            .nest("/assets", assets::routes())
            .merge(session)
            .merge(pages::routes());
    }
    let slow = Router::new().nest("/api/v1", api::slow_routes());
    let routes = quick
        .layer(from_fn_with_state(state.clone(), in_time))
        .merge(slow)
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(state.clone(), seen::trace));
    below(&state.settings().base_path, routes.with_state(state.clone()))
        .layer(DefaultBodyLimit::max(state.settings().body_bytes_max))
        .layer(axum::Extension(events::Draining(shutdown.clone())))
        .layer(from_fn_with_state(state.clone(), watch::cross_origin))
        .layer(from_fn_with_state(state.clone(), site::check))
        .layer(from_fn_with_state(state.clone(), refuse_large))
        .layer(from_fn_with_state(state.clone(), present::errors))
        .layer(from_fn_with_state(state.clone(), headers::set))
        .layer(from_fn_with_state(state.clone(), seen::count))
}

/// The routes below a base path, with and without a slash at its end.
fn below(base_path: &str, routes: Router) -> Router {
    if base_path.is_empty() {
        return routes;
    }
    Router::new()
        .nest_service(base_path, routes)
        .fallback(nothing_here)
}

async fn nothing_here() -> Error {
    Error::not_found("there is nothing under this address")
}

async fn other_method() -> Error {
    Error::new(
        ErrorCode::MethodNotAllowed,
        "use one of the methods in the header Allow",
    )
}

/// A body that says that it is too large is not read at all.
async fn refuse_large(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let length = request.headers().get(CONTENT_LENGTH);
    let bytes = length
        .and_then(|length| length.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    let max = state.settings().body_bytes_max;
    if bytes.is_some_and(|bytes| bytes > max as u64) {
        return too_large(max).into_response();
    }
    next.run(request).await
}

pub(crate) fn too_large(max: usize) -> Error {
    Error::new(
        ErrorCode::TooLarge,
        format!("a body has at most {max} bytes; send less at a time"),
    )
}

/// Ends a request that takes too long, its body included.
async fn in_time(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let limit = state.settings().request_timeout;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Error::new(
            ErrorCode::TimedOut,
            format!("it was not done within {limit:?}, and may be done in part"),
        )
        .into_response(),
    }
}
