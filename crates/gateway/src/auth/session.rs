//! Who asks: an extractor that pages and the API share.

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};
use longshore_core::access::{Role, Token, TokenId};

use super::login;
use super::rate::Caller;
use super::tokens::same;
use crate::answer::headers::RequestId;
use crate::error::{Error, ErrorCode};
use crate::settings::Access;
use crate::state::AppState;

/// The header in which a script sends the session's token.
pub(crate) const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
/// What a token of a session is signed for.
const CSRF: &str = "csrf";

/// Who asks, and what they may. Taking it as an argument is what keeps a handler from strangers.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Whom a token was made for; in the audit log, and as `created_by` of jobs.
    pub(crate) who: String,
    /// What they may do.
    pub(crate) role: Role,
    /// The id of the request, for the audit log.
    pub(crate) request_id: String,
    /// The token that let them in; `None` where none is needed.
    token: Option<TokenId>,
    /// Goes into forms and the header `x-csrf-token`.
    csrf: String,
    /// Whether a browser sends what lets them in by itself, whichever site asks it to.
    ambient: bool,
}

impl Session {
    /// That they may do what `role` may.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`] when not.
    pub(crate) fn require(&self, role: Role) -> Result<(), Error> {
        if self.role >= role {
            return Ok(());
        }
        Err(Error::forbidden(format!(
            "this needs the role {role}, and {} has the role {}",
            self.who, self.role
        )))
    }

    /// The token that forms carry in the field `csrf`.
    pub(crate) fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Whether this is the session's token; takes the same time wherever the two differ.
    pub(super) fn has_csrf(&self, shown: &str) -> bool {
        same(shown.as_bytes(), self.csrf.as_bytes())
    }

    /// Who asks, by what the request shows. Says nothing about where it came from: [`Session`] as an extractor and
    /// [`super::Posted`] do.
    pub(crate) async fn identify(parts: &Parts, state: &AppState) -> Result<Self, Error> {
        let mut session = match state.settings().access {
            Access::Open => Self::open(state).await?,
            Access::Tokens => {
                let caller = Caller::of(state, &parts.extensions, &parts.headers);
                match bearer(&parts.headers) {
                    Some(text) => Self::by_token(state, caller, text).await?,
                    None => Self::by_cookie(state, caller, &parts.headers).await?,
                }
            }
        };
        if let Some(RequestId(id)) = parts.extensions.get::<RequestId>() {
            session.request_id.clone_from(id);
        }
        Ok(session)
    }

    /// Whoever sits at this machine.
    async fn open(state: &AppState) -> Result<Self, Error> {
        Ok(Self {
            who: "dev".to_owned(),
            role: Role::Admin,
            request_id: String::new(),
            token: None,
            csrf: state.signer().await?.sign(CSRF, "dev"),
            ambient: false,
        })
    }

    async fn by_token(state: &AppState, caller: Caller, text: &str) -> Result<Self, Error> {
        state.rate().check_failures(&caller, state.now())?;
        let Some(token) = state.tokens().recognise(text).await? else {
            state.rate().count_failure(&caller, state.now());
            return Err(nobody("the token is wrong, expired or revoked"));
        };
        let csrf = state.signer().await?.sign(CSRF, &token.id.to_string());
        Self::of(state, token, csrf, false)
    }

    async fn by_cookie(state: &AppState, caller: Caller, headers: &HeaderMap) -> Result<Self, Error> {
        let Some(ticket) = login::ticket(state, headers).await? else {
            state
                .rate()
                .check(caller, state.settings().rate_limit, state.now())?;
            return Err(nobody(
                "send a token as `Authorization: Bearer TOKEN`, or sign in",
            ));
        };
        let Some(token) = state.tokens().good(ticket.token).await? else {
            return Err(nobody(
                "the session's token has expired or was revoked; sign in again",
            ));
        };
        let text = format!("{}/{:016x}", ticket.token, ticket.number);
        let csrf = state.signer().await?.sign(CSRF, &text);
        Self::of(state, token, csrf, true)
    }

    fn of(state: &AppState, token: Token, csrf: String, ambient: bool) -> Result<Self, Error> {
        let limit = state.settings().rate_limit;
        state.rate().check(Caller::Token(token.id), limit, state.now())?;
        Ok(Self {
            who: token.name,
            role: token.role,
            request_id: String::new(),
            token: Some(token.id),
            csrf,
            ambient,
        })
    }

    /// Whether what let them in is still good: a stream asks from time to time.
    pub(crate) async fn is_still_good(&self, state: &AppState) -> bool {
        match self.token {
            // A store that is away says nothing against them.
            Some(id) => state
                .tokens()
                .good(id)
                .await
                .map_or(true, |token| token.is_some()),
            None => true,
        }
    }
}

fn nobody(why: &str) -> Error {
    Error::new(ErrorCode::Unauthenticated, why)
}

/// The token of the header `Authorization`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

impl FromRequestParts<AppState> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Error> {
        let session = Self::identify(parts, state).await?;
        let shown = parts
            .headers
            .get(CSRF_HEADER)
            .and_then(|token| token.to_str().ok());
        let is_shown = shown.is_some_and(|token| session.has_csrf(token));
        if session.ambient && changes_something(&parts.method) && !is_shown {
            return Err(Error::new(
                ErrorCode::CrossSite,
                "send the session's token in the header x-csrf-token",
            ));
        }
        Ok(session)
    }
}

pub(crate) fn changes_something(method: &Method) -> bool {
    !method.is_safe()
}
