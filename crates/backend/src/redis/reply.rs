//! Reading what scripts answer: flat arrays, one value after the other.

use bytes::Bytes;
use longshore_core::clock::Timestamp;
use longshore_core::id::JobId;
use longshore_core::name::QueueName;
use longshore_core::port::Error;
use longshore_core::priority::Priority;
use longshore_core::status::JobStatus;
use redis::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The values of an answer.
#[derive(Debug)]
pub(super) struct Reader(std::vec::IntoIter<Value>);

impl Reader {
    pub(super) fn new(value: Value) -> Result<Self, Error> {
        match value {
            Value::Array(values) | Value::Set(values) => Ok(Self(values.into_iter())),
            Value::Nil => Ok(Self(Vec::new().into_iter())),
            other => Err(unexpected("an array", &other)),
        }
    }

    /// An answer of one value.
    pub(super) fn of_one(value: Value) -> Self {
        Self(vec![value].into_iter())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    fn value(&mut self) -> Result<Value, Error> {
        self.0
            .next()
            .ok_or_else(|| Error::Corrupt("an answer of Redis is too short".to_owned()))
    }

    /// An array inside the answer.
    pub(super) fn nested(&mut self) -> Result<Self, Error> {
        self.value().and_then(Self::new)
    }

    /// As [`Reader::nested`]; nothing at the end of the answer is an empty one.
    pub(super) fn nested_or_empty(&mut self) -> Result<Self, Error> {
        if self.is_empty() {
            return Self::new(Value::Nil);
        }
        self.nested()
    }

    pub(super) fn signed(&mut self) -> Result<i64, Error> {
        integer(&self.value()?)
    }

    pub(super) fn number(&mut self) -> Result<u64, Error> {
        match self.value()? {
            Value::BulkString(text) => parse_number(&text),
            other => integer(&other).map(|number| number.max(0).unsigned_abs()),
        }
    }

    /// A number, or nothing.
    pub(super) fn number_or_none(&mut self) -> Result<Option<u64>, Error> {
        match self.value()? {
            Value::Nil => Ok(None),
            other => integer(&other).map(|number| Some(number.max(0).unsigned_abs())),
        }
    }

    pub(super) fn small(&mut self) -> Result<u32, Error> {
        self.number()
            .map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    }

    pub(super) fn size(&mut self) -> Result<usize, Error> {
        self.number()
            .map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, Error> {
        self.number().map(Timestamp)
    }

    /// Bytes, or nothing; nothing at the end of the answer as well.
    pub(super) fn bytes_or_none(&mut self) -> Result<Option<Bytes>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        match self.value()? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes.into())),
            other => Err(unexpected("bytes", &other)),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, Error> {
        self.bytes_or_none()?
            .ok_or_else(|| Error::Corrupt("a value that must be there is missing in Redis".to_owned()))
    }

    pub(super) fn text(&mut self) -> Result<String, Error> {
        String::from_utf8(self.bytes()?.into()).map_err(|_| Error::Corrupt("a text is not UTF-8".to_owned()))
    }

    pub(super) fn id(&mut self) -> Result<JobId, Error> {
        parse_id(&self.bytes()?)
    }

    pub(super) fn queue(&mut self) -> Result<QueueName, Error> {
        parse(&self.text()?)
    }

    pub(super) fn priority(&mut self) -> Result<Priority, Error> {
        let level = self.number()?;
        priority(level)
    }

    pub(super) fn status(&mut self) -> Result<JobStatus, Error> {
        let code = self.number()?;
        status(code)
    }
}

pub(super) fn status(code: u64) -> Result<JobStatus, Error> {
    u8::try_from(code)
        .ok()
        .and_then(JobStatus::from_code)
        .ok_or_else(|| Error::Corrupt(format!("{code} is no status")))
}

pub(super) fn priority(level: u64) -> Result<Priority, Error> {
    u8::try_from(level)
        .ok()
        .and_then(Priority::from_level)
        .ok_or_else(|| Error::Corrupt(format!("{level} is no priority")))
}

/// A whole number that Lua or we have written.
pub(super) fn parse_number(text: &[u8]) -> Result<u64, Error> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok().or_else(|| large(text)))
        .ok_or_else(|| Error::Corrupt(format!("\"{}\" is no number", text.escape_ascii())))
}

/// Lua writes what is beyond its exact numbers with an exponent.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and so far away the exact number does not matter"
)]
fn large(text: &str) -> Option<u64> {
    text.parse::<f64>()
        .ok()
        .filter(|number| *number >= 0.0)
        .map(|number| number as u64)
}

pub(super) fn parse_id(text: &[u8]) -> Result<JobId, Error> {
    uuid::Uuid::try_parse_ascii(text)
        .map(JobId::from_uuid)
        .map_err(|_| Error::Corrupt(format!("\"{}\" is no job id", text.escape_ascii())))
}

pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Error> {
    text.parse()
        .map_err(|error: T::Err| Error::Corrupt(error.to_string()))
}

/// MessagePack that we keep for ourselves.
pub(super) fn pack<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // Our own types always encode: no map with odd keys, no sequence of unknown length.
    rmp_serde::to_vec_named(value).unwrap_or_default()
}

/// Reads what [`pack`], or a script, has packed.
pub(super) fn unpack<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Error> {
    longshore_core::value::decode(what, bytes).map_err(|error| Error::Corrupt(error.to_string()))
}

fn integer(value: &Value) -> Result<i64, Error> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(unexpected("a number", other)),
    }
}

fn unexpected(wanted: &str, value: &Value) -> Error {
    let kind = match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) => "a text",
        Value::Array(_) => "an array",
        _ => "something else",
    };
    Error::Corrupt(format!("Redis answered {kind} where {wanted} was awaited"))
}
