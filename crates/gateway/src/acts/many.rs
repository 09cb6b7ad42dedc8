//! What is done to many jobs at once.

use std::time::Duration;

use longshore::{Cleaned, JobFilter, JobStatus};
use longshore_core::access::Role;
use longshore_core::limits::LIST_PAGE_MAX;
use longshore_core::port::enqueue::CancelReply;
use longshore_core::{JobId, QueueName, Timestamp};

use super::note;
use crate::auth::Session;
use crate::error::Error;
use crate::state::AppState;

/// Jobs that a line of the audit log names.
const NAMED_MAX: usize = 3;
/// Pages of one step of a purge.
const PURGE_PAGES: usize = 10;

/// Cancels the jobs of these ids.
pub(crate) async fn cancel_many(
    state: &AppState,
    session: &Session,
    ids: &[JobId],
    reason: Option<String>,
) -> Result<Vec<CancelReply>, Error> {
    session.require(Role::Producer)?;
    super::check_ids(ids)?;
    let reason = reason
        .filter(|reason| !reason.trim().is_empty())
        .unwrap_or_else(|| format!("cancelled by {}", session.who));
    let replies = state.client().cancel_many(ids, &reason).await?;
    let is_done = |reply: &&CancelReply| matches!(reply, CancelReply::Cancelled | CancelReply::Requested);
    let done = replies.iter().filter(is_done).count();
    if done > 0 {
        let detail = format!("{done} of {}: {reason}", ids.len());
        note(state, session, "job.cancel", &first_of(ids), &detail).await;
    }
    Ok(replies)
}

/// The first few of many jobs, and how many more there are: what a line of the audit log names.
pub(super) fn first_of(ids: &[JobId]) -> String {
    let named: Vec<_> = ids.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let named = named.join(" ");
    match ids.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// What a step of a purge did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Purged {
    pub(crate) cancelled: u64,
    /// They ran already, and are told to stop.
    pub(crate) stopping: u64,
    /// They had ended.
    pub(crate) over: u64,
    /// Whether there are more.
    pub(crate) is_left: bool,
}

/// Cancels what waits in a queue in these statuses and was enqueued before a moment: a bounded step, and one line of the
/// audit log. The step goes on when the caller has gone, so that what it did is told.
pub(crate) async fn purge(
    state: &AppState,
    session: &Session,
    queue: &QueueName,
    (statuses, until): (&[JobStatus], Timestamp),
    reason: Option<String>,
) -> Result<Purged, Error> {
    session.require(Role::Operator)?;
    let reason = reason
        .filter(|reason| !reason.trim().is_empty())
        .unwrap_or_else(|| format!("the queue was purged by {}", session.who));
    let purge = Purge {
        state: state.clone(),
        session: session.clone(),
        queue: queue.clone(),
        filter: JobFilter {
            statuses: statuses.to_vec(),
            queue: Some(queue.clone()),
            created_until: Some(until),
            ..JobFilter::default()
        },
        reason,
        is_unsure: false,
    };
    tokio::spawn(purge.step()).await.map_err(Error::internal)?
}

/// A step of a purge.
struct Purge {
    state: AppState,
    session: Session,
    queue: QueueName,
    filter: JobFilter,
    reason: String,
    /// Jobs were to be cancelled, and how many were is not known.
    is_unsure: bool,
}

impl Purge {
    /// Does it, and tells the audit log what was done, also when the rest failed.
    async fn step(mut self) -> Result<Purged, Error> {
        let mut purged = Purged::default();
        let went = self.pages(&mut purged).await;
        let done = purged.cancelled + purged.stopping;
        if done > 0 || self.is_unsure {
            let names: Vec<_> = self
                .filter
                .statuses
                .iter()
                .map(|status| status.as_str())
                .collect();
            let (names, reason) = (names.join(", "), &self.reason);
            let detail = match &went {
                Ok(()) => format!("{done} jobs ({names}): {reason}"),
                Err(_) => format!("at least {done} jobs ({names}), then the store failed: {reason}"),
            };
            note(
                &self.state,
                &self.session,
                "queue.purge",
                self.queue.as_str(),
                &detail,
            )
            .await;
        }
        went.map(|()| purged)
    }

    async fn pages(&mut self, purged: &mut Purged) -> Result<(), Error> {
        let mut after = None;
        for _ in 0..PURGE_PAGES {
            let page = self.state.client().list(self.filter.clone());
            let page = page.after(after).limit(LIST_PAGE_MAX).await?;
            let ids: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
            self.is_unsure = true;
            let replies = self.state.client().cancel_many(&ids, &self.reason).await?;
            self.is_unsure = false;
            for reply in replies {
                match reply {
                    CancelReply::Cancelled => purged.cancelled += 1,
                    CancelReply::Requested => purged.stopping += 1,
                    _ => purged.over += 1,
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        purged.is_left = after.is_some();
        Ok(())
    }
}

/// Deletes a bounded number of jobs that ended at least `keep` ago.
pub(crate) async fn cleanup(
    state: &AppState,
    session: &Session,
    keep: Duration,
    statuses: &[JobStatus],
) -> Result<Cleaned, Error> {
    session.require(Role::Operator)?;
    let asked = state.client().cleanup(keep);
    let asked = statuses.iter().fold(asked, |asked, status| asked.status(*status));
    let cleaned = asked.step().await?;
    if cleaned.deleted > 0 {
        let names: Vec<_> = statuses.iter().map(|status| status.as_str()).collect();
        let names = if names.is_empty() {
            "all".to_owned()
        } else {
            names.join(", ")
        };
        let (jobs, seconds) = (cleaned.deleted, keep.as_secs());
        let detail = format!("{jobs} jobs that ended over {seconds} s ago ({names})");
        note(state, session, "job.cleanup", "", &detail).await;
    }
    Ok(cleaned)
}
