//! The gateway's tokens, its key and its audit log.

use longshore_core::Timestamp;
use longshore_core::access::{AuditEntry, AuditNote, Token, TokenId};
use longshore_core::limits::{AUDIT_ENTRIES_MAX, AUDIT_PAGE_MAX, TOKENS_MAX};
use longshore_core::port::access::{AUDIT_REPEAT_LINES, AccessPort};
use longshore_core::port::{Error, Reply};

use super::Store;
use super::call::Call;
use super::reply::{Reader, pack, unpack};
use super::script;

/// Tokens by id.
const TOKENS: &str = "longshore:tokens";
/// What the gateway signs with.
const KEY: &str = "longshore:gateway:key";
/// Begins the key that stands, until its own end would have come, for a session that has ended.
const ENDED: &str = "longshore:session:ended:";
/// The audit log.
const AUDIT: &str = "longshore:audit";

impl AccessPort for Store {
    fn put_token(&self, token: Token) -> Reply<'_, bool> {
        Box::pin(async move {
            let mut call = Call::with_keys(&script::PUT_TOKEN, &[TOKENS]);
            call.arg(token.id.to_string()).arg(pack(&token)).arg(TOKENS_MAX);
            Ok(Reader::of_one(self.strictly(&call).await?).number()? == 1)
        })
    }

    fn token(&self, id: TokenId) -> Reply<'_, Option<Token>> {
        Box::pin(async move {
            let mut get = redis::cmd("HGET");
            get.arg(TOKENS).arg(id.to_string());
            let found = Reader::of_one(self.0.link.command(&get).await?).bytes_or_none()?;
            found.map(|bytes| unpack("token", &bytes)).transpose()
        })
    }

    fn tokens(&self) -> Reply<'_, Vec<Token>> {
        Box::pin(async move {
            let mut values = redis::cmd("HVALS");
            values.arg(TOKENS);
            let mut answer = Reader::new(self.0.link.command(&values).await?)?;
            let mut tokens: Vec<Token> = Vec::new();
            while !answer.is_empty() {
                tokens.push(unpack("token", &answer.bytes()?)?);
            }
            tokens.sort_unstable_by_key(|token| (token.created_at, token.id));
            Ok(tokens)
        })
    }

    fn revoke_token(&self, id: TokenId) -> Reply<'_, bool> {
        Box::pin(async move {
            let mut delete = redis::cmd("HDEL");
            delete.arg(TOKENS).arg(id.to_string());
            Ok(Reader::of_one(self.0.link.command(&delete).await?).number()? > 0)
        })
    }

    fn gateway_key(&self, offered: [u8; 32]) -> Reply<'_, [u8; 32]> {
        Box::pin(async move {
            let mut set = redis::cmd("SET");
            set.arg(KEY).arg(offered.as_slice()).arg("NX");
            self.0.link.command(&set).await?;
            let mut get = redis::cmd("GET");
            get.arg(KEY);
            let kept = Reader::of_one(self.0.link.command(&get).await?).bytes()?;
            let key = <[u8; 32]>::try_from(&*kept);
            key.map_err(|_| Error::Corrupt("the gateway's key has another length".to_owned()))
        })
    }

    fn replace_gateway_key(&self, key: [u8; 32]) -> Reply<'_, ()> {
        Box::pin(async move {
            let mut set = redis::cmd("SET");
            set.arg(KEY).arg(key.as_slice());
            self.0.link.command(&set).await.map(drop)
        })
    }

    fn end_session(&self, session: u64, until: Timestamp) -> Reply<'_, ()> {
        Box::pin(async move {
            let mut set = redis::cmd("SET");
            set.arg(ended_key(session))
                .arg(1)
                .arg("PXAT")
                .arg(until.millis().max(1));
            self.0.link.command(&set).await.map(drop)
        })
    }

    fn has_session_ended(&self, session: u64) -> Reply<'_, bool> {
        Box::pin(async move {
            let mut exists = redis::cmd("EXISTS");
            exists.arg(ended_key(session));
            Ok(Reader::of_one(self.0.link.command(&exists).await?).number()? > 0)
        })
    }

    fn append_audit(&self, note: AuditNote) -> Reply<'_, ()> {
        Box::pin(async move {
            let mut call = Call::with_keys(&script::APPEND_AUDIT, &[AUDIT]);
            call.arg(format!("{:016x}", note.id))
                .arg(pack(&note))
                .arg(AUDIT_ENTRIES_MAX)
                .arg(AUDIT_REPEAT_LINES);
            self.strictly(&call).await.map(drop)
        })
    }

    fn audit_log(&self, before: Option<u64>, limit: usize) -> Reply<'_, Vec<AuditEntry>> {
        Box::pin(async move {
            let mut call = Call::with_keys(&script::AUDIT_LOG, &[AUDIT]);
            call.opt(before)
                .arg(limit.min(AUDIT_PAGE_MAX))
                .arg(AUDIT_ENTRIES_MAX);
            let mut answer = self.run(&call).await?;
            let mut lines = Vec::new();
            while !answer.is_empty() {
                lines.push(AuditEntry {
                    seq: answer.number()?,
                    at: answer.time()?,
                    note: unpack("line of the audit log", &answer.bytes()?)?,
                });
            }
            Ok(lines)
        })
    }
}

fn ended_key(session: u64) -> String {
    format!("{ENDED}{session:016x}")
}
