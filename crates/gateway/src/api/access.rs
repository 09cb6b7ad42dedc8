//! Tokens, the audit log, and who asks.

use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use longshore_core::access::{Role, TokenId};
use longshore_core::limits::AUDIT_PAGE_MAX;
use serde::Serialize;
use utoipa::ToSchema;

use super::list::Fields;
use crate::acts;
use crate::auth::Session;
use crate::auth::tokens::TokenError;
use crate::dto::access::{AuditLine, TokenMade, TokenRequest, TokenView, WhoAmI};
use crate::error::{Error, ErrorCode};
use crate::extract::{Json, Path};
use crate::state::AppState;

/// Lines of the audit log unless said otherwise.
const AUDIT_DEFAULT: usize = 100;

/// Who asks, and what they may do.
#[utoipa::path(
    get, path = "/session", tag = "access",
    responses((status = 200, description = "Who asks", body = WhoAmI))
)]
pub(super) async fn session(session: Session) -> Answer<WhoAmI> {
    Answer(WhoAmI {
        who: session.who,
        role: session.role.into(),
    })
}

/// Every token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenList {
    /// The oldest first.
    tokens: Vec<TokenView>,
}

/// Lists tokens, for admins.
#[utoipa::path(
    get, path = "/tokens", tag = "access",
    responses((status = 200, description = "The tokens, without their secrets", body = TokenList))
)]
pub(super) async fn tokens(
    State(state): State<AppState>,
    session: Session,
) -> Result<Answer<TokenList>, Error> {
    session.require(Role::Admin)?;
    let tokens = state.tokens().list().await?;
    let tokens = tokens.iter().map(TokenView::of).collect();
    Ok(Answer(TokenList { tokens }))
}

/// Makes a token, for admins. Its secret is told this once.
#[utoipa::path(
    post, path = "/tokens", tag = "access", request_body = TokenRequest,
    responses((status = 201, description = "The token with its secret", body = TokenMade))
)]
pub(super) async fn create_token(
    State(state): State<AppState>,
    session: Session,
    Json(request): Json<TokenRequest>,
) -> Result<Response, Error> {
    session.require(Role::Admin)?;
    let lifetime = request.expires_in_ms.map(Duration::from_millis);
    let made = state
        .tokens()
        .create(&request.name, request.role.into(), lifetime, &session.who)
        .await?;
    let detail = format!("{} for {}", made.token.role, made.token.name);
    acts::note(
        &state,
        &session,
        "token.create",
        &made.token.id.to_string(),
        &detail,
    )
    .await;
    let made = TokenMade {
        token: TokenView::of(&made.token),
        secret: made.text.expose().to_owned(),
    };
    Ok((StatusCode::CREATED, Answer(made)).into_response())
}

/// Revokes a token, for admins.
#[utoipa::path(
    delete, path = "/tokens/{id}", tag = "access",
    params(("id" = String, Path, description = "The token")),
    responses((status = 204, description = "It is good no more"))
)]
pub(super) async fn revoke_token(
    State(state): State<AppState>,
    session: Session,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
    session.require(Role::Admin)?;
    let id: TokenId = id
        .parse()
        .map_err(|error: longshore_core::access::InvalidTokenId| {
            Error::new(ErrorCode::BadRequest, error.to_string())
        })?;
    if !state.tokens().revoke(id).await? {
        return Err(Error::not_found(format!("no token has the id {id}")));
    }
    acts::note(&state, &session, "token.revoke", &id.to_string(), "").await;
    Ok(StatusCode::NO_CONTENT)
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid { .. } => Self::invalid(vec![error.to_string()]),
            TokenError::Full => Self::conflict(error),
            TokenError::Store(error) => error.into(),
        }
    }
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditPage {
    /// The newest first.
    lines: Vec<AuditLine>,
    /// Send it as `before` for the next page; nothing at the end.
    next: Option<u64>,
}

/// Who cancelled, requeued, discarded, paused …, for operators.
#[utoipa::path(
    get, path = "/audit", tag = "access",
    params(
        ("before" = Option<u64>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Most lines, 100 unless set", minimum = 1, maximum = 500),
    ),
    responses((status = 200, description = "A page", body = AuditPage))
)]
pub(super) async fn audit(
    State(state): State<AppState>,
    session: Session,
    mut fields: Fields,
) -> Result<Answer<AuditPage>, Error> {
    session.require(Role::Operator)?;
    let before = fields.read("before", "whole number")?;
    let limit = fields.read("limit", "whole number")?.unwrap_or(AUDIT_DEFAULT);
    fields.end()?;
    if !(1..=AUDIT_PAGE_MAX).contains(&limit) {
        let problem = format!("limit: {limit} is out of range; use 1 to {AUDIT_PAGE_MAX}");
        return Err(Error::new(ErrorCode::BadRequest, problem));
    }
    let lines = state.ports().access.audit_log(before, limit).await?;
    let next = lines.last().filter(|_| lines.len() == limit).map(|line| line.seq);
    Ok(Answer(AuditPage {
        lines: lines.iter().map(AuditLine::of).collect(),
        next,
    }))
}
