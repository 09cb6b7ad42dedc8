//! How a job travels: everything a worker needs, in MessagePack, with a schema version and bounds.
//!
//! `docs/reference/wire.md` lists the fields. Unknown fields are ignored, so that a newer producer of the same schema
//! may add some; a higher schema number is refused by the reader and handed back for a newer worker.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, duration_millis};
use crate::id::JobId;
use crate::limits::{DEPTH_MAX, ENVELOPE_BYTES_MAX};
use crate::name::{FunctionName, QueueName};
use crate::priority::Priority;
use crate::spec::{Dependency, Fencing, JobSpec, OnLostRecord, Start};

/// The schema that this build writes, and the highest that it reads.
pub const SCHEMA: u16 = 1;

/// Everything that does not change over a job's life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Version of this layout.
    #[serde(rename = "v")]
    pub schema: u16,
    /// The job.
    #[serde(rename = "i")]
    pub id: JobId,
    /// Name for people, when it is not the function's.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The handler.
    #[serde(rename = "f")]
    pub function_name: FunctionName,
    /// Arguments, MessagePack.
    #[serde(rename = "a", with = "serde_bytes")]
    pub args: Vec<u8>,
    /// Logical queue.
    #[serde(rename = "q")]
    pub queue: QueueName,
    /// Urgency.
    #[serde(rename = "p")]
    pub priority: Priority,
    /// Retries after transient errors.
    #[serde(rename = "mr")]
    pub max_retries: u32,
    /// First retry delay, ms.
    #[serde(rename = "rd")]
    pub retry_delay_ms: u64,
    /// Growth of the retry delay.
    #[serde(rename = "rb")]
    pub retry_backoff: f64,
    /// Whether retry delays are spread.
    #[serde(rename = "rj")]
    pub retry_jitter: bool,
    /// Cap of the retry delay, ms.
    #[serde(rename = "rc")]
    pub retry_delay_max_ms: u64,
    /// First due time, when it was not "now".
    #[serde(rename = "ra", default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Timestamp>,
    /// Parents.
    #[serde(rename = "d", default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    /// Run time limit of one attempt, ms; `None` means the worker's default.
    #[serde(rename = "to", default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Time by which the job must have ended.
    #[serde(rename = "dl", default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Time by which the job must have started.
    #[serde(rename = "ex", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Labels.
    #[serde(rename = "tg", default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Free data, JSON text in MessagePack.
    #[serde(rename = "md", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// Who asked.
    #[serde(rename = "by", default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// When it was asked for.
    #[serde(rename = "ca")]
    pub created_at: Timestamp,
    /// What a worker does when it cannot prove ownership.
    #[serde(rename = "fe", default, skip_serializing_if = "is_default")]
    pub fencing: Fencing,
    /// What a worker does when the record is lost.
    #[serde(rename = "lr", default, skip_serializing_if = "is_default")]
    pub on_lost_record: OnLostRecord,
    /// W3C trace context of the caller.
    #[serde(rename = "tp", default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An envelope that cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Over [`ENVELOPE_BYTES_MAX`].
    #[error(
        "args: the job has {bytes} bytes with its arguments, over the limit of {ENVELOPE_BYTES_MAX} (1 MiB); store the data elsewhere and pass a reference"
    )]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// Not an envelope.
    #[error("envelope: {0}")]
    Malformed(String),
    /// Written by a newer build.
    #[error(
        "envelope: schema {found} is newer than {SCHEMA}, the newest this build reads; upgrade the workers first"
    )]
    NewerSchema {
        /// The schema that was found.
        found: u16,
    },
}

impl Envelope {
    /// The envelope of a validated spec. `now` fixes relative times; `id` is the spec's own or a generated one.
    pub fn from_spec(spec: &JobSpec, id: JobId, now: Timestamp) -> Self {
        Self {
            schema: SCHEMA,
            id,
            name: spec.name.clone(),
            function_name: spec.function_name.clone(),
            args: spec.args.to_vec(),
            queue: spec.queue.clone(),
            priority: spec.priority,
            max_retries: spec.max_retries,
            retry_delay_ms: duration_millis(spec.retry_delay),
            retry_backoff: spec.retry_backoff,
            retry_jitter: spec.retry_jitter,
            retry_delay_max_ms: duration_millis(spec.retry_delay_max),
            run_at: match spec.start {
                Start::Now => None,
                Start::After(delay) => Some(now.after(delay)),
                Start::At(at) => Some(at),
            },
            depends_on: spec.depends_on.clone(),
            timeout_ms: spec.timeout.map(|timeout| duration_millis(timeout).max(1)),
            deadline: spec.deadline,
            expires_at: spec.expires_in.map(|expiry| now.after(expiry)),
            tags: spec.tags.iter().cloned().collect(),
            metadata: spec.metadata.clone(),
            created_by: spec.created_by.clone(),
            created_at: now,
            fencing: spec.fencing,
            on_lost_record: spec.on_lost_record,
            traceparent: spec.traceparent.clone(),
        }
    }

