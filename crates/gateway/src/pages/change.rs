//! What people do with one job: cancel, requeue, edit and requeue, discard. Each asks first.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use longshore::{CancelReply, DeadLetterChange, JobId, JobView};
use longshore_core::Envelope;
use longshore_core::access::Role;
use serde::Deserialize;

use super::confirm::Confirm;
use super::frame::{Frame, Page};
use super::{html, see};
use crate::acts;
use crate::auth::Posted;
use crate::error::Error;
use crate::extract::Path;
use crate::state::AppState;

/// The fields of an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    reason: String,
}

/// The fields of an edit.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Edited {
    args: String,
}

/// The form of an edit.
#[derive(Debug, Template)]
#[template(path = "edit.html")]
struct Edit {
    frame: Frame,
    id: String,
    name: String,
    error: String,
    args: String,
    problems: Vec<String>,
}

async fn known(page: &Page, id: JobId) -> Result<JobView, Error> {
    let job = page.state.client().view(id).await?;
    let job =
        job.ok_or_else(|| Error::not_found(format!("no job has the id {id}, or its retention is over")))?;
    Ok(super::hidden::seen(page, job))
}

fn about(job: &JobView) -> Vec<(&'static str, String)> {
    vec![
        ("job", job.name.clone()),
        ("function", job.function_name.to_string()),
        ("status", job.status.to_string()),
        ("id", job.id.to_string()),
    ]
}

/// `GET /jobs/{id}/cancel`
pub(super) async fn ask_cancel(page: Page, Path(id): Path<JobId>) -> Result<Response, Error> {
    page.session.require(Role::Producer)?;
    let job = known(&page, id).await?;
    let here = page.state.href(&format!("/jobs/{id}"));
    Confirm {
        frame: page.frame("Cancel a job", "jobs").await?,
        question: "Cancel this job?".to_owned(),
        meaning: "A waiting job never starts. A running one is asked to stop, and is aborted when it does not. Jobs that \
                  depend on it are cancelled too, unless their edge says otherwise."
            .to_owned(),
        facts: about(&job),
        action: format!("{here}/cancel"),
        fields: Vec::new(),
        asks_reason: true,
        button: "Cancel the job".to_owned(),
        destroys: true,
        back: here,
    }
    .answer()
}

/// `POST /jobs/{id}/cancel`
pub(super) async fn cancel(
    State(state): State<AppState>,
    Path(id): Path<JobId>,
    posted: Posted<Answer>,
) -> Result<Response, Error> {
    posted.session.require(Role::Producer)?;
    let reply = acts::cancel(
        &state,
        &posted.session,
        id,
        Some(super::act::reason_of(&posted.session, &posted.form.reason)),
    )
    .await?;
    let done = match reply {
        CancelReply::Cancelled => "cancelled",
        CancelReply::Requested => "cancelling",
        _ => "ended",
    };
    Ok(see(&state, &format!("/jobs/{id}?done={done}")))
}

/// `GET /jobs/{id}/requeue`
pub(super) async fn ask_requeue(page: Page, Path(id): Path<JobId>) -> Result<Response, Error> {
    page.session.require(Role::Operator)?;
    let job = known(&page, id).await?;
    let here = page.state.href(&format!("/jobs/{id}"));
    Confirm {
        frame: page.frame("Requeue a dead letter", "jobs").await?,
        question: "Queue this job again?".to_owned(),
        meaning: "It runs as if it had never run, with all its retries. Its history stays.".to_owned(),
        facts: about(&job),
        action: format!("{here}/requeue"),
        fields: Vec::new(),
        asks_reason: false,
        button: "Requeue".to_owned(),
        destroys: false,
        back: here,
    }
    .answer()
}

/// `POST /jobs/{id}/requeue`
pub(super) async fn requeue(
    State(state): State<AppState>,
    Path(id): Path<JobId>,
    posted: Posted<Answer>,
) -> Result<Response, Error> {
    posted.session.require(Role::Operator)?;
    let change = first(&acts::requeue(&state, &posted.session, &[id]).await?);
    Ok(see(
        &state,
        &format!("/jobs/{id}?done={}", word(change, "requeued")),
    ))
}

