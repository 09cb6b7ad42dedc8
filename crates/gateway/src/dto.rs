//! What travels: shapes of the gateway's own, so that what is inside may change.

pub(crate) mod access;
pub(crate) mod cron;
pub(crate) mod dead;
pub(crate) mod fleet;
pub(crate) mod job;
pub(crate) mod log;
pub(crate) mod request;
pub(crate) mod statistics;
