//! The client on a real embedded store, with a real worker and scheduler.
#![cfg(test)]

mod batch;
mod cancel;
mod cancel_all;
#[cfg(feature = "cron")]
mod cron;
mod dead_letters;
mod enqueue;
mod faults;
mod fields;
mod follow;
mod look;
mod ports;
mod rig;
#[cfg(feature = "testing")]
mod testing;
mod why;
