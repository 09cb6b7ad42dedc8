//! The dashboard: HTML from templates. Every page works without scripts; forms post, and are answered by a redirect.

mod act;
mod audit;
mod change;
mod chart;
mod confirm;
mod cron;
mod dead;
mod enqueue;
mod entry;
mod family;
mod filter;
mod frame;
mod graph;
mod hidden;
mod history;
mod job;
mod jobs;
mod log;
mod login;
mod measured;
mod operations;
mod overview;
mod part;
pub(crate) mod problem;
mod quarantine;
mod queues;
mod row;
#[cfg(test)]
mod sample;
mod sentence;
mod share;
mod stop;
mod text;
mod workers;

pub(crate) use family::Family;

use askama::Template;
use axum::Router;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};

use crate::error::Error;
use crate::state::AppState;

/// Every page.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(overview::show))
        .route("/enqueue", get(enqueue::ask).post(enqueue::submit))
        .route("/jobs", get(jobs::list))
        .route("/audit", get(audit::list))
        .route("/login", get(login::show))
        .route("/jobs/cancel", get(stop::ask).post(stop::cancel))
        .route("/jobs/{id}", get(job::show))
        .route("/jobs/{id}/link", get(share::ask).post(share::make))
        .route("/jobs/{id}/cancel", get(change::ask_cancel).post(change::cancel))
        .route(
            "/jobs/{id}/requeue",
            get(change::ask_requeue).post(change::requeue),
        )
        .route(
            "/jobs/{id}/discard",
            get(change::ask_discard).post(change::discard),
        )
        .route("/jobs/{id}/edit", get(change::ask_edit).post(change::edit))
        .route("/queues", get(queues::list))
        .route("/queues/{name}/{change}", get(queues::ask).post(queues::change))
        .route("/dead", get(dead::list))
        .route("/dead/{kind}", get(dead::ask).post(dead::begin))
        .route("/operations", get(operations::list))
        .route("/operations/{id}/resume", post(operations::resume))
        .route("/quarantine", get(quarantine::list))
        .route("/quarantine/drop", get(quarantine::ask).post(quarantine::drop))
        .route("/cron", get(cron::list).post(entry::save))
        .route("/cron/new", get(entry::new))
        .route("/cron/preview", get(entry::preview))
        .route("/cron/{name}", get(entry::edit))
        .route("/cron/{name}/{change}", get(cron::ask).post(cron::change))
        .route("/workers", get(workers::list))
}

/// A page.
fn html(page: &impl Template) -> Result<Response, Error> {
    Ok(Html(page.render().map_err(Error::internal)?).into_response())
}

/// What follows a change: the page that shows it.
fn see(state: &AppState, path: &str) -> Response {
    Redirect::to(&state.href(path)).into_response()
}
