//! The binary, run as people run it, on embedded folders.
#![cfg(test)]

mod access;
mod adapters;
mod attacked;
mod bad_input;
mod bench;
mod binary;
mod container;
mod cron;
mod dead_letters;
mod dev;
mod migrating;
mod names;
mod notify;
mod output;
mod pages;
mod remote;
mod stats;
mod why;
mod width;
