//! Runs a configured HTTP endpoint as a handler: a signed POST with the arguments, the outcome by status.
//!
//! | answer | outcome |
//! |---|---|
//! | 2xx | done; a JSON body is the result |
//! | 429, 503 with `Retry-After` | another attempt after that time |
//! | 408, 425, 429, 5xx, no answer | transient |
//! | any other 3xx or 4xx | permanent |
//!
//! The request is signed as [Standard Webhooks](https://www.standardwebhooks.com) describes: `webhook-id` (the job and
//! attempt), `webhook-timestamp`, and `webhook-signature: v1,` + base64 of HMAC-SHA256 over `id.timestamp.body`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use longshore_core::outcome::{ErrorInfo, FailureKind};
use longshore_core::{Clock, JobError, SystemClock};
use longshore_worker::JobContext;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = longshore_core::limits::RESULT_BYTES_MAX;
/// How much of a failed answer is shown.
const ERROR_CHARS_MAX: usize = 2_000;

/// What the configuration says of one HTTP function.
#[derive(Clone)]
pub(crate) struct HttpFunction {
    /// Where to post.
    pub(crate) url: String,
    /// Key of the signature ([`key`]).
    pub(crate) secret: Option<Vec<u8>>,
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

/// Whether requests could go to this URL.
///
/// # Errors
/// What is wrong with it; never the URL itself.
pub(crate) fn check_url(text: &str) -> Result<(), String> {
    let example = "use https://host/path";
    let url = reqwest::Url::parse(text).map_err(|error| format!("is not a URL ({error}); {example}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme: String = url.scheme().chars().take(32).collect();
        return Err(format!("has the scheme \"{scheme}\"; {example}"));
    }
    Ok(())
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

/// The key of a signature as it is written: base64 after `whsec_`, any text otherwise.
///
/// # Errors
/// When what follows `whsec_` is not base64.
pub(crate) fn key(text: &str) -> Result<Vec<u8>, String> {
    match text.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| {
            "is not base64 after whsec_; copy it again, or leave whsec_ out for a plain text".to_owned()
        }),
        None => Ok(text.as_bytes().to_vec()),
    }
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
    request = request
        .header("webhook-id", &id)
        .header("webhook-timestamp", timestamp.to_string());
    if let Some(secret) = &function.secret {
        request = request.header("webhook-signature", sign(secret, &id, timestamp, &body)?);
    }
    tokio::select! {
        answer = request.body(body).send() => conclude(answer.map_err(unreachable)?).await,
        () = ctx.cancelled() => Err(JobError::cancelled()),
    }
}

/// The signature of the Standard Webhooks specification, version 1.
fn sign(secret: &[u8], id: &str, timestamp: u64, body: &[u8]) -> Result<String, JobError> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret).map_err(|error| JobError::permanent(error.to_string()))?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
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
    fn the_signature_is_that_of_the_specification() {
        // Computed with: printf 'msg_1.1700000000.{}' | openssl dgst -sha256 -hmac secret -binary | base64
        let signature = sign(b"secret", "msg_1", 1_700_000_000, b"{}").unwrap();
        assert_eq!(signature, "v1,A5oIrJxXPB/PkULSoVu0e4khvPiqpF9vljmhkSKg0FI=");
    }

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
