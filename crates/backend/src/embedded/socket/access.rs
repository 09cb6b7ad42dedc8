//! What the gateway needs, over the socket.

use longshore_core::Timestamp;
use longshore_core::access::{AuditEntry, AuditNote, Token, TokenId};
use longshore_core::port::access::AccessPort;
use longshore_core::port::{self, Reply};
use serde::{Deserialize, Serialize};

use super::client::Remote;
use crate::embedded::core::Core;

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    PutToken(Token),
    Token(TokenId),
    Tokens,
    RevokeToken(TokenId),
    GatewayKey([u8; 32]),
    AppendAudit(AuditNote),
    AuditLog(Option<u64>, usize),
    ReplaceGatewayKey([u8; 32]),
    EndSession(u64, Timestamp),
    HasSessionEnded(u64),
}

/// What the owner answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done,
    Known(bool),
    Token(Option<Token>),
    Tokens(Vec<Token>),
    Key([u8; 32]),
    Lines(Vec<AuditEntry>),
}

/// The owner's side.
pub(super) async fn answer(core: &Core, request: Request) -> Result<Answer, port::Error> {
    Ok(match request {
        Request::PutToken(token) => Answer::Known(core.put_token(token).await?),
        Request::Token(id) => Answer::Token(core.token(id).await?),
        Request::Tokens => Answer::Tokens(core.tokens().await?),
        Request::RevokeToken(id) => Answer::Known(core.revoke_token(id).await?),
        Request::GatewayKey(offered) => Answer::Key(core.gateway_key(offered).await?),
        Request::AppendAudit(note) => core.append_audit(note).await.map(|()| Answer::Done)?,
        Request::ReplaceGatewayKey(key) => core.replace_gateway_key(key).await.map(|()| Answer::Done)?,
        Request::EndSession(session, until) => {
            core.end_session(session, until).await.map(|()| Answer::Done)?
        }
        Request::HasSessionEnded(session) => Answer::Known(core.has_session_ended(session).await?),
        Request::AuditLog(before, limit) => Answer::Lines(core.audit_log(before, limit).await?),
    })
}

/// Asks, and takes the one kind of answer that fits.
macro_rules! ask {
    ($remote:expr, $request:expr, $answer:pat => $value:expr) => {
        Box::pin(async move {
            match $remote.call(super::Request::Access($request)).await? {
                super::Answer::Access($answer) => Ok($value),
                _ => Err(super::remote::strange()),
            }
        })
    };
}

impl AccessPort for Remote {
    fn put_token(&self, token: Token) -> Reply<'_, bool> {
        ask!(self, Request::PutToken(token), Answer::Known(known) => known)
    }

    fn token(&self, id: TokenId) -> Reply<'_, Option<Token>> {
        ask!(self, Request::Token(id), Answer::Token(token) => token)
    }

    fn tokens(&self) -> Reply<'_, Vec<Token>> {
        ask!(self, Request::Tokens, Answer::Tokens(tokens) => tokens)
    }

    fn revoke_token(&self, id: TokenId) -> Reply<'_, bool> {
        ask!(self, Request::RevokeToken(id), Answer::Known(known) => known)
    }

    fn gateway_key(&self, offered: [u8; 32]) -> Reply<'_, [u8; 32]> {
        ask!(self, Request::GatewayKey(offered), Answer::Key(key) => key)
    }

    fn replace_gateway_key(&self, key: [u8; 32]) -> Reply<'_, ()> {
        ask!(self, Request::ReplaceGatewayKey(key), Answer::Done => ())
    }

    fn end_session(&self, session: u64, until: Timestamp) -> Reply<'_, ()> {
        ask!(self, Request::EndSession(session, until), Answer::Done => ())
    }

    fn has_session_ended(&self, session: u64) -> Reply<'_, bool> {
        ask!(self, Request::HasSessionEnded(session), Answer::Known(known) => known)
    }

    fn append_audit(&self, note: AuditNote) -> Reply<'_, ()> {
        ask!(self, Request::AppendAudit(note), Answer::Done => ())
    }

    fn audit_log(&self, before: Option<u64>, limit: usize) -> Reply<'_, Vec<AuditEntry>> {
        ask!(self, Request::AuditLog(before, limit), Answer::Lines(lines) => lines)
    }
}
