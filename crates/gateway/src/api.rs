//! The HTTP API, below `/api/v1`.

mod access;
mod cron;
mod dead;
mod document;
pub(crate) mod etag;
mod fleet;
mod jobs;
pub(crate) mod list;
mod log;
mod many;
mod operations;
mod purge;
mod statistics;
mod wait;
pub(crate) mod watch;

use axum::Router;
use longshore_core::JobId;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{Error, ErrorCode};
use crate::events;
use crate::state::AppState;

/// Routes that answer at once.
pub(crate) fn routes() -> Router<AppState> {
    Router::from(quick()).merge(document::routes())
}

/// Routes that may keep a caller waiting.
pub(crate) fn slow_routes() -> Router<AppState> {
    Router::from(slow())
}

/// What describes the API, for programs.
pub(crate) fn openapi() -> OpenApi {
    document::complete(quick().merge(slow()).into_openapi())
}

fn quick() -> OpenApiRouter<AppState> {
    let jobs = OpenApiRouter::new()
        .routes(routes!(jobs::enqueue, jobs::list))
        .routes(routes!(jobs::enqueue_many))
        .routes(routes!(jobs::show))
        .routes(routes!(jobs::summary))
        .routes(routes!(log::show))
        .routes(routes!(many::cancel_many))
        .routes(routes!(many::cleanup))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::why))
        .routes(routes!(jobs::watch_link));
    let dead = OpenApiRouter::new()
        .routes(routes!(dead::list))
        .routes(routes!(dead::groups))
        .routes(routes!(dead::requeue_many))
        .routes(routes!(dead::discard_many))
        .routes(routes!(dead::requeue))
        .routes(routes!(dead::edit))
        .routes(routes!(dead::discard))
        .routes(routes!(dead::quarantine))
        .routes(routes!(dead::drop_quarantined))
        .routes(routes!(operations::begin, operations::list))
        .routes(routes!(operations::show))
        .routes(routes!(operations::resume));
    let fleet = OpenApiRouter::new()
        .routes(routes!(fleet::queues))
        .routes(routes!(purge::purge))
        .routes(routes!(fleet::queue))
        .routes(routes!(fleet::next))
        .routes(routes!(fleet::pause))
        .routes(routes!(fleet::resume))
        .routes(routes!(fleet::workers))
        .routes(routes!(statistics::statistics));
    let cron = OpenApiRouter::new()
        .routes(routes!(cron::list))
        .routes(routes!(cron::show, cron::put, cron::remove))
        .routes(routes!(cron::pause))
        .routes(routes!(cron::resume))
        .routes(routes!(cron::run))
        .routes(routes!(cron::preview));
    let access = OpenApiRouter::new()
        .routes(routes!(access::session))
        .routes(routes!(access::tokens, access::create_token))
        .routes(routes!(access::revoke_token))
        .routes(routes!(access::audit));
    jobs.merge(dead)
        .merge(fleet)
        .merge(cron)
        .merge(access)
        .merge(watch::routes())
}

fn slow() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(wait::wait))
        .routes(routes!(events::stream::events))
        .routes(routes!(watch::events))
}

/// A job's id in a path.
fn job_id(text: &str) -> Result<JobId, Error> {
    text.parse().map_err(|error: longshore_core::id::InvalidJobId| {
        Error::new(ErrorCode::BadRequest, error.to_string())
    })
}
