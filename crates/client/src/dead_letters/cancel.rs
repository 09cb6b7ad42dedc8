//! Cancelling every job that matches and has not ended, as an operation that the store remembers.

use std::collections::BTreeMap;

use longshore_core::dead::{CancelWhich, DeadFilter, Operation, OperationId, OperationKind};
use longshore_core::port::enqueue::CancelRequest;
use longshore_core::view::{Cursor, JobFilter, JobView};
use longshore_core::{JobId, JobStatus, Timestamp};

use super::Bulk;
use crate::client::{Client, REASON_BYTES_MAX};
use crate::error::ClientError;

/// Jobs that are cancelled, and then counted, together.
const PAGE: usize = 250;
/// Jobs of a page when they are counted.
const WALK: usize = 1_000;

impl Client {
    /// Begins to cancel every job that matches, has not ended, and was enqueued by now. With an `id` that is known the
    /// operation under it goes on. [`crate::DeadLetters::operations`] lists it, [`crate::DeadLetters::resume`] goes on with it.
    ///
    /// # Errors
    /// When the reason is over 1,024 bytes, the id belongs to another operation, or the store does not answer.
    pub async fn cancel_all(
        &self,
        jobs: JobFilter,
        reason: impl Into<String>,
        id: Option<OperationId>,
    ) -> Result<Bulk, ClientError> {
        let reason = reason.into();
        if reason.len() > REASON_BYTES_MAX {
            return Err(ClientError::Invalid {
                field: "reason",
                problem: format!(
                    "{} bytes are over the limit of {REASON_BYTES_MAX}; shorten it",
                    reason.len()
                ),
            });
        }
        let drawn = || OperationId(self.settings().random.next_u64());
        let asked = Operation {
            id: id.unwrap_or_else(drawn),
            kind: OperationKind::Cancel,
            filter: DeadFilter::default(),
            started_at: Timestamp::ZERO,
            total: None,
            done: 0,
            kept: 0,
            ended_at: None,
            cancels: Some(CancelWhich { jobs, reason }),
        };
        self.dead_letters().begin_as(asked).await
    }

    /// How many jobs [`Client::cancel_all`] would cancel. Reads all of them.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn count_cancellable(&self, jobs: &JobFilter) -> Result<u64, ClientError> {
        let Some(filter) = unended(jobs, None) else {
            return Ok(0);
        };
        let (mut count, mut after) = (0, None);
        loop {
            let (ids, next) = page(self, &filter, after, WALK).await?;
            count += ids.len() as u64;
            after = next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }
}

impl Bulk {
    /// Cancels what matched at the start. Whatever ends by itself meanwhile is done as well.
    pub(super) async fn cancel(
        mut self,
        which: &CancelWhich,
        mut on_progress: impl FnMut(&Operation),
    ) -> Result<Operation, ClientError> {
        let client = self.letters.client.clone();
        if let Some(filter) = unended(&which.jobs, Some(self.operation.started_at)) {
            // What is missing of the first count was done before an interruption.
            let left = client.count_cancellable(&filter).await?;
            let total = *self.operation.total.get_or_insert(left);
            self.operation.done = total.saturating_sub(left);
            self.save().await?;
            on_progress(&self.operation);
            let mut after = None;
            loop {
                let (ids, next) = page(&client, &filter, after, PAGE).await?;
                if !ids.is_empty() {
                    cancel(&client, &ids, &which.reason).await?;
                    self.operation.done += ids.len() as u64;
                    self.save().await?;
                    on_progress(&self.operation);
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        // Children are cancelled with their parents, and others end by themselves, before their page comes.
        let total = *self.operation.total.get_or_insert(0);
        self.operation.done = total;
        self.operation.ended_at = Some(client.settings().clock.now());
        self.save().await?;
        on_progress(&self.operation);
        Ok(self.operation)
    }
}

/// The filter without statuses of ended jobs, and without jobs enqueued after a moment; `None` when nothing is left.
fn unended(filter: &JobFilter, until: Option<Timestamp>) -> Option<JobFilter> {
    let mut statuses = filter.statuses.clone();
    if statuses.is_empty() {
        statuses = JobStatus::ALL.to_vec();
    }
    statuses.retain(|status| !status.is_terminal());
    let created_until = match (filter.created_until, until) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    (!statuses.is_empty()).then(|| JobFilter {
        statuses,
        created_until,
        ..filter.clone()
    })
}

/// A page of jobs that nobody has cancelled yet.
async fn page(
    client: &Client,
    filter: &JobFilter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<JobId>, Option<Cursor>), ClientError> {
    let found = client.list(filter.clone()).after(after).limit(limit).await?;
    let is_meant = |job: &JobView| !job.status.is_terminal() && job.cancel_reason.is_none();
    let ids = found.jobs.iter().filter(|job| is_meant(job)).map(|job| job.id);
    Ok((ids.collect(), found.next))
}

async fn cancel(client: &Client, ids: &[JobId], reason: &str) -> Result<(), ClientError> {
    let shards = client.ports().enqueue.shards();
    let mut by_shard: BTreeMap<u16, Vec<CancelRequest>> = BTreeMap::new();
    for id in ids {
        let reason = reason.to_owned();
        by_shard
            .entry(shards.of(id))
            .or_default()
            .push(CancelRequest { id: *id, reason });
    }
    for (shard, requests) in by_shard {
        client
            .asking(|ports| ports.enqueue.cancel(shard, requests.clone()))
            .await?;
    }
    Ok(())
}
