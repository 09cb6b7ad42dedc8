//! Deleting what ended long ago, now, beside the scheduler's own retention.

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use longshore_core::JobStatus;
use longshore_core::limits::DURATION_MAX;

use crate::client::Client;
use crate::error::ClientError;

/// Jobs that one step deletes.
const BITE: usize = 500;

/// What a cleanup did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Jobs that were deleted; tombstones stay for seven days or more.
    pub deleted: u64,
    /// Jobs that stay until their children are told that they are gone, which a scheduler does: ask again then.
    pub held_by_children: u64,
}

/// A cleanup that has not begun; made by [`Client::cleanup`]. Await it.
#[derive(Clone, Debug)]
#[must_use = "nothing is deleted until this is awaited"]
pub struct Cleanup {
    client: Client,
    keep: Duration,
    statuses: Vec<JobStatus>,
}

impl Cleanup {
    pub(crate) const fn new(client: Client, keep: Duration) -> Self {
        Self {
            client,
            keep,
            statuses: Vec::new(),
        }
    }

    /// Only jobs that ended so; several calls add up. Default: completed, failed, cancelled and expired.
    pub fn status(mut self, status: JobStatus) -> Self {
        self.statuses.push(status);
        self
    }

    fn retention(&self) -> Result<BTreeMap<JobStatus, Duration>, ClientError> {
        let invalid = |field, problem: String| Err(ClientError::Invalid { field, problem });
        if self.keep.is_zero() || self.keep > DURATION_MAX {
            let problem = format!(
                "keep must be above zero and at most ten years, and is {:?}",
                self.keep
            );
            return invalid("keep", problem);
        }
        if let Some(live) = self.statuses.iter().find(|status| !status.is_terminal()) {
            let problem = format!("jobs that are {live} have not ended and are never deleted");
            return invalid("status", problem);
        }
        let ended = JobStatus::ALL.into_iter().filter(|status| status.is_terminal());
        let wanted = ended.filter(|status| self.statuses.is_empty() || self.statuses.contains(status));
        Ok(wanted.map(|status| (status, self.keep)).collect())
    }

    /// One bounded step: at most 500 jobs of each shard. Nothing is left once a step has deleted none; what is held then is
    /// what [`Cleaned::held_by_children`] says.
    ///
    /// # Errors
    /// When the time or a status is out of range, or the store does not answer.
    pub async fn step(&self) -> Result<Cleaned, ClientError> {
        let retention = self.retention()?;
        let mut cleaned = Cleaned::default();
        for shard in self.client.ports().enqueue.shards().all() {
            let prune = self
                .client
                .asking(|ports| ports.schedule.prune(shard, retention.clone(), BITE));
            let pruned = prune.await?;
            cleaned.deleted += u64::from(pruned.jobs);
            cleaned.held_by_children += u64::from(pruned.held_by_children);
        }
        Ok(cleaned)
    }

    async fn run(self) -> Result<Cleaned, ClientError> {
        let retention = self.retention()?;
        let mut cleaned = Cleaned::default();
        for shard in self.client.ports().enqueue.shards().all() {
            loop {
                let prune = self
                    .client
                    .asking(|ports| ports.schedule.prune(shard, retention.clone(), BITE));
                let pruned = prune.await?;
                cleaned.deleted += u64::from(pruned.jobs);
                if pruned.jobs == 0 {
                    cleaned.held_by_children += u64::from(pruned.held_by_children);
                    break;
                }
            }
        }
        Ok(cleaned)
    }
}

impl IntoFuture for Cleanup {
    type Output = Result<Cleaned, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
