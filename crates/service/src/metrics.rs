//! Metrics of this process: names, instruments, and the page that Prometheus reads.

pub mod names;
pub mod reference;
