//! Signing in with a token.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::request::Parts;
use serde::Deserialize;

use super::frame::{Frame, bare};
use super::html;
use crate::auth::login;
use crate::auth::oidc::flow;
use crate::error::Error;
use crate::extract::Query;
use crate::state::AppState;

/// The page.
#[derive(Debug, Template)]
#[template(path = "login.html")]
struct Login {
    frame: Frame,
    next: String,
    /// What the button that leads to the OpenID provider says, and where it leads; empty without one.
    provider: String,
    provider_href: String,
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
    let next: String = url::form_urlencoded::byte_serialize(asked.next.as_bytes()).collect();
    html(&Login {
        frame: bare(&state, "Sign in"),
        provider: state
            .provider()
            .map(|provider| provider.label().to_owned())
            .unwrap_or_default(),
        provider_href: state.href(&format!("{}?next={next}", flow::PATH)),
        next: asked.next,
    })
}
