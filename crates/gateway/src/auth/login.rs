//! Browser sessions: a token is shown once, and a signed cookie stands for it from then on.

use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::header::SET_COOKIE;
use http::{Request, StatusCode};
use longshore_core::{Timestamp, clock::duration_millis};
use serde::Deserialize;

use super::cookie::{self, Holder, Ticket};
use super::rate::Caller;
use super::{Posted, Session};
use crate::error::{Error, ErrorCode};
use crate::extract::slip;
use crate::router::too_large;
use crate::state::AppState;

/// Largest form with which somebody signs in: anybody may send one.
pub(crate) const FORM_BYTES_MAX: usize = 8 * 1024;

/// `POST /login`
#[derive(Deserialize)]
pub(crate) struct Login {
    #[serde(default)]
    token: String,
    /// Where to go then: a path of ours.
    next: Option<String>,
}

/// Opens a session for whoever shows a token, and goes on to the page that was asked for.
pub(crate) async fn sign_in(
    State(state): State<AppState>,
    request: Request<axum::body::Body>,
) -> Result<Response, Error> {
    use axum::extract::FromRequest as _;
    let caller = Caller::of(&state, request.extensions(), request.headers());
    let secure = cookie::is_https(&state, request.headers());
    let form = Form::<Login>::from_request(request, &state).await;
    let Form(login) = form.map_err(|error| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            too_large(FORM_BYTES_MAX)
        } else {
            Error::new(ErrorCode::BadRequest, slip::tell(".", &error.body_text()))
        }
    })?;
    // Wrong tokens of others at the same address keep nobody out who has a good one.
    let Some(token) = state.tokens().recognise(login.token.trim()).await? else {
        state.rate().fail(caller, state.now())?;
        return Err(Error::new(
            ErrorCode::Unauthenticated,
            "the token is wrong, expired or revoked; ask an admin for one",
        ));
    };
    let next = login.next.as_deref().unwrap_or("/");
    admit(&state, Holder::Token(token.id), token.expires_at, secure, next).await
}

/// Opens a session, and goes on to a page.
pub(super) async fn admit(
    state: &AppState,
    holder: Holder,
    until: Option<Timestamp>,
    secure: bool,
    next: &str,
) -> Result<Response, Error> {
    let now = state.now();
    let end = now.after(state.settings().session_lifetime);
    let ticket = Ticket {
        holder,
        number: state.random().next_u64(),
        expires_at: until.map_or(end, |until| until.min(end)),
    };
    let seconds = duration_millis(ticket.expires_at.since(now)) / 1_000;
    let value = ticket.sign(state).await?;
    let cookie = cookie::set(state, cookie::SESSION, &value, "", seconds, secure)?;
    let mut response = Redirect::to(&state.href(local_path(next))).into_response();
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// `POST /logout`: ends the session, on every replica and for its open streams, and takes the cookie away.
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    posted: Posted<std::collections::BTreeMap<String, String>>,
) -> Result<Response, Error> {
    posted.session.end(&state).await?;
    let mut response = Redirect::to(&state.href("/login")).into_response();
    let gone = cookie::set(&state, cookie::SESSION, "", "", 0, false)?;
    response.headers_mut().insert(SET_COOKIE, gone);
    Ok(response)
}

/// A path of ours; anything that a browser could take for another site is the home page.
pub(super) fn local_path(next: &str) -> &str {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain && next.starts_with('/') && !next.starts_with("//") {
        next
    } else {
        "/"
    }
}

/// Whether somebody is signed in: the login page needs no token then.
pub(crate) async fn is_signed_in(state: &AppState, parts: &http::request::Parts) -> bool {
    Session::identify(parts, state).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_nowhere_but_home() {
        assert_eq!(local_path("/jobs?status=failed"), "/jobs?status=failed");
        for elsewhere in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "jobs",
            "/a\r\nb",
        ] {
            assert_eq!(local_path(elsewhere), "/", "{elsewhere}");
        }
    }
}
