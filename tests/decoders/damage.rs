//! Damages what is well formed: bytes changed, cut, doubled and moved, and now and then nothing but noise.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

#[derive(Clone, Debug)]
enum Damage {
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, u8),
    Double(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
}

/// Calls `decode` with damaged copies; it panics when something is wrong.
pub(crate) fn check(what: &str, corpus: &[Vec<u8>], decode: impl Fn(&[u8])) {
    check_some(what, 1, corpus, decode);
}

/// The same with a part of the copies, for what takes its time.
pub(crate) fn check_some(what: &str, part: u32, corpus: &[Vec<u8>], decode: impl Fn(&[u8])) {
    let chosen = std::env::var("LONGSHORE_DECODER_CASES").ok();
    let cases = chosen.map_or(2_000, |text| {
        text.parse().expect("LONGSHORE_DECODER_CASES: a number")
    }) / part;
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    for whole in corpus {
        decode(whole);
    }
    let damaged = (
        prop::sample::select(corpus.to_vec()),
        prop::collection::vec(damage(), 1..6),
    )
        .prop_map(|(bytes, damages)| damages.into_iter().fold(bytes, spoil));
    let noise = prop::collection::vec(any::<u8>(), 0..64);
    let input = prop_oneof![9 => damaged, 1 => noise];
    let outcome = TestRunner::new(config).run(&input, |bytes| {
        decode(&bytes);
        Ok::<(), TestCaseError>(())
    });
    if let Err(failure) = outcome {
        panic!("{what}: {failure}");
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    // Digits, signs and MessagePack's markers are what decoders look at.
    let byte = || {
        prop_oneof![
            any::<u8>(),
            prop::sample::select(b"0189-*/,#\"[]={}\n \xc0\xc4\xc9\xdc\xdd\xdf\xff".to_vec())
        ]
    };
    prop_oneof![
        4 => (at(), byte()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => at().prop_map(Damage::Cut),
        2 => (at(), 1..9_u8).prop_map(|(at, len)| Damage::Remove(at, len)),
        2 => (at(), 1..33_u8).prop_map(|(at, len)| Damage::Double(at, len)),
        2 => (at(), prop::collection::vec(byte(), 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

fn spoil(mut bytes: Vec<u8>, damage: Damage) -> Vec<u8> {
    let size = bytes.len();
    match damage {
        Damage::Set(at, byte) if size > 0 => bytes[at.index(size)] = byte,
        Damage::Cut(at) => bytes.truncate(at.index(size + 1)),
        Damage::Remove(at, len) if size > 0 => {
            let from = at.index(size);
            bytes.drain(from..size.min(from + usize::from(len)));
        }
        Damage::Double(at, len) if size > 0 => {
            let from = at.index(size);
            let again = bytes[from..size.min(from + usize::from(len))].to_vec();
            bytes.splice(from..from, again);
        }
        Damage::Insert(at, more) => {
            let from = at.index(size + 1);
            bytes.splice(from..from, more);
        }
        Damage::Set(..) | Damage::Remove(..) | Damage::Double(..) => {}
    }
    bytes
}
