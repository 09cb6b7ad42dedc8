//! Entity tags: who polls what has not changed gets no body.

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Letters of a tag: 96 bits of the body's hash.
const TAG_LETTERS: usize = 16;

/// The value as JSON with its tag, or nothing when the caller has it already.
pub(crate) fn tagged<T: Serialize>(headers: &HeaderMap, value: &T) -> Result<Response, Error> {
    let bytes = serde_json::to_vec(value).map_err(Error::internal)?;
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&bytes));
    let tag = format!("\"{}\"", hash.get(..TAG_LETTERS).unwrap_or(&hash));
    let mut response = if has(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = HeaderValue::from_static("application/json");
        ([(CONTENT_TYPE, kind)], bytes).into_response()
    };
    let out = response.headers_mut();
    out.insert(ETAG, HeaderValue::from_str(&tag).map_err(Error::internal)?);
    // Kept by the caller alone, and asked for each time.
    out.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

fn has(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    given
        .flat_map(|line| line.split(','))
        .map(|one| one.trim().trim_start_matches("W/"))
        .any(|one| one == tag || one == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_gets_no_body() {
        let first = tagged(&HeaderMap::new(), &serde_json::json!({"a": 1})).unwrap();
        let tag = first.headers()[ETAG].clone();
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, tag);
        let status = |value| tagged(&headers, &value).unwrap().status();
        assert_eq!(status(serde_json::json!({"a": 1})), StatusCode::NOT_MODIFIED);
        assert_eq!(status(serde_json::json!({"a": 2})), StatusCode::OK);
    }
}
