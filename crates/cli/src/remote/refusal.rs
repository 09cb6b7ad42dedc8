//! What a gateway refuses, and what is not a gateway at all.

use longshore_service::exit::ExitCode;
use reqwest::Response;
use reqwest::header::LOCATION;
use serde::Deserialize;
use url::Url;

use super::{REFUSAL_BYTES_MAX, Remote, says};
use crate::failure::Failure;
use crate::output::plain;

/// A problem document (RFC 9457), as far as it is read.
#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    request_id: String,
}

impl Remote {
    /// What an answer that is no success says.
    pub(super) async fn refused(&self, response: Response) -> Failure {
        let status = response.status();
        if status.is_redirection() {
            return self.redirected(&response);
        }
        let is_problem = says(&response, "application/problem+json");
        let asked = response.url().clone();
        let body = match self.body(response, REFUSAL_BYTES_MAX).await {
            Ok(body) if is_problem => body,
            Ok(_) => {
                return self.not_ours(&asked, &format!("it answers {status} without a problem document"));
            }
            Err(failure) => return failure,
        };
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => self.told(problem),
            Err(error) => self.not_ours(&asked, &error.to_string()),
        }
    }

    fn told(&self, problem: Problem) -> Failure {
        let detail = plain(&problem.detail);
        let (code, message) = match problem.code.as_str() {
            "unauthenticated" if self.token.is_none() => (
                ExitCode::Config,
                format!(
                    "api.token: {} asks for a token; make one with `longshore token create`, and give it as \
                     LONGSHORE_API__TOKEN or in the file that LONGSHORE_API__TOKEN_FILE names",
                    self.shown()
                ),
            ),
            "unauthenticated" => (
                ExitCode::Denied,
                format!(
                    "api.token: {} does not take the token: it is wrong, expired or revoked; `longshore token create` makes one",
                    self.shown()
                ),
            ),
            "forbidden" => (
                ExitCode::Denied,
                format!("api.token: the token may not do that: {detail}"),
            ),
            "not_found" => (ExitCode::NotFound, detail),
            "bad_request"
            | "invalid"
            | "conflict"
            | "precondition_failed"
            | "too_large"
            | "method_not_allowed"
            | "unsupported_media_type" => (ExitCode::Usage, detail),
            "internal" => (
                ExitCode::Failure,
                format!("the gateway failed: {detail} ({})", plain(&problem.request_id)),
            ),
            _ => (
                ExitCode::Unavailable,
                format!("the gateway answers: {}: {detail}", plain(&problem.title)),
            ),
        };
        Failure {
            said: problem.code,
            ..Failure::new(code, message)
        }
    }

    /// A token is not sent to another address.
    fn redirected(&self, response: &Response) -> Failure {
        let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let to = to.and_then(|to| self.base.join(to).ok());
        let place = |url: Url| format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        let to = to.map_or_else(|| "somewhere else".to_owned(), place);
        Failure::new(
            ExitCode::Config,
            format!(
                "api.url: {} sends requests on to {to}, and the token is not sent after them; use the address of the gateway itself, with its base path",
                self.shown()
            ),
        )
    }

    /// Somebody else answers: a proxy, another service, a wrong path.
    pub(super) fn not_ours(&self, asked: &Url, why: &str) -> Failure {
        Failure::new(
            ExitCode::Config,
            format!(
                "api.url: {} does not answer as the API of a gateway does: asked for {asked}, {}; check the address and its base path, and what stands before the gateway",
                self.shown(),
                plain(why)
            ),
        )
    }

    /// Nobody answers, or not to the end.
    pub(super) fn unreached(&self, error: reqwest::Error) -> Failure {
        let asked = self.shown().to_owned();
        let message = if error.is_timeout() && !error.is_connect() {
            format!("{asked} did not answer within api.timeout; the outcome is unknown")
        } else {
            format!("{asked} cannot be reached")
        };
        // The URL of the request has names of jobs and queues, which the sentence does not need.
        let cause = Failure::from_error(ExitCode::Unavailable, &error.without_url());
        Failure::new(ExitCode::Unavailable, format!("{message}: {}", cause.message))
    }
}
