//! Recurring jobs.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use longshore::cron::{CronName, Over};
use serde::Serialize;
use utoipa::ToSchema;

use super::etag::tagged;
use crate::acts;
use crate::auth::Session;
use crate::dto::cron::{CronEntry, CronRequest, Preview, PreviewRequest};
use crate::error::{Error, ErrorCode};
use crate::extract::{Json, Path};
use crate::state::AppState;

/// Every entry.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CronEntries {
    /// By name.
    entries: Vec<CronEntry>,
}

/// Lists cron entries.
#[utoipa::path(
    get, path = "/cron", tag = "cron",
    responses(
        (status = 200, description = "The entries", body = CronEntries),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    session: Session,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let entries = state.client().cron().list().await?;
    let entry = |entry| CronEntry::of(entry, session.role, state.hide());
    let entries = entries.iter().map(entry).collect();
    tagged(&headers, &CronEntries { entries })
}

/// One entry.
#[utoipa::path(
    get, path = "/cron/{name}", tag = "cron",
    params(("name" = String, Path, description = "The entry")),
    responses(
        (status = 200, description = "The entry", body = CronEntry),
        (status = 304, description = "As the header If-None-Match knows it"),
    )
)]
pub(super) async fn show(
    State(state): State<AppState>,
    session: Session,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    let name = cron_name(&name)?;
    let entry = known(&state, &session, &name).await?;
    tagged(&headers, &entry)
}

async fn known(state: &AppState, session: &Session, name: &CronName) -> Result<CronEntry, Error> {
    let entry = state.client().cron().get(name).await?;
    let entry = entry.ok_or_else(|| longshore::cron::CronError::NotFound(name.clone()))?;
    Ok(CronEntry::of(&entry, session.role, state.hide()))
}

/// Makes or changes an entry. `If-Match: "VERSION"` writes over that version alone, `If-None-Match: *` over nothing.
#[utoipa::path(
    put, path = "/cron/{name}", tag = "cron", request_body = CronRequest,
    params(
        ("name" = String, Path, description = "The entry"),
        ("If-Match" = Option<String>, Header, description = "The version that is written over"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: write over nothing"),
    ),
    responses(
        (status = 200, description = "As it is now", body = CronEntry),
        (status = 201, description = "It is new", body = CronEntry),
        (status = 412, description = "Another version is there", body = crate::answer::present::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(state): State<AppState>,
    session: Session,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(request): Json<CronRequest>,
) -> Result<Response, Error> {
    let name = cron_name(&name)?;
    let over = over(&headers)?;
    let definition = request.read(&session.who).map_err(Error::invalid)?;
    let is_new = state.client().cron().get(&name).await?.is_none();
    acts::put_cron(&state, &session, &name, &definition, over).await?;
    let entry = known(&state, &session, &name).await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Answer(entry)).into_response())
}

fn over(headers: &HeaderMap) -> Result<Over, Error> {
    if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|value| value.as_bytes() == b"*")
    {
        return Ok(Over::Nothing);
    }
    let Some(version) = headers.get(IF_MATCH) else {
        return Ok(Over::Anything);
    };
    let number = version
        .to_str()
        .ok()
        .and_then(|text| text.trim().trim_matches('"').parse().ok());
    number.map(Over::Version).ok_or_else(|| {
        Error::new(
            ErrorCode::BadRequest,
            "If-Match: is no version; send the entry's version in quotes",
        )
    })
}

/// Takes an entry away; its jobs stay.
#[utoipa::path(
    delete, path = "/cron/{name}", tag = "cron",
    params(("name" = String, Path, description = "The entry")),
    responses((status = 204, description = "It is gone"))
)]
pub(super) async fn remove(
    State(state): State<AppState>,
    session: Session,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    let name = cron_name(&name)?;
    if acts::remove_cron(&state, &session, name.as_str()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(longshore::cron::CronError::NotFound(name).into())
    }
}

/// Lets an entry make no jobs.
#[utoipa::path(
    post, path = "/cron/{name}/pause", tag = "cron",
    params(("name" = String, Path, description = "The entry")),
    responses((status = 200, description = "As it is now", body = CronEntry))
)]
pub(super) async fn pause(
    State(state): State<AppState>,
    session: Session,
    Path(name): Path<String>,
) -> Result<Answer<CronEntry>, Error> {
    let name = cron_name(&name)?;
    acts::pause_cron(&state, &session, name.as_str()).await?;
    Ok(Answer(known(&state, &session, &name).await?))
}

/// Ends a pause. Ticks in the pause are gone.
#[utoipa::path(
    post, path = "/cron/{name}/resume", tag = "cron",
    params(("name" = String, Path, description = "The entry")),
    responses((status = 200, description = "As it is now", body = CronEntry))
)]
pub(super) async fn resume(
    State(state): State<AppState>,
    session: Session,
    Path(name): Path<String>,
) -> Result<Answer<CronEntry>, Error> {
    let name = cron_name(&name)?;
    acts::resume_cron(&state, &session, name.as_str()).await?;
    Ok(Answer(known(&state, &session, &name).await?))
}

/// The job that an entry has made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CronRun {
    /// The job.
    #[schema(format = "uuid")]
    job_id: String,
}

/// Makes a job of an entry now, outside its schedule.
#[utoipa::path(
    post, path = "/cron/{name}/run", tag = "cron",
    params(("name" = String, Path, description = "The entry")),
    responses((status = 201, description = "The job", body = CronRun))
)]
pub(super) async fn run(
    State(state): State<AppState>,
    session: Session,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    let name = cron_name(&name)?;
    let id = acts::run_cron(&state, &session, name.as_str()).await?;
    let run = CronRun {
        job_id: id.to_string(),
    };
    Ok((StatusCode::CREATED, Answer(run)).into_response())
}

/// The next ticks of an expression, without making an entry.
#[utoipa::path(
    post, path = "/cron-preview", tag = "cron", request_body = PreviewRequest,
    responses((status = 200, description = "The ticks", body = Preview))
)]
pub(super) async fn preview(
    State(state): State<AppState>,
    _: Session,
    Json(request): Json<PreviewRequest>,
) -> Result<Answer<Preview>, Error> {
    let preview = request.read(state.now()).map_err(Error::invalid)?;
    Ok(Answer(preview))
}

fn cron_name(text: &str) -> Result<CronName, Error> {
    CronName::new(text).map_err(|error| Error::new(ErrorCode::BadRequest, error.to_string()))
}
