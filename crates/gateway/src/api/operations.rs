//! Operations on every dead letter, or every job, that matches, as things of their own with a progress.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode};
use longshore::OperationId;
use longshore_core::access::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::etag::tagged;
use crate::acts;
use crate::auth::Session;
use crate::dto::dead::{Bulk, BulkKind, Filter, JobsFilter};
use crate::error::{Error, ErrorCode};
use crate::extract::{Json, Path};
use crate::state::AppState;

/// An operation to be begun.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkRequest {
    /// What to do.
    kind: BulkKind,
    /// With which dead letters; without a condition with all of them. Not for a cancel.
    #[serde(default)]
    filter: Filter,
    /// Which jobs are cancelled: for the kind `cancel`, which needs it; `{}` is every job that has not ended.
    jobs: Option<JobsFilter>,
    /// Why they are cancelled, and by whom; the token's name unless set.
    #[schema(max_length = 1024)]
    reason: Option<String>,
    /// 1 to 16 hexadecimal digits of your own: the same request again is the same operation.
    #[schema(pattern = "^[0-9a-fA-F]{1,16}$")]
    id: Option<String>,
}

/// Begins to requeue or discard every dead letter that matches and is dead by now, or to cancel every job that matches
/// `jobs` and was enqueued by now. Ask for the operation to see how far it is.
#[utoipa::path(
    post, path = "/operations", tag = "dead letters", request_body = BulkRequest,
    responses((status = 202, description = "Begun", body = Bulk, headers(("Location" = String, description = "The operation"))))
)]
pub(super) async fn begin(
    State(state): State<AppState>,
    session: Session,
    Json(request): Json<BulkRequest>,
) -> Result<Response, Error> {
    let id = request.id.as_deref().map(str::parse::<OperationId>).transpose();
    let id = id.map_err(|error| Error::invalid(vec![format!("id: {error}")]))?;
    let operation = match request.kind {
        BulkKind::Cancel => {
            let jobs = request.which_jobs()?;
            acts::begin_cancel(&state, &session, jobs, request.reason, id).await?
        }
        kind => {
            let filter = request.which_letters()?;
            acts::begin_bulk(&state, &session, kind.into(), filter, id).await?
        }
    };
    accepted(&state, &operation)
}

impl BulkRequest {
    fn which_jobs(&self) -> Result<longshore::JobFilter, Error> {
        let mut problems = Vec::new();
        if self.filter != Filter::default() {
            problems.push("filter: is for dead letters; name the jobs to cancel in `jobs`".to_owned());
        }
        let jobs = self.jobs.as_ref().map_or_else(
            || {
                let problem = "jobs: is missing; name what to cancel, {} for every job";
                Err(vec![problem.to_owned()])
            },
            JobsFilter::read,
        );
        match jobs {
            Ok(jobs) if problems.is_empty() => Ok(jobs),
            Ok(_) => Err(Error::invalid(problems)),
            Err(told) => {
                problems.extend(told);
                Err(Error::invalid(problems))
            }
        }
    }

    fn which_letters(&self) -> Result<longshore::DeadFilter, Error> {
        if self.jobs.is_some() || self.reason.is_some() {
            let problem = "jobs, reason: are for the kind cancel alone; name dead letters in `filter`";
            return Err(Error::invalid(vec![problem.to_owned()]));
        }
        self.filter.read().map_err(Error::invalid)
    }
}

fn accepted(state: &AppState, operation: &longshore::Operation) -> Result<Response, Error> {
    let location = state.href(&format!("/api/v1/operations/{}", operation.id));
    let mut response = (StatusCode::ACCEPTED, Answer(Bulk::of(operation))).into_response();
    let location = HeaderValue::from_str(&location).map_err(Error::internal)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// The last operations.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Operations {
    /// The newest first, at most 100.
    operations: Vec<Bulk>,
}

/// Lists the last operations.
#[utoipa::path(
    get, path = "/operations", tag = "dead letters",
    responses(
        (status = 200, description = "The operations", body = Operations),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    _: Session,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let operations = state.client().dead_letters().operations().await?;
    let operations = operations.iter().map(Bulk::of).collect();
    tagged(&headers, &Operations { operations })
}

/// One operation, and how far it is.
#[utoipa::path(
    get, path = "/operations/{id}", tag = "dead letters",
    params(("id" = String, Path, description = "The operation")),
    responses(
        (status = 200, description = "The operation", body = Bulk),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn show(
    State(state): State<AppState>,
    _: Session,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let id = operation_id(&id)?;
    let known = state.client().dead_letters().operations().await?;
    let operation = known.iter().find(|operation| operation.id == id);
    tagged(&headers, &Bulk::of(operation.ok_or_else(|| unknown(id))?))
}

/// Goes on with an operation that was interrupted.
#[utoipa::path(
    post, path = "/operations/{id}/resume", tag = "dead letters",
    params(("id" = String, Path, description = "The operation")),
    responses((status = 202, description = "It goes on", body = Bulk))
)]
pub(super) async fn resume(
    State(state): State<AppState>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    session.require(Role::Operator)?;
    let id = operation_id(&id)?;
    let operation = acts::resume_bulk(&state, &session, id).await?;
    accepted(&state, &operation.ok_or_else(|| unknown(id))?)
}

fn operation_id(text: &str) -> Result<OperationId, Error> {
    text.parse()
        .map_err(|error: longshore_core::dead::InvalidOperationId| {
            Error::new(ErrorCode::BadRequest, format!("id: {error}"))
        })
}

fn unknown(id: OperationId) -> Error {
    Error::not_found(format!(
        "no operation has the id {id}; the last 100 are remembered"
    ))
}
