//! What a broker message looks like: properties and headers that name its jobs, and a body that is a MessagePack
//! array of `bin` elements, one encoded envelope each, which a reader slices out without copying.
//!
//! `docs/reference/wire.md` lists the headers. A dead letter travels under a content type of its own.

mod body;
mod dead;
mod headers;

use bytes::Bytes;
use lapin::BasicProperties;
use longshore_core::clock::Timestamp;
use longshore_core::id::JobId;
use longshore_core::message::{Message, MessageJob};
use longshore_core::name::QueueName;
use longshore_core::port::broker::{Payload, Undecodable};
use longshore_core::priority::Priority;
use uuid::Uuid;

pub(crate) use dead::encode as encode_dead;
use headers::{Headers, HeadersOut, JobRow};

/// The layout that this build writes, and the highest that it reads.
pub(crate) const SCHEMA: u16 = 1;
/// Content type of a message of jobs.
pub(crate) const JOBS_TYPE: &str = "application/vnd.longshore+msgpack";
/// Content type of a dead letter.
pub(crate) const DEAD_TYPE: &str = "application/vnd.longshore.dead+msgpack";
/// Longest `traceparent` that is read; version 00 has 55 characters.
const TRACEPARENT_BYTES_MAX: usize = 128;
/// AMQP's delivery mode "persistent".
const PERSISTENT: u8 = 2;

/// A message ready for the broker.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    /// Its own id, as the broker returns it.
    pub(crate) id: String,
    /// Properties and headers.
    pub(crate) properties: BasicProperties,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// A message that breaks a bound or a name's rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(String);

impl Malformed {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Writes a message of jobs.
///
/// # Errors
/// When it has no job, too many, or too many bytes.
pub(crate) fn encode(message: &Message) -> Result<Encoded, Malformed> {
    let body = body::encode(&message.jobs)?;
    let rows: Vec<JobRow> = message.jobs.iter().map(JobRow::of).collect();
    let mut headers = HeadersOut::new(SCHEMA, &rows);
    headers.bits("epoch", message.epoch);
    headers.int("shard", i64::from(message.shard));
    headers.text("queue", message.queue.as_str());
    headers.text("priority", message.priority.as_str());
    headers.int(
        "published_at",
        i64::try_from(message.published_at.millis()).unwrap_or(i64::MAX),
    );
    if message.norecord {
        headers.flag("norecord");
    }
    if let Some(traceparent) = &message.traceparent {
        headers.text("traceparent", traceparent);
    }
    let id = message.id.to_string();
    Ok(Encoded {
        properties: properties(&id, JOBS_TYPE, message.published_at, headers)
            .with_priority(message.priority.level()),
        id,
        body,
    })
}

/// Reads what came from the broker. Never fails: what cannot be read is [`Payload::Undecodable`].
pub(crate) fn decode(properties: &BasicProperties, body: Bytes) -> Payload {
    let headers = Headers::of(properties);
    let is_dead = properties
        .content_type()
        .as_ref()
        .is_some_and(|kind| kind.as_str() == DEAD_TYPE);
    let schema = headers.int("schema").and_then(|found| u16::try_from(found).ok());
    let read = match schema {
        None => Err(Malformed::new(
            "header schema is missing: not a message of Longshore",
        )),
        Some(found) if found > SCHEMA => Err(Malformed::new(format!(
            "schema {found} is newer than {SCHEMA}, the newest this build reads"
        ))),
        Some(_) if is_dead => dead::decode(&body).map(Payload::Dead),
        Some(_) => jobs(properties, &headers, &body).map(Payload::Jobs),
    };
    read.unwrap_or_else(|reason| {
        Payload::Undecodable(Undecodable {
            message_id: message_id(properties, &body),
            reason: reason.to_string(),
            headers: headers.as_text(),
            jobs: headers
                .jobs()
                .unwrap_or_default()
                .iter()
                .map(|row| (row.id, row.gen_))
                .collect(),
            newer_schema: schema.is_some_and(|found| found > SCHEMA),
            body,
        })
    })
}

fn jobs(properties: &BasicProperties, headers: &Headers<'_>, body: &Bytes) -> Result<Message, Malformed> {
    let missing = |name: &str| Malformed::new(format!("header {name} is missing or of the wrong kind"));
    let text = |name: &'static str| headers.text(name).ok_or_else(|| missing(name));
    let rows = headers.jobs()?;
    let envelopes = body::decode(body, rows.len())?;
    let id = properties
        .message_id()
        .as_ref()
        .and_then(|id| Uuid::try_parse(id.as_str()).ok())
        .ok_or_else(|| Malformed::new("message_id is not a UUID"))?;
    Ok(Message {
        id,
        queue: QueueName::new(text("queue")?).map_err(|error| Malformed::new(error.to_string()))?,
        priority: priority(text("priority")?)?,
        shard: headers
            .int("shard")
            .and_then(|shard| u16::try_from(shard).ok())
            .ok_or_else(|| missing("shard"))?,
        epoch: headers.bits("epoch").ok_or_else(|| missing("epoch"))?,
        published_at: headers
            .int("published_at")
            .and_then(|millis| u64::try_from(millis).ok())
            .map(Timestamp)
            .ok_or_else(|| missing("published_at"))?,
        norecord: headers.flag("norecord"),
        jobs: rows
            .into_iter()
            .zip(envelopes)
            .map(|(row, envelope)| row.with(envelope))
            .collect(),
        // Whoever wrote it: a context of another form is none.
        traceparent: headers
            .text("traceparent")
            .filter(|text| text.len() <= TRACEPARENT_BYTES_MAX)
            .map(str::to_owned),
    })
}

fn priority(text: &str) -> Result<Priority, Malformed> {
    text.parse()
        .map_err(|error: longshore_core::priority::UnknownPriority| Malformed::new(error.to_string()))
}

fn properties(id: &str, kind: &str, at: Timestamp, headers: HeadersOut) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id.into())
        .with_content_type(kind.into())
        .with_timestamp(at.millis() / 1_000)
        .with_headers(headers.finish())
}

/// The broker's message id; a hash of the body where it has none, so that a redelivery has the same.
fn message_id(properties: &BasicProperties, body: &[u8]) -> String {
    match properties.message_id() {
        Some(id) if !id.as_str().is_empty() => id.as_str().to_owned(),
        _ => format!("body-{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, body)),
    }
}

impl JobRow {
    fn of(job: &MessageJob) -> Self {
        Self {
            id: job.id,
            gen_: job.gen_,
            attempts: job.attempts,
            retries: job.retries,
            losts: job.losts,
        }
    }

    fn with(self, envelope: Bytes) -> MessageJob {
        MessageJob {
            id: self.id,
            gen_: self.gen_,
            attempts: self.attempts,
            retries: self.retries,
            losts: self.losts,
            envelope,
        }
    }

    fn dead(id: JobId, gen_: u32, attempts: u32) -> Self {
        Self {
            id,
            gen_,
            attempts,
            retries: 0,
            losts: 0,
        }
    }
}

#[cfg(test)]
mod tests;
