//! Browser sessions: a token is shown once, and a signed cookie stands for it from then on.

use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use longshore_core::access::{Token, TokenId};
use longshore_core::{Timestamp, clock::duration_millis};
use serde::Deserialize;

use super::rate::Caller;
use super::{Posted, Session};
use crate::error::{Error, ErrorCode};
use crate::router::too_large;
use crate::state::AppState;

const COOKIE_NAME: &str = "longshore_session";
const PURPOSE: &str = "session";
/// Largest form with which somebody signs in: anybody may send one.
pub(crate) const FORM_BYTES_MAX: usize = 8 * 1024;

/// What a cookie stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) token: TokenId,
    /// A random number, so that no two sessions share a CSRF token.
    pub(super) number: u64,
    pub(super) expires_at: Timestamp,
}

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
    let secure = is_https(&state, request.headers());
    // Whoever is locked out is not read.
    state.rate().check_failures(&caller, state.now())?;
    let form = Form::<Login>::from_request(request, &state).await;
    let Form(login) = form.map_err(|error| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            too_large(FORM_BYTES_MAX)
        } else {
            Error::new(ErrorCode::BadRequest, error.body_text())
        }
    })?;
    let Some(token) = state.tokens().recognise(login.token.trim()).await? else {
        state.rate().count_failure(&caller, state.now());
        return Err(Error::new(
            ErrorCode::Unauthenticated,
            "the token is wrong, expired or revoked; ask an admin for one",
        ));
    };
    let next = local_path(login.next.as_deref().unwrap_or("/"));
    let mut response = Redirect::to(&state.href(next)).into_response();
    let cookie = cookie(&state, &token, secure).await?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// `POST /logout`: takes the cookie away.
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    _: Posted<std::collections::BTreeMap<String, String>>,
) -> Result<Response, Error> {
    let mut response = Redirect::to(&state.href("/login")).into_response();
    let gone = set_cookie(&state, "", 0, false)?;
    response.headers_mut().insert(SET_COOKIE, gone);
    Ok(response)
}

/// A path of ours; anything that a browser could take for another site is the home page.
fn local_path(next: &str) -> &str {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain && next.starts_with('/') && !next.starts_with("//") {
        next
    } else {
        "/"
    }
}

async fn cookie(state: &AppState, token: &Token, secure: bool) -> Result<HeaderValue, Error> {
    let now = state.now();
    let lifetime = state.settings().session_lifetime;
    let end = now.after(lifetime);
    let ticket = Ticket {
        token: token.id,
        number: state.random().next_u64(),
        expires_at: token.expires_at.map_or(end, |expires_at| expires_at.min(end)),
    };
    let payload = ticket.encode();
    let signature = state.signer().await?.sign(PURPOSE, &payload);
    let seconds = duration_millis(ticket.expires_at.since(now)) / 1_000;
    set_cookie(state, &format!("{payload}.{signature}"), seconds, secure)
}

fn set_cookie(state: &AppState, value: &str, seconds: u64, secure: bool) -> Result<HeaderValue, Error> {
    let path = &state.settings().base_path;
    let path = if path.is_empty() { "/" } else { path };
    let secure = if secure { "; Secure" } else { "" };
    let text =
        format!("{COOKIE_NAME}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).map_err(Error::internal)
}

/// Whether the browser came by TLS, as the configuration or a trusted proxy says.
fn is_https(state: &AppState, headers: &HeaderMap) -> bool {
    let settings = state.settings();
    let public = settings
        .public_url
        .as_ref()
        .is_some_and(|url| url.scheme() == "https");
    let forwarded = headers
        .get("x-forwarded-proto")
        .is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"));
    public || (settings.trust_forwarded && forwarded)
}

/// The session that a request's cookie stands for.
pub(super) async fn ticket(state: &AppState, headers: &HeaderMap) -> Result<Option<Ticket>, Error> {
    let Some(value) = cookie_value(headers) else {
        return Ok(None);
    };
    let Some((payload, signature)) = value.split_once('.') else {
        return Ok(None);
    };
    if !state.signer().await?.verify(PURPOSE, payload, signature) {
        return Ok(None);
    }
    let now = state.now();
    Ok(Ticket::decode(payload).filter(|ticket| ticket.expires_at > now))
}

fn cookie_value(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, value)| value)
}

impl Ticket {
    fn encode(self) -> String {
        let parts = [self.token.0, self.number, self.expires_at.millis()];
        URL_SAFE_NO_PAD.encode(parts.map(u64::to_be_bytes).concat())
    }

    fn decode(payload: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let (token, rest) = bytes.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        Some(Self {
            token: TokenId(u64::from_be_bytes(*token)),
            number: u64::from_be_bytes(*number),
            expires_at: Timestamp(u64::from_be_bytes(rest.try_into().ok()?)),
        })
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
    fn a_ticket_reads_back() {
        let ticket = Ticket {
            token: TokenId(1),
            number: 2,
            expires_at: Timestamp(3),
        };
        assert_eq!(Ticket::decode(&ticket.encode()), Some(ticket));
        assert_eq!(Ticket::decode("AAAA"), None);
    }

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

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(
            COOKIE,
            HeaderValue::from_static("a=1; longshore_session=x.y; b=2"),
        );
        assert_eq!(cookie_value(&headers), Some("x.y"));
    }
}
