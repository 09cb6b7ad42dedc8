//! Headers: a table of AMQP values, and in it the jobs of the message as one MessagePack byte string.

use std::fmt::Write as _;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, ByteArray, FieldTable, LongString};
use longshore_core::id::JobId;
use longshore_core::limits::BUNDLE_JOBS_MAX;
use longshore_core::message::Gen;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use uuid::Uuid;

use super::Malformed;

/// Deepest nesting of the `jobs` header; ours has two levels, a newer one may have more.
const JOBS_DEPTH_MAX: usize = 16;
/// Most headers, and longest header in characters, that are kept of an undecodable message.
const TEXT_HEADERS_MAX: usize = 32;
const TEXT_HEADER_CHARS: usize = 256;

/// What the headers say of one job: id, gen, attempts, retries, losts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JobRow {
    pub(super) id: JobId,
    pub(super) gen_: Gen,
    pub(super) attempts: u32,
    pub(super) retries: u32,
    pub(super) losts: u32,
}

/// Headers to be written.
pub(super) struct HeadersOut(FieldTable);

impl HeadersOut {
    pub(super) fn new(schema: u16, jobs: &[JobRow]) -> Self {
        let mut this = Self(FieldTable::default());
        this.int("schema", i64::from(schema));
        this.put("jobs", AMQPValue::ByteArray(ByteArray::from(encode_jobs(jobs))));
        this
    }

    pub(super) fn int(&mut self, name: &str, value: i64) {
        self.put(name, AMQPValue::LongLongInt(value));
    }

    /// 64 bits without a sign, which AMQP does not have: the same bits in a signed number.
    pub(super) fn bits(&mut self, name: &str, value: u64) {
        self.int(name, value.cast_signed());
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.put(name, AMQPValue::LongString(LongString::from(value)));
    }

    pub(super) fn flag(&mut self, name: &str) {
        self.put(name, AMQPValue::Boolean(true));
    }

    pub(super) fn finish(self) -> FieldTable {
        self.0
    }

    fn put(&mut self, name: &str, value: AMQPValue) {
        self.0.insert(name.into(), value);
    }
}

fn encode_jobs(jobs: &[JobRow]) -> Vec<u8> {
    let mut out = rmp::encode::buffer::ByteBuf::with_capacity(8 + jobs.len() * 32);
    let length = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    // Writing to memory cannot fail.
    let Ok(_) = rmp::encode::write_array_len(&mut out, length(jobs.len()));
    for job in jobs {
        let Ok(_) = rmp::encode::write_array_len(&mut out, 5);
        let Ok(()) = rmp::encode::write_bin(&mut out, job.id.as_bytes());
        for number in [job.gen_, job.attempts, job.retries, job.losts] {
            let Ok(_) = rmp::encode::write_uint(&mut out, u64::from(number));
        }
    }
    out.into_vec()
}

/// Headers that came.
pub(super) struct Headers<'a>(Option<&'a FieldTable>);

impl<'a> Headers<'a> {
    pub(super) fn of(properties: &'a BasicProperties) -> Self {
        Self(properties.headers().as_ref())
    }

