//! Cancelling everything that waits in a queue, step by step.

use axum::Json as Answer;
use axum::extract::State;
use longshore_core::status::UnknownStatus;
use longshore_core::{JobStatus, QueueName, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::acts::{self, Purged};
use crate::auth::Session;
use crate::error::{Error, ErrorCode};
use crate::extract::{Json, Path};
use crate::state::AppState;

/// Statuses in which a job waits.
const WAITING: [JobStatus; 4] = [
    JobStatus::Queued,
    JobStatus::Scheduled,
    JobStatus::Retrying,
    JobStatus::Blocked,
];

/// What is cancelled, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PurgeRequest {
    /// Only jobs that wait so: queued, scheduled, retrying, blocked; all four unless set.
    #[serde(default)]
    statuses: Vec<String>,
    /// Why, and by whom; the token's name unless set.
    #[schema(max_length = 1024)]
    reason: Option<String>,
    /// Only jobs that were enqueued before; now unless set. A further step takes what the first one answered.
    until_ms: Option<u64>,
}

/// What one step of a purge did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PurgeStep {
    /// Jobs that were cancelled.
    cancelled: u64,
    /// Jobs that had just started, and are told to stop.
    stopping: u64,
    /// Jobs that had ended.
    over: u64,
    /// Whether there are more: a step takes at most 10,000. Ask again with `until_ms`.
    left: bool,
    /// Only jobs that were enqueued before this were taken.
    until_ms: u64,
}

/// Cancels what waits in a queue: a bounded step. The same request may be sent again.
#[utoipa::path(
    post, path = "/queues/{name}/purge", tag = "queues", request_body = PurgeRequest,
    params(("name" = String, Path, description = "The queue")),
    responses((status = 200, description = "What the step did", body = PurgeStep))
)]
pub(super) async fn purge(
    State(state): State<AppState>,
    session: Session,
    Path(name): Path<String>,
    Json(request): Json<PurgeRequest>,
) -> Result<Answer<PurgeStep>, Error> {
    let queue =
        QueueName::new(&name).map_err(|error| Error::new(ErrorCode::BadRequest, error.to_string()))?;
    let statuses = waiting(&request.statuses)?;
    let until = request.until_ms.map_or_else(|| state.now(), Timestamp);
    let Purged {
        cancelled,
        stopping,
        over,
        is_left,
    } = acts::purge(
        &state,
        &session,
        &queue,
        (statuses.as_slice(), until),
        request.reason,
    )
    .await?;
    Ok(Answer(PurgeStep {
        cancelled,
        stopping,
        over,
        left: is_left,
        until_ms: until.millis(),
    }))
}

fn waiting(names: &[String]) -> Result<Vec<JobStatus>, Error> {
    if names.is_empty() {
        return Ok(WAITING.to_vec());
    }
    let statuses: Result<Vec<JobStatus>, UnknownStatus> = names.iter().map(|name| name.parse()).collect();
    let statuses = statuses.map_err(|error| Error::invalid(vec![format!("statuses: {error}")]))?;
    match statuses.iter().find(|status| !WAITING.contains(status)) {
        Some(status) => Err(Error::invalid(vec![format!(
            "statuses: jobs that are {status} do not wait; use queued, scheduled, retrying or blocked"
        )])),
        None => Ok(statuses),
    }
}
