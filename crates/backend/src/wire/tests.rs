use lapin::types::{AMQPValue, FieldTable};
use longshore_core::limits::{BUNDLE_BYTES_MAX, BUNDLE_JOBS_MAX, ENVELOPE_BYTES_MAX};
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::schedule::DeadLetter;
use longshore_core::view::AttemptView;
use proptest::prelude::*;

use super::*;

fn job() -> impl Strategy<Value = MessageJob> {
    let envelope = prop::collection::vec(any::<u8>(), 0..400);
    (any::<u128>(), any::<[u32; 4]>(), envelope).prop_map(
        |(id, [gen_, attempts, retries, losts], envelope)| MessageJob {
            id: JobId::from_uuid(Uuid::from_u128(id)),
            gen_,
            attempts,
            retries,
            losts,
            envelope: envelope.into(),
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    (
        any::<u128>(),
        "[a-z0-9][a-z0-9_.-]{0,63}",
        0_u8..4,
        any::<u16>(),
        any::<u64>(),
        0..u64::MAX / 4,
        any::<bool>(),
        prop::collection::vec(job(), 1..=BUNDLE_JOBS_MAX),
    )
        .prop_map(|(id, queue, level, shard, epoch, at, norecord, jobs)| Message {
            traceparent: norecord
                .then(|| "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            id: Uuid::from_u128(id),
            queue: QueueName::new(queue).unwrap(),
            priority: Priority::from_level(level).unwrap(),
            shard,
            epoch,
            published_at: Timestamp(at),
            norecord,
            jobs,
        })
}

fn one(envelope: Bytes) -> Message {
    Message {
        traceparent: None,
        id: Uuid::from_u128(7),
        queue: QueueName::default(),
        priority: Priority::High,
        shard: 3,
        epoch: u64::MAX - 3,
        published_at: Timestamp(1_700_000_000_123),
        norecord: true,
        jobs: vec![MessageJob {
            id: JobId::from_uuid(Uuid::from_u128(8)),
            gen_: 4,
            attempts: 3,
            retries: 2,
            losts: 1,
            envelope,
        }],
    }
}

fn undecodable(properties: &BasicProperties, body: Vec<u8>) -> Undecodable {
    match decode(properties, body.into()) {
        Payload::Undecodable(strange) => strange,
        other => panic!("it was read: {other:?}"),
    }
}

proptest! {
    #[test]
    fn a_message_reads_back(sent in message()) {
        let encoded = encode(&sent).unwrap();
        prop_assert_eq!(&encoded.id, &sent.id.to_string());
        match decode(&encoded.properties, encoded.body.into()) {
            Payload::Jobs(came) => prop_assert_eq!(came, sent),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn a_damaged_body_never_panics(sent in message(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut encoded = encode(&sent).unwrap();
        let at = at.index(encoded.body.len());
        if cut {
            encoded.body.truncate(at);
        } else {
            encoded.body[at] = byte;
        }
        let _payload = decode(&encoded.properties, encoded.body.into());
    }

    #[test]
    fn random_jobs_headers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut table = FieldTable::default();
        table.insert("schema".into(), AMQPValue::LongInt(1));
        table.insert("jobs".into(), AMQPValue::ByteArray(bytes.into()));
        let properties = BasicProperties::default().with_headers(table);
        undecodable(&properties, vec![0x90]);
    }
}

#[test]
fn envelopes_are_slices_of_the_body() {
    let encoded = encode(&one(Bytes::from(vec![5; 1_000]))).unwrap();
    let body = Bytes::from(encoded.body);
    let Payload::Jobs(came) = decode(&encoded.properties, body.clone()) else {
        panic!("not jobs")
    };
    assert!(body.as_ptr_range().contains(&came.jobs[0].envelope.as_ptr()));
}

#[test]
fn a_message_is_persistent_and_names_itself() {
    let properties = encode(&one(Bytes::new())).unwrap().properties;
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(*properties.priority(), Some(2));
    assert_eq!(*properties.timestamp(), Some(1_700_000_000));
    assert_eq!(properties.content_type().as_ref().unwrap().as_str(), JOBS_TYPE);
}

#[test]
fn bounds_hold_when_writing() {
    let mut none = one(Bytes::new());
    none.jobs.clear();
    assert!(encode(&none).is_err());
    assert!(encode(&one(Bytes::from(vec![0; ENVELOPE_BYTES_MAX]))).is_ok());
    assert!(encode(&one(Bytes::from(vec![0; ENVELOPE_BYTES_MAX + 1]))).is_err());
    let mut two = one(Bytes::from(vec![0; BUNDLE_BYTES_MAX / 2]));
    two.jobs.push(two.jobs[0].clone());
    assert!(encode(&two).is_ok());
    two.jobs.push(one(Bytes::from_static(b"1")).jobs.remove(0));
    assert!(encode(&two).is_err());
    let mut many = one(Bytes::new());
    many.jobs = vec![many.jobs[0].clone(); BUNDLE_JOBS_MAX + 1];
    assert!(encode(&many).is_err());
}

#[test]
fn a_newer_schema_still_names_its_jobs() {
    let encoded = encode(&one(Bytes::new())).unwrap();
    let mut table = encoded.properties.headers().clone().unwrap();
    table.insert("schema".into(), AMQPValue::LongLongInt(2));
    // One field more than ours: id, gen, attempts, retries, losts, and a list.
    let mut jobs = vec![0x91, 0x96, 0xc4, 16];
    jobs.extend_from_slice(&[9; 16]);
    jobs.extend_from_slice(&[4, 3, 2, 1, 0x92, 0xc0, 0xc0]);
    table.insert("jobs".into(), AMQPValue::ByteArray(jobs.into()));
    let strange = undecodable(&encoded.properties.clone().with_headers(table), vec![0xc1]);
    assert!(strange.newer_schema, "{strange:?}");
    assert_eq!(strange.jobs, [(JobId::from_uuid(Uuid::from_bytes([9; 16])), 4)]);
    assert_eq!(strange.message_id, Uuid::from_u128(7).to_string());
}

#[test]
fn bytes_of_nobody_have_a_stable_id_and_a_reason() {
    let strange = undecodable(&BasicProperties::default(), b"\xc1 not ours".to_vec());
    assert!(!strange.newer_schema && strange.jobs.is_empty());
    assert!(strange.reason.contains("schema"), "{}", strange.reason);
    let again = undecodable(&BasicProperties::default(), b"\xc1 not ours".to_vec());
    assert_eq!(strange.message_id, again.message_id);
    assert_eq!(strange.body.as_ref(), b"\xc1 not ours");
}

#[test]
fn a_body_that_disagrees_with_its_headers_keeps_the_jobs() {
    let encoded = encode(&one(Bytes::from_static(b"e"))).unwrap();
    for body in [
        &b"\x92\xc4\x01e\xc4\x01e"[..],
        b"\x90",
        b"\x91\xc4\x01ee",
        b"\x91\xc6\xff\xff\xff\xff",
        b"",
    ] {
        let strange = undecodable(&encoded.properties, body.to_vec());
        assert_eq!(strange.jobs, [(JobId::from_uuid(Uuid::from_u128(8)), 4)]);
        assert_eq!(strange.body.as_ref(), body);
    }
}

#[test]
fn deep_nesting_in_a_header_does_not_overflow_the_stack() {
    let mut table = FieldTable::default();
    table.insert("schema".into(), AMQPValue::LongInt(1));
    table.insert("jobs".into(), AMQPValue::ByteArray(vec![0x91; 20_000].into()));
    undecodable(
        &BasicProperties::default().with_headers(table),
        vec![0x91; 20_000],
    );
}

#[test]
fn a_dead_letter_reads_back() {
    let sent = DeadLetter {
        id: JobId::from_uuid(Uuid::from_u128(11)),
        gen_: 5,
        epoch: u64::MAX,
        dead_at: Timestamp(1_700_000_000_000),
        queue: QueueName::default(),
        envelope: Bytes::from(vec![1; ENVELOPE_BYTES_MAX]),
        error: ErrorInfo::new("io::Error", "disk full"),
        attempts: 4,
        history: vec![AttemptView {
            number: 1,
            worker: "w".to_owned(),
            started_at: Timestamp(1),
            ended_at: Timestamp(2),
            outcome: "retry".to_owned(),
            error: "io::Error: disk full".to_owned(),
        }],
    };
    let encoded = encode_dead(sent.clone()).unwrap();
    assert_eq!(encoded.id, format!("{}.5", sent.id));
    match decode(&encoded.properties, encoded.body.clone().into()) {
        Payload::Dead(came) => assert_eq!(came, sent),
        other => panic!("{other:?}"),
    }
    let strange = undecodable(&encoded.properties, encoded.body[..20].to_vec());
    assert_eq!(strange.jobs, [(sent.id, sent.gen_)]);
}
