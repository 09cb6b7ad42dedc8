//! For the gateway: its tokens, its key, and the log of what was done through it.

use super::Reply;
use crate::access::{AuditEntry, AuditNote, Token, TokenId};
use crate::clock::Timestamp;

/// Keeps what the gateway's replicas share.
pub trait AccessPort: Send + Sync {
    /// Keeps a token, in the place of one with its id. Answers whether there was room: the store keeps
    /// [`crate::limits::TOKENS_MAX`] of them.
    fn put_token(&self, token: Token) -> Reply<'_, bool>;

    /// One token.
    fn token(&self, id: TokenId) -> Reply<'_, Option<Token>>;

    /// Every token, the oldest first.
    fn tokens(&self) -> Reply<'_, Vec<Token>>;

    /// Forgets a token. Answers whether it was there.
    fn revoke_token(&self, id: TokenId) -> Reply<'_, bool>;

    /// The key that every replica signs with: the first one that was offered.
    fn gateway_key(&self, offered: [u8; 32]) -> Reply<'_, [u8; 32]>;

    /// Puts another key in the place of the one that every replica signs with: what the old one signed is good no more.
    fn replace_gateway_key(&self, key: [u8; 32]) -> Reply<'_, ()>;

    /// Remembers until `until`, the session's own end, that a session has ended before.
    fn end_session(&self, session: u64, until: Timestamp) -> Reply<'_, ()>;

    /// Whether a session has ended before its time. Nothing is known of it after that.
    fn has_session_ended(&self, session: u64) -> Reply<'_, bool>;

    /// Writes a line of the audit log, its time set to the store's. Of [`crate::limits::AUDIT_ENTRIES_MAX`] lines the
    /// oldest makes room. A note whose id is among the last few lines is there already.
    fn append_audit(&self, note: AuditNote) -> Reply<'_, ()>;

    /// Lines of the audit log before `before`, the newest first; at most `limit`, and at most
    /// [`crate::limits::AUDIT_PAGE_MAX`].
    fn audit_log(&self, before: Option<u64>, limit: usize) -> Reply<'_, Vec<AuditEntry>>;
}

/// How many of the last lines a note is looked for in, before it is written: its writer asks again at once, or not at
/// all.
pub const AUDIT_REPEAT_LINES: u64 = 16;
