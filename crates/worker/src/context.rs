//! What a handler knows of its attempt, and what it can say.

use std::collections::BTreeMap;
use std::sync::Arc;

use longshore_core::port::AttemptPort;
use longshore_core::port::enqueue::ParentOutcome;
use longshore_core::telemetry::Telemetry;
use longshore_core::{Envelope, JobError, JobId, Timestamp};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::context::cell::ProgressCell;
use crate::control::Inbox;
use crate::state::StateMap;

pub(crate) mod cell;
mod update;

pub use update::ProgressUpdate;

/// One attempt, seen from its handler. Cheap to clone; take it as an argument after the job.
#[derive(Clone)]
pub struct JobContext {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) key: u64,
    pub(crate) envelope: Envelope,
    pub(crate) shard: u16,
    pub(crate) attempt: u32,
    pub(crate) fence: u64,
    pub(crate) token: CancellationToken,
    pub(crate) deadline: Timestamp,
    pub(crate) progress: ProgressCell,
    pub(crate) state: Arc<StateMap>,
    pub(crate) port: Arc<dyn AttemptPort>,
    pub(crate) inbox: Inbox,
    /// The `process` span.
    pub(crate) span: tracing::Span,
    pub(crate) telemetry: Telemetry,
}

impl JobContext {
    pub(crate) fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The job.
    pub fn id(&self) -> JobId {
        self.inner.envelope.id
    }

    /// Number of this attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// Rises with every claim of the job: give it to an external resource, so that it can refuse a stale worker.
    pub fn fence(&self) -> u64 {
        self.inner.fence
    }

    /// The job as it was enqueued.
    pub fn envelope(&self) -> &Envelope {
        &self.inner.envelope
    }

    /// The free data that the caller gave.
    pub fn metadata(&self) -> &BTreeMap<String, serde_json::Value> {
        &self.inner.envelope.metadata
    }

    /// When this attempt is stopped: its timeout or the job's deadline, whichever is first.
    pub fn deadline(&self) -> Timestamp {
        self.inner.deadline
    }

    /// Tells how far the job is: `fraction` from 0.0 to 1.0 (clamped; not a number means unknown) and what it does now
    /// (at most 1 KiB, cut). Never waits. Recorded when the returned value is dropped, at once unless fields are added
    /// with [`ProgressUpdate::field`]; at most ten updates a second are written, the latest wins.
    pub fn progress(&self, fraction: f64, message: impl Into<String>) -> ProgressUpdate<'_> {
        ProgressUpdate::new(self, fraction.is_finite().then_some(fraction), message.into())
    }

    /// Tells what the job does now while no fraction is known. Otherwise like [`JobContext::progress`].
    pub fn stage(&self, message: impl Into<String>) -> ProgressUpdate<'_> {
        ProgressUpdate::new(self, None, message.into())
    }

    /// Keeps a line of text with the job, several where there are line breaks: people see the last
    /// [`longshore_core::limits::LOG_LINES_MAX`] of all attempts, each cut at
    /// [`longshore_core::limits::LOG_LINE_BYTES_MAX`] bytes, on the job's page and with `longshore job logs`, while it runs
    /// and as long as the job is kept. Never waits: lines are written with the progress, ten times a second, and of more
    /// than [`longshore_core::limits::LOG_LINES_UNWRITTEN_MAX`] lines in that time the last ones. Each line is an event of the
    /// `process` span too, with target [`crate::names::TARGET_JOB_LOG`] and level debug: it belongs to the job, not to the log
    /// of its worker, which has it with the filter `info,longshore::job_log=debug`.
    pub fn log(&self, text: impl AsRef<str>) {
        let text = text.as_ref();
        for line in cell::lines_of(text) {
            tracing::debug!(target: crate::names::TARGET_JOB_LOG, parent: &self.inner.span, "{line}");
        }
        if self.inner.progress.log(text) {
            self.inner.inbox.progress(self.inner.key);
        }
    }

    /// The W3C `traceparent` of where this is called, to hand to what the handler calls; `None` when the attempt is in no
    /// trace.
    pub fn traceparent(&self) -> Option<String> {
        let telemetry = &self.inner.telemetry;
        let here = telemetry.traceparent(&tracing::Span::current());
        here.or_else(|| telemetry.traceparent(&self.inner.span))
    }

    /// Whether the attempt is to stop (cancel, timeout, or a worker that drains).
    pub fn is_cancelled(&self) -> bool {
        self.inner.token.is_cancelled()
    }

    /// Stops a handler that is to stop: `ctx.check_cancelled()?`.
    ///
    /// # Errors
    /// When the attempt is to stop.
    pub fn check_cancelled(&self) -> Result<(), JobError> {
        if self.is_cancelled() {
            Err(JobError::cancelled())
        } else {
            Ok(())
        }
    }

    /// Waits until the attempt is to stop. Cancel-safe.
    pub async fn cancelled(&self) {
        self.inner.token.cancelled().await;
    }

    /// The token behind [`JobContext::cancelled`], to hand to code that takes one.
    pub fn cancellation_token(&self) -> CancellationToken {
        self.inner.token.child_token()
    }

    /// How every parent of this job ended.
    ///
    /// # Errors
    /// When the store does not answer (transient).
    pub async fn parents(&self) -> Result<Vec<(JobId, ParentOutcome)>, JobError> {
        let asked = self.inner.port.parents(self.inner.shard, self.id()).await;
        asked.map_err(|error| {
            if error.is_retryable() {
                JobError::transient(error)
            } else {
                JobError::from(error)
            }
        })
    }

    /// The result of one parent.
    ///
    /// # Errors
    /// When it is no parent of this job, did not complete, or its result is not kept or is not a `T` (permanent); when
    /// the store does not answer (transient).
    pub async fn parent<T: DeserializeOwned>(&self, id: JobId) -> Result<T, JobError> {
        let parents = self.parents().await?;
        let outcome = parents.into_iter().find(|(parent, _)| *parent == id);
        match outcome.map(|(_, outcome)| outcome) {
            Some(ParentOutcome::Completed { result: Some(result) }) => {
                Ok(longshore_core::value::decode("parent result", &result)?)
            }
            Some(ParentOutcome::Completed { result: None }) => Err(JobError::permanent(format_args!(
                "parent {id} completed, but its result is not kept (over 64 KiB, or deleted); read it where the parent stored it"
            ))),
            Some(other) => Err(JobError::permanent(format_args!(
                "parent {id} has no result: it ended {}",
                ended(&other)
            ))),
            None => Err(JobError::permanent(format_args!("{id} is no parent of this job"))),
        }
    }

    pub(crate) fn state(&self) -> &StateMap {
        &self.inner.state
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

const fn ended(outcome: &ParentOutcome) -> &'static str {
    match outcome {
        ParentOutcome::Completed { .. } => "completed",
        ParentOutcome::Failed => "failed",
        ParentOutcome::Cancelled => "cancelled",
        ParentOutcome::Gone => "and was deleted",
    }
}

impl std::fmt::Debug for JobContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobContext")
            .field("id", &self.id())
            .field("attempt", &self.attempt())
            .field("fence", &self.fence())
            .finish_non_exhaustive()
    }
}
