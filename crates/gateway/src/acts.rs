//! What people and programs do to jobs, queues and cron entries: checked, done, and written to the audit log. The API and
//! the pages do nothing else.

mod many;

use std::sync::Arc;

use longshore::cron::{Definition, Over};
use longshore::{Bulk, DeadFilter, DeadLetterChange, JobFilter, Operation, OperationId, OperationKind};
use longshore_core::access::{AuditNote, Role};
use longshore_core::limits::AUDIT_TEXT_BYTES_MAX;
use longshore_core::name::CronName;
use longshore_core::port::enqueue::CancelReply;
use longshore_core::{JobId, Timestamp, value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::Session;
use crate::auth::hide::Hide;
use crate::dto::job::JobDetail;
use crate::error::{Error, ErrorCode};
use crate::state::AppState;

pub(crate) use many::{Purged, cancel_many, cleanup, purge};

/// Letters or jobs that one request names.
pub(crate) const IDS_MAX: usize = 1_000;

/// Writes a line of the audit log.
pub(crate) async fn note(state: &AppState, session: &Session, action: &str, subject: &str, detail: &str) {
    let line = Line {
        who: &session.who,
        request_id: &session.request_id,
    };
    line.write(state, action, subject, detail).await;
}

/// Who did something, with which request.
struct Line<'a> {
    who: &'a str,
    request_id: &'a str,
}