    /// Writes the envelope.
    ///
    /// # Errors
    /// When it is larger than [`ENVELOPE_BYTES_MAX`] or does not encode.
    pub fn encode(&self) -> Result<Bytes, Error> {
        let bytes = rmp_serde::to_vec_named(self).map_err(|error| Error::Malformed(error.to_string()))?;
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(Error::TooLarge { bytes: bytes.len() });
        }
        Ok(bytes.into())
    }

    /// Reads an envelope; the only way in, so that its bounds hold everywhere.
    ///
    /// # Errors
    /// When it is too large, malformed, nested too deep, or of a newer schema.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(Error::TooLarge { bytes: bytes.len() });
        }
        let mut decoder = rmp_serde::Deserializer::new(bytes);
        decoder.set_max_depth(DEPTH_MAX);
        match Self::deserialize(&mut decoder) {
            Ok(envelope) if envelope.schema > SCHEMA => Err(Error::NewerSchema {
                found: envelope.schema,
            }),
            Ok(envelope) => Ok(envelope),
            Err(error) => {
                Err(Self::newer_schema(bytes).unwrap_or_else(|| Error::Malformed(error.to_string())))
            }
        }
    }

    /// A newer layout may not decode at all; its version still does.
    fn newer_schema(bytes: &[u8]) -> Option<Error> {
        #[derive(Deserialize)]
        struct Version {
            v: u16,
        }
        let mut decoder = rmp_serde::Deserializer::new(bytes);
        decoder.set_max_depth(DEPTH_MAX);
        let found = Version::deserialize(&mut decoder).ok()?.v;
        (found > SCHEMA).then_some(Error::NewerSchema { found })
    }

    /// The name for people.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.function_name.as_str())
    }

    /// Run time limit of one attempt; `None` means the worker's default.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }

    /// What makes two enqueues with one id the same request: everything but the times and the trace, which differ
    /// when a caller tries again. The first 8 bytes of a BLAKE3 hash.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = blake3::Hasher::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(self.function_name.as_str().as_bytes());
        field(&self.args);
        field(self.queue.as_str().as_bytes());
        field(&[self.priority.level()]);
        field(&self.max_retries.to_le_bytes());
        for parent in &self.depends_on {
            field(parent.id.as_bytes());
            field(&[parent.policy.code()]);
        }
        let mut first = [0_u8; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    fn envelope() -> Envelope {
        let args = crate::value::encode("args", &serde_json::json!({"user_id": "user123"})).unwrap();
        let mut spec = JobSpec::new(FunctionName::new("calculate_report").unwrap(), args);
        spec.start = Start::After(Duration::from_secs(60));
        spec.tags.insert("user:123".to_owned());
        spec.metadata
            .insert("k".to_owned(), serde_json::json!({"deep": [1, 2]}));
        let now = Timestamp(1_700_000_000_000);
        Envelope::from_spec(&spec, JobId::generate(now, 2, &SystemRandom), now)
    }

    #[test]
    fn a_timeout_travels_only_when_it_was_set() {
        let mut envelope = envelope();
        assert_eq!(envelope.timeout(), None);
        let without = envelope.encode().unwrap().len();
        envelope.timeout_ms = Some(30_000);
        let bytes = envelope.encode().unwrap();
        assert!(bytes.len() > without);
        let read = Envelope::decode(&bytes).unwrap();
        assert_eq!(read.timeout(), Some(Duration::from_secs(30)));
    }

    #[test]
    fn an_envelope_reads_back() {
        let envelope = envelope();
        assert_eq!(Envelope::decode(&envelope.encode().unwrap()), Ok(envelope));
    }

    #[test]
    fn a_small_envelope_stays_small() {
        let mut small = envelope();
        small.tags.clear();
        small.metadata.clear();
        assert!(
            small.encode().unwrap().len() < 200,
            "{} bytes",
            small.encode().unwrap().len()
        );
    }

    #[test]
    fn a_newer_schema_is_named_even_when_its_layout_is_unknown() {
        let mut newer = envelope();
        newer.schema = 9;
        assert_eq!(
            Envelope::decode(&newer.encode().unwrap()),
            Err(Error::NewerSchema { found: 9 })
        );
        let alien = rmp_serde::to_vec_named(&serde_json::json!({"v": 7, "what": "else"})).unwrap();
        assert_eq!(Envelope::decode(&alien), Err(Error::NewerSchema { found: 7 }));
    }

    #[test]
    fn an_envelope_over_one_mebibyte_is_refused() {
        let mut large = envelope();
        large.args = vec![0; ENVELOPE_BYTES_MAX];
        assert!(matches!(large.encode(), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn depth_2000_does_not_overflow_the_stack() {
        let mut bytes = vec![0x81, 0xa2, b'm', b'd'];
        bytes.extend(std::iter::repeat_n(0x91, 2_000));
        assert!(matches!(Envelope::decode(&bytes), Err(Error::Malformed(_))));
    }

    #[test]
    fn the_fingerprint_ignores_times_and_sees_arguments() {
        let first = envelope();
        let mut again = first.clone();
        again.created_at = Timestamp(0);
        again.run_at = None;
        assert_eq!(first.fingerprint(), again.fingerprint());
        again.args = vec![0xc0];
        assert_ne!(first.fingerprint(), again.fingerprint());
    }
}
