//! What travels: shapes of the gateway's own, so that what is inside may change. Whoever asks reads the same types as the
//! gateway writes.

pub mod access;
pub mod cron;
pub mod dead;
pub mod fleet;
pub mod job;
pub mod log;
pub mod request;
pub mod statistics;
