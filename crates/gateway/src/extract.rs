//! What handlers take from a request; what cannot be read is one of our errors.

pub(crate) mod slip;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::{Error, ErrorCode};
use crate::router::too_large;
use crate::state::AppState;

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// The query.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

/// Parts of the path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Error> {
        if !is_json(request.headers()) {
            return Err(Error::new(
                ErrorCode::UnsupportedMediaType,
                "send JSON, with the header Content-Type: application/json",
            ));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                too_large(state.settings().body_bytes_max)
            } else {
                Error::new(ErrorCode::BadRequest, "the body broke off; send it again")
            }
        })?;
        read(&bytes).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default()
        .trim();
    let is_one = |kind: &str| {
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
    };
    is_one(&kind.to_ascii_lowercase())
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        unread(&field, error.inner())
    })?;
    reader.end().map_err(|error| unread(".", &error))?;
    Ok(value)
}

/// What cannot be read, as whoever sent it would call it.
fn unread(field: &str, error: &serde_json::Error) -> Error {
    match error.classify() {
        Category::Data => Error::invalid(vec![slip::tell(field, &error.to_string())]),
        _ => Error::new(
            ErrorCode::BadRequest,
            format!(
                "the body is no JSON from line {}, column {} on; look for a missing comma, quote or bracket",
                error.line(),
                error.column()
            ),
        ),
    }
}

impl<T: DeserializeOwned> FromRequestParts<AppState> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Error> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Error::new(
                ErrorCode::BadRequest,
                slip::tell(".", &rejection.body_text()),
            )),
        }
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Error> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Error::new(ErrorCode::BadRequest, rejection.body_text())),
        }
    }
}
