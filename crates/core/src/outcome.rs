//! How an attempt ends: a handler's error, the outcome that a worker reports, and the result that a caller sees.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::JobId;
use crate::log::LogLine;
use crate::status::JobStatus;

/// What a handler's failure means for the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Retried while retries are left.
    Transient,
    /// Given up at once.
    Permanent,
    /// Not a failure: run again after the delay, without using an attempt.
    Snooze(Duration),
    /// The other side asks to wait; uses a retry, with this delay instead of the computed one.
    RateLimited(Duration),
    /// The handler stopped because the job was cancelled.
    Cancelled,
}

/// A handler's failure.
///
/// Every error converts into it with `?` and is then classified through its whole source chain
/// ([`crate::classify`]); the constructors say it outright. Like `anyhow::Error` it does not implement
/// [`std::error::Error`] itself: that is what makes the conversion possible.
pub struct JobError {
    kind: FailureKind,
    info: ErrorInfo,
}

/// What is kept of a failure for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// The error's type, or a name such as `panic`, `timeout`, `worker_lost`.
    #[serde(rename = "t")]
    pub error_type: String,
    /// What happened: the error's own text.
    #[serde(rename = "m")]
    pub message: String,
    /// The causes below it, outermost first.
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// Backtrace, when one was captured.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
}

impl ErrorInfo {
    /// An error with a type name and a message.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            error_type: error_type.into(),
            message: message.into(),
            causes: Vec::new(),
            traceback: None,
        }
    }

    /// Cuts every text so that the whole stays within [`crate::limits::ERROR_BYTES_MAX`]; the middle of a traceback
    /// goes first, because its ends say where it came from and where it broke.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let max = crate::limits::ERROR_BYTES_MAX;
        self.error_type = cut(self.error_type, 256);
        self.message = cut(self.message, max / 4);
        self.causes.truncate(16);
        self.causes = self
            .causes
            .into_iter()
            .map(|cause| cut(cause, max / 64))
            .collect();
        self.traceback = self.traceback.map(|text| cut(text, max / 4));
        self
    }

    /// The error as a line of the history: at most 512 bytes.
    pub fn line(&self) -> String {
        let mut text = format!("{}: {}", self.error_type, self.message);
        let end = (0..=512.min(text.len()))
            .rev()
            .find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text
    }
}

/// Keeps the first and last halves of a text that is over `max` bytes.
fn cut(text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    let half = max / 2 - 8;
    let head = text
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= half)
        .last()
        .unwrap_or(0);
    let tail = text
        .char_indices()
        .map(|(at, _)| at)
        .find(|at| *at >= text.len() - half)
        .unwrap_or(text.len());
    format!(
        "{} … {}",
        text.get(..head).unwrap_or_default(),
        text.get(tail..).unwrap_or_default()
    )
}

impl JobError {
    /// A failure that may pass: retried while retries are left.
    pub fn transient(message: impl std::fmt::Display) -> Self {
        Self::said(FailureKind::Transient, message)
    }

    /// A failure that will not pass: the job is given up at once.
    pub fn permanent(message: impl std::fmt::Display) -> Self {
        Self::said(FailureKind::Permanent, message)
    }

    /// Not a failure: run again after `delay`, without using an attempt.
    pub fn snooze(delay: Duration) -> Self {
        Self::said(FailureKind::Snooze(delay), format_args!("snoozed for {delay:?}"))
    }

    /// The other side asks to wait (for example `Retry-After`): a retry after `delay`.
    pub fn rate_limited(delay: Duration) -> Self {
        Self::said(
            FailureKind::RateLimited(delay),
            format_args!("rate limited for {delay:?}"),
        )
    }

    /// The job was cancelled while it ran and the handler stopped for that.
    pub fn cancelled() -> Self {
        Self::said(FailureKind::Cancelled, "cancelled")
    }

    /// A failure with everything given.
    pub const fn with_info(kind: FailureKind, info: ErrorInfo) -> Self {
        Self { kind, info }
    }

    fn said(kind: FailureKind, message: impl std::fmt::Display) -> Self {
        let error_type = match kind {
            FailureKind::Transient => "transient",
            FailureKind::Permanent => "permanent",
            FailureKind::Snooze(_) => "snooze",
            FailureKind::RateLimited(_) => "rate_limited",
            FailureKind::Cancelled => "cancelled",
        };
        Self {
            kind,
            info: ErrorInfo::new(error_type, message.to_string()),
        }
    }