impl Line<'_> {
    /// What was done stays done when the store does not take the line; the log of the process has it then.
    async fn write(self, state: &AppState, action: &str, subject: &str, detail: &str) {
        let note = AuditNote {
            id: state.random().next_u64(),
            who: self.who.to_owned(),
            action: action.to_owned(),
            subject: cut(subject),
            detail: cut(detail),
            request_id: self.request_id.to_owned(),
        };
        let (who, request) = (&note.who, &note.request_id);
        tracing::info!(who, action, subject, request, "done through the gateway");
        for _ in 0..3 {
            match state.ports().access.append_audit(note.clone()).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, action, "the audit log did not take a line"),
            }
        }
        tracing::error!(
            who,
            action,
            subject,
            request,
            "a line is missing in the audit log"
        );
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(AUDIT_TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// Cancels a job.
pub(crate) async fn cancel(
    state: &AppState,
    session: &Session,
    id: JobId,
    reason: Option<String>,
) -> Result<CancelReply, Error> {
    session.require(Role::Producer)?;
    let reason = reason
        .filter(|reason| !reason.trim().is_empty())
        .unwrap_or_else(|| format!("cancelled by {}", session.who));
    let reply = state.client().cancel(id, &reason).await?;
    if reply != CancelReply::Unknown {
        note(state, session, "job.cancel", &id.to_string(), &reason).await;
    }
    Ok(reply)
}

/// Cancels the job of a watch link; its holder has no name.
pub(crate) async fn cancel_by_link(
    state: &AppState,
    id: JobId,
    request_id: String,
) -> Result<CancelReply, Error> {
    let reply = state.client().cancel(id, "cancelled by a watch link").await?;
    if reply != CancelReply::Unknown {
        let line = Line {
            who: "watch link",
            request_id: &request_id,
        };
        line.write(state, "job.cancel", &id.to_string(), "by a watch link")
            .await;
    }
    Ok(reply)
}

/// Sends dead letters back to their queues.
pub(crate) async fn requeue(
    state: &AppState,
    session: &Session,
    ids: &[JobId],
) -> Result<Vec<DeadLetterChange>, Error> {
    session.require(Role::Operator)?;
    check_ids(ids)?;
    let changes = state.client().dead_letters().requeue(ids).await?;
    note_changes(state, session, "job.requeue", ids, &changes).await;
    Ok(changes)
}

/// Deletes dead letters.
pub(crate) async fn discard(
    state: &AppState,
    session: &Session,
    ids: &[JobId],
) -> Result<Vec<DeadLetterChange>, Error> {
    session.require(Role::Operator)?;
    check_ids(ids)?;
    let changes = state.client().dead_letters().discard(ids).await?;
    note_changes(state, session, "job.discard", ids, &changes).await;
    Ok(changes)
}

fn check_ids(ids: &[JobId]) -> Result<(), Error> {
    if (1..=IDS_MAX).contains(&ids.len()) {
        return Ok(());
    }
    Err(Error::invalid(vec![format!(
        "ids: {} are out of range; name 1 to {IDS_MAX}; for dead letters an operation takes a filter",
        ids.len()
    )]))
}

async fn note_changes(
    state: &AppState,
    session: &Session,
    action: &str,
    ids: &[JobId],
    changes: &[DeadLetterChange],
) {
    let done = changes.iter().filter(|change| **change == DeadLetterChange::Done);
    let done = done.count();
    let first = many::first_of(ids);
    if done > 0 {
        note(
            state,
            session,
            action,
            &first,
            &format!("{done} of {} done", ids.len()),
        )
        .await;
    }
}

/// Requeues a dead letter with other arguments.
pub(crate) async fn edit(
    state: &AppState,
    session: &Session,
    id: JobId,
    args: &serde_json::Value,
) -> Result<DeadLetterChange, Error> {
    session.require(Role::Operator)?;
    // Whoever does not see all of them would write over what they do not see.
    let job = state.client().view(id).await?;
    let job = job.ok_or(longshore::ClientError::NotFound(id))?;
    if hides_args(state.hide(), session.role, &job) {
        return Err(Error::forbidden(format!(
            "args: some are hidden from the role {}, and an edit would write over them",
            session.role
        )));
    }
    let change = state.client().dead_letters().edit(id, args).await?;
    if change == DeadLetterChange::Done {
        note(
            state,
            session,
            "job.edit",
            &id.to_string(),
            "requeued with other arguments",
        )
        .await;
    }
    Ok(change)
}

fn hides_args(hide: &Hide, role: Role, job: &longshore::JobView) -> bool {
    let mut args = JobDetail::args_of(job);
    hide.apply(role, "args", &mut args)
}

/// Pauses or resumes a queue.
pub(crate) async fn set_paused(
    state: &AppState,
    session: &Session,
    queue: &str,
    paused: bool,
) -> Result<(), Error> {
    session.require(Role::Operator)?;
    let action = if paused {
        state.client().pause(queue).await?;
        "queue.pause"
    } else {
        state.client().resume(queue).await?;
        "queue.resume"
    };
    note(state, session, action, queue, "").await;
    Ok(())
}

/// Makes or changes a cron entry; answers whether anything changed.
pub(crate) async fn put_cron(
    state: &AppState,
    session: &Session,
    name: &CronName,
    definition: &Definition,
    over: Over,
) -> Result<(u64, bool), Error> {
    session.require(Role::Operator)?;
    if over != Over::Nothing {
        check_cron_args(state, session.role, name).await?;
    }
    let (version, changed) = state.client().cron().put(name, definition, over).await?;
    if changed {
        let detail = definition.schedule.expression.as_str();
        note(state, session, "cron.put", name.as_str(), detail).await;
    }
    Ok((version, changed))
}

/// Refuses to write over arguments that the role does not see.
async fn check_cron_args(state: &AppState, role: Role, name: &CronName) -> Result<(), Error> {
    let known = state.client().cron().get(name).await?;
    let Some(Ok(says)) = known.map(|entry| entry.definition) else {
        return Ok(());
    };
    let mut args = value::to_json("args", &says.job.envelope().args).unwrap_or_default();
    if state.hide().apply(role, "args", &mut args) {
        return Err(Error::forbidden(format!(
            "args: some are hidden from the role {role}, and a change of the entry would write over them"
        )));
    }
    Ok(())
}

/// Takes a cron entry away; answers whether it was there.
pub(crate) async fn remove_cron(state: &AppState, session: &Session, name: &str) -> Result<bool, Error> {
    session.require(Role::Operator)?;
    let was_there = state.client().cron().remove(name).await?;
    if was_there {
        note(state, session, "cron.remove", name, "").await;
    }
    Ok(was_there)
}

/// Pauses a cron entry.
pub(crate) async fn pause_cron(state: &AppState, session: &Session, name: &str) -> Result<(), Error> {
    session.require(Role::Operator)?;
    state.client().cron().pause(name).await?;
    note(state, session, "cron.pause", name, "").await;
    Ok(())
}

/// Ends the pause of a cron entry; answers its next tick.
pub(crate) async fn resume_cron(state: &AppState, session: &Session, name: &str) -> Result<Timestamp, Error> {
    session.require(Role::Operator)?;
    let next_at = state.client().cron().resume(name).await?;
    note(state, session, "cron.resume", name, "").await;
    Ok(next_at)
}

/// Makes a job of a cron entry now.
pub(crate) async fn run_cron(state: &AppState, session: &Session, name: &str) -> Result<JobId, Error> {
    session.require(Role::Operator)?;
    let handle = state.client().cron().run_now(name).await?;
    note(state, session, "cron.run", name, &handle.id().to_string()).await;
    Ok(handle.id())
}

/// Deletes messages from the quarantine; answers of each whether it was there.
pub(crate) async fn drop_quarantined(
    state: &AppState,
    session: &Session,
    ids: Vec<String>,
) -> Result<Vec<bool>, Error> {
    session.require(Role::Operator)?;
    if !(1..=IDS_MAX).contains(&ids.len()) {
        return Err(Error::new(
            ErrorCode::Invalid,
            format!("ids: name 1 to {IDS_MAX}"),
        ));
    }
    let subject = ids.iter().take(20).cloned().collect::<Vec<_>>().join(" ");
    let dropped = state.client().drop_quarantined(ids).await?;
    if dropped.contains(&true) {
        note(state, session, "quarantine.drop", &subject, "").await;
    }
    Ok(dropped)
}

/// Operations that one gateway runs at once.
const BULKS_MAX: usize = 4;

/// Begins an operation on every dead letter that matches. It goes on when the caller has gone; a stop of the gateway
/// interrupts it, and [`resume_bulk`] goes on.
pub(crate) async fn begin_bulk(
    state: &AppState,
    session: &Session,
    kind: OperationKind,
    filter: DeadFilter,
    id: Option<OperationId>,
) -> Result<Operation, Error> {
    session.require(Role::Operator)?;
    let place = place(state)?;
    let detail = serde_json::to_string(&filter).unwrap_or_default();
    let bulk = state.client().dead_letters().begin(kind, filter, id).await?;
    let operation = bulk.operation().clone();
    let action = format!("bulk.{}", kind.as_str());
    note(state, session, &action, &operation.id.to_string(), &detail).await;
    tokio::spawn(run(bulk, place));
    Ok(operation)
}

/// Begins to cancel every job that matches, as [`begin_bulk`] does with dead letters.
pub(crate) async fn begin_cancel(
    state: &AppState,
    session: &Session,
    jobs: JobFilter,
    reason: Option<String>,
    id: Option<OperationId>,
) -> Result<Operation, Error> {
    session.require(Role::Operator)?;
    let place = place(state)?;
    let reason = reason.filter(|reason| !reason.is_empty());
    let reason = reason.unwrap_or_else(|| format!("cancelled by {}", session.who));
    let detail = serde_json::to_string(&jobs).unwrap_or_default();
    let bulk = state.client().cancel_all(jobs, reason, id).await?;
    let operation = bulk.operation().clone();
    note(state, session, "bulk.cancel", &operation.id.to_string(), &detail).await;
    tokio::spawn(run(bulk, place));
    Ok(operation)
}

/// Goes on with an operation; `None` when nobody knows it.
pub(crate) async fn resume_bulk(
    state: &AppState,
    session: &Session,
    id: OperationId,
) -> Result<Option<Operation>, Error> {
    session.require(Role::Operator)?;
    let place = place(state)?;
    let Some(bulk) = state.client().dead_letters().resume(id).await? else {
        return Ok(None);
    };
    let operation = bulk.operation().clone();
    if operation.ended_at.is_none() {
        note(state, session, "bulk.resume", &id.to_string(), "").await;
        tokio::spawn(run(bulk, place));
    }
    Ok(Some(operation))
}

fn place(state: &AppState) -> Result<OwnedSemaphorePermit, Error> {
    let place = Arc::clone(state.bulks()).try_acquire_owned();
    place.map_err(|_| Error {
        detail: format!("{BULKS_MAX} operations run already; wait for one to end"),
        ..Error::rate_limited(5)
    })
}

/// Room for as many operations as one gateway runs at once.
pub(crate) fn bulks() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(BULKS_MAX))
}

async fn run(bulk: Bulk, place: OwnedSemaphorePermit) {
    let id = bulk.operation().id;
    match bulk.run(|_| {}).await {
        Ok(operation) => {
            tracing::info!(%id, done = operation.done, kept = operation.kept, "an operation has ended");
        }
        Err(error) => tracing::warn!(%id, %error, "an operation was interrupted; resume it"),
    }
    drop(place);
}
