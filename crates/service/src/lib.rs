//! What a process of ours needs and a library must not touch: configuration, the log subscriber, signals, exit codes.

pub mod config;
pub mod duration;
pub mod exit;
pub mod metrics;
pub mod signals;
pub mod telemetry;

pub use config::Config;
