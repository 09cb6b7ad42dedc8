//! Signing in with a token.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::request::Parts;
use serde::Deserialize;

use super::frame::{Frame, bare};
use super::html;
use crate::auth::login;
use crate::error::Error;
use crate::extract::Query;
use crate::state::AppState;

/// The page.
#[derive(Debug, Template)]
#[template(path = "login.html")]
struct Login {
    frame: Frame,
    next: String,
}

/// Where to go then.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    next: String,
}

/// `GET /login`
pub(super) async fn show(
    State(state): State<AppState>,
    Query(asked): Query<Asked>,
    parts: Parts,
) -> Result<Response, Error> {
    if login::is_signed_in(&state, &parts).await {
        return Ok(Redirect::to(&state.href("/")).into_response());
    }
    html(&Login {
        frame: bare(&state, "Sign in"),
        next: asked.next,
    })
}
