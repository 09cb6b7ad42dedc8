//! What every page shows alike: read once for all of them, while one of them is open.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use longshore::{Client, ClientError, JobStatus, QueueView, StatisticsQuery};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::watch;

use crate::api::etag::without_clock;
use crate::dto::fleet::Queue;
use crate::dto::statistics::StatisticsView;

type Read = Pin<Box<dyn Future<Output = Result<serde_json::Value, ClientError>> + Send>>;
/// Where the last document is, while somebody follows it.
type Place = Arc<Mutex<Option<watch::Sender<Option<Arc<str>>>>>>;
type Reader = Arc<dyn Fn() -> Read + Send + Sync>;

/// A document that is read every so often while somebody follows it.
pub(crate) struct Shared {
    every: Duration,
    reader: Reader,
    place: Place,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

/// One follower.
#[derive(Debug)]
pub(crate) struct FollowText(watch::Receiver<Option<Arc<str>>>);

impl FollowText {
    /// The document, at once when it was read already, then whenever it says something else.
    pub(crate) async fn next(&mut self) -> Option<Arc<str>> {
        loop {
            self.0.changed().await.ok()?;
            if let Some(text) = self.0.borrow_and_update().clone() {
                return Some(text);
            }
        }
    }
}

impl Shared {
    fn new<F>(every: Duration, reader: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<serde_json::Value, ClientError>> + Send + 'static,
    {
        Self {
            every,
            reader: Arc::new(move || Box::pin(reader())),
            place: Arc::default(),
        }
    }

    /// Every queue, as `GET /queues` answers it.
    pub(super) fn queues(client: Client) -> Self {
        Self::new(Duration::from_secs(1), move || {
            let client = client.clone();
            async move {
                let queues = client.queues().await?;
                let queues: Vec<_> = queues.iter().map(|(name, view)| Queue::of(name, view)).collect();
                Ok(json!({ "queues": queues }))
            }
        })
    }

    /// Jobs by status, workers and their slots.
    pub(super) fn overview(client: Client) -> Self {
        Self::new(Duration::from_secs(1), move || {
            let client = client.clone();
            async move {
                let (queues, workers) = (client.queues().await?, client.workers().await?);
                let count = |status: JobStatus| {
                    let of = |queue: &QueueView| queue.counts.get(&status).copied().unwrap_or(0);
                    queues.values().map(of).sum::<u64>()
                };
                let counts: serde_json::Map<_, _> = JobStatus::ALL
                    .into_iter()
                    .map(|status| (status.to_string(), count(status).into()))
                    .collect();
                Ok(json!({
                    "jobs": counts,
                    "queues": queues.len(),
                    "paused_queues": queues.values().filter(|queue| queue.paused).count(),
                    "workers": workers.len(),
                    "slots": workers.iter().map(|worker| u64::from(worker.slots)).sum::<u64>(),
                    "busy": workers.iter().map(|worker| u64::from(worker.busy)).sum::<u64>(),
                }))
            }
        })
    }

    /// The last hour, as `GET /statistics` answers it.
    pub(super) fn statistics(client: Client) -> Self {
        Self::new(Duration::from_secs(5), move || {
            let client = client.clone();
            async move {
                let statistics = client.statistics(StatisticsQuery::default()).await?;
                Ok(serde_json::to_value(StatisticsView::of(&statistics)).unwrap_or_default())
            }
        })
    }

    /// Follows it.
    pub(crate) fn follow(&self) -> FollowText {
        let mut place = self.place.lock();
        if let Some(sender) = place.as_ref() {
            let mut receiver = sender.subscribe();
            receiver.mark_changed();
            return FollowText(receiver);
        }
        let (sender, receiver) = watch::channel(None);
        *place = Some(sender);
        tokio::spawn(read(
            Arc::clone(&self.reader),
            self.every,
            Arc::clone(&self.place),
        ));
        FollowText(receiver)
    }
}

async fn read(reader: Reader, every: Duration, place: Place) {
    // What was last told, without the time at which it was read.
    let mut told = None;
    loop {
        let document = reader().await;
        {
            let mut place = place.lock();
            let Some(sender) = place.as_ref() else { return };
            if sender.receiver_count() == 0 {
                *place = None;
                return;
            }
            match document {
                Ok(document) => {
                    let text = Arc::<str>::from(document.to_string());
                    let stable = Some(without_clock(document));
                    sender.send_if_modified(|last| {
                        let is_new = told != stable;
                        if is_new {
                            *last = Some(text);
                            told = stable;
                        }
                        is_new
                    });
                }
                Err(error) => tracing::debug!(%error, "what pages show could not be read"),
            }
        }
        tokio::time::sleep(every).await;
    }
}
