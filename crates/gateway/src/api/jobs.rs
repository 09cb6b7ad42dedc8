//! Jobs: enqueue, look, list, cancel, ask why.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode};
use longshore::{Acceptance, Batch, ClientError, JobHandle};
use longshore_core::JobSpec;
use longshore_core::access::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::etag::{tagged, tagged_facts};
use super::job_id;
use super::list::{Fields, write_cursor};
use crate::acts;
use crate::auth::Session;
use crate::auth::watch::{self, WatchAllows};
use crate::dto::access::{Link, LinkRequest};
use crate::dto::dead::Cancelled;
use crate::dto::job::{Job, JobDetail};
use crate::dto::request::{BatchRequest, JobRequest};
use crate::error::{Error, ErrorCode};
use crate::extract::{Json, Path};
use crate::state::AppState;

/// Longest life of a watch link unless said otherwise: an hour.
const LINK_LIFETIME: u64 = 3_600_000;

/// A job that was handed over.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Enqueued {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// Where it stood then.
    status: Option<String>,
    /// `published`; `waiting` for its time or its parents; `deferred`: the broker did not confirm it in time, and the
    /// scheduler publishes it; `existing`: it was known already; `unrecorded`.
    acceptance: &'static str,
}

impl Enqueued {
    fn of(handle: &JobHandle<serde_json::Value>) -> Self {
        Self {
            id: handle.id().to_string(),
            status: handle.status_at_enqueue().map(|status| status.to_string()),
            acceptance: match handle.acceptance() {
                Some(Acceptance::Published) => "published",
                Some(Acceptance::Waiting) => "waiting",
                Some(Acceptance::Deferred) => "deferred",
                Some(Acceptance::Existing) => "existing",
                _ => "unrecorded",
            },
        }
    }
}

/// Hands a job over.
///
/// With the header `Idempotency-Key` the same request may be sent again: the key stands for the job's id.
#[utoipa::path(
    post, path = "/jobs", tag = "jobs", request_body = JobRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "A text that stands for the job's id, 1 to 512 bytes", min_length = 1, max_length = 512)),
    responses(
        (status = 201, description = "Recorded", body = Enqueued, headers(("Location" = String, description = "The job"))),
        (status = 200, description = "Known already", body = Enqueued),
    )
)]
pub(super) async fn enqueue(
    State(state): State<AppState>,
    session: Session,
    headers: HeaderMap,
    Json(request): Json<JobRequest>,
) -> Result<Response, Error> {
    session.require(Role::Producer)?;
    let mut spec = request.to_spec(&session.who).map_err(Error::invalid)?;
    set_key(&headers, &mut spec)?;
    let handle = state.client().enqueue_spec(spec).await?;
    let status = if handle.was_existing() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let mut response = (status, Answer(Enqueued::of(&handle))).into_response();
    let location = state.href(&format!("/api/v1/jobs/{}", handle.id()));
    let location = HeaderValue::from_str(&location).map_err(Error::internal)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

fn set_key(headers: &HeaderMap, spec: &mut JobSpec) -> Result<(), Error> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(());
    };
    let invalid = |problem: &str| Err(Error::invalid(vec![format!("Idempotency-Key: {problem}")]));
    match key.to_str() {
        Ok(_) if spec.id.is_some() => invalid("cannot be given together with id; keep one of them"),
        Ok(key) if (1..=512).contains(&key.len()) => {
            spec.idempotency_key = Some(key.to_owned());
            Ok(())
        }
        _ => invalid("use 1 to 512 letters of ASCII"),
    }
}

/// Jobs that were handed over together.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EnqueuedMany {
    /// In the order of the request.
    jobs: Vec<Enqueued>,
}

/// Hands many jobs over, parents before their children. Give them ids of your own, so that the same request may be sent
/// again when its answer is lost.
#[utoipa::path(
    post, path = "/jobs/batch", tag = "jobs", request_body = BatchRequest,
    responses((status = 201, description = "Recorded", body = EnqueuedMany))
)]
pub(super) async fn enqueue_many(
    State(state): State<AppState>,
    session: Session,
    Json(request): Json<BatchRequest>,
) -> Result<Response, Error> {
    session.require(Role::Producer)?;
    let specs = request.to_specs(&session.who)?;
    let mut batch = Batch::new();
    for spec in specs {
        batch.add_spec(spec);
    }
    let handles = state.client().enqueue_many(batch).await?;
    let jobs = handles.iter().map(Enqueued::of).collect();
    Ok((StatusCode::CREATED, Answer(EnqueuedMany { jobs })).into_response())
}

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobPage {
    /// The newest first.
    jobs: Vec<Job>,
    /// Send it as `after` for the next page; nothing at the end. A page may be short, even empty, although more follow.
    next: Option<String>,
}

impl JobPage {
    pub(super) fn of(page: &longshore::JobPage, session: &Session, state: &AppState) -> Self {
        let job = |job| Job::of(job, session.role, state.hide());
        Self {
            jobs: page.jobs.iter().map(job).collect(),
            next: page.next.map(write_cursor),
        }
    }
}

