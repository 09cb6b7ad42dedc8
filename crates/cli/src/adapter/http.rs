//! Runs a configured HTTP endpoint as a handler: a signed POST with the arguments, the outcome by status.
//!
//! | answer | outcome |
//! |---|---|
//! | 2xx | done; a JSON body is the result |
//! | 429, 503 with `Retry-After` | another attempt after that time |
//! | 408, 425, 429, 5xx, no answer | transient |
//! | any other 3xx or 4xx | permanent |
//!
//! The request is signed as [Standard Webhooks](https://www.standardwebhooks.com) describes
//! ([`longshore_notify::signature`]); its `webhook-id` is the job and attempt.

use std::time::Duration;

use longshore_core::outcome::{ErrorInfo, FailureKind};
use longshore_core::{Clock, JobError, SystemClock};
use longshore_notify::signature::{ID, Key, SIGNATURE, TIMESTAMP};
use longshore_worker::JobContext;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = longshore_core::limits::RESULT_BYTES_MAX;
/// How much of a failed answer is shown.
const ERROR_CHARS_MAX: usize = 2_000;

/// What the configuration says of one HTTP function.
#[derive(Clone)]
pub(crate) struct HttpFunction {
    /// Where to post.
    pub(crate) url: String,
    /// Key of the signature.
    pub(crate) secret: Option<Key>,
    /// Extra headers.
    pub(crate) headers: Vec<(String, String)>,
}

impl std::fmt::Debug for HttpFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpFunction")
            .field("signed", &self.secret.is_some())
            .finish_non_exhaustive()
    }
}

/// Whether a request could carry this header.
///
/// # Errors
/// What is wrong with it; never its value.
pub(crate) fn check_header(name: &str, value: &str) -> Result<(), String> {
    HeaderName::try_from(name).map_err(|_| {
        let name: String = name.chars().take(64).collect();
        format!(
            "\"{}\" is not the name of a header; use letters, digits and '-'",
            name.escape_debug()
        )
    })?;
    HeaderValue::try_from(value).map(drop).map_err(|_| {
        "has a character that no header can carry, such as a line break; leave it out".to_owned()
    })
}

/// The client that every function shares: no redirects, because a signed request is for one address.
///
/// # Errors
/// When the TLS roots of the machine cannot be read.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Ring in the whole process; whoever was faster has installed the same.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Runs one attempt.
///
/// # Errors
/// As the answer says; see the module page.
pub(crate) async fn run(
    client: &Client,
    function: &HttpFunction,
    args: &Value,
    ctx: &JobContext,
) -> Result<Value, JobError> {
    let body = serde_json::to_vec(&json!({
        "job_id": ctx.id().to_string(),
        "function_name": ctx.envelope().function_name.as_str(),
        "attempt": ctx.attempt(),
        "fence": ctx.fence(),
        "args": args,
        "metadata": ctx.envelope().metadata,
    }))?;
    let id = format!("{}.{}", ctx.id(), ctx.attempt());
    let timestamp = SystemClock.now().millis() / 1_000;
    let mut request = client
        .post(&function.url)
        .header(CONTENT_TYPE, "application/json");
    if let Some(traceparent) = ctx.traceparent() {
        request = request.header("traceparent", traceparent);
    }
    for (name, value) in &function.headers {
        request = request.header(name, value);
    }
    request = request.header(ID, &id).header(TIMESTAMP, timestamp.to_string());
    if let Some(secret) = &function.secret {
        request = request.header(SIGNATURE, secret.sign(&id, timestamp, &body));
    }
    ctx.log(format!("posting {} bytes of JSON to the endpoint", body.len()));
    let began = Instant::now();
    tokio::select! {
        answer = request.body(body).send() => {
            let answer = answer.map_err(unreachable)?;
            let took = began.elapsed().as_millis();
            ctx.log(format!("the endpoint answered {} after {took} ms", answer.status()));
            conclude(answer).await
        }
        () = ctx.cancelled() => Err(JobError::cancelled()),
    }
}

/// The request never got an answer. The URL is left out: it may carry a token.
fn unreachable(error: reqwest::Error) -> JobError {
    let error = error.without_url();
    let causes = longshore_core::classify::chain(&error)
        .skip(1)
        .map(ToString::to_string)
        .collect();
    let info = ErrorInfo {
        causes,
        ..ErrorInfo::new("http", format!("the endpoint gave no answer: {error}"))
    };
    JobError::with_info(FailureKind::Transient, info)
}

async fn conclude(answer: Response) -> Result<Value, JobError> {
    let status = answer.status();
    let retry_after = retry_after(&answer);
    let body = read(answer).await?;
    if status.is_success() {
        return Ok(match body {
            body if body.is_empty() => Value::Null,
            body => serde_json::from_slice(&body)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned())),
        });
    }
    let text: String = String::from_utf8_lossy(&body)
        .chars()
        .take(ERROR_CHARS_MAX)
        .collect();
    let message = format!("the endpoint answered {status}: {}", text.trim());
    let may_wait = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let kind = match retry_after {
        Some(delay) if may_wait => FailureKind::RateLimited(delay),
        _ if is_transient(status) => FailureKind::Transient,
        _ => FailureKind::Permanent,
    };
    Err(JobError::with_info(
        kind,
        ErrorInfo::new(format!("http_{}", status.as_u16()), message),
    ))
}

fn is_transient(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

/// Seconds of `Retry-After`. Its other form, an HTTP date, is not read: the computed delay applies then.
fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

async fn read(mut answer: Response) -> Result<Vec<u8>, JobError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            let message =
                format!("the endpoint's answer is over {ANSWER_BYTES_MAX} bytes; return a reference instead");
            return Err(JobError::permanent(message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_transient() {
        for code in [408, 425, 429, 500, 502, 503, 504] {
            assert!(is_transient(StatusCode::from_u16(code).unwrap()), "{code}");
        }
        for code in [301, 400, 401, 403, 404, 409, 422] {
            assert!(!is_transient(StatusCode::from_u16(code).unwrap()), "{code}");
        }
    }
}
