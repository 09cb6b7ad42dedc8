//! See tests/decoders/cron_entry.rs, which says what is decoded and judges it.
#![no_main]

#[path = "../../tests/decoders/cron_entry.rs"]
mod cron_entry;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cron_entry::check(bytes));
