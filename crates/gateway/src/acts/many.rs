//! What is done to many jobs at once.

use std::time::Duration;

use longshore::{Cleaned, JobStatus};
use longshore_core::JobId;
use longshore_core::access::Role;
use longshore_core::port::enqueue::CancelReply;

use super::note;
use crate::auth::Session;
use crate::error::Error;
use crate::state::AppState;

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
        let subject: Vec<_> = ids.iter().take(20).map(ToString::to_string).collect();
        let detail = format!("{done} of {}: {reason}", ids.len());
        note(state, session, "job.cancel", &subject.join(" "), &detail).await;
    }
    Ok(replies)
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
