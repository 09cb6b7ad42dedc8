//! A dead letter in the archive: everything that a wiped store needs to know the job as Failed again.

use bytes::Bytes;
use longshore_core::clock::Timestamp;
use longshore_core::id::JobId;
use longshore_core::limits::{DEPTH_MAX, ENVELOPE_BYTES_MAX, ERROR_BYTES_MAX, HISTORY_ATTEMPTS};
use longshore_core::message::{Epoch, Gen};
use longshore_core::name::QueueName;
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::schedule::DeadLetter;
use longshore_core::view::AttemptView;
use serde::{Deserialize, Serialize};

use super::headers::{HeadersOut, JobRow};
use super::{DEAD_TYPE, Encoded, Malformed, SCHEMA};

/// The largest body: an envelope, an error, twenty attempts of at most 1 KiB, and room for the fields' names.
const BYTES_MAX: usize = ENVELOPE_BYTES_MAX + 2 * ERROR_BYTES_MAX + (HISTORY_ATTEMPTS + 4) * 1024;

/// Its fields in the body.
#[derive(Serialize, Deserialize)]
#[serde(remote = "DeadLetter")]
struct Letter {
    #[serde(rename = "i")]
    id: JobId,
    #[serde(rename = "g")]
    gen_: Gen,
    #[serde(rename = "e")]
    epoch: Epoch,
    #[serde(rename = "d")]
    dead_at: Timestamp,
    #[serde(rename = "q")]
    queue: QueueName,
    #[serde(rename = "v")]
    envelope: Bytes,
    #[serde(rename = "x")]
    error: ErrorInfo,
    #[serde(rename = "a")]
    attempts: u32,
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    history: Vec<AttemptView>,
}

/// Writes a dead letter. Its message id is the job's id and gen, so that copies can be told from each other.
///
/// # Errors
/// When it has too many bytes.
pub(crate) fn encode(mut letter: DeadLetter) -> Result<Encoded, Malformed> {
    let id = format!("{}.{}", letter.id, letter.gen_);
    let row = JobRow::dead(letter.id, letter.gen_, letter.attempts);
    let mut headers = HeadersOut::new(SCHEMA, &[row]);
    headers.bits("epoch", letter.epoch);
    headers.text("queue", letter.queue.as_str());
    let properties = super::properties(&id, DEAD_TYPE, letter.dead_at, headers);
    letter.error = letter.error.bounded();
    let mut body = Vec::new();
    let mut encoder = rmp_serde::Serializer::new(&mut body).with_struct_map();
    Letter::serialize(&letter, &mut encoder).map_err(|error| Malformed::new(error.to_string()))?;
    if body.len() > BYTES_MAX {
        return Err(Malformed::new(format!(
            "a dead letter has at most {BYTES_MAX} bytes, not {}",
            body.len()
        )));
    }
    Ok(Encoded { id, properties, body })
}

pub(super) fn decode(body: &[u8]) -> Result<DeadLetter, Malformed> {
    if body.len() > BYTES_MAX {
        return Err(Malformed::new(format!(
            "the body has {} bytes, over the limit of {BYTES_MAX} for a dead letter",
            body.len()
        )));
    }
    let mut decoder = rmp_serde::Deserializer::new(body);
    decoder.set_max_depth(DEPTH_MAX);
    Letter::deserialize(&mut decoder).map_err(|error| Malformed::new(format!("dead letter: {error}")))
}
