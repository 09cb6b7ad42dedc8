//! See tests/decoders/args.rs, which says what is decoded and judges it.
#![no_main]

#[path = "../../tests/decoders/args.rs"]
mod args;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| args::check(bytes));
