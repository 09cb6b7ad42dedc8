//! See tests/decoders/command.rs, which says what is decoded and judges it.
#![no_main]

#[path = "../../tests/decoders/command.rs"]
mod command;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| command::check(bytes));
