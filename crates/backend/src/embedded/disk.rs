//! The folder's log-structured store: what is kept under which key.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | records | id | record or tombstone |
//! | payloads | id, kind | envelope, result, error, progress |
//! | payloads | id, `p`, parent | how the parent ended |
//! | payloads | id, `l`, number | line of its log |
//! | links | parent, child | the edge's policy |
//! | archive | number | dead letter |
//! | meta | name | shards, epochs, pauses, cron entries, removals, quarantine, operations, statistics, notices, mailbox, tokens, audit log |

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use longshore_core::id::JobId;
use longshore_core::port;

use super::folder::Ownership;
use super::stored::Unreadable;

/// The parts of a job that are not in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    Envelope = b'e',
    Result = b'r',
    Error = b'x',
    Progress = b'g',
}

/// Marks the outcomes of parents among the parts of a job.
const PARENT: u8 = b'p';

/// Marks the lines of a job's log among its parts.
const LINE: u8 = b'l';

/// A line of a job's log, as stored.
pub(super) struct LogRow {
    pub(super) number: u64,
    pub(super) line: Vec<u8>,
}

/// Blocks of the log that are kept in memory; every record is there anyway, so only parts are ever read.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// Writes of a busy keyspace that wait in memory before they go to a sorted file. The log has them already; larger ones
/// make fewer files, and every byte of them is resident.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;
/// The same of a keyspace with little in it.
const MEMTABLE_SMALL_BYTES: u64 = 1024 * 1024;

/// The open store, and the lock on its folder.
pub(super) struct Disk {
    db: Database,
    pub(super) records: Keyspace,
    pub(super) payloads: Keyspace,
    pub(super) links: Keyspace,
    pub(super) archive: Keyspace,
    pub(super) meta: Keyspace,
    // Dropped last: the folder is free only once the store is shut.
    _ownership: Arc<Ownership>,
}

/// One atomic batch.
pub(super) struct Batch<'a> {
    disk: &'a Disk,
    writes: fjall::OwnedWriteBatch,
    /// The first thing that went wrong while the batch was made: it is not written then.
    failed: Option<port::Error>,
}

impl Disk {
    pub(super) fn open(folder: &Path, ownership: Arc<Ownership>) -> fjall::Result<Self> {
        let db = Database::builder(folder.join("store"))
            .worker_threads(2)
            .cache_size(CACHE_BYTES)
            .open()?;
        let keyspace = |name, memtable| {
            let options = || KeyspaceCreateOptions::default().max_memtable_size(memtable);
            db.keyspace(name, options)
        };
        Ok(Self {
            records: keyspace("records", MEMTABLE_BYTES)?,
            payloads: keyspace("payloads", MEMTABLE_BYTES)?,
            links: keyspace("links", MEMTABLE_SMALL_BYTES)?,
            archive: keyspace("archive", MEMTABLE_SMALL_BYTES)?,
            meta: keyspace("meta", MEMTABLE_SMALL_BYTES)?,
            _ownership: ownership,
            db,
        })
    }

