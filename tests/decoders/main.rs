//! Bytes and texts from outside, damaged at random: every decoder answers, none panics, and what it takes it can write
//! again. `LONGSHORE_DECODER_CASES` sets how many are tried (2,000 for each decoder).
//!
//! Each module is one decoder: `check` decodes and judges, `seeds` are inputs that are right. The fuzzers in `fuzz/` call the
//! same functions; their corpora begin with these seeds.
#![cfg(test)]

mod amqp;
mod args;
mod command;
mod configuration;
mod cron_entry;
mod cron_expression;
mod damage;
mod envelope;
mod http;
mod seeds;

use damage::{check, check_some};

#[test]
fn a_damaged_envelope_is_refused_or_reads_back() {
    check("envelope", &envelope::seeds(), envelope::check);
}

#[test]
fn damaged_arguments_are_refused_or_shown() {
    check("args", &args::seeds(), args::check);
}

#[test]
fn a_damaged_message_of_the_broker_is_read_back_or_told_apart() {
    check("amqp", &amqp::seeds(), amqp::check);
}

#[test]
fn damaged_lines_of_a_program_are_taken_or_logged() {
    check("command", &command::seeds(), command::check);
}

#[test]
fn a_damaged_cron_entry_is_refused_or_ticks() {
    check("cron entry", &cron_entry::seeds(), cron_entry::check);
}

#[test]
fn a_damaged_cron_expression_is_refused_or_ticks_later() {
    check(
        "cron expression",
        &cron_expression::seeds(),
        cron_expression::check,
    );
}

#[test]
fn a_damaged_configuration_is_told_and_keeps_its_secrets() {
    check("configuration", &configuration::seeds(), configuration::check);
}

#[test]
fn a_damaged_request_is_answered() {
    // Each goes through a whole gateway and a store.
    check_some("http", 4, &http::seeds(), http::check);
    http::close();
}
