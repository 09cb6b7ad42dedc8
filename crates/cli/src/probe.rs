//! `longshore probe`: asks a service whether it is well. For health checks of containers, which have no shell and no curl.

use std::time::Duration;

use longshore_notify::webhook::check_url;
use longshore_service::exit::ExitCode;

use crate::adapter::http;
use crate::args::container::{Probe, ProbeName};
use crate::failure::Failure;

/// How long an answer may take; a health check has seconds.
const ANSWER: Duration = Duration::from_secs(3);
/// How much of a refusal is shown.
const SHOWN_CHARS_MAX: usize = 500;

/// Asks once.
///
/// # Errors
/// When the answer is no, or there is none.
pub(crate) async fn run(options: &Probe) -> Result<(), Failure> {
    let url = options.url.clone().unwrap_or_else(|| {
        let path = match options.question {
            ProbeName::Startup => "startupz",
            ProbeName::Live => "livez",
            ProbeName::Ready => "readyz",
        };
        format!("http://127.0.0.1:{}/{path}", options.port)
    });
    check_url(&url).map_err(|problem| Failure::usage(format!("--url {problem}")))?;
    let client = http::client().map_err(|error| Failure::from_error(ExitCode::Failure, &error))?;
    let answer = client.get(&url).timeout(ANSWER).send().await;
    let answer = answer.map_err(|error| unanswered(&url, error))?;
    let status = answer.status();
    if status.is_success() || status.is_redirection() {
        return Ok(());
    }
    let text = answer.text().await.unwrap_or_default();
    let shown: String = text.trim().chars().take(SHOWN_CHARS_MAX).collect();
    Err(Failure::new(ExitCode::Unavailable, format!("{status}: {shown}")))
}

/// Nobody answers: no probes are set up there, or the service is not up.
fn unanswered(url: &str, error: reqwest::Error) -> Failure {
    let what = if error.is_timeout() {
        format!("{url} did not answer within {} s", ANSWER.as_secs())
    } else if error.is_connect() {
        format!("nobody answers at {url}")
    } else {
        format!("{url} gave no answer that can be read")
    };
    let cause = Failure::from_error(ExitCode::Unavailable, &error.without_url());
    Failure::new(
        ExitCode::Unavailable,
        format!(
            "{what}: start the service with `[health] listen` (a gateway answers at its own address), or name its port with --port \
             ({})",
            cause.message
        ),
    )
}