/// `GET /jobs/{id}/discard`
pub(super) async fn ask_discard(page: Page, Path(id): Path<JobId>) -> Result<Response, Error> {
    page.session.require(Role::Operator)?;
    let job = known(&page, id).await?;
    let here = page.state.href(&format!("/jobs/{id}"));
    Confirm {
        frame: page.frame("Discard a dead letter", "jobs").await?,
        question: "Discard this job for good?".to_owned(),
        meaning:
            "Its arguments, error and history are deleted. Jobs that depend on it are told that it is gone."
                .to_owned(),
        facts: about(&job),
        action: format!("{here}/discard"),
        fields: Vec::new(),
        asks_reason: false,
        button: "Discard 1 job".to_owned(),
        destroys: true,
        back: here,
    }
    .answer()
}

/// `POST /jobs/{id}/discard`
pub(super) async fn discard(
    State(state): State<AppState>,
    Path(id): Path<JobId>,
    posted: Posted<Answer>,
) -> Result<Response, Error> {
    posted.session.require(Role::Operator)?;
    let change = first(&acts::discard(&state, &posted.session, &[id]).await?);
    Ok(match change {
        DeadLetterChange::Done => see(&state, "/dead?done=discarded"),
        other => see(&state, &format!("/jobs/{id}?done={}", word(other, "discarded"))),
    })
}

/// `GET /jobs/{id}/edit`
pub(super) async fn ask_edit(page: Page, Path(id): Path<JobId>) -> Result<Response, Error> {
    page.session.require(Role::Operator)?;
    let job = known(&page, id).await?;
    let full = job.full.clone().unwrap_or_default();
    let envelope = Envelope::decode(&full.envelope).map_err(Error::internal)?;
    let args = super::hidden::json(&page, "args", &envelope.args).unwrap_or_default();
    edit_form(&page, &job, args, Vec::new()).await
}

async fn edit_form(
    page: &Page,
    job: &JobView,
    args: String,
    problems: Vec<String>,
) -> Result<Response, Error> {
    html(&Edit {
        frame: page.frame("Edit and requeue", "jobs").await?,
        id: job.id.to_string(),
        name: job.name.clone(),
        error: job
            .error
            .as_ref()
            .map(|error| error.message.clone())
            .unwrap_or_default(),
        args,
        problems,
    })
}

/// `POST /jobs/{id}/edit`
pub(super) async fn edit(
    page: Page,
    Path(id): Path<JobId>,
    posted: Posted<Edited>,
) -> Result<Response, Error> {
    posted.session.require(Role::Operator)?;
    let refused = |problem: String| async {
        let job = known(&page, id).await?;
        edit_form(&page, &job, posted.form.args.clone(), vec![problem]).await
    };
    let args: serde_json::Value = match serde_json::from_str(&posted.form.args) {
        Ok(args) => args,
        Err(error) => return refused(format!("args: not JSON: {error}")).await,
    };
    match acts::edit(&page.state, &posted.session, id, &args).await {
        Ok(change) => Ok(see(
            &page.state,
            &format!("/jobs/{id}?done={}", word(change, "edited")),
        )),
        Err(error) if !error.problems.is_empty() => refused(error.detail).await,
        Err(error) => Err(error),
    }
}

fn first(changes: &[DeadLetterChange]) -> DeadLetterChange {
    changes.first().copied().unwrap_or(DeadLetterChange::NotDead)
}

/// What became of it, for the address.
const fn word(change: DeadLetterChange, done: &'static str) -> &'static str {
    match change {
        DeadLetterChange::Done => done,
        DeadLetterChange::NotDead => "not-dead",
        DeadLetterChange::PastDeadline => "past-deadline",
        DeadLetterChange::HasChildren => "has-children",
    }
}
