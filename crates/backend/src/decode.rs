//! What reads messages of the broker, for tests that damage them. No part of the API: it changes as tests need it.

use bytes::Bytes;
use lapin::protocol::basic::parse_properties;
use longshore_core::port::broker::Payload;
use longshore_core::port::schedule::DeadLetter;

use crate::wire;

/// What was wrong with a message that ought to have been read, or written again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(String);

/// Reads a message as it travels: the properties of an AMQP content header, and the body behind them. `None` when the
/// properties are none; then nothing of ours has seen them. What was read is written and read again.
///
/// # Errors
/// When a message of jobs cannot be written, or reads back as another one.
pub fn message(bytes: &[u8]) -> Result<Option<Payload>, Wrong> {
    let Ok((body, properties)) = parse_properties(bytes) else {
        return Ok(None);
    };
    let payload = wire::decode(&properties, Bytes::copy_from_slice(body));
    if let Payload::Jobs(message) = &payload {
        let encoded = wire::encode(message).map_err(|error| Wrong(format!("cannot be written: {error}")))?;
        match wire::decode(&encoded.properties, encoded.body.into()) {
            Payload::Jobs(again) if again == *message => {}
            other => return Err(Wrong(format!("{message:?} reads back as {other:?}"))),
        }
    }
    Ok(Some(payload))
}

/// The body of a dead letter, as the archive has it; empty when it has too many bytes.
pub fn dead_body(letter: DeadLetter) -> Vec<u8> {
    wire::encode_dead(letter)
        .map(|encoded| encoded.body)
        .unwrap_or_default()
}
