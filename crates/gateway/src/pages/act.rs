//! What pages change besides what the API changes too.

use futures_util::stream::{self, StreamExt as _};
use longshore::{CancelReply, JobId, JobSpec};
use longshore_core::access::Role;

use crate::acts;
use crate::auth::Session;
use crate::error::Error;
use crate::state::AppState;

/// Cancels under way at once.
const AT_ONCE: usize = 32;

/// Hands a job over; answers its id and whether it was known before.
pub(super) async fn enqueue(
    state: &AppState,
    session: &Session,
    spec: JobSpec,
) -> Result<(JobId, bool), Error> {
    session.require(Role::Producer)?;
    let spec = JobSpec {
        created_by: spec.created_by.or_else(|| Some(session.who.clone())),
        ..spec
    };
    let handle = state.client().enqueue_spec(spec).await?;
    Ok((handle.id(), handle.was_existing()))
}

/// Cancels jobs; answers how many were cancelled or asked to stop. One line of the audit log stands for all.
pub(super) async fn cancel_all(
    state: &AppState,
    session: &Session,
    ids: &[JobId],
    which: &str,
    reason: &str,
) -> Result<u64, Error> {
    session.require(Role::Operator)?;
    let reason = reason_of(session, reason);
    let replies = stream::iter(ids.to_vec())
        .map(|id| {
            let (client, reason) = (state.client().clone(), reason.clone());
            async move { client.cancel(id, reason).await }
        })
        .buffer_unordered(AT_ONCE);
    let replies: Vec<_> = replies.collect().await;
    let mut cancelled = 0;
    let mut problem = None;
    for reply in replies {
        match reply {
            Ok(CancelReply::Cancelled | CancelReply::Requested) => cancelled += 1,
            Ok(_) => {}
            Err(error) => problem = Some(error),
        }
    }
    acts::note(
        state,
        session,
        "job.cancel",
        which,
        &format!("{cancelled} jobs: {reason}"),
    )
    .await;
    match problem {
        Some(error) if cancelled == 0 => Err(error.into()),
        _ => Ok(cancelled),
    }
}

/// What stands on the job: the reason with the name of who gave it.
pub(super) fn reason_of(session: &Session, reason: &str) -> String {
    match reason.trim() {
        "" => format!("cancelled by {}", session.who),
        reason => format!("{reason} ({})", session.who),
    }
}
