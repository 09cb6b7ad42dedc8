//! Entity tags: who polls what has not changed gets no body.

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Letters of a tag: 96 bits of the body's hash.
const TAG_LETTERS: usize = 16;

/// What an answer says of the time at which it was asked for, and of nothing else.
const CLOCK: [&str; 3] = ["now_ms", "at_ms", "from_ms"];

/// The value as JSON with its tag, or nothing when the caller has it already.
pub(crate) fn tagged<T: Serialize>(headers: &HeaderMap, value: &T) -> Result<Response, Error> {
    let bytes = serde_json::to_vec(value).map_err(Error::internal)?;
    answer(headers, &Sha256::digest(&bytes), bytes)
}

/// [`tagged`] for an answer that tells the time: it is the same answer as long as it says the same besides.
pub(crate) fn tagged_but_the_clock<T: Serialize>(headers: &HeaderMap, value: &T) -> Result<Response, Error> {
    let value = serde_json::to_value(value).map_err(Error::internal)?;
    let bytes = serde_json::to_vec(&value).map_err(Error::internal)?;
    let stable = serde_json::to_vec(&without_clock(value)).map_err(Error::internal)?;
    answer(headers, &Sha256::digest(&stable), bytes)
}

/// [`tagged`] for why a job does not run: the same facts are the same answer, however long ago its sentences say that
/// they are.
pub(crate) fn tagged_facts(headers: &HeaderMap, why: &Value) -> Result<Response, Error> {
    let mut facts = why.clone();
    let obstacles = facts.get_mut("obstacles").and_then(Value::as_array_mut);
    for obstacle in obstacles.into_iter().flatten().filter_map(Value::as_object_mut) {
        obstacle.remove("explanation");
    }
    let stable = serde_json::to_vec(&facts).map_err(Error::internal)?;
    let bytes = serde_json::to_vec(why).map_err(Error::internal)?;
    answer(headers, &Sha256::digest(&stable), bytes)
}

/// A document without the time at which it was asked for.
pub(crate) fn without_clock(mut document: Value) -> Value {
    if let Some(fields) = document.as_object_mut() {
        fields.retain(|name, _| !CLOCK.contains(&name.as_str()));
    }
    document
}

fn answer(headers: &HeaderMap, hash: &[u8], bytes: Vec<u8>) -> Result<Response, Error> {
    let hash = URL_SAFE_NO_PAD.encode(hash);
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

    #[test]
    fn the_time_at_which_it_is_asked_for_makes_no_other_answer() {
        let clock = |at: u64, a: u64| serde_json::json!({"now_ms": at, "a": a, "points": [{"at_ms": a}]});
        let why =
            |text: &str, line: u64| serde_json::json!({"obstacles": [{"explanation": text, "line": line}]});
        let again = |first: Response, second: &dyn Fn(&HeaderMap) -> Response| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
            second(&headers).status()
        };
        let none = HeaderMap::new();
        let first = || tagged_but_the_clock(&none, &clock(1, 1)).unwrap();
        let then = |at, a| move |headers: &HeaderMap| tagged_but_the_clock(headers, &clock(at, a)).unwrap();
        assert_eq!(again(first(), &then(2, 1)), StatusCode::NOT_MODIFIED);
        assert_eq!(again(first(), &then(2, 2)), StatusCode::OK);
        let first = || tagged_facts(&none, &why("for 1 s", 3)).unwrap();
        let then = |text: &'static str, line| {
            move |headers: &HeaderMap| tagged_facts(headers, &why(text, line)).unwrap()
        };
        assert_eq!(again(first(), &then("for 2 s", 3)), StatusCode::NOT_MODIFIED);
        assert_eq!(again(first(), &then("for 2 s", 4)), StatusCode::OK);
    }
}
