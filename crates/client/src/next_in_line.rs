//! Which jobs of a queue start next.

use longshore_core::view::{Detail, JobFilter, JobView};
use longshore_core::{JobStatus, QueueName};

use crate::client::Client;
use crate::error::ClientError;

/// Jobs of the one page of those that are not published.
const UNPUBLISHED_MAX: usize = 1_000;

impl Client {
    /// The jobs of a queue that start next, the first one first, at most `limit`: published jobs by priority and age; when
    /// they are fewer, those that are to be published. Workers take a few at once, so that the order is near and not exact.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn next_in_line(&self, queue: &QueueName, limit: usize) -> Result<Vec<JobView>, ClientError> {
        let mut jobs = Vec::new();
        for shard in self.ports().enqueue.shards().all() {
            let ids = self.asking(|ports| ports.checkup.next_in_line(shard, queue.clone(), limit));
            let ids = ids.await?;
            let views = self.asking(|ports| ports.inspect.jobs(shard, ids.clone(), Detail::Summary));
            // One that has been claimed meanwhile is no longer in line.
            let waits = |job: &JobView| job.status == JobStatus::Queued && job.published_at.is_some();
            jobs.extend(views.await?.into_iter().flatten().filter(waits));
        }
        jobs.sort_unstable_by_key(|job| (std::cmp::Reverse(job.priority), job.published_at, job.id));
        jobs.truncate(limit);
        if jobs.len() < limit && self.has_more(queue, jobs.len()).await? {
            jobs.extend(self.unpublished(queue, limit - jobs.len()).await?);
        }
        Ok(jobs)
    }

    /// Whether more jobs wait in the queue than these: a walk through the listing is worth it. Those whose function no
    /// worker has are neither published nor in the outbox.
    async fn has_more(&self, queue: &QueueName, seen: usize) -> Result<bool, ClientError> {
        let queues = self.queues().await?;
        let queued = queues
            .get(queue)
            .and_then(|view| view.counts.get(&JobStatus::Queued).copied());
        Ok(queued.unwrap_or(0) > u64::try_from(seen).unwrap_or(u64::MAX))
    }

    /// The newest jobs that are not published, the most urgent first; looks at one page.
    async fn unpublished(&self, queue: &QueueName, limit: usize) -> Result<Vec<JobView>, ClientError> {
        let filter = JobFilter {
            statuses: vec![JobStatus::Queued],
            queue: Some(queue.clone()),
            ..JobFilter::default()
        };
        let mut page = self.list(&filter).limit(UNPUBLISHED_MAX).await?.jobs;
        page.retain(|job| job.published_at.is_none());
        page.sort_unstable_by_key(|job| {
            (
                job.parked.is_some(),
                std::cmp::Reverse(job.priority),
                job.outbox_at,
                job.id,
            )
        });
        page.truncate(limit);
        Ok(page)
    }
}