    fn get(&self, name: &str) -> Option<&'a AMQPValue> {
        self.0?.inner().get(name)
    }

    /// A whole number, of whatever width a client of another language chose.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        match *self.get(name)? {
            AMQPValue::ShortShortInt(number) => Some(i64::from(number)),
            AMQPValue::ShortShortUInt(number) => Some(i64::from(number)),
            AMQPValue::ShortInt(number) => Some(i64::from(number)),
            AMQPValue::ShortUInt(number) => Some(i64::from(number)),
            AMQPValue::LongInt(number) => Some(i64::from(number)),
            AMQPValue::LongUInt(number) => Some(i64::from(number)),
            AMQPValue::LongLongInt(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn bits(&self, name: &str) -> Option<u64> {
        self.int(name).map(i64::cast_unsigned)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        match self.get(name)? {
            AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
            AMQPValue::ShortString(text) => Some(text.as_str()),
            _ => None,
        }
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(AMQPValue::Boolean(true)))
    }

    fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        match self.get(name)? {
            AMQPValue::ByteArray(bytes) => Some(bytes.as_slice()),
            AMQPValue::LongString(bytes) => Some(bytes.as_bytes()),
            _ => None,
        }
    }

    /// The jobs that the message names: 1 to [`BUNDLE_JOBS_MAX`].
    ///
    /// # Errors
    /// When the header is missing, malformed or out of bounds.
    pub(super) fn jobs(&self) -> Result<Vec<JobRow>, Malformed> {
        let bytes = self
            .bytes("jobs")
            .ok_or_else(|| Malformed::new("header jobs is missing or of the wrong kind"))?;
        let mut decoder = rmp_serde::Deserializer::new(bytes);
        decoder.set_max_depth(JOBS_DEPTH_MAX);
        let rows = JobRows::deserialize(&mut decoder)
            .map_err(|error| Malformed::new(format!("header jobs: {error}")))?;
        if rows.0.is_empty() {
            return Err(Malformed::new("header jobs names no job"));
        }
        Ok(rows.0)
    }

    /// Every header as text, bounded, for a person who looks at an undecodable message.
    pub(super) fn as_text(&self) -> Vec<(String, String)> {
        let table = self.0.into_iter().flat_map(FieldTable::inner);
        table
            .take(TEXT_HEADERS_MAX)
            .map(|(name, value)| (name.as_str().to_owned(), shown(value)))
            .collect()
    }
}

fn shown(value: &AMQPValue) -> String {
    let mut text = String::new();
    let written = match value {
        AMQPValue::LongString(value) => write!(text, "{value}"),
        AMQPValue::ShortString(value) => write!(text, "{value}"),
        AMQPValue::ByteArray(bytes) => bytes
            .as_slice()
            .iter()
            .take(TEXT_HEADER_CHARS / 2)
            .try_for_each(|byte| write!(text, "{byte:02x}")),
        other => write!(text, "{other:?}"),
    };
    if written.is_err() {
        text.clear();
    }
    text.chars().take(TEXT_HEADER_CHARS).collect()
}

struct JobRows(Vec<JobRow>);

impl<'de> Deserialize<'de> for JobRows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = JobRows;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "an array of at most {BUNDLE_JOBS_MAX} jobs")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<JobRows, A::Error> {
                let mut found = Vec::with_capacity(rows.size_hint().unwrap_or(0).min(BUNDLE_JOBS_MAX));
                while let Some(row) = rows.next_element::<JobRow>()? {
                    if found.len() == BUNDLE_JOBS_MAX {
                        return Err(serde::de::Error::custom(format_args!(
                            "more than {BUNDLE_JOBS_MAX} jobs"
                        )));
                    }
                    found.push(row);
                }
                Ok(JobRows(found))
            }
        }
        deserializer.deserialize_seq(Rows)
    }
}

impl<'de> Deserialize<'de> for JobRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Row;
        impl<'de> Visitor<'de> for Row {
            type Value = JobRow;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array of id, gen, attempts, retries and losts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<JobRow, A::Error> {
                let missing = |at: usize| serde::de::Error::invalid_length(at, &self);
                let id: serde_bytes::ByteArray<16> = fields.next_element()?.ok_or_else(|| missing(0))?;
                let mut numbers = [0_u32; 4];
                for (at, number) in numbers.iter_mut().enumerate() {
                    *number = fields.next_element()?.ok_or_else(|| missing(at + 1))?;
                }
                // A newer layout may say more of a job; what it says first stays.
                while fields.next_element::<IgnoredAny>()?.is_some() {}
                let [gen_, attempts, retries, losts] = numbers;
                Ok(JobRow {
                    id: JobId::from_uuid(Uuid::from_bytes(id.into_array())),
                    gen_,
                    attempts,
                    retries,
                    losts,
                })
            }
        }
        deserializer.deserialize_seq(Row)
    }
}
