//! See tests/decoders/http.rs, which says what is decoded and judges it.
#![no_main]

#[path = "../../tests/decoders/http.rs"]
mod http;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http::check(bytes));
