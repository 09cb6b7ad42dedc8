//! Values of a job's own making (arguments, results): MessagePack inside, JSON for people, bounded in depth.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::limits::DEPTH_MAX;

/// A value that cannot be taken or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The value does not encode as MessagePack.
    #[error("{field}: cannot be encoded: {reason}")]
    Encode {
        /// Which value it is.
        field: &'static str,
        /// What the encoder said.
        reason: String,
    },
    /// The bytes are not the value that was asked for.
    #[error("{field}: cannot be decoded: {reason}")]
    Decode {
        /// Which value it is.
        field: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// Nested too deep.
    #[error(
        "{field}: nested deeper than {max} levels; flatten it or store it elsewhere and pass a reference"
    )]
    TooDeep {
        /// Which value it is.
        field: &'static str,
        /// The bound.
        max: usize,
    },
}

/// Encodes a value as MessagePack (structs as maps) and checks its depth. A value far deeper is given up on the way
/// down, before it exhausts the stack.
///
/// # Errors
/// When the value does not encode, or nests deeper than [`DEPTH_MAX`].
pub fn encode<T: Serialize + ?Sized>(field: &'static str, value: &T) -> Result<Bytes, Error> {
    let mut checked = Checked::default();
    let mut encoder = rmp_serde::Serializer::new(&mut checked).with_struct_map();
    let encoded = value.serialize(&mut encoder);
    if checked.too_deep {
        return Err(Error::TooDeep {
            field,
            max: DEPTH_MAX,
        });
    }
    encoded.map_err(|error| Error::Encode {
        field,
        reason: error.to_string(),
    })?;
    let bytes = checked.bytes;
    // Containers whose length their type does not tell are encoded apart and come in one piece.
    check_depth(field, &bytes)?;
    Ok(bytes.into())
}

/// Follows the nesting of what is written, and stops a value that nests too deep on the way down: the encoder recurses
/// without a bound of its own.
#[derive(Default)]
struct Checked {
    bytes: Vec<u8>,
    /// Where the next head begins; behind the end while a payload is still to come.
    at: usize,
    /// One entry per open container: how many values it still wants.
    open: Vec<u64>,
    too_deep: bool,
}