/// Lists jobs, the newest first.
#[utoipa::path(
    get, path = "/jobs", tag = "jobs",
    params(
        ("status" = Option<Vec<String>>, Query, description = "Any of these statuses; may be repeated, or several with commas between them"),
        ("function_name" = Option<String>, Query, description = "This function"),
        ("queue" = Option<String>, Query, description = "This queue"),
        ("tag" = Option<Vec<String>>, Query, description = "All of these tags; may be repeated"),
        ("created_from_ms" = Option<u64>, Query, description = "Enqueued at or after"),
        ("created_until_ms" = Option<u64>, Query, description = "Enqueued before"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Most jobs, 100 unless set", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = JobPage),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    session: Session,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, Error> {
    let (filter, (after, limit)) = (fields.jobs()?, fields.page()?);
    fields.end()?;
    let page = state.client().list(filter).after(after).limit(limit).await?;
    tagged(&headers, &JobPage::of(&page, &session, &state))
}

/// Everything of a job.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "jobs",
    params(("id" = String, Path, description = "The job", format = "uuid")),
    responses(
        (status = 200, description = "The job", body = JobDetail),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn show(
    State(state): State<AppState>,
    session: Session,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let id = job_id(&id)?;
    let job = state.client().view(id).await?;
    let job = job.ok_or(ClientError::NotFound(id))?;
    tagged(&headers, &JobDetail::of(&job, session.role, state.hide()))
}

/// A job without its arguments, result and history: cheap to poll, whatever it carries.
#[utoipa::path(
    get, path = "/jobs/{id}/summary", tag = "jobs",
    params(("id" = String, Path, description = "The job", format = "uuid")),
    responses(
        (status = 200, description = "The job", body = Job),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn summary(
    State(state): State<AppState>,
    session: Session,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let id = job_id(&id)?;
    let job = state.client().summary(id).await?;
    let job = job.ok_or(ClientError::NotFound(id))?;
    tagged(&headers, &Job::of(&job, session.role, state.hide()))
}

/// Why a job is cancelled.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CancelRequest {
    /// Why, and by whom; the token's name unless set.
    #[schema(max_length = 1024)]
    pub(super) reason: Option<String>,
}

/// Cancels a job, wherever it stands.
#[utoipa::path(
    post, path = "/jobs/{id}/cancel", tag = "jobs", request_body = CancelRequest,
    params(("id" = String, Path, description = "The job", format = "uuid")),
    responses((status = 200, description = "What became of it", body = Cancelled))
)]
pub(super) async fn cancel(
    State(state): State<AppState>,
    session: Session,
    Path(id): Path<String>,
    Json(request): Json<CancelRequest>,
) -> Result<Answer<Cancelled>, Error> {
    let id = job_id(&id)?;
    let reply = acts::cancel(&state, &session, id, request.reason).await?;
    let cancelled = Cancelled::of(reply).ok_or(ClientError::NotFound(id))?;
    Ok(Answer(cancelled))
}

/// Why a job does not run, and what would unblock it.
#[utoipa::path(
    get, path = "/jobs/{id}/why", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job", format = "uuid"),
        ("parents_from" = Option<u32>, Query, description = "Tell its parents from this one on; an answer names 100"),
    ),
    responses(
        (status = 200, description = "What holds it, the first obstacle first; an unknown job is an answer too", body = Why),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn why(
    State(state): State<AppState>,
    session: Session,
    headers: HeaderMap,
    Path(id): Path<String>,
    mut fields: Fields,
) -> Result<Response, Error> {
    let id = job_id(&id)?;
    let from = fields.read::<i32>("parents_from", "whole number")?.unwrap_or(0);
    let from = usize::try_from(from)
        .map_err(|_| Error::new(ErrorCode::BadRequest, "parents_from: is negative; use 0 or more"))?;
    fields.end()?;
    let why = state.client().why(id).parents_from(from).await?;
    let mut why = serde_json::to_value(&why).map_err(Error::internal)?;
    state.hide().why(session.role, &mut why);
    tagged_facts(&headers, &why)
}

/// Why a job does not run.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes core's answer in the API's document")]
pub(super) struct Why {
    /// The job.
    #[schema(format = "uuid")]
    id: String,
    /// Where it stands; nothing when it is unknown.
    status: Option<String>,
    /// What holds it; never empty.
    obstacles: Vec<Obstacle>,
}

/// One reason. More fields tell its facts.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes core's answer in the API's document")]
pub(super) struct Obstacle {
    /// The reason, such as `queue_paused`; docs/reference/why.md lists them.
    reason: String,
    /// The reason as a sentence.
    explanation: String,
    /// What would unblock it, as a sentence.
    remedy: String,
}

/// Makes a watch link: a token with which a browser of a stranger may follow this job, and cancel it if that is granted.
#[utoipa::path(
    post, path = "/jobs/{id}/watch-link", tag = "jobs", request_body = LinkRequest,
    params(("id" = String, Path, description = "The job", format = "uuid")),
    responses((status = 201, description = "The link", body = Link))
)]
pub(super) async fn watch_link(
    State(state): State<AppState>,
    session: Session,
    Path(id): Path<String>,
    Json(request): Json<LinkRequest>,
) -> Result<Response, Error> {
    session.require(Role::Producer)?;
    let id = job_id(&id)?;
    state
        .client()
        .summary(id)
        .await?
        .ok_or(ClientError::NotFound(id))?;
    let lifetime = std::time::Duration::from_millis(request.expires_in_ms.unwrap_or(LINK_LIFETIME));
    let allows = WatchAllows {
        cancel: request.cancel,
        error: request.error,
    };
    let link = watch::mint(&state.signer().await?, state.now(), id, allows, lifetime)
        .map_err(|error| Error::invalid(vec![error.to_string()]))?;
    let detail = allows.words();
    acts::note(&state, &session, "job.watch-link", &id.to_string(), detail).await;
    let link = Link {
        job_id: id.to_string(),
        token: link.text.expose().to_owned(),
        expires_at_ms: link.expires_at.millis(),
    };
    Ok((StatusCode::CREATED, Answer(link)).into_response())
}