    pub(super) fn batch(&self) -> Batch<'_> {
        Batch {
            disk: self,
            writes: self.db.batch(),
            failed: None,
        }
    }

    /// Waits until everything written so far is on the disk itself.
    pub(super) fn sync(&self) -> Result<(), port::Error> {
        self.db
            .persist(PersistMode::SyncData)
            .map_err(|error| refused(&error))
    }

    /// As [`Disk::sync`], file sizes and all.
    pub(super) fn sync_all(&self) -> Result<(), port::Error> {
        self.db
            .persist(PersistMode::SyncAll)
            .map_err(|error| refused(&error))
    }

    pub(super) fn part(&self, id: JobId, part: Part) -> Result<Option<Bytes>, port::Error> {
        let value = self
            .payloads
            .get(part_key(id, part))
            .map_err(|error| refused(&error))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// Whether a part is there; `false` when that cannot be told.
    pub(super) fn has_part(&self, id: JobId, part: Part) -> bool {
        self.payloads.contains_key(part_key(id, part)).unwrap_or(false)
    }

    /// How the parents of a job ended, as stored.
    pub(super) fn parents(&self, child: JobId) -> Result<Vec<(JobId, Vec<u8>)>, port::Error> {
        let mut prefix = child.as_bytes().to_vec();
        prefix.push(PARENT);
        let mut found = Vec::new();
        for row in self.payloads.prefix(&prefix) {
            let (key, value) = row.into_inner().map_err(|error| refused(&error))?;
            let parent = id_at(&key, prefix.len()).ok_or_else(|| corrupt("the key of a parent"))?;
            found.push((parent, value.to_vec()));
        }
        Ok(found)
    }

    /// The lines of a job's log after a number.
    pub(super) fn log(&self, id: JobId, after: u64) -> Result<Vec<LogRow>, port::Error> {
        let first = line_key(id, after.saturating_add(1));
        let mut found = Vec::new();
        for row in self.payloads.range(first..=line_key(id, u64::MAX)) {
            let (key, line) = row.into_inner().map_err(|error| refused(&error))?;
            let number = line_number(&key).ok_or_else(|| corrupt("the key of a line of a log"))?;
            let line = line.to_vec();
            found.push(LogRow { number, line });
        }
        Ok(found)
    }

    /// The number of the last line of a job's log, 0 without one. A log that cannot be read begins anew.
    pub(super) fn last_line(&self, id: JobId) -> u64 {
        let mut rows = self.payloads.range(line_key(id, 0)..=line_key(id, u64::MAX));
        let key = rows.next_back().and_then(|row| row.key().ok());
        key.and_then(|key| line_number(&key)).unwrap_or(0)
    }

    /// Entries of `meta` whose key starts with `prefix`, without it.
    pub(super) fn meta_under(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, port::Error> {
        let mut found = Vec::new();
        for row in self.meta.prefix(prefix) {
            let (key, value) = row.into_inner().map_err(|error| refused(&error))?;
            let name = key.get(prefix.len()..).unwrap_or_default();
            found.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
        }
        Ok(found)
    }

    /// Deletes the records and payloads of all jobs.
    pub(super) fn clear_jobs(&self) -> Result<(), port::Error> {
        for keyspace in [&self.records, &self.payloads, &self.links] {
            keyspace.clear().map_err(|error| refused(&error))?;
        }
        Ok(())
    }
}

impl Batch<'_> {
    pub(super) fn slot(&mut self, id: JobId, slot: &longshore_core::record::Slot) {
        match super::stored::encode_slot(slot) {
            Ok(Some(bytes)) => self.writes.insert(&self.disk.records, id.as_bytes(), bytes),
            Ok(None) => self.writes.remove(&self.disk.records, id.as_bytes()),
            Err(error) => self.fail(&error),
        }
    }

    pub(super) fn part(&mut self, id: JobId, part: Part, bytes: &[u8]) {
        self.writes.insert(&self.disk.payloads, part_key(id, part), bytes);
    }

    pub(super) fn part_of<T: serde::Serialize>(
        &mut self,
        id: JobId,
        part: Part,
        what: &'static str,
        value: &T,
    ) {
        match super::stored::encode(what, value) {
            Ok(bytes) => self.part(id, part, &bytes),
            Err(error) => self.fail(&error),
        }
    }

    pub(super) fn parent(&mut self, child: JobId, parent: JobId, outcome: &super::stored::StoredOutcome) {
        let mut key = child.as_bytes().to_vec();
        key.push(PARENT);
        key.extend_from_slice(parent.as_bytes());
        match super::stored::encode("outcome of a parent", outcome) {
            Ok(bytes) => self.writes.insert(&self.disk.payloads, key, bytes),
            Err(error) => self.fail(&error),
        }
    }

    pub(super) fn log_line(&mut self, id: JobId, line: &longshore_core::log::LogLine) {
        match super::stored::encode("line of a log", line) {
            Ok(bytes) => self
                .writes
                .insert(&self.disk.payloads, line_key(id, line.number), bytes),
            Err(error) => self.fail(&error),
        }
    }

    pub(super) fn forget_line(&mut self, id: JobId, number: u64) {
        self.writes.remove(&self.disk.payloads, line_key(id, number));
    }

    pub(super) fn forget_part(&mut self, id: JobId, part: Part) {
        self.writes.remove(&self.disk.payloads, part_key(id, part));
    }

    /// Deletes every part of a job.
    pub(super) fn forget_parts(&mut self, id: JobId) {
        for row in self.disk.payloads.prefix(id.as_bytes()) {
            match row.key() {
                Ok(key) => self.writes.remove(&self.disk.payloads, key),
                Err(error) => self.failed = Some(refused(&error)),
            }
        }
    }

    /// Makes the commit fail.
    pub(super) fn spoil(&mut self) {
        self.failed = Some(port::Error::Refused {
            server: SERVER,
            reason: "a test has spoilt this write".to_owned(),
        });
    }

    fn fail(&mut self, error: &Unreadable) {
        self.failed = Some(port::Error::Corrupt(error.to_string()));
    }

    pub(super) fn link(&mut self, parent: JobId, child: JobId, policy: u8) {
        self.writes
            .insert(&self.disk.links, link_key(parent, child), [policy]);
    }

    pub(super) fn unlink(&mut self, parent: JobId, child: JobId) {
        self.writes.remove(&self.disk.links, link_key(parent, child));
    }

    pub(super) fn letter(&mut self, number: u64, letter: &super::stored::StoredLetter) {
        match super::stored::encode("dead letter", letter) {
            Ok(bytes) => self
                .writes
                .insert(&self.disk.archive, number.to_be_bytes(), bytes),
            Err(error) => self.fail(&error),
        }
    }

    pub(super) fn forget_letter(&mut self, number: u64) {
        self.writes.remove(&self.disk.archive, number.to_be_bytes());
    }

    pub(super) fn meta(&mut self, key: &str, value: &[u8]) {
        self.writes.insert(&self.disk.meta, key, value);
    }

    pub(super) fn meta_of<T: serde::Serialize>(&mut self, key: &str, what: &'static str, value: &T) {
        match super::stored::encode(what, value) {
            Ok(bytes) => self.meta(key, &bytes),
            Err(error) => self.fail(&error),
        }
    }

    pub(super) fn forget_meta(&mut self, key: &str) {
        self.writes.remove(&self.disk.meta, key);
    }

    /// Writes the batch; answers whether it held anything.
    pub(super) fn commit(self) -> Result<bool, port::Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.writes.is_empty() {
            return Ok(false);
        }
        self.writes.commit().map_err(|error| refused(&error))?;
        Ok(true)
    }
}

