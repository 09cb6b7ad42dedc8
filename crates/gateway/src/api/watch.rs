//! What a watch link may: read, follow and cancel its one job, from pages of other sites.

use axum::Json as Answer;
use axum::extract::{Extension, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use longshore::{ClientError, JobStatus, JobView};
use longshore_core::JobId;
use longshore_core::access::Role;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::etag::tagged_but_the_clock;
use super::job_id;
use super::list::Fields;
use crate::acts;
use crate::answer::headers::RequestId;
use crate::auth::rate::Caller;
use crate::auth::session::bearer;
use crate::auth::signer::Signer;
use crate::auth::watch::{self, Grant};
use crate::dto::dead::Cancelled;
use crate::dto::job::{JobError, JobProgress};
use crate::error::{Error, ErrorCode};
use crate::events::{Draining, stream};
use crate::state::AppState;

/// The quick routes; `events` stands among the slow ones.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(cancel))
}

/// A job as a stranger with a watch link sees it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct WatchedJob {
    /// Its id.
    #[schema(format = "uuid")]
    pub(crate) id: String,
    /// Its name for people.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) status: String,
    /// Whether it has ended.
    pub(crate) ended: bool,
    /// Attempts started.
    pub(crate) attempts: u32,
    /// How far it is.
    pub(crate) progress: JobProgress,
    /// What its last error says, where the link allows to read it.
    pub(crate) error: Option<String>,
    /// When it was enqueued.
    pub(crate) created_at_ms: u64,
    /// When the last attempt started.
    pub(crate) started_at_ms: Option<u64>,
    /// When it ended.
    pub(crate) finished_at_ms: Option<u64>,
    /// When the next attempt is due.
    pub(crate) run_at_ms: Option<u64>,
    /// Whether it may be cancelled with this link, now.
    pub(crate) can_cancel: bool,
    /// The gateway's time.
    pub(crate) now_ms: u64,
}

impl WatchedJob {
    /// Arguments and results stay inside, and errors unless the link shows them.
    pub(crate) fn of(state: &AppState, job: &JobView, grant: Grant) -> Self {
        let ended = job.status.is_terminal();
        Self {
            id: job.id.to_string(),
            name: job.name.clone(),
            status: job.status.to_string(),
            ended,
            attempts: job.attempts,
            progress: JobProgress::of(&job.to_result().progress, Role::Viewer, state.hide()),
            error: job
                .error
                .as_ref()
                .filter(|_| grant.allows.error && job.status != JobStatus::Completed)
                .map(|error| JobError::of(error, Role::Viewer, state.hide()).message),
            created_at_ms: job.created_at.millis(),
            started_at_ms: job.started_at.map(longshore::Timestamp::millis),
            finished_at_ms: job.finished_at.map(longshore::Timestamp::millis),
            run_at_ms: job.run_at.map(longshore::Timestamp::millis),
            can_cancel: grant.allows.cancel && !ended && job.cancel_reason.is_none(),
            now_ms: state.now().millis(),
        }
    }
}

/// A watch link that is good for the job in the path.
/// Its address is not known behind a proxy that is not trusted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watcher {
    pub(crate) grant: Grant,
    address: Option<Caller>,
    signer: Signer,
}

impl FromRequestParts<AppState> for Watcher {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Error> {
        let caller = Caller::of(state, &parts.extensions, &parts.headers);
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        let axum::extract::Path(id) =
            path.map_err(|error| Error::new(ErrorCode::BadRequest, error.body_text()))?;
        let job = job_id(&id)?;
        let mut fields = Fields::from_request_parts(parts, state).await?;
        // EventSource cannot send headers.
        let in_query = fields.one("token")?;
        fields.end()?;
        let text = bearer(&parts.headers).map(str::to_owned).or(in_query);
        let limit = state.settings().rate_limit;
        let Some(text) = text else {
            state.rate().check(caller, limit, state.now())?;
            return Err(nobody("send the watch link's token"));
        };
        let signer = state.signer().await?;
        let Some(grant) = watch::read(&signer, &text) else {
            state.rate().fail(caller, state.now())?;
            return Err(nobody("the watch link's token is wrong"));
        };
        // Each link by itself: behind a proxy its holders may all have one address.
        state.rate().check(link(grant), limit, state.now())?;
        if grant.expires_at <= state.now() {
            return Err(nobody(
                "the watch link has expired; ask the service for a new one",
            ));
        }
        if grant.job != job {
            return Err(Error::forbidden("the watch link is for another job"));
        }
        Ok(Self {
            grant,
            address: Caller::apart(state, &parts.extensions, &parts.headers),
            signer,
        })
    }
}

