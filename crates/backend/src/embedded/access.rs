//! The gateway's tokens, its key and its audit log. They live on the disk alone: nobody asks for them often.

use longshore_core::Timestamp;
use longshore_core::access::{AuditEntry, AuditNote, Token, TokenId};
use longshore_core::limits::{AUDIT_ENTRIES_MAX, AUDIT_PAGE_MAX, TOKENS_MAX};
use longshore_core::port::access::{AUDIT_REPEAT_LINES, AccessPort};
use longshore_core::port::{self, Reply};
use serde::de::DeserializeOwned;

use super::core::Core;
use super::disk::{Disk, corrupt, refused};
use super::load::{AUDIT, AUDIT_NEXT, GATEWAY_KEY, SESSION_ENDED, TOKEN};
use super::state::Tx;
use super::stored;

impl AccessPort for Core {
    fn put_token(&self, token: Token) -> Reply<'_, bool> {
        Box::pin(async move { self.write(move |_, tx| put(tx, &token)).await? })
    }

    fn token(&self, id: TokenId) -> Reply<'_, Option<Token>> {
        let found = self.disk().and_then(|disk| value(&disk, &token_key(id), "token"));
        Box::pin(std::future::ready(found))
    }

    fn tokens(&self) -> Reply<'_, Vec<Token>> {
        let found = self.disk().and_then(|disk| tokens(&disk));
        Box::pin(std::future::ready(found))
    }

    fn revoke_token(&self, id: TokenId) -> Reply<'_, bool> {
        Box::pin(async move {
            self.write(move |_, tx| {
                let key = token_key(id);
                let was_there = raw(tx.disk, &key)?.is_some();
                tx.batch.forget_meta(&key);
                Ok(was_there)
            })
            .await?
        })
    }

    fn gateway_key(&self, offered: [u8; 32]) -> Reply<'_, [u8; 32]> {
        Box::pin(async move {
            self.write(move |_, tx| {
                if let Some(known) = raw(tx.disk, GATEWAY_KEY)? {
                    return known.try_into().map_err(|_| corrupt("the gateway's key"));
                }
                tx.batch.meta(GATEWAY_KEY, &offered);
                Ok(offered)
            })
            .await?
        })
    }

    fn replace_gateway_key(&self, key: [u8; 32]) -> Reply<'_, ()> {
        Box::pin(async move { self.write(move |_, tx| tx.batch.meta(GATEWAY_KEY, &key)).await })
    }

    fn end_session(&self, session: u64, until: Timestamp) -> Reply<'_, ()> {
        Box::pin(async move { self.write(move |_, tx| end_session(tx, session, until)).await? })
    }

    fn has_session_ended(&self, session: u64) -> Reply<'_, bool> {
        let found = self.disk().and_then(|disk| raw(&disk, &session_key(session)));
        Box::pin(std::future::ready(found.map(|row| row.is_some())))
    }

    fn append_audit(&self, note: AuditNote) -> Reply<'_, ()> {
        Box::pin(async move { self.write(move |_, tx| append(tx, note)).await? })
    }

    fn audit_log(&self, before: Option<u64>, limit: usize) -> Reply<'_, Vec<AuditEntry>> {
        let found = self.disk().and_then(|disk| {
            let next = next_seq(&disk)?;
            let last = before.map_or(next, |before| before.min(next));
            let lines = lines_before(&disk, last).take(limit.min(AUDIT_PAGE_MAX));
            lines.collect()
        });
        Box::pin(std::future::ready(found))
    }
}

fn token_key(id: TokenId) -> String {
    format!("{TOKEN}{id}")
}

fn put(tx: &mut Tx<'_>, token: &Token) -> Result<bool, port::Error> {
    let known = tokens(tx.disk)?;
    let is_known = known.iter().any(|known| known.id == token.id);
    if !is_known && known.len() >= TOKENS_MAX {
        return Ok(false);
    }
    tx.batch.meta_of(&token_key(token.id), "token", token);
    Ok(true)
}

fn tokens(disk: &Disk) -> Result<Vec<Token>, port::Error> {
    let rows = disk.meta_under(TOKEN)?;
    let found = rows.iter().map(|(_, bytes)| decode("token", bytes));
    let mut tokens = found.collect::<Result<Vec<Token>, _>>()?;
    tokens.sort_unstable_by_key(|token| (token.created_at, token.id));
    Ok(tokens)
}

fn session_key(session: u64) -> String {
    format!("{SESSION_ENDED}{session:016x}")
}

/// Forgets the sessions whose own end has come on the way: as many rows are kept as sessions were left early.
fn end_session(tx: &mut Tx<'_>, session: u64, until: Timestamp) -> Result<(), port::Error> {
    for (key, bytes) in tx.disk.meta_under(SESSION_ENDED)? {
        let bytes = bytes.try_into().map_err(|_| corrupt("the end of a session"))?;
        if Timestamp(u64::from_be_bytes(bytes)) <= tx.now {
            tx.batch.forget_meta(&key);
        }
    }
    if until > tx.now {
        tx.batch
            .meta(&session_key(session), &until.millis().to_be_bytes());
    }
    Ok(())
}

/// The log is a ring of rows: a new line takes the place of the oldest.
fn audit_key(seq: u64) -> String {
    format!("{AUDIT}{:05}", seq % AUDIT_ENTRIES_MAX as u64)
}

fn append(tx: &mut Tx<'_>, note: AuditNote) -> Result<(), port::Error> {
    let seq = next_seq(tx.disk)?;
    let last = usize::try_from(AUDIT_REPEAT_LINES).unwrap_or(usize::MAX);
    for line in lines_before(tx.disk, seq).take(last) {
        if line?.note.id == note.id {
            return Ok(());
        }
    }
    let at = tx.now;
    tx.batch.meta_of(
        &audit_key(seq),
        "line of the audit log",
        &AuditEntry { seq, at, note },
    );
    tx.batch.meta(AUDIT_NEXT, &(seq + 1).to_be_bytes());
    Ok(())
}

/// The lines below a number, the newest first, as far as they are kept.
fn lines_before(disk: &Disk, end: u64) -> impl Iterator<Item = Result<AuditEntry, port::Error>> + '_ {
    let is_kept = move |line: &Result<Option<AuditEntry>, _>, seq| match line {
        Ok(line) => line.as_ref().is_some_and(|line| line.seq == seq),
        Err(_) => true,
    };
    (0..end)
        .rev()
        .map(move |seq| {
            (
                seq,
                value::<AuditEntry>(disk, &audit_key(seq), "line of the audit log"),
            )
        })
        .take_while(move |(seq, line)| is_kept(line, *seq))
        .filter_map(|(_, line)| line.transpose())
}

fn next_seq(disk: &Disk) -> Result<u64, port::Error> {
    match raw(disk, AUDIT_NEXT)? {
        Some(bytes) => {
            let bytes = bytes.try_into().map_err(|_| corrupt("the audit log's length"))?;
            Ok(u64::from_be_bytes(bytes))
        }
        None => Ok(0),
    }
}

fn raw(disk: &Disk, key: &str) -> Result<Option<Vec<u8>>, port::Error> {
    let found = disk.meta.get(key).map_err(|error| refused(&error))?;
    Ok(found.map(|bytes| bytes.to_vec()))
}

fn value<T: DeserializeOwned>(disk: &Disk, key: &str, what: &'static str) -> Result<Option<T>, port::Error> {
    raw(disk, key)?.map(|bytes| decode(what, &bytes)).transpose()
}

fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, port::Error> {
    stored::decode(what, bytes).map_err(|error| port::Error::Corrupt(error.to_string()))
}