fn part_key(id: JobId, part: Part) -> [u8; 17] {
    let mut key = [0; 17];
    let (head, tail) = key.split_at_mut(16);
    head.copy_from_slice(id.as_bytes());
    tail.fill(part as u8);
    key
}

fn line_key(id: JobId, number: u64) -> Vec<u8> {
    let mut key = id.as_bytes().to_vec();
    key.push(LINE);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn line_number(key: &[u8]) -> Option<u64> {
    let bytes = key.get(17..)?.first_chunk::<8>()?;
    Some(u64::from_be_bytes(*bytes))
}

fn link_key(parent: JobId, child: JobId) -> Vec<u8> {
    [parent.as_bytes().as_slice(), child.as_bytes().as_slice()].concat()
}

/// The id that starts at `at` in a key.
pub(super) fn id_at(key: &[u8], at: usize) -> Option<JobId> {
    let bytes = key.get(at..at.checked_add(16)?)?;
    uuid::Uuid::from_slice(bytes).ok().map(JobId::from_uuid)
}

pub(super) const SERVER: &str = "embedded store";

pub(super) fn refused(error: &fjall::Error) -> port::Error {
    port::Error::Refused {
        server: SERVER,
        reason: error.to_string(),
    }
}

pub(super) fn corrupt(what: &str) -> port::Error {
    port::Error::Corrupt(format!("{what} cannot be read"))
}