impl std::io::Write for Checked {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(part);
        self.follow();
        if self.too_deep {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        Ok(part.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Checked {
    /// Reads the heads that are complete.
    fn follow(&mut self) {
        while let Some(mut rest) = self.bytes.get(self.at..).filter(|rest| !rest.is_empty()) {
            let length = rest.len();
            let Some((children, skip)) = read_head(&mut rest) else {
                return;
            };
            self.at += length - rest.len() + skip;
            while self.open.last() == Some(&0) {
                self.open.pop();
            }
            if let Some(wanted) = self.open.last_mut() {
                *wanted -= 1;
            }
            if children > 0 {
                self.open.push(children);
            }
            self.too_deep |= self.open.len() > DEPTH_MAX;
        }
    }
}

/// Decodes MessagePack with the depth bound that keeps a hostile value from exhausting the stack.
///
/// # Errors
/// When the bytes are not the value, or nest deeper than [`DEPTH_MAX`].
pub fn decode<T: DeserializeOwned>(field: &'static str, bytes: &[u8]) -> Result<T, Error> {
    check_depth(field, bytes)?;
    let mut decoder = rmp_serde::Deserializer::new(bytes);
    decoder.set_max_depth(DEPTH_MAX + 8);
    T::deserialize(&mut decoder).map_err(|error| Error::Decode {
        field,
        reason: error.to_string(),
    })
}

/// The value as JSON for people. Binary strings become `{"$bytes": length}`.
///
/// # Errors
/// When the bytes are not MessagePack or nest too deep.
pub fn to_json(field: &'static str, bytes: &[u8]) -> Result<serde_json::Value, Error> {
    decode::<JsonView>(field, bytes).map(|view| view.0)
}

/// Whether a value nests deeper than `levels`; one without parts nests none. Level by level: the check itself cannot
/// overflow the stack.
pub fn nests_deeper(value: &serde_json::Value, levels: usize) -> bool {
    use serde_json::Value;
    let mut level = vec![value];
    for _ in 0..=levels {
        level = level
            .into_iter()
            .flat_map(|value| -> Vec<&Value> {
                match value {
                    Value::Array(items) => items.iter().collect(),
                    Value::Object(entries) => entries.values().collect(),
                    _ => Vec::new(),
                }
            })
            .collect();
        if level.is_empty() {
            return false;
        }
    }
    true
}

/// Checks that `bytes` are exactly one well-formed MessagePack value no deeper than [`DEPTH_MAX`]. Iterative: the
/// check itself cannot overflow the stack.
///
/// # Errors
/// When they are not, or nest too deep.
pub fn check_depth(field: &'static str, bytes: &[u8]) -> Result<(), Error> {
    let malformed = || Error::Decode {
        field,
        reason: "not well-formed MessagePack".to_owned(),
    };
    let mut rest = bytes;
    // One entry per open container: how many values it still wants.
    let mut open: Vec<u64> = vec![1];
    while let Some(wanted) = open.last_mut() {
        if *wanted == 0 {
            open.pop();
            continue;
        }
        *wanted -= 1;
        let (children, skip) = read_head(&mut rest).ok_or_else(malformed)?;
        rest = rest.get(skip..).ok_or_else(malformed)?;
        if children > 0 {
            if open.len() > DEPTH_MAX {
                return Err(Error::TooDeep {
                    field,
                    max: DEPTH_MAX,
                });
            }
            open.push(children);
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(malformed()) }
}

/// Reads one marker with its length: how many values follow inside, and how many payload bytes to skip.
fn read_head(rest: &mut &[u8]) -> Option<(u64, usize)> {
    use rmp::Marker;
    let marker = rmp::decode::read_marker(rest).ok()?;
    let mut length = |bytes: usize| -> Option<u64> {
        let (head, tail) = rest.split_at_checked(bytes)?;
        *rest = tail;
        Some(head.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    };
    let skip = |bytes: u64| Some((0, usize::try_from(bytes).ok()?));
    match marker {
        Marker::Null | Marker::True | Marker::False | Marker::FixPos(_) | Marker::FixNeg(_) => Some((0, 0)),
        Marker::U8 | Marker::I8 => Some((0, 1)),
        Marker::U16 | Marker::I16 | Marker::FixExt1 => Some((0, 2)),
        Marker::U32 | Marker::I32 | Marker::F32 => Some((0, 4)),
        Marker::U64 | Marker::I64 | Marker::F64 => Some((0, 8)),
        Marker::FixStr(size) => Some((0, usize::from(size))),
        Marker::Str8 | Marker::Bin8 => skip(length(1)?),
        Marker::Str16 | Marker::Bin16 => skip(length(2)?),
        Marker::Str32 | Marker::Bin32 => skip(length(4)?),
        Marker::FixExt2 => Some((0, 3)),
        Marker::FixExt4 => Some((0, 5)),
        Marker::FixExt8 => Some((0, 9)),
        Marker::FixExt16 => Some((0, 17)),
        Marker::Ext8 => skip(length(1)? + 1),
        Marker::Ext16 => skip(length(2)? + 1),
        Marker::Ext32 => skip(length(4)? + 1),
        Marker::FixArray(size) => Some((u64::from(size), 0)),
        Marker::Array16 => Some((length(2)?, 0)),
        Marker::Array32 => Some((length(4)?, 0)),
        Marker::FixMap(size) => Some((u64::from(size) * 2, 0)),
        Marker::Map16 => Some((length(2)? * 2, 0)),
        Marker::Map32 => Some((length(4)? * 2, 0)),
        Marker::Reserved => None,
    }
}

/// JSON that also takes what MessagePack has and JSON lacks.
struct JsonView(serde_json::Value);

impl<'de> serde::Deserialize<'de> for JsonView {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor).map(JsonView)
    }
}

struct JsonVisitor;

impl<'de> serde::de::Visitor<'de> for JsonVisitor {
    type Value = serde_json::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a MessagePack value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(serde_json::Number::from_f64(value).map_or_else(|| value.to_string().into(), Into::into))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Self::Value, E> {
        Ok(serde_json::json!({ "$bytes": value.len() }))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(serde_json::Value::Null)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(serde_json::Value::Null)
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut array = Vec::new();
        while let Some(JsonView(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut object = serde_json::Map::new();
        while let Some((JsonView(key), JsonView(value))) = entries.next_entry()? {
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Vec<u8> {
        let mut bytes = vec![0x91; levels];
        bytes.push(0xc0);
        bytes
    }

    #[test]
    fn a_value_at_the_depth_bound_is_taken_and_one_deeper_is_refused() {
        assert_eq!(check_depth("args", &nested(DEPTH_MAX)), Ok(()));
        assert_eq!(
            check_depth("args", &nested(DEPTH_MAX + 1)),
            Err(Error::TooDeep {
                field: "args",
                max: DEPTH_MAX
            })
        );
        assert!(decode::<serde_json::Value>("args", &nested(2_000)).is_err());
    }

    #[test]
    fn a_value_that_nests_deep_is_refused_before_it_exhausts_the_stack() {
        let mut deep = serde_json::json!(1);
        for _ in 0..2_000 {
            deep = serde_json::Value::Array(vec![deep]);
        }
        let refused = encode("args", &deep);
        // Dropping it would recurse: take it apart.
        while let serde_json::Value::Array(mut inner) = deep {
            deep = inner.pop().unwrap();
        }
        assert_eq!(
            refused,
            Err(Error::TooDeep {
                field: "args",
                max: DEPTH_MAX
            })
        );
    }

    #[test]
    fn truncated_and_trailing_bytes_are_refused() {
        let bytes = rmp_serde::to_vec_named(&serde_json::json!({"a": [1, "two", 3.5, null, true]})).unwrap();
        assert_eq!(check_depth("args", &bytes), Ok(()));
        for cut in 0..bytes.len() {
            assert!(check_depth("args", &bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(check_depth("args", &longer).is_err());
    }

    #[test]
    fn json_goes_through_and_bytes_are_described() {
        let value = serde_json::json!({"user_id": "user123", "n": [1, -2, 2.5], "none": null});
        assert_eq!(to_json("args", &encode("args", &value).unwrap()), Ok(value));
        let bytes = encode("args", serde_bytes::Bytes::new(b"abc")).unwrap();
        assert_eq!(to_json("args", &bytes), Ok(serde_json::json!({"$bytes": 3})));
    }
}
