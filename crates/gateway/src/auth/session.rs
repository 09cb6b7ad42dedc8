//! Who asks: an extractor that pages and the API share.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderName, Method};
use longshore_core::access::Role;

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

    /// Who asks, by what the request shows. Says nothing about where it came from: [`Session`] as an extractor and
    /// [`super::Posted`] do.
    pub(crate) async fn identify(parts: &Parts, state: &AppState) -> Result<Self, Error> {
        match state.settings().access {
            Access::Open => Ok(Self::open(state)),
            Access::Tokens => Self::by_token(parts),
        }
    }

    /// Whoever sits at this machine.
    fn open(state: &AppState) -> Self {
        Self {
            who: "dev".to_owned(),
            role: Role::Admin,
            csrf: state.signer().sign(CSRF, "dev"),
            ambient: false,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "nobody gets in until tokens are kept")]
    fn by_token(_parts: &Parts) -> Result<Self, Error> {
        Err(Error::new(
            ErrorCode::Unauthenticated,
            "send a token as `Authorization: Bearer TOKEN`, or sign in",
        ))
    }
}

impl FromRequestParts<AppState> for Session {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Error> {
        let session = Self::identify(parts, state).await?;
        let shown = parts
            .headers
            .get(CSRF_HEADER)
            .and_then(|token| token.to_str().ok());
        if session.ambient && changes_something(&parts.method) && shown != Some(session.csrf()) {
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
