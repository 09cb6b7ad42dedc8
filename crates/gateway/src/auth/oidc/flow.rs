//! The two pages of the flow: the way to the provider, and the way back.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::HeaderMap;
use http::header::SET_COOKIE;
use longshore_core::limits::TOKEN_NAME_BYTES_MAX;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::cookie::{self, Holder};
use super::super::login::admit;
use super::super::rate::Caller;
use super::attempt::{self, Attempt};
use super::{ATTEMPT_MAX, Provider, role};
use crate::error::{Error, ErrorCode};
use crate::extract::Query;
use crate::state::AppState;

/// Where the flow is, below the base path: the cookie of an attempt is sent to nothing else.
pub(crate) const PATH: &str = "/login/oidc";
/// Where the provider sends browsers back to.
pub(crate) const CALLBACK: &str = "/login/oidc/callback";
/// Letters of an error code of the provider's that are told.
const CODE_CHARS_MAX: usize = 64;

/// `GET /login/oidc`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    /// Where to go then: a path of ours.
    next: String,
}

/// Sends a browser to the provider.
pub(crate) async fn begin(
    State(state): State<AppState>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Result<Response, Error> {
    let provider = provider(&state)?;
    caller_within_rate(&state, &request)?;
    let attempt = Attempt::new(&state, state.signer().await?, &asked.next);
    let url = provider.sign_in_url(&attempt, state.now()).await?;
    let secure = cookie::is_https(&state, request.headers());
    let seconds = ATTEMPT_MAX.as_secs();
    let cookie = cookie::set(&state, attempt::COOKIE, &attempt.cookie(), PATH, seconds, secure)?;
    let mut response = Redirect::to(url.as_str()).into_response();
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// What the provider sends a browser back with; it may say more.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Lets in whoever comes back from the provider.
pub(crate) async fn finish(
    State(state): State<AppState>,
    Query(answer): Query<Answer>,
    request: Request,
) -> Result<Response, Error> {
    let provider = provider(&state)?;
    let caller = caller_within_rate(&state, &request)?;
    let (parts, _) = request.into_parts();
    match judge(&state, &provider, answer, &parts.headers).await {
        Ok((attempt, holder)) => {
            let secure = cookie::is_https(&state, &parts.headers);
            let mut response = admit(&state, holder, None, secure, attempt.next()).await?;
            let gone = cookie::set(&state, attempt::COOKIE, "", PATH, 0, secure)?;
            response.headers_mut().append(SET_COOKIE, gone);
            Ok(response)
        }
        Err(error) => {
            if error.code != ErrorCode::Unavailable {
                state.rate().fail(caller, state.now())?;
            }
            Err(error)
        }
    }
}

/// Whoever asks. Each request may cost the provider one, and the second half carries the client's secret.
fn caller_within_rate(state: &AppState, request: &Request) -> Result<Caller, Error> {
    let caller = Caller::of(state, request.extensions(), request.headers());
    state
        .rate()
        .check(caller, state.settings().rate_limit, state.now())?;
    Ok(caller)
}

fn provider(state: &AppState) -> Result<Arc<Provider>, Error> {
    let provider = state.provider();
    provider.ok_or_else(|| Error::not_found("no OpenID provider is configured; sign in with a token"))
}

/// Who came back, when everything fits.
async fn judge(
    state: &AppState,
    provider: &Provider,
    answer: Answer,
    headers: &HeaderMap,
) -> Result<(Attempt, Holder), Error> {
    let attempt = Attempt::of(headers, state.signer().await?, state.now()).ok_or_else(|| {
        let problem = "this browser has begun no sign-in within the last ten minutes; sign in again";
        Error::new(ErrorCode::BadRequest, problem)
    })?;
    if !answer.state.is_some_and(|shown| attempt.has_state(&shown)) {
        let problem = "the answer is to another sign-in than the last one of this browser; sign in again";
        return Err(Error::new(ErrorCode::CrossSite, problem));
    }
    if answer.iss.is_some_and(|issuer| !provider.is_called(&issuer)) {
        return Err(Error::forbidden(
            "the answer is another provider's; sign in again",
        ));
    }
    if let Some(code) = answer.error {
        let known = |char: &char| char.is_ascii_alphanumeric() || "_-".contains(*char);
        let code: String = code.chars().filter(known).take(CODE_CHARS_MAX).collect();
        return Err(Error::forbidden(format!("the OpenID provider refused: {code}")));
    }
    let code = answer
        .code
        .ok_or_else(|| Error::new(ErrorCode::BadRequest, "code: is missing; sign in again"))?;
    let claims = provider.claims(code, &attempt, state.now()).await?;
    let holder = holder(provider, &claims)?;
    Ok((attempt, holder))
}

/// Whom the claims name, with the role that they give.
fn holder(provider: &Provider, claims: &Map<String, Value>) -> Result<Holder, Error> {
    let settings = &provider.settings;
    let name = name(claims, &settings.name_claim);
    let values = role::values(claims, &settings.role_claim);
    let Some(role) = role::of(&settings.roles, &values) else {
        tracing::warn!(
            who = name,
            claim = settings.role_claim,
            values = values.len(),
            "somebody whom gateway.oidc.roles gives no role was refused"
        );
        return Err(Error::forbidden(format!(
            "the OpenID provider knows you as {name}, but nothing in your claim \"{}\" has a role here; ask an admin to \
             put you into a group that gateway.oidc.roles names",
            settings.role_claim
        )));
    };
    tracing::info!(who = name, %role, "somebody signed in through the OpenID provider");
    Ok(Holder::Person { name, role })
}

/// What somebody is called in the audit log: one line of a bounded length.
fn name(claims: &Map<String, Value>, claim: &str) -> String {
    // An address that nobody has verified is anybody's.
    let is_sure = claim != "email" || role::is_verified(claims);
    let texts = [claim, "sub"]
        .into_iter()
        .filter(|name| is_sure || *name == "sub")
        .filter_map(|name| claims.get(name)?.as_str());
    let named = texts.map(str::trim).find(|text| !text.is_empty());
    let mut short = String::new();
    for char in named
        .unwrap_or("somebody")
        .chars()
        .filter(|char| !char.is_control())
    {
        if short.len() + char.len_utf8() > TOKEN_NAME_BYTES_MAX {
            break;
        }
        short.push(char);
    }
    short
}
