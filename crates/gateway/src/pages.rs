//! The dashboard: HTML from templates.

pub(crate) mod problem;

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;

use crate::auth::Session;
use crate::error::Error;
use crate::state::AppState;

/// Every page.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/", get(home))
}

async fn home(State(state): State<AppState>, session: Session) -> Result<Response, Error> {
    let queues = state.client().queues().await?;
    let text = format!(
        "Longshore: {} queues, signed in as {}",
        queues.len(),
        session.role
    );
    Ok(Html(text).into_response())
}
