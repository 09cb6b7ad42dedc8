//! The binary, run as people run it, on embedded folders.
#![cfg(test)]

mod adapters;
mod bad_input;
mod binary;
mod cron;
mod dead_letters;
mod dev;
mod notify;
mod output;
mod why;
mod width;