    /// What the failure means for the job.
    pub const fn kind(&self) -> FailureKind {
        self.kind
    }

    /// What is kept for people.
    pub const fn info(&self) -> &ErrorInfo {
        &self.info
    }

    /// Takes the failure apart.
    pub fn into_parts(self) -> (FailureKind, ErrorInfo) {
        (self.kind, self.info)
    }
}

impl<E: std::error::Error + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        let kind = if crate::classify::is_transient(&error) {
            FailureKind::Transient
        } else {
            FailureKind::Permanent
        };
        let causes = crate::classify::chain(&error)
            .skip(1)
            .map(ToString::to_string)
            .collect();
        let backtrace = std::backtrace::Backtrace::capture();
        let traceback =
            (backtrace.status() == std::backtrace::BacktraceStatus::Captured).then(|| backtrace.to_string());
        let error_type = std::any::type_name::<E>().to_owned();
        Self {
            kind,
            info: ErrorInfo {
                error_type,
                message: error.to_string(),
                causes,
                traceback,
            },
        }
    }
}

impl std::fmt::Debug for JobError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobError")
            .field("kind", &self.kind)
            .field("info", &self.info)
            .finish()
    }
}

impl std::fmt::Display for JobError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.info.message)
    }
}

/// What a worker reports of an ended attempt. Delays count from the store's own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handler returned a result (MessagePack, at most [`crate::limits::RESULT_BYTES_MAX`]).
    Completed {
        /// The result.
        result: Bytes,
    },
    /// Given up: permanent, or no retries left.
    Failed {
        /// Why.
        error: ErrorInfo,
    },
    /// Another attempt after `delay`; one retry used.
    Retry {
        /// Time to the next attempt.
        delay: Duration,
        /// What went wrong.
        error: ErrorInfo,
    },
    /// Another attempt after `delay`; the start is undone: neither attempt nor retry counts.
    Snooze {
        /// Time to the next attempt.
        delay: Duration,
    },
    /// The worker stops and gives the job back at once; the start is undone.
    Released,
    /// The handler stopped because of a cancel.
    Cancelled,
    /// The deadline passed while it ran.
    Expired,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// 0.0 to 1.0; `None` while no fraction is known.
    #[serde(rename = "f", default)]
    pub fraction: Option<f64>,
    /// What the job does now.
    #[serde(rename = "m", default)]
    pub message: String,
    /// Extra fields, for example `items_processed`.
    #[serde(rename = "x", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, serde_json::Value>,
    /// Counts updates of an attempt; a watcher skips what is not newer.
    #[serde(rename = "s", default)]
    pub seq: u64,
    /// When it was said.
    #[serde(rename = "t", default)]
    pub at: Timestamp,
    /// On the way to the store: lines to be added to the job's log. The store keeps them apart: progress that is read
    /// has none.
    #[serde(skip)]
    pub log: Vec<LogLine>,
}

/// What `poll` tells.
#[derive(Clone, Debug, PartialEq)]
pub struct JobResult {
    /// The job.
    pub id: JobId,
    /// Where it stands.
    pub status: JobStatus,
    /// How far it is: 1.0 once completed.
    pub progress: Progress,
    /// The handler's result, MessagePack, once completed.
    pub result: Option<Bytes>,
    /// The last error.
    pub error: Option<ErrorInfo>,
    /// Attempts started.
    pub attempts: u32,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When the last attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When the next attempt is due, for a scheduled or retrying job.
    pub run_at: Option<Timestamp>,
    /// Why it is being cancelled, or was.
    pub cancel_reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_converts_with_its_source_chain() {
        fn fails() -> Result<(), JobError> {
            "x".parse::<u32>()?;
            Ok(())
        }
        let error = fails().unwrap_err();
        assert_eq!(error.kind(), FailureKind::Permanent);
        assert!(error.info().error_type.contains("ParseIntError"));
    }

    #[test]
    fn long_errors_are_cut_in_the_middle_on_character_boundaries() {
        let info = ErrorInfo::new("t", "ä".repeat(20_000)).bounded();
        assert!(info.message.len() <= crate::limits::ERROR_BYTES_MAX / 4);
        assert!(info.message.contains('…') && info.message.starts_with('ä') && info.message.ends_with('ä'));
    }
}
