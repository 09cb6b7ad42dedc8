//! Dead letters and the quarantine.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use longshore::ClientError;
use longshore_core::JobId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::etag::tagged;
use super::job_id;
use super::jobs::JobPage;
use super::list::Fields;
use crate::acts;
use crate::auth::Session;
use crate::dto::dead::{Changed, Group, Quarantined, change};
use crate::error::Error;
use crate::extract::{Json, Path};
use crate::state::AppState;

/// Groups of one answer.
const GROUPS_MAX: usize = 1_000;
/// Messages of the quarantine of one answer.
const QUARANTINE_MAX: usize = 100;

/// Lists dead letters, the newest job first.
#[utoipa::path(
    get, path = "/dead-letters", tag = "dead letters",
    params(
        ("function_name" = Option<String>, Query, description = "This function"),
        ("queue" = Option<String>, Query, description = "This queue"),
        ("tag" = Option<Vec<String>>, Query, description = "All of these tags; may be repeated"),
        ("fingerprint" = Option<String>, Query, description = "Errors like this one"),
        ("died_from_ms" = Option<u64>, Query, description = "Given up at or after"),
        ("died_until_ms" = Option<u64>, Query, description = "Given up before"),
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
    let filter = fields.dead()?.read().map_err(Error::invalid)?;
    let (after, limit) = fields.page()?;
    fields.end()?;
    let page = state.client().dead_letters().page(&filter, after, limit).await?;
    tagged(&headers, &JobPage::of(&page, &session, &state))
}

/// Dead letters whose errors are alike.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Groups {
    /// The largest first, at most 1,000.
    groups: Vec<Group>,
}

/// Groups dead letters by what their errors have in common. Reads all of them.
#[utoipa::path(
    get, path = "/dead-letters/groups", tag = "dead letters",
    params(
        ("function_name" = Option<String>, Query, description = "This function"),
        ("queue" = Option<String>, Query, description = "This queue"),
        ("tag" = Option<Vec<String>>, Query, description = "All of these tags; may be repeated"),
        ("fingerprint" = Option<String>, Query, description = "Errors like this one"),
        ("died_from_ms" = Option<u64>, Query, description = "Given up at or after"),
        ("died_until_ms" = Option<u64>, Query, description = "Given up before"),
    ),
    responses(
        (status = 200, description = "The groups", body = Groups),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn groups(
    State(state): State<AppState>,
    session: Session,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, Error> {
    let filter = fields.dead()?.read().map_err(Error::invalid)?;
    fields.end()?;
    let groups = state.client().dead_letters().groups(&filter).await?;
    let group = |group| Group::of(group, session.role, state.hide());
    let groups = groups.iter().take(GROUPS_MAX).map(group).collect();
    tagged(&headers, &Groups { groups })
}

/// Which dead letters, by their ids.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ids {
    /// 1 to 1,000 ids.
    #[schema(min_items = 1, max_items = 1_000)]
    ids: Vec<String>,
}

impl Ids {
    fn read(&self) -> Result<Vec<JobId>, Error> {
        let read: Result<Vec<JobId>, _> = self.ids.iter().map(|id| id.parse()).collect();
        read.map_err(|error| Error::invalid(vec![format!("ids: {error}")]))
    }
}

/// What became of dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changes {
    /// In the order of the request.
    changes: Vec<Changed>,
}

impl Changes {
    fn of(ids: &[JobId], changes: Vec<longshore::DeadLetterChange>) -> Answer<Self> {
        let changes = ids.iter().zip(changes).map(|(id, done)| Changed {
            id: id.to_string(),
            change: change(done).to_owned(),
        });
        Answer(Self {
            changes: changes.collect(),
        })
    }
}

/// Sends dead letters back to their queues, with their retries restored.
#[utoipa::path(
    post, path = "/dead-letters/requeue", tag = "dead letters", request_body = Ids,
    responses((status = 200, description = "What became of each", body = Changes))
)]
pub(super) async fn requeue_many(
    State(state): State<AppState>,
    session: Session,
    Json(request): Json<Ids>,
) -> Result<Answer<Changes>, Error> {
    let ids = request.read()?;
    let changes = acts::requeue(&state, &session, &ids).await?;
    Ok(Changes::of(&ids, changes))
}

/// Deletes dead letters.
#[utoipa::path(
    post, path = "/dead-letters/discard", tag = "dead letters", request_body = Ids,
    responses((status = 200, description = "What became of each", body = Changes))
)]
pub(super) async fn discard_many(
    State(state): State<AppState>,
    session: Session,
    Json(request): Json<Ids>,
) -> Result<Answer<Changes>, Error> {
    let ids = request.read()?;
    let changes = acts::discard(&state, &session, &ids).await?;
    Ok(Changes::of(&ids, changes))
}

