//! Who asks: an extractor that pages and the API share.

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};
use longshore_core::Timestamp;
use longshore_core::access::{Role, Token, TokenId};

use super::cookie::{Holder, Ticket};
use super::rate::Caller;
use super::signer::Signer;
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
    /// What let them in; `None` where nothing is needed.
    pass: Option<Pass>,
    /// Whom requests and streams are counted for.
    caller: Caller,
    /// Goes into forms and the header `x-csrf-token`.
    csrf: String,
    /// Whether a browser sends what lets them in by itself, whichever site asks it to.
    ambient: bool,
}

/// What lets somebody in.
#[derive(Clone, Debug)]
enum Pass {
    /// A token in a header.
    Token(TokenId, Option<Timestamp>),
    /// The cookie of a session, and the key that it was signed with.
    Cookie(Ticket, Signer),
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
            Access::Open => Self::open(state, Caller::of(state, &parts.extensions, &parts.headers)).await?,
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
    async fn open(state: &AppState, caller: Caller) -> Result<Self, Error> {
        Ok(Self {
            who: "dev".to_owned(),
            role: Role::Admin,
            request_id: String::new(),
            pass: None,
            caller,
            csrf: state.signer().await?.sign(CSRF, "dev"),
            ambient: false,
        })
    }

    async fn by_token(state: &AppState, caller: Caller, text: &str) -> Result<Self, Error> {
        // Looked up before failures are counted: whoever guesses at an address keeps nobody else at it out.
        let Some(token) = state.tokens().recognise(text).await? else {
            state.rate().fail(caller, state.now())?;
            return Err(nobody("the token is wrong, expired or revoked"));
        };
        let csrf = state.signer().await?.sign(CSRF, &token.id.to_string());
        let pass = Pass::Token(token.id, token.expires_at);
        let Token { id, name, role, .. } = token;
        Self::of(state, name, role, Caller::Token(id), csrf, pass)
    }

    async fn by_cookie(state: &AppState, caller: Caller, headers: &HeaderMap) -> Result<Self, Error> {
        let Some(ticket) = Ticket::of(state, headers).await? else {
            state
                .rate()
                .check(caller, state.settings().rate_limit, state.now())?;
            return Err(nobody(
                "send a token as `Authorization: Bearer TOKEN`, or sign in",
            ));
        };
        if state.ports().access.has_session_ended(ticket.number).await? {
            return Err(nobody("you have signed out of the session; sign in again"));
        }
        let (name, role, caller) = match &ticket.holder {
            Holder::Token(id) => {
                let token =
                    state.tokens().good(*id).await?.ok_or_else(|| {
                        nobody("the session's token has expired or was revoked; sign in again")
                    })?;
                (token.name, token.role, Caller::Token(token.id))
            }
            Holder::Person { name, role } => (name.clone(), *role, Caller::Session(ticket.number)),
        };
        let signer = state.signer().await?;
        let csrf = signer.sign(CSRF, &format!("{:016x}", ticket.number));
        Self::of(state, name, role, caller, csrf, Pass::Cookie(ticket, signer))
    }

    fn of(
        state: &AppState,
        who: String,
        role: Role,
        caller: Caller,
        csrf: String,
        pass: Pass,
    ) -> Result<Self, Error> {
        let limit = state.settings().rate_limit;
        state.rate().check(caller, limit, state.now())?;
        Ok(Self {
            who,
            role,
            request_id: String::new(),
            ambient: matches!(pass, Pass::Cookie(..)),
            pass: Some(pass),
            caller,
            csrf,
        })
    }

    /// Whom streams are counted for.
    pub(crate) const fn caller(&self) -> Caller {
        self.caller
    }

    /// Ends the session before its time; one that a header carries ends with its token alone.
    pub(super) async fn end(&self, state: &AppState) -> Result<(), Error> {
        if let Some(Pass::Cookie(ticket, _)) = &self.pass {
            let access = &state.ports().access;
            access.end_session(ticket.number, ticket.expires_at).await?;
        }
        Ok(())
    }

    /// Whether what let them in is still good: a stream asks from time to time.
    pub(crate) async fn is_still_good(&self, state: &AppState) -> bool {
        let now = state.now();
        match &self.pass {
            None => true,
            Some(Pass::Token(_, Some(end))) if *end <= now => false,
            Some(Pass::Token(id, _)) => is_good(state, *id).await,
            Some(Pass::Cookie(ticket, signer)) => {
                let ended = state.ports().access.has_session_ended(ticket.number).await;
                let token = match ticket.holder {
                    Holder::Token(id) => is_good(state, id).await,
                    Holder::Person { .. } => true,
                };
                ticket.expires_at > now && !ended.unwrap_or(false) && token && state.signs_with(signer).await
            }
        }
    }
}

/// A store that is away says nothing against a token.
async fn is_good(state: &AppState, id: TokenId) -> bool {
    let token = state.tokens().good(id).await;
    token.map_or(true, |token| token.is_some())
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
