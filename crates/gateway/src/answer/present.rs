//! Writes errors: a problem document (RFC 9457), or a page where a browser asks for one.

use std::panic::AssertUnwindSafe;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::FutureExt as _;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method};
use serde::Serialize;
use utoipa::ToSchema;

use super::headers::RequestId;
use crate::error::{Error, ErrorCode, Failed};
use crate::pages;
use crate::state::AppState;

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What is wrong, in general.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time, and the fix.
    detail: String,
    /// What is wrong, for programs.
    code: ErrorCode,
    /// What is wrong with each field, and the fix.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
    /// The id under which the log has more.
    request_id: String,
}

/// Runs the request; an error that it ends with, or a panic, is written for the caller and logged.
pub(crate) async fn errors(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let asked = Asked::of(&state, &request);
    let ran = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    // The panic hook of the process has logged where.
    let mut response = ran.unwrap_or_else(|_| Error::internal("a handler panicked").into_response());
    let Some(Failed(error)) = response.extensions_mut().remove::<Failed>() else {
        return response;
    };
    log(&asked, &error);
    let mut told = asked.tell(&state, &error);
    *told.extensions_mut() = std::mem::take(response.extensions_mut());
    // What a handler has set besides, such as the methods that are allowed.
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name != http::header::CONTENT_LENGTH {
            told.headers_mut().insert(name.clone(), value.clone());
        }
    }
    told
}

/// What the answer to a failed request depends on.
struct Asked {
    request_id: String,
    method: Method,
    /// Path and query below the base path.
    path: String,
    wants_page: bool,
}

impl Asked {
    fn of(state: &AppState, request: &Request) -> Self {
        let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
        let path = request.uri().path();
        let below = path.strip_prefix(&*state.settings().base_path).unwrap_or(path);
        let is_page = !below.starts_with("/api/") && !below.starts_with("/assets/");
        let query = request.uri().query().map(|query| format!("?{query}"));
        Self {
            request_id: request_id.unwrap_or_default(),
            method: request.method().clone(),
            path: format!("{below}{}", query.unwrap_or_default()),
            wants_page: is_page && accepts_html(request.headers()),
        }
    }

    fn tell(&self, state: &AppState, error: &Error) -> Response {
        let status = error.code.status();
        if self.wants_page && error.code == ErrorCode::Unauthenticated && self.method == Method::GET {
            let next: String = url::form_urlencoded::byte_serialize(self.path.as_bytes()).collect();
            return Redirect::to(&state.href(&format!("/login?next={next}"))).into_response();
        }
        let mut response = if self.wants_page {
            (status, pages::problem::render(state, error, &self.request_id)).into_response()
        } else {
            let problem = Problem {
                kind: "about:blank",
                title: error.code.title(),
                status: status.as_u16(),
                detail: error.detail.clone(),
                code: error.code,
                problems: error.problems.clone(),
                request_id: self.request_id.clone(),
            };
            let mut response = (status, Json(problem)).into_response();
            let kind = HeaderValue::from_static("application/problem+json");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        };
        if error.code == ErrorCode::Unauthenticated {
            let scheme = HeaderValue::from_static("Bearer realm=\"longshore\"");
            response
                .headers_mut()
                .insert(http::header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(seconds) = error.retry_after {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Neither query nor headers are logged: both may hold a token.
fn log(asked: &Asked, error: &Error) {
    let path = asked.path.split('?').next().unwrap_or_default();
    let (request, method) = (&asked.request_id, &asked.method);
    let code = error.code.title();
    match &error.internal {
        Some(cause) if error.code == ErrorCode::Internal => {
            tracing::error!(request, %method, path, cause, "{code}");
        }
        Some(cause) => tracing::warn!(request, %method, path, cause, "{code}"),
        None if error.code.is_suspicious() => {
            tracing::warn!(request, %method, path, detail = error.detail, "{code}");
        }
        None => tracing::debug!(request, %method, path, detail = error.detail, "{code}"),
    }
}
