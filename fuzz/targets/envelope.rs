//! See tests/decoders/envelope.rs, which says what is decoded and judges it.
#![no_main]

#[path = "../../tests/decoders/envelope.rs"]
mod envelope;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| envelope::check(bytes));
