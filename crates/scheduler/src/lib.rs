//! The daemons that run what is due and repair what was left.
//!
//! Any number of schedulers may run at once: every daemon is safe to run beside its twins, and leases over shards only
//! save duplicate work. A daemon's pass is an idempotent function of what the store holds; timers and wake-ups decide
//! only how soon it runs. Each daemon has one file under [`Daemon`].

mod context;
mod cron;
mod daemon;
mod drive;
mod error;
mod failures;
mod hints;
mod message;
pub mod names;
mod notifications;
mod publisher;
mod scheduler;
mod settings;
mod shards;
mod status;
#[cfg(test)]
mod tests;
mod trouble;
mod wakes;

pub use daemon::Daemon;
pub use error::Error;
pub use notifications::Notifications;
pub use scheduler::{Builder, Handle, Report, Scheduler};
pub use settings::{Intervals, Retention};
pub use status::{Done, Status};
