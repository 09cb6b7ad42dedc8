//! Messages of the broker: the properties of an AMQP content header, with our headers in them, and the body behind.

use longshore_backend::decode;
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::broker::Payload;
use longshore_core::port::schedule::DeadLetter;
use longshore_core::{JobId, QueueName, Timestamp};

/// Most headers, and most characters of one, that are kept of what cannot be read.
const HEADERS_MAX: usize = 32;
const HEADER_CHARS_MAX: usize = 256;

/// Reads a message; what was read can be written and reads back.
pub(crate) fn check(bytes: &[u8]) {
    let payload = decode::message(bytes).unwrap_or_else(|wrong| panic!("{wrong}"));
    if let Some(Payload::Undecodable(strange)) = payload {
        assert!(!strange.reason.is_empty() && !strange.message_id.is_empty());
        assert!(strange.headers.len() <= HEADERS_MAX);
        for (_, text) in strange.headers {
            assert!(text.chars().count() <= HEADER_CHARS_MAX, "{text}");
        }
    }
}

/// A message of one job, one of two, and a dead letter.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let envelope = b"an envelope";
    let jobs = "application/vnd.longshore+msgpack";
    let one = [&[0x91, 0xc4, 11][..], envelope].concat();
    let two = [&[0x92, 0xc4, 11][..], envelope, &[0xc4, 11], envelope].concat();
    let letter = DeadLetter {
        id: JobId::from_idempotency_key("dead"),
        gen_: 3,
        epoch: 7,
        dead_at: Timestamp(1_700_000_000_000),
        queue: QueueName::default(),
        envelope: envelope.to_vec().into(),
        error: ErrorInfo::new("io", "disk full"),
        attempts: 2,
        history: Vec::new(),
    };
    vec![
        [properties(jobs, &rows(1)), one].concat(),
        [properties(jobs, &rows(2)), two].concat(),
        [
            properties("application/vnd.longshore.dead+msgpack", &rows(1)),
            decode::dead_body(letter),
        ]
        .concat(),
    ]
}

/// The header `jobs`: MessagePack, a row a job.
fn rows(count: u8) -> Vec<u8> {
    let mut rows = vec![0x90 | count];
    for number in 0..count {
        rows.extend([0x95, 0xc4, 16]);
        rows.extend([number; 16]);
        rows.extend([1, 0, 0, 0]);
    }
    rows
}

/// Content type, headers, delivery mode, priority, message id and time, as AMQP 0-9-1 writes them.
fn properties(kind: &str, jobs: &[u8]) -> Vec<u8> {
    let short = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
    let long = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let number = |name: &str, value: i64| [&short(name)[..], b"l", &value.to_be_bytes()].concat();
    let text = |name: &str, value: &str| [&short(name)[..], b"S", &long(value.as_bytes())].concat();
    let table = [
        number("schema", 1),
        [&short("jobs")[..], b"x", &long(jobs)].concat(),
        number("epoch", 7),
        number("shard", 1),
        text("queue", "default"),
        text("priority", "normal"),
        number("published_at", 1_700_000_000_000),
        text(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    let flags: u16 = 1 << 15 | 1 << 13 | 1 << 12 | 1 << 11 | 1 << 7 | 1 << 6;
    [
        flags.to_be_bytes().to_vec(),
        short(kind),
        long(&table.concat()),
        vec![2, 1],
        short("0193f0a1-7c5e-8001-9313-0242ac120002"),
        1_700_000_000_u64.to_be_bytes().to_vec(),
    ]
    .concat()
}

#[test]
fn well_formed_messages_are_read() {
    for (number, seed) in seeds().iter().enumerate() {
        let read = decode::message(seed).unwrap();
        assert!(
            matches!(read, Some(Payload::Jobs(_) | Payload::Dead(_))),
            "{number}: {read:?}"
        );
    }
}
