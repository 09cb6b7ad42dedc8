//! Queues and workers.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use longshore_core::QueueName;
use serde::Serialize;
use utoipa::ToSchema;

use super::etag::tagged;
use super::list::Fields;
use crate::acts;
use crate::auth::Session;
use crate::dto::fleet::{Queue, Worker};
use crate::dto::job::Job;
use crate::error::{Error, ErrorCode};
use crate::extract::Path;
use crate::state::AppState;

/// Every queue.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queues {
    /// By name.
    queues: Vec<Queue>,
}

/// Every queue that holds jobs or is paused.
#[utoipa::path(
    get, path = "/queues", tag = "queues",
    responses(
        (status = 200, description = "The queues", body = Queues),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn queues(
    State(state): State<AppState>,
    _: Session,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let queues = state.client().queues().await?;
    let queues = queues.iter().map(|(name, view)| Queue::of(name, view)).collect();
    tagged(&headers, &Queues { queues })
}

/// One queue. One that holds nothing and is not paused is empty, not unknown.
#[utoipa::path(
    get, path = "/queues/{name}", tag = "queues",
    params(("name" = String, Path, description = "The queue")),
    responses(
        (status = 200, description = "The queue", body = Queue),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn queue(
    State(state): State<AppState>,
    _: Session,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    let name = queue_name(&name)?;
    let queues = state.client().queues().await?;
    let view = queues.get(&name).cloned().unwrap_or_default();
    tagged(&headers, &Queue::of(&name, &view))
}

/// Jobs that start next.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NextJobs {
    /// The first one first.
    jobs: Vec<Job>,
}

/// The jobs of a queue that start next: published ones by priority and age, then those that are to be published. Workers
/// take a few at once, so that the order is near and not exact.
#[utoipa::path(
    get, path = "/queues/{name}/next", tag = "queues",
    params(
        ("name" = String, Path, description = "The queue"),
        ("limit" = Option<u32>, Query, description = "Most jobs, 100 unless set", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "The jobs", body = NextJobs))
)]
pub(super) async fn next(
    State(state): State<AppState>,
    session: Session,
    Path(name): Path<String>,
    mut fields: Fields,
) -> Result<Answer<NextJobs>, Error> {
    let name = queue_name(&name)?;
    let (after, limit) = fields.page()?;
    fields.end()?;
    if after.is_some() {
        let problem = "after: is no parameter of this request; remove it";
        return Err(Error::new(ErrorCode::BadRequest, problem));
    }
    let jobs = state.client().next_in_line(&name, limit).await?;
    let job = |job| Job::of(job, session.role, state.hide());
    Ok(Answer(NextJobs {
        jobs: jobs.iter().map(job).collect(),
    }))
}

/// Whether a queue is paused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Paused {
    /// The queue.
    name: String,
    /// Whether no job of it starts.
    paused: bool,
}

/// Lets no job of a queue start. What runs goes on.
#[utoipa::path(
    post, path = "/queues/{name}/pause", tag = "queues",
    params(("name" = String, Path, description = "The queue")),
    responses((status = 200, description = "It is paused", body = Paused))
)]
pub(super) async fn pause(
    State(state): State<AppState>,
    session: Session,
    Path(name): Path<String>,
) -> Result<Answer<Paused>, Error> {
    set(&state, &session, &name, true).await
}

/// Ends a pause.
#[utoipa::path(
    post, path = "/queues/{name}/resume", tag = "queues",
    params(("name" = String, Path, description = "The queue")),
    responses((status = 200, description = "It goes on", body = Paused))
)]
pub(super) async fn resume(
    State(state): State<AppState>,
    session: Session,
    Path(name): Path<String>,
) -> Result<Answer<Paused>, Error> {
    set(&state, &session, &name, false).await
}

async fn set(state: &AppState, session: &Session, name: &str, paused: bool) -> Result<Answer<Paused>, Error> {
    let name = queue_name(name)?;
    acts::set_paused(state, session, name.as_str(), paused).await?;
    Ok(Answer(Paused {
        name: name.to_string(),
        paused,
    }))
}

fn queue_name(text: &str) -> Result<QueueName, Error> {
    QueueName::new(text).map_err(|error| Error::new(ErrorCode::BadRequest, error.to_string()))
}

/// Live workers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Workers {
    /// By id.
    workers: Vec<Worker>,
}

/// Every live worker.
#[utoipa::path(
    get, path = "/workers", tag = "workers",
    responses(
        (status = 200, description = "The workers", body = Workers),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn workers(
    State(state): State<AppState>,
    _: Session,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let mut workers: Vec<_> = state.client().workers().await?.iter().map(Worker::of).collect();
    workers.sort_by(|one, other| one.id.cmp(&other.id));
    tagged(&headers, &Workers { workers })
}
