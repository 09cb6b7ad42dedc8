//! See tests/decoders/cron_expression.rs, which says what is decoded and judges it.
#![no_main]

#[path = "../../tests/decoders/cron_expression.rs"]
mod cron_expression;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cron_expression::check(bytes));
