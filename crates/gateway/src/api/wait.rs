//! Waiting for a job: a long poll.

use std::time::Duration;

use axum::extract::{Extension, State};
use axum::response::Response;
use http::HeaderMap;
use longshore::{ClientError, JobView};
use longshore_core::JobId;
use tokio::time::Instant;

use super::etag::tagged;
use super::job_id;
use super::list::Fields;
use crate::auth::Session;
use crate::dto::job::JobDetail;
use crate::error::{Error, ErrorCode};
use crate::events::Draining;
use crate::extract::Path;
use crate::state::AppState;

/// Longest wait, and that of who asks for none.
const WAIT_MAX: u64 = 60_000;
const WAIT_DEFAULT: u64 = 30_000;

/// Waits until a job has ended, for at most `timeout_ms`, and answers it as it stands then: look at its status.
#[utoipa::path(
    get, path = "/jobs/{id}/wait", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job", format = "uuid"),
        ("timeout_ms" = Option<u64>, Query, description = "Longest wait, 30 s unless set", maximum = 60000),
    ),
    responses(
        (status = 200, description = "The job", body = JobDetail),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn wait(
    State(state): State<AppState>,
    session: Session,
    headers: HeaderMap,
    Path(id): Path<String>,
    Extension(draining): Extension<Draining>,
    mut fields: Fields,
) -> Result<Response, Error> {
    let id = job_id(&id)?;
    let millis = fields
        .read("timeout_ms", "number of milliseconds")?
        .unwrap_or(WAIT_DEFAULT);
    fields.end()?;
    if millis > WAIT_MAX {
        let problem = format!("timeout_ms: {millis} is over the limit of {WAIT_MAX}; ask again instead");
        return Err(Error::new(ErrorCode::BadRequest, problem));
    }
    let _place = state.enter(vec![session.caller()])?;
    let until = Instant::now() + Duration::from_millis(millis);
    let job = tokio::select! {
        job = ended(&state, id, until) => job?,
        () = draining.0.cancelled() => state.client().view(id).await?.ok_or(ClientError::NotFound(id))?,
    };
    tagged(&headers, &JobDetail::of(&job, session.role, state.hide()))
}

/// The job once it has ended, or as it stands at `until`. The hub wakes for every change, also of those whose hints are
/// lost.
async fn ended(state: &AppState, id: JobId, until: Instant) -> Result<JobView, Error> {
    // Before the first look, so that no change falls between the two.
    let mut changes = state.hub().follow(id);
    loop {
        let job = state.client().view(id).await?.ok_or(ClientError::NotFound(id))?;
        if job.status.is_terminal() || Instant::now() >= until {
            return Ok(job);
        }
        while let Ok(Some(seen)) = tokio::time::timeout_at(until, changes.next()).await {
            if seen.is_none_or(|seen| seen.status.is_terminal()) {
                break;
            }
        }
    }
}
