//! One step of cancelling what waits in a queue.

use longshore_core::JobId;
use longshore_core::port::enqueue::CancelReply;
use longshore_core::view::{Cursor, JobFilter};
use serde::Deserialize;
use serde_json::json;

use super::Fleet;
use super::jobs::named;
use crate::failure::Failure;

/// Jobs of one page of the listing.
const PAGE: usize = 1_000;

/// What became of the jobs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Purged {
    pub(crate) cancelled: u64,
    /// They ran already, and are told to stop.
    pub(crate) stopping: u64,
    /// They had ended.
    pub(crate) over: u64,
}

/// What one step did.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) purged: Purged,
    /// Whether there are more.
    pub(crate) is_more: bool,
    /// Where to go on; a gateway begins anew with what is left.
    pub(crate) next: Option<Cursor>,
}

/// What a gateway answers.
#[derive(Debug, Deserialize)]
struct Answer {
    cancelled: u64,
    stopping: u64,
    over: u64,
    left: bool,
}

impl Fleet {
    /// Cancels a bounded number of jobs that match, which names a queue. A gateway does it as one act, and writes one line of
    /// its audit log.
    pub(crate) async fn purge_step(
        &self,
        filter: &JobFilter,
        after: Option<Cursor>,
        reason: &str,
    ) -> Result<Step, Failure> {
        let Self::Remote { remote, .. } = self else {
            return self.cancel_page(filter, after, reason).await;
        };
        let queue = filter.queue.as_ref().map_or("", |queue| queue.as_str());
        let statuses: Vec<_> = filter.statuses.iter().map(|status| status.as_str()).collect();
        let body = json!({ "statuses": statuses, "reason": reason, "until_ms": filter.created_until });
        let said: Answer = remote.post(&named("queues", queue, "purge"), &body).await?;
        Ok(Step {
            purged: Purged {
                cancelled: said.cancelled,
                stopping: said.stopping,
                over: said.over,
            },
            is_more: said.left,
            next: None,
        })
    }

    async fn cancel_page(
        &self,
        filter: &JobFilter,
        after: Option<Cursor>,
        reason: &str,
    ) -> Result<Step, Failure> {
        let page = self.list(filter, after, PAGE).await?;
        let ids: Vec<JobId> = page.jobs.iter().map(|job| job.id).collect();
        let mut purged = Purged::default();
        for reply in self.cancel_many(&ids, reason).await? {
            match reply {
                CancelReply::Cancelled => purged.cancelled += 1,
                CancelReply::Requested => purged.stopping += 1,
                _ => purged.over += 1,
            }
        }
        Ok(Step {
            purged,
            is_more: page.next.is_some(),
            next: page.next,
        })
    }
}
