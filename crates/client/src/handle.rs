//! A job that was handed over.

mod progress;
mod watch;

use std::marker::PhantomData;
use std::time::Duration;

use longshore_core::outcome::JobResult;
use longshore_core::port::enqueue::CancelReply;
use longshore_core::{JobId, JobStatus};
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::error::{ClientError, WaitError};
use crate::pipeline::stages::Accepted;
use crate::why::AskWhy;

pub use progress::{ProgressEvent, ProgressStream};

/// How an enqueue was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acceptance {
    /// Recorded, and confirmed by the broker.
    Published,
    /// Recorded; waits for its parents or its due time.
    Waiting,
    /// Recorded; the broker did not confirm it in time, and the scheduler publishes it.
    Deferred,
    /// Known before: this is the existing job.
    Existing,
    /// Published without a record, because Redis was away and the client's policy says so.
    Unrecorded,
}

/// A job that was handed over; `T` is what its handler returns. Cheap to clone.
pub struct JobHandle<T> {
    client: Client,
    id: JobId,
    accepted: Option<Accepted>,
    output: PhantomData<fn() -> T>,
}

impl<T> Clone for JobHandle<T> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.id, self.accepted)
    }
}

impl<T> std::fmt::Debug for JobHandle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobHandle")
            .field("id", &self.id)
            .field("acceptance", &self.acceptance())
            .finish_non_exhaustive()
    }
}

impl<T> JobHandle<T> {
    pub(crate) const fn new(client: Client, id: JobId, accepted: Option<Accepted>) -> Self {
        Self {
            client,
            id,
            accepted,
            output: PhantomData,
        }
    }

    /// The job's id.
    pub const fn id(&self) -> JobId {
        self.id
    }

    /// How the enqueue that made this handle was accepted; `None` for a handle made from an id.
    pub fn acceptance(&self) -> Option<Acceptance> {
        let accepted = self.accepted?;
        Some(if accepted.unrecorded {
            Acceptance::Unrecorded
        } else if accepted.existing {
            Acceptance::Existing
        } else if accepted.deferred {
            Acceptance::Deferred
        } else if accepted.status == JobStatus::Queued {
            Acceptance::Published
        } else {
            Acceptance::Waiting
        })
    }

    /// Whether the job was recorded and the broker did not confirm it in time: the scheduler publishes it.
    pub fn is_deferred(&self) -> bool {
        self.accepted.is_some_and(|accepted| accepted.deferred)
    }

    /// Whether the enqueue found the job known already, by its id or idempotency key.
    pub fn was_existing(&self) -> bool {
        self.accepted.is_some_and(|accepted| accepted.existing)
    }

    /// Where the job stood when it was enqueued; `None` for a handle made from an id.
    pub fn status_at_enqueue(&self) -> Option<JobStatus> {
        self.accepted.map(|accepted| accepted.status)
    }

    /// The same job with its result read as another type.
    pub fn typed<U>(&self) -> JobHandle<U> {
        JobHandle::new(self.client.clone(), self.id, self.accepted)
    }

    /// Where the job stands now: cheap, whatever the job carries.
    ///
    /// # Errors
    /// As for [`JobHandle::poll`].
    pub async fn status(&self) -> Result<JobStatus, ClientError> {
        let view = self.client.summary(self.id).await?;
        Ok(view.ok_or(ClientError::NotFound(self.id))?.status)
    }

    /// How the job stands now, with its result.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when it is unknown (or was published without a record and has not arrived yet);
    /// others when the store does not answer.
    pub async fn poll(&self) -> Result<JobResult, ClientError> {
        let view = self.client.view(self.id).await?;
        let view = view.ok_or(ClientError::NotFound(self.id))?;
        Ok(view.to_result())
    }

    /// Why the job does not run: [`Client::why`].
    pub fn why(&self) -> AskWhy {
        self.client.why(self.id)
    }

    /// Cancels the job, wherever it stands. `reason` says why, and by whom: at most 1 KiB.
    ///
    /// # Errors
    /// When the reason is too long, or the store does not answer.
    pub async fn cancel(&self, reason: impl Into<String>) -> Result<CancelReply, ClientError> {
        self.client.cancel(self.id, reason).await
    }

    /// How the job goes on, until it ends. Needs a tokio runtime while it is polled.
    pub fn progress(&self) -> ProgressStream {
        ProgressStream::new(self.watch())
    }

    fn watch(&self) -> watch::Watch {
        let unrecorded = self.accepted.is_some_and(|accepted| accepted.unrecorded);
        watch::Watch::new(self.client.clone(), self.id, unrecorded)
    }
}

impl<T: DeserializeOwned + 'static> JobHandle<T> {
    /// Waits until the job ends, however long that takes, and gives its result. A store that is away is waited for, for
    /// as long as [`ClientBuilder::wait_patience`](crate::ClientBuilder::wait_patience) says.
    ///
    /// # Errors
    /// When the job ends otherwise than by completing, its result is of another type, it is unknown, or the store
    /// does not answer.
    pub async fn wait(&self) -> Result<T, WaitError> {
        let ended = self.watch().end().await?;
        watch::outcome(&ended)
    }

    /// [`JobHandle::wait`], for at most `limit`. The job goes on.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] after that time, and those of [`JobHandle::wait`].
    pub async fn wait_timeout(&self, limit: Duration) -> Result<T, WaitError> {
        let mut watch = self.watch();
        match tokio::time::timeout(limit, watch.end()).await {
            Ok(ended) => watch::outcome(&ended?),
            Err(_) => Err(WaitError::TimedOut {
                id: self.id,
                status: watch.last_status(),
            }),
        }
    }
}
