//! What can go wrong, as the caller is told and as the log is.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use longshore::cron::CronError;
use longshore::{ClientError, EnqueueError};
use longshore_core::port;
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong, for programs. The one match below gives each its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorCode {
    /// The request cannot be read.
    BadRequest,
    /// Nobody is signed in, or the token is wrong, expired or revoked.
    Unauthenticated,
    /// The role does not allow it, or the token is for another job.
    Forbidden,
    /// The request came from another site, or without the page's token.
    CrossSite,
    /// There is no such thing.
    NotFound,
    /// The thing cannot be asked for in this way.
    MethodNotAllowed,
    /// The request took too long to arrive, or to be done.
    TimedOut,
    /// The id or name is taken by something else, or it is not in a state for that.
    Conflict,
    /// It was changed meanwhile.
    PreconditionFailed,
    /// The body is too large.
    TooLarge,
    /// The body is of another type than is read here.
    UnsupportedMediaType,
    /// Fields are wrong: `problems` names each with the fix.
    Invalid,
    /// Too many requests; `Retry-After` says when to come back.
    RateLimited,
    /// The gateway is at fault.
    Internal,
    /// The store or the broker does not answer; ask again.
    Unavailable,
}

impl ErrorCode {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Whether an operator should see it: somebody tries what is not theirs.
    pub(crate) const fn is_suspicious(self) -> bool {
        matches!(
            self,
            Self::Unauthenticated | Self::Forbidden | Self::CrossSite | Self::TooLarge | Self::RateLimited
        )
    }

    /// The sentence that is the same for every error of this code.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request cannot be read",
            Self::Unauthenticated => "A valid token is needed",
            Self::Forbidden => "Not allowed",
            Self::CrossSite => "Refused, because the request comes from another site",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "The method is not allowed here",
            Self::TimedOut => "The request took too long",
            Self::Conflict => "In conflict with what is there",
            Self::PreconditionFailed => "It was changed meanwhile",
            Self::TooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The body is of the wrong type",
            Self::Invalid => "Fields are wrong",
            Self::RateLimited => "Too many requests",
            Self::Internal => "The gateway failed",
            Self::Unavailable => "The store or the broker does not answer",
        }
    }
}

/// Why a request was not done. What is internal is logged and never sent.
#[derive(Debug)]
pub(crate) struct Error {
    pub(crate) code: ErrorCode,
    /// What is wrong this time, and the fix; for the caller.
    pub(crate) detail: String,
    /// What is wrong with each field.
    pub(crate) problems: Vec<String>,
    /// For the log alone.
    pub(crate) internal: Option<String>,
    /// Seconds after which to ask again.
    pub(crate) retry_after: Option<u64>,
}

/// The error on its way out: `answer::present` finds it in the response and writes it as the caller wants it.
#[derive(Clone, Debug)]
pub(crate) struct Failed(pub(crate) Arc<Error>);

impl Error {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            problems: Vec::new(),
            internal: None,
            retry_after: None,
        }
    }

    /// Something of ours broke; the caller is told no more than that.
    pub(crate) fn internal(what: impl std::fmt::Display) -> Self {
        Self {
            internal: Some(what.to_string()),
            ..Self::new(
                ErrorCode::Internal,
                "the log has more under the id of this request",
            )
        }
    }

    pub(crate) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::NotFound, what.to_string())
    }

    pub(crate) fn forbidden(what: impl Into<String>) -> Self {
        Self::new(ErrorCode::Forbidden, what)
    }

    pub(crate) fn conflict(what: impl std::fmt::Display) -> Self {
        Self::new(ErrorCode::Conflict, what.to_string())
    }

    /// Fields that are wrong, each as `field: problem; fix`.
    pub(crate) fn invalid(problems: Vec<String>) -> Self {
        Self {
            detail: problems.join("; "),
            problems,
            ..Self::new(ErrorCode::Invalid, "")
        }
    }

    pub(crate) fn rate_limited(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds.max(1)),
            ..Self::new(
                ErrorCode::RateLimited,
                format!("ask again in {} s", seconds.max(1)),
            )
        }
    }

    fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        let chain: Vec<_> = longshore_core::classify::chain(error)
            .map(ToString::to_string)
            .collect();
        Self {
            internal: Some(chain.join(": ")),
            retry_after: Some(1),
            ..Self::new(ErrorCode::Unavailable, "nothing is lost; ask again")
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(Failed(Arc::new(self)));
        response
    }
}

impl From<port::Error> for Error {
    fn from(error: port::Error) -> Self {
        if error.is_retryable() {
            Self::unavailable(&error)
        } else {
            Self::internal(error)
        }
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotFound(_) => Self::not_found(error),
            ClientError::Invalid { .. } | ClientError::Name(_) => Self::invalid(vec![error.to_string()]),
            ClientError::Store(error) => error.into(),
            error if error.is_retryable() => Self::unavailable(&error),
            error => Self::internal(error),
        }
    }
}

impl From<EnqueueError> for Error {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::Invalid(invalid) => Self::invalid(invalid.problems),
            EnqueueError::Conflict { .. } => Self::conflict(error),
            EnqueueError::Incomplete { ref source, .. } if !error.is_retryable() => {
                Self::conflict(format!("{error}: {source}"))
            }
            error if error.is_retryable() => Self::unavailable(&error),
            EnqueueError::Store { .. } | EnqueueError::Lookup { .. } | EnqueueError::NoRuntime => {
                Self::internal(error)
            }
            error => Self::invalid(vec![error.to_string()]),
        }
    }
}

impl From<CronError> for Error {
    fn from(error: CronError) -> Self {
        match error {
            CronError::Invalid(invalid) => Self::invalid(invalid.problems),
            CronError::Name(_) => Self::invalid(vec![error.to_string()]),
            CronError::NotFound(_) => Self::not_found(error),
            CronError::Exists(_) => Self::conflict(error),
            CronError::Changed { .. } => Self::new(ErrorCode::PreconditionFailed, error.to_string()),
            CronError::Client(error) => error.into(),
            error => Self::internal(error),
        }
    }
}