/// Whom the requests and streams of a link are counted for.
const fn link(grant: Grant) -> Caller {
    Caller::Link(grant.job, grant.expires_at)
}

fn nobody(why: &str) -> Error {
    Error::new(ErrorCode::Unauthenticated, why)
}

pub(crate) async fn watched(state: &AppState, id: JobId) -> Result<JobView, Error> {
    Ok(state
        .client()
        .summary(id)
        .await?
        .ok_or(ClientError::NotFound(id))?)
}

/// The job of a watch link. The token is sent as `Authorization: Bearer` or as `token` in the query.
#[utoipa::path(
    get, path = "/watch/{id}", tag = "watch links",
    params(
        ("id" = String, Path, description = "The job", format = "uuid"),
        ("token" = Option<String>, Query, description = "The watch link's token, where no header can be sent"),
    ),
    responses(
        (status = 200, description = "The job", body = WatchedJob),
        (status = 304, description = "As the header If-None-Match knows it"),
    ),
    security(("watch" = []))
)]
pub(super) async fn show(
    State(state): State<AppState>,
    Watcher { grant, .. }: Watcher,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let job = watched(&state, grant.job).await?;
    tagged_but_the_clock(&headers, &WatchedJob::of(&state, &job, grant))
}

/// Follows the job of a watch link: events `job` with the same document as without `/events`, until it has ended.
#[utoipa::path(
    get, path = "/watch/{id}/events", tag = "watch links",
    params(
        ("id" = String, Path, description = "The job", format = "uuid"),
        ("token" = Option<String>, Query, description = "The watch link's token, where no header can be sent"),
    ),
    responses((status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream")),
    security(("watch" = []))
)]
pub(super) async fn events(
    State(state): State<AppState>,
    watcher: Watcher,
    headers: HeaderMap,
    Extension(draining): Extension<Draining>,
) -> Result<Response, Error> {
    let Watcher {
        grant,
        signer,
        address,
    } = watcher;
    let callers = [Some(link(grant)), address].into_iter().flatten().collect();
    let place = state.enter(callers)?;
    watched(&state, grant.job).await?;
    Ok(stream::of_link(state, grant, signer, &headers, draining, place))
}

/// Cancels the job of a watch link that allows it.
#[utoipa::path(
    post, path = "/watch/{id}/cancel", tag = "watch links",
    params(
        ("id" = String, Path, description = "The job", format = "uuid"),
        ("token" = Option<String>, Query, description = "The watch link's token, where no header can be sent"),
    ),
    responses((status = 200, description = "What became of it", body = Cancelled)),
    security(("watch" = []))
)]
pub(super) async fn cancel(
    State(state): State<AppState>,
    Watcher { grant, .. }: Watcher,
    Extension(RequestId(request)): Extension<RequestId>,
) -> Result<Answer<Cancelled>, Error> {
    if !grant.allows.cancel {
        return Err(Error::forbidden("the watch link does not allow to cancel"));
    }
    let reply = acts::cancel_by_link(&state, grant.job, request).await?;
    let cancelled = Cancelled::of(reply).ok_or(ClientError::NotFound(grant.job))?;
    Ok(Answer(cancelled))
}

/// Whether a path is one of a watch link's: what is done there is done by the token in the request, and by nothing that
/// a browser sends on its own.
pub(crate) fn is_watch(state: &AppState, path: &str) -> bool {
    let below = path.strip_prefix(&*state.settings().base_path).unwrap_or(path);
    below.starts_with("/api/v1/watch/")
}

/// Lets pages of the configured sites read what a watch link gives, and answers a browser that asks beforehand.
pub(crate) async fn cross_origin(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if !is_watch(&state, request.uri().path()) {
        return next.run(request).await;
    }
    let origins = &state.settings().cors_origins;
    let origin = request.headers().get(ORIGIN).cloned();
    let allowed = origin.filter(|origin| origins.iter().any(|known| known.as_bytes() == origin.as_bytes()));
    let asks_beforehand = request.method() == Method::OPTIONS;
    let mut response = if asks_beforehand && allowed.is_some() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        );
        if asks_beforehand {
            let methods = HeaderValue::from_static("GET, POST");
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
            let wanted =
                HeaderValue::from_static("authorization, content-type, if-none-match, last-event-id");
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted);
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        }
    }
    response
}
