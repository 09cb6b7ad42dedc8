//! See tests/decoders/configuration.rs, which says what is decoded and judges it.
#![no_main]

#[path = "../../tests/decoders/configuration.rs"]
mod configuration;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| configuration::check(bytes));
