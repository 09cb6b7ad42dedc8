//! A gateway's stream of events, as hints of what has changed.
//!
//! A stream that is cut goes on where it was: the next one asks with the id of the last event. Whoever listens looks at the
//! jobs besides, so that a hint that is lost costs a second.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use longshore_core::JobId;
use longshore_core::port::inspect::Wakes;
use parking_lot::Mutex;
use reqwest::{Method, Response};
use serde::Deserialize;

use super::Remote;
use crate::failure::Failure;

/// Longest line that is read; a job without arguments and result is shorter.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Jobs of one stream; of more, whoever watches looks once a second.
const JOBS_MAX: usize = 200;

/// Where streams of the same jobs ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Option<(String, String)>>>);

/// A stream.
struct Stream {
    response: Response,
    jobs: String,
    seen: Seen,
    rest: Vec<u8>,
    id: Option<String>,
}

impl Remote {
    /// Follows the jobs.
    ///
    /// # Errors
    /// When there are too many, or the gateway refuses or does not answer.
    pub(crate) async fn follow(&self, ids: &[JobId], seen: &Seen) -> Result<Box<dyn Wakes>, Failure> {
        if ids.len() > JOBS_MAX {
            return Err(Failure::usage(format!(
                "a stream follows at most {JOBS_MAX} jobs"
            )));
        }
        let jobs: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let jobs = jobs.join(",");
        let mut request = self.request(Method::GET, &format!("events?jobs={jobs}"))?;
        if let Some((_, id)) = seen.0.lock().as_ref().filter(|(of, _)| *of == jobs) {
            request = request.header("last-event-id", id);
        }
        let response = self.sent(&request).await?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        if !super::says(&response, "text/event-stream") {
            return Err(self.not_ours(response.url(), "its answer is no stream of events"));
        }
        Ok(Box::new(Stream {
            response,
            jobs,
            seen: seen.clone(),
            rest: Vec::new(),
            id: None,
        }))
    }
}

/// What is read of an event.
#[derive(Deserialize)]
struct Told {
    id: String,
}

impl Stream {
    /// The next whole line; `None` when the stream has ended or is none of ours.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return String::from_utf8(line)
                    .ok()
                    .map(|line| line.trim_end().to_owned());
            }
            if self.rest.len() > LINE_BYTES_MAX {
                return None;
            }
            let chunk = self.response.chunk().await.ok()??;
            self.rest.extend_from_slice(&chunk);
        }
    }

    async fn hint(&mut self) -> Option<JobId> {
        loop {
            let line = self.line().await?;
            if let Some(id) = line.strip_prefix("id:") {
                self.id = Some(id.trim().to_owned());
            }
            let Some(data) = line.strip_prefix("data:") else {
                continue;
            };
            if let Some(id) = self.id.take() {
                *self.seen.0.lock() = Some((self.jobs.clone(), id));
            }
            let told = serde_json::from_str::<Told>(data.trim()).ok();
            if let Some(id) = told.and_then(|told| told.id.parse().ok()) {
                return Some(id);
            }
        }
    }
}

impl Wakes for Stream {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<JobId>> + Send + '_>> {
        Box::pin(self.hint())
    }
}
