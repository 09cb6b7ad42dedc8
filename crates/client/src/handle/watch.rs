//! Follows one job: wakes by the store's hints, and looks by itself every second, because hints may be lost.

use std::any::{Any, TypeId};
use std::time::Duration;

use longshore_core::outcome::ErrorInfo;
use longshore_core::port::inspect::Wakes;
use longshore_core::view::{Detail, JobView};
use longshore_core::{JobId, JobStatus, value};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::client::Client;
use crate::error::{ClientError, WaitError};
use crate::pipeline::retry::unanswered;

/// How often a watcher looks without a hint.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one look may take.
const LOOK_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Watch {
    client: Client,
    id: JobId,
    /// When the job must have a record, where a worker is to make it.
    arrives_by: Option<Instant>,
    wakes: Option<Box<dyn Wakes>>,
    started: bool,
    away_since: Option<Instant>,
    last_status: Option<JobStatus>,
}

impl Watch {
    /// `unrecorded` says that the job has no record until a worker makes one.
    pub(crate) fn new(client: Client, id: JobId, unrecorded: bool) -> Self {
        Self {
            arrives_by: unrecorded.then(|| Instant::now() + client.settings().arrival_patience),
            client,
            id,
            wakes: None,
            started: false,
            away_since: None,
            last_status: None,
        }
    }

    pub(crate) const fn last_status(&self) -> Option<JobStatus> {
        self.last_status
    }

    /// Waits until the job has ended, and gives all of it.
    pub(crate) async fn end(&mut self) -> Result<JobView, ClientError> {
        loop {
            if !self.next().await?.status.is_terminal() {
                continue;
            }
            // A dead letter may be requeued between the two looks.
            let full = self.look(Detail::Full).await?;
            if let Some(view) = full.filter(|view| view.status.is_terminal()) {
                return Ok(view);
            }
        }
    }

    /// The job's summary, at once for the first time, then when something may have changed.
    pub(crate) async fn next(&mut self) -> Result<JobView, ClientError> {
        loop {
            self.wait().await;
            if let Some(view) = self.look(Detail::Summary).await? {
                return Ok(view);
            }
        }
    }

    /// Looks once; `None` says that it is worth looking again.
    async fn look(&mut self, detail: Detail) -> Result<Option<JobView>, ClientError> {
        let looking = tokio::time::timeout(LOOK_MAX, self.client.look(self.id, detail));
        let looked = looking.await.unwrap_or_else(|_| Err(unanswered().into()));
        match looked {
            Ok(Some(view)) => {
                // Of an ended job all of it is wanted: until that is read, the store has not come back.
                if detail == Detail::Full || !view.status.is_terminal() {
                    self.away_since = None;
                }
                self.last_status = Some(view.status);
                self.arrives_by = None;
                Ok(Some(view))
            }
            Ok(None) if self.arrives_by.is_some_and(|by| Instant::now() < by) => {
                self.away_since = None;
                Ok(None)
            }
            Ok(None) => Err(ClientError::NotFound(self.id)),
            Err(error) if error.is_retryable() && !self.is_away_too_long() => {
                tracing::debug!(%error, job = %self.id, "the store did not answer; looking again");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn is_away_too_long(&mut self) -> bool {
        let since = *self.away_since.get_or_insert_with(Instant::now);
        since.elapsed() > self.client.settings().wait_patience
    }

    /// Waits for a hint or the time to look. The subscription is made before the first look, so that no change falls
    /// between the two.
    async fn wait(&mut self) {
        if self.wakes.is_none() {
            let watch = self.client.ports().inspect.watch(vec![self.id]);
            self.wakes = tokio::time::timeout(LOOK_EVERY, watch)
                .await
                .ok()
                .and_then(Result::ok);
        }
        if !self.started {
            self.started = true;
            return;
        }
        let time_to_look = tokio::time::sleep(LOOK_EVERY);
        let Some(wakes) = &mut self.wakes else {
            return time_to_look.await;
        };
        let ended = tokio::select! {
            woken = wakes.next() => woken.is_none(),
            () = time_to_look => return,
        };
        if ended {
            self.wakes = None;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// What an ended job gives to who waits for it.
pub(crate) fn outcome<T: DeserializeOwned + 'static>(view: &JobView) -> Result<T, WaitError> {
    let id = view.id;
    let error = || view.error.clone().map(Box::new);
    match view.status {
        JobStatus::Completed => {
            let result = view.full.as_ref().and_then(|full| full.result.as_ref());
            // A handler that returns nothing leaves nothing to be kept.
            let bytes = result.map_or(&[0xc0_u8] as &[u8], |bytes| bytes.as_ref());
            read(bytes).map_err(|source| WaitError::Result { id, source })
        }
        JobStatus::Failed => Err(WaitError::Failed {
            id,
            error: error()
                .unwrap_or_else(|| Box::new(ErrorInfo::new("unknown", "the error is no longer kept"))),
        }),
        JobStatus::Cancelled => Err(WaitError::Cancelled {
            id,
            reason: view
                .cancel_reason
                .clone()
                .unwrap_or_else(|| "no reason is kept".to_owned()),
            error: error(),
        }),
        JobStatus::Expired => Err(WaitError::Expired { id, error: error() }),
        status => Err(WaitError::TimedOut {
            id,
            status: Some(status),
        }),
    }
}

/// The result as `T`; as JSON it may hold what JSON lacks.
fn read<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, value::Error> {
    if TypeId::of::<T>() == TypeId::of::<serde_json::Value>() {
        let json: Box<dyn Any> = Box::new(value::to_json("result", bytes)?);
        if let Ok(json) = json.downcast::<T>() {
            return Ok(*json);
        }
    }
    value::decode("result", bytes)
}
