//! What a process of ours needs and a library must not touch: configuration, log, traces, metrics, health, signals, exit codes.

pub mod config;
pub mod duration;
pub mod exit;
pub mod health;
pub mod metrics;
pub mod signals;
pub mod telemetry;

pub use config::Config;
