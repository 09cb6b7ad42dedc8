//! Runs one attempt on the handlers' runtime and reports its end exactly once, whatever happens to the task.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use futures_util::FutureExt;
use longshore_core::limits::RESULT_BYTES_MAX;
use longshore_core::outcome::{ErrorInfo, FailureKind};
use longshore_core::{JobError, value};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tracing::{Instrument, Span};

use crate::control::Inbox;

/// How the handler's task ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It returned a value, encoded.
    Value(Bytes),
    /// It returned an error, or its value cannot be kept.
    Error(JobError),
    /// It panicked.
    Panicked(ErrorInfo),
    /// Its task was aborted, or its runtime is gone.
    Aborted,
}

/// Reports the end of an attempt; reports [`Ending::Aborted`] when it is dropped without one.
pub(crate) struct EndGuard {
    key: u64,
    inbox: Inbox,
    told: bool,
}

impl EndGuard {
    pub(crate) const fn new(key: u64, inbox: Inbox) -> Self {
        Self {
            key,
            inbox,
            told: false,
        }
    }

    fn tell(mut self, ending: Ending) {
        self.told = true;
        self.inbox.ended(self.key, ending);
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if !self.told {
            self.inbox.ended(self.key, Ending::Aborted);
        }
    }
}

/// Starts an async attempt: `attempt` is called on the handlers' runtime.
pub(crate) fn start<F, Fut>(runtime: &Handle, span: Span, end: EndGuard, attempt: F) -> AbortHandle
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Bytes, JobError>> + Send + 'static,
{
    let task = async move {
        let ran = AssertUnwindSafe(async move { attempt().await })
            .catch_unwind()
            .await;
        end.tell(ending(ran));
    };
    runtime.spawn(task.instrument(span)).abort_handle()
}

/// Starts a blocking attempt on a thread for blocking work. Aborting it works only until it starts.
pub(crate) fn start_blocking<F>(runtime: &Handle, span: Span, end: EndGuard, attempt: F) -> AbortHandle
where
    F: FnOnce() -> Result<Bytes, JobError> + Send + 'static,
{
    let task = move || {
        let ran = span.in_scope(|| catch_unwind(AssertUnwindSafe(attempt)));
        end.tell(ending(ran));
    };
    runtime.spawn_blocking(task).abort_handle()
}

fn ending(ran: Result<Result<Bytes, JobError>, Box<dyn std::any::Any + Send>>) -> Ending {
    match ran {
        Ok(Ok(value)) => Ending::Value(value),
        Ok(Err(error)) => Ending::Error(error),
        Err(payload) => Ending::Panicked(crate::panic::describe(&*payload)),
    }
}

/// Encodes a handler's value, within its bound.
pub(crate) fn encode<T: Serialize>(output: &T) -> Result<Bytes, JobError> {
    let refuse =
        |message: String| JobError::with_info(FailureKind::Permanent, ErrorInfo::new("result", message));
    let bytes = value::encode("result", output).map_err(|error| refuse(error.to_string()))?;
    if bytes.len() > RESULT_BYTES_MAX {
        return Err(refuse(format!(
            "result: {} bytes are over the limit of {RESULT_BYTES_MAX} (256 KiB); store the data elsewhere and return a reference",
            bytes.len()
        )));
    }
    Ok(bytes)
}

/// Decodes a job's arguments. Arguments that do not fit will not fit the next time either.
pub(crate) fn decode<T>(args: Result<T, value::Error>) -> Result<T, JobError> {
    args.map_err(|error| {
        JobError::with_info(FailureKind::Permanent, ErrorInfo::new("args", error.to_string()))
    })
}
