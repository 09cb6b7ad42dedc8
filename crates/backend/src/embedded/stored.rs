//! How things lie on the disk. Records are compact arrays behind a version byte; everything else is rarer and has
//! named fields.

use bytes::Bytes;
use longshore_core::Timestamp;
use longshore_core::id::JobId;
use longshore_core::message::{Epoch, Gen};
use longshore_core::name::QueueName;
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::attempt::Quarantined;
use longshore_core::port::enqueue::ParentOutcome;
use longshore_core::port::inspect::QuarantineEntry;
use longshore_core::port::schedule::DeadLetter;
use longshore_core::record::{Record, Slot, Tombstone};
use longshore_core::view::AttemptView;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Deepest nesting that is read: a job's own values and what is around them.
const DEPTH_MAX: usize = longshore_core::limits::DEPTH_MAX + 32;
/// First byte of a stored record of this layout.
const RECORD: u8 = 1;
/// First byte of a stored tombstone of this layout.
const TOMBSTONE: u8 = 2;

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub(super) struct Unreadable {
    pub(super) what: &'static str,
    pub(super) reason: String,
}

/// Everything that is written here can be encoded; should that ever fail, the write is refused as a whole.
pub(super) fn encode<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, Unreadable> {
    rmp_serde::to_vec_named(value).map_err(|error| Unreadable {
        what,
        reason: error.to_string(),
    })
}

pub(super) fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Unreadable> {
    let mut decoder = rmp_serde::Deserializer::new(bytes);
    decoder.set_max_depth(DEPTH_MAX);
    T::deserialize(&mut decoder).map_err(|error| Unreadable {
        what,
        reason: error.to_string(),
    })
}

pub(super) fn encode_slot(slot: &Slot) -> Result<Option<Vec<u8>>, Unreadable> {
    let mut bytes = Vec::with_capacity(256);
    let written = match slot {
        Slot::Missing => return Ok(None),
        Slot::Record(record) => {
            bytes.push(RECORD);
            rmp_serde::encode::write(&mut bytes, record.as_ref())
        }
        Slot::Tombstone(tombstone) => {
            bytes.push(TOMBSTONE);
            rmp_serde::encode::write(&mut bytes, tombstone)
        }
    };
    written.map_err(|error| Unreadable {
        what: "record",
        reason: error.to_string(),
    })?;
    Ok(Some(bytes))
}

pub(super) fn decode_slot(bytes: &[u8]) -> Result<Slot, Unreadable> {
    match bytes.split_first() {
        Some((&RECORD, rest)) => {
            decode::<Record>("record", rest).map(|record| Slot::Record(Box::new(record)))
        }
        Some((&TOMBSTONE, rest)) => decode::<Tombstone>("tombstone", rest).map(Slot::Tombstone),
        Some((version, _)) => Err(Unreadable {
            what: "record",
            reason: format!("layout {version} is newer than this build"),
        }),
        None => Err(Unreadable {
            what: "record",
            reason: "is empty".to_owned(),
        }),
    }
}

/// How a parent ended.
#[derive(Serialize, Deserialize)]
pub(super) enum StoredOutcome {
    Completed(Option<Bytes>),
    Failed,
    Cancelled,
    Gone,
}

impl From<&ParentOutcome> for StoredOutcome {
    fn from(outcome: &ParentOutcome) -> Self {
        match outcome {
            ParentOutcome::Completed { result } => Self::Completed(result.clone()),
            ParentOutcome::Failed => Self::Failed,
            ParentOutcome::Cancelled => Self::Cancelled,
            ParentOutcome::Gone => Self::Gone,
        }
    }
}

impl From<StoredOutcome> for ParentOutcome {
    fn from(outcome: StoredOutcome) -> Self {
        match outcome {
            StoredOutcome::Completed(result) => Self::Completed { result },
            StoredOutcome::Failed => Self::Failed,
            StoredOutcome::Cancelled => Self::Cancelled,
            StoredOutcome::Gone => Self::Gone,
        }
    }
}

/// A dead letter in the archive.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct StoredLetter(#[serde(with = "LetterFields")] pub(super) DeadLetter);

/// Its fields, under their names.
#[derive(Serialize, Deserialize)]
#[serde(remote = "DeadLetter")]
struct LetterFields {
    id: JobId,
    gen_: Gen,
    epoch: Epoch,
    dead_at: Timestamp,
    queue: QueueName,
    envelope: Bytes,
    error: ErrorInfo,
    attempts: u32,
    history: Vec<AttemptView>,
}

/// A message that was put aside.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredQuarantined {
    queue: QueueName,
    reason: String,
    body: Bytes,
    headers: Vec<(String, String)>,
    jobs: Vec<JobId>,
    #[serde(default)]
    at: Option<Timestamp>,
}

impl StoredQuarantined {
    pub(super) fn new(message: &Quarantined, at: Timestamp) -> Self {
        Self {
            queue: message.queue.clone(),
            reason: message.reason.clone(),
            body: message.body.slice(
                ..message
                    .body
                    .len()
                    .min(longshore_core::limits::QUARANTINE_BODY_BYTES_MAX),
            ),
            headers: message.headers.clone(),
            jobs: message.jobs.clone(),
            at: Some(at),
        }
    }

    pub(super) fn into_entry(self, message_id: String) -> QuarantineEntry {
        QuarantineEntry {
            at: self.at,
            message: Quarantined {
                message_id,
                queue: self.queue,
                reason: self.reason,
                body: self.body,
                headers: self.headers,
                jobs: self.jobs,
                dispatches: Vec::new(),
            },
        }
    }
}
