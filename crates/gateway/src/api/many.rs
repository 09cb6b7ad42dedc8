//! What is done to many jobs at once: cancel, clean up.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use longshore_core::id::InvalidJobId;
use longshore_core::status::UnknownStatus;
use longshore_core::{JobId, JobStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::acts;
use crate::auth::Session;
use crate::dto::dead::CancelledJob;
use crate::error::Error;
use crate::extract::Json;
use crate::state::AppState;

/// Which jobs are cancelled, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelManyRequest {
    /// 1 to 1,000 ids.
    #[schema(min_items = 1, max_items = 1_000)]
    ids: Vec<String>,
    /// Why, and by whom; the token's name unless set.
    #[schema(max_length = 1024)]
    reason: Option<String>,
}

/// What became of each job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CancelledMany {
    /// In the order of the request.
    jobs: Vec<CancelledJob>,
}

/// Cancels jobs, wherever they stand. The same request may be sent again.
#[utoipa::path(
    post, path = "/jobs/cancel", tag = "jobs", request_body = CancelManyRequest,
    responses((status = 200, description = "What became of each; an unknown job is an answer too", body = CancelledMany))
)]
pub(super) async fn cancel_many(
    State(state): State<AppState>,
    session: Session,
    Json(request): Json<CancelManyRequest>,
) -> Result<Answer<CancelledMany>, Error> {
    let ids: Result<Vec<JobId>, InvalidJobId> = request.ids.iter().map(|id| id.parse()).collect();
    let ids = ids.map_err(|error| Error::invalid(vec![format!("ids: {error}")]))?;
    let replies = acts::cancel_many(&state, &session, &ids, request.reason).await?;
    let jobs = ids.iter().zip(replies);
    let jobs = jobs.map(|(id, reply)| CancelledJob::of(*id, reply)).collect();
    Ok(Answer(CancelledMany { jobs }))
}

/// What is deleted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CleanupRequest {
    /// Keep what ended within this time.
    #[schema(minimum = 1_000, maximum = 315_360_000_000_u64)]
    keep_ms: u64,
    /// Only jobs that ended so: completed, failed, cancelled, expired; all four unless set.
    #[serde(default)]
    statuses: Vec<String>,
}

/// What one step of a cleanup did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CleanupStep {
    /// Jobs that were deleted: at most 500 of each shard. Ask again until there are none.
    deleted: u64,
    /// Jobs that stay until their children are told that they are gone, which a scheduler does.
    held_by_children: u64,
}

/// Deletes a bounded number of jobs that ended long ago; ask again until none is deleted. A scheduler does so by itself.
#[utoipa::path(
    post, path = "/jobs/cleanup", tag = "jobs", request_body = CleanupRequest,
    responses((status = 200, description = "What was deleted", body = CleanupStep))
)]
pub(super) async fn cleanup(
    State(state): State<AppState>,
    session: Session,
    Json(request): Json<CleanupRequest>,
) -> Result<Answer<CleanupStep>, Error> {
    let statuses: Result<Vec<JobStatus>, UnknownStatus> =
        request.statuses.iter().map(|text| text.parse()).collect();
    let statuses = statuses.map_err(|error| Error::invalid(vec![format!("statuses: {error}")]))?;
    let keep = Duration::from_millis(request.keep_ms);
    if keep < Duration::from_secs(1) {
        let problem = "keep_ms: is under a second; use 1000 or more".to_owned();
        return Err(Error::invalid(vec![problem]));
    }
    let cleaned = acts::cleanup(&state, &session, keep, &statuses).await?;
    Ok(Answer(CleanupStep {
        deleted: cleaned.deleted,
        held_by_children: cleaned.held_by_children,
    }))
}
