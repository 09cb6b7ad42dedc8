//! What a job's handler has said.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use longshore::ClientError;

use super::etag::tagged;
use super::job_id;
use super::list::Fields;
use crate::auth::Session;
use crate::dto::log::JobLog;
use crate::error::Error;
use crate::extract::Path;
use crate::state::AppState;

/// What a job's handler has said, line by line, over all attempts.
#[utoipa::path(
    get, path = "/jobs/{id}/log", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job", format = "uuid"),
        ("after" = Option<u64>, Query, description = "Only lines after the one with this number"),
    ),
    responses(
        (status = 200, description = "The lines", body = JobLog),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn show(
    State(state): State<AppState>,
    session: Session,
    headers: HeaderMap,
    Path(id): Path<String>,
    mut fields: Fields,
) -> Result<Response, Error> {
    let id = job_id(&id)?;
    let after = fields.read::<u64>("after", "whole number")?.unwrap_or(0);
    fields.end()?;
    let lines = state.client().log_after(id, after).await?;
    // An unknown job is no job without a log.
    if lines.is_empty() && state.client().summary(id).await?.is_none() {
        return Err(ClientError::NotFound(id).into());
    }
    tagged(&headers, &JobLog::of(lines, session.role, state.hide()))
}