/// Sends one dead letter back to its queue.
#[utoipa::path(
    post, path = "/jobs/{id}/requeue", tag = "dead letters",
    params(("id" = String, Path, description = "The job", format = "uuid")),
    responses((status = 200, description = "What became of it", body = Changed))
)]
pub(super) async fn requeue(
    State(state): State<AppState>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Answer<Changed>, Error> {
    let id = job_id(&id)?;
    let changes = acts::requeue(&state, &session, &[id]).await?;
    one(&state, id, &changes).await
}

/// Deletes one dead letter.
#[utoipa::path(
    post, path = "/jobs/{id}/discard", tag = "dead letters",
    params(("id" = String, Path, description = "The job", format = "uuid")),
    responses((status = 200, description = "What became of it", body = Changed))
)]
pub(super) async fn discard(
    State(state): State<AppState>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Answer<Changed>, Error> {
    let id = job_id(&id)?;
    let changes = acts::discard(&state, &session, &[id]).await?;
    one(&state, id, &changes).await
}

/// Other arguments.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    /// All arguments, in the place of those that are there.
    args: serde_json::Value,
}

/// Gives a dead letter other arguments and sends it back to its queue, in one step.
#[utoipa::path(
    post, path = "/jobs/{id}/edit", tag = "dead letters", request_body = Edit,
    params(("id" = String, Path, description = "The job", format = "uuid")),
    responses((status = 200, description = "What became of it", body = Changed))
)]
pub(super) async fn edit(
    State(state): State<AppState>,
    session: Session,
    Path(id): Path<String>,
    Json(request): Json<Edit>,
) -> Result<Answer<Changed>, Error> {
    let id = job_id(&id)?;
    let changed = acts::edit(&state, &session, id, &request.args).await?;
    one(&state, id, &[changed]).await
}

/// What became of one; a job that nobody knows is told from one that is no dead letter.
async fn one(
    state: &AppState,
    id: JobId,
    changes: &[longshore::DeadLetterChange],
) -> Result<Answer<Changed>, Error> {
    use longshore::DeadLetterChange::NotDead;
    let done = changes.first().copied().unwrap_or(NotDead);
    if done == NotDead && state.client().summary(id).await?.is_none() {
        return Err(ClientError::NotFound(id).into());
    }
    Ok(Answer(Changed {
        id: id.to_string(),
        change: change(done).to_owned(),
    }))
}

/// Messages that nobody could handle.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuarantinePage {
    /// By their ids.
    messages: Vec<Quarantined>,
    /// Whether there are more than were asked for.
    more: bool,
}

/// Lists the quarantine, at most 100 messages.
#[utoipa::path(
    get, path = "/quarantine", tag = "quarantine",
    params(
        ("after" = Option<String>, Query, description = "The id of the last message of the page before"),
        ("limit" = Option<u32>, Query, description = "Most messages, 100 unless set", minimum = 1, maximum = 100),
    ),
    responses((status = 200, description = "The messages", body = QuarantinePage))
)]
pub(super) async fn quarantine(
    State(state): State<AppState>,
    session: Session,
    mut fields: Fields,
) -> Result<Answer<QuarantinePage>, Error> {
    let limit: usize = fields.read("limit", "whole number")?.unwrap_or(QUARANTINE_MAX);
    let after = fields.one("after")?;
    fields.end()?;
    if !(1..=QUARANTINE_MAX).contains(&limit) {
        return Err(Error::invalid(vec![format!("limit: use 1 to {QUARANTINE_MAX}")]));
    }
    let mut entries = state.client().quarantine().after(after);
    let (mut messages, mut more) = (Vec::new(), false);
    while let Some(entry) = entries.next().await? {
        if messages.len() == limit {
            more = true;
            break;
        }
        messages.push(Quarantined::of(&entry, session.role));
    }
    Ok(Answer(QuarantinePage { messages, more }))
}

/// Which messages, by their ids.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageIds {
    /// 1 to 1,000 ids.
    #[schema(min_items = 1, max_items = 1_000)]
    message_ids: Vec<String>,
}

/// What became of messages.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Dropped {
    /// Whether each was there, in the order of the request.
    was_there: Vec<bool>,
}

/// Deletes messages from the quarantine.
#[utoipa::path(
    post, path = "/quarantine/drop", tag = "quarantine", request_body = MessageIds,
    responses((status = 200, description = "What became of each", body = Dropped))
)]
pub(super) async fn drop_quarantined(
    State(state): State<AppState>,
    session: Session,
    Json(request): Json<MessageIds>,
) -> Result<Answer<Dropped>, Error> {
    let was_there = acts::drop_quarantined(&state, &session, request.message_ids).await?;
    Ok(Answer(Dropped { was_there }))
}
