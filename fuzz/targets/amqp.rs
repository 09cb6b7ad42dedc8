//! See tests/decoders/amqp.rs, which says what is decoded and judges it.
#![no_main]

#[path = "../../tests/decoders/amqp.rs"]
mod amqp;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| amqp::check(bytes));
