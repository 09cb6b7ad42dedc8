//! What pages change, in one place: each change says who made it.

use longshore::cron::{CronName, Definition, Over};
use longshore::{CancelReply, DeadFilter, DeadLetterChange, JobId, JobSpec, OperationId, OperationKind};

use crate::auth::Session;
use crate::error::Error;
use crate::state::AppState;

/// Cancels a job.
pub(super) async fn cancel(
    state: &AppState,
    session: &Session,
    id: JobId,
    reason: &str,
) -> Result<CancelReply, Error> {
    let reason = match reason.trim() {
        "" => format!("cancelled by {}", session.who),
        reason => format!("{reason} ({})", session.who),
    };
    Ok(state.client().cancel(id, reason).await?)
}

/// Requeues a dead letter.
pub(super) async fn requeue(
    state: &AppState,
    _session: &Session,
    id: JobId,
) -> Result<DeadLetterChange, Error> {
    Ok(state.client().requeue(id).await?)
}

/// Deletes a dead letter.
pub(super) async fn discard(
    state: &AppState,
    _session: &Session,
    id: JobId,
) -> Result<DeadLetterChange, Error> {
    let changes = state.client().dead_letters().discard(&[id]).await?;
    Ok(changes.first().copied().unwrap_or(DeadLetterChange::NotDead))
}

/// Gives a dead letter other arguments and requeues it.
pub(super) async fn edit(
    state: &AppState,
    _session: &Session,
    id: JobId,
    args: &serde_json::Value,
) -> Result<DeadLetterChange, Error> {
    Ok(state.client().dead_letters().edit(id, args).await?)
}

/// Begins to requeue or discard all that match; it goes on after the answer.
pub(super) async fn bulk(
    state: &AppState,
    _session: &Session,
    kind: OperationKind,
    filter: DeadFilter,
) -> Result<OperationId, Error> {
    let bulk = state.client().dead_letters().begin(kind, filter, None).await?;
    let id = bulk.operation().id;
    tokio::spawn(async move {
        if let Err(error) = bulk.run(|_| {}).await {
            tracing::warn!(operation = %id, %error, "an operation was interrupted");
        }
    });
    Ok(id)
}

/// Goes on with an operation that was interrupted; answers whether it is known.
pub(super) async fn resume(state: &AppState, _session: &Session, id: OperationId) -> Result<bool, Error> {
    let Some(bulk) = state.client().dead_letters().resume(id).await? else {
        return Ok(false);
    };
    tokio::spawn(async move {
        if let Err(error) = bulk.run(|_| {}).await {
            tracing::warn!(operation = %id, %error, "an operation was interrupted again");
        }
    });
    Ok(true)
}

/// Pauses a queue, or ends its pause.
pub(super) async fn pause_queue(
    state: &AppState,
    _session: &Session,
    queue: &str,
    paused: bool,
) -> Result<(), Error> {
    if paused {
        state.client().pause(queue).await?;
    } else {
        state.client().resume(queue).await?;
    }
    Ok(())
}

/// Deletes messages from the quarantine; answers how many were there.
pub(super) async fn drop_quarantined(
    state: &AppState,
    _session: &Session,
    ids: Vec<String>,
) -> Result<u64, Error> {
    let dropped = state.client().drop_quarantined(ids).await?;
    Ok(dropped.into_iter().filter(|was_there| *was_there).count() as u64)
}

/// Pauses a cron entry, or ends its pause.
pub(super) async fn pause_entry(
    state: &AppState,
    _session: &Session,
    name: &str,
    paused: bool,
) -> Result<(), Error> {
    if paused {
        state.client().cron().pause(name).await?;
    } else {
        state.client().cron().resume(name).await?;
    }
    Ok(())
}

/// Makes a job of a cron entry now.
pub(super) async fn run_entry(state: &AppState, _session: &Session, name: &str) -> Result<JobId, Error> {
    Ok(state.client().cron().run_now(name).await?.id())
}

/// Takes a cron entry away.
pub(super) async fn remove_entry(state: &AppState, _session: &Session, name: &str) -> Result<bool, Error> {
    Ok(state.client().cron().remove(name).await?)
}

/// Writes a cron entry.
pub(super) async fn save_entry(
    state: &AppState,
    _session: &Session,
    name: &CronName,
    definition: &Definition,
    over: Over,
) -> Result<(), Error> {
    state.client().cron().put(name, definition, over).await?;
    Ok(())
}

/// Hands a job over; answers its id and whether it was known before.
pub(super) async fn enqueue(
    state: &AppState,
    session: &Session,
    spec: JobSpec,
) -> Result<(JobId, bool), Error> {
    let spec = JobSpec {
        created_by: spec.created_by.or_else(|| Some(session.who.clone())),
        ..spec
    };
    let handle = state.client().enqueue_spec(spec).await?;
    Ok((handle.id(), handle.was_existing()))
}
