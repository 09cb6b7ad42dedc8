//! Says once that daemons are in trouble, and once that they are out of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::daemon::Daemon;
use crate::error::Error;

/// Which daemons are in trouble now. A server that is away fails every daemon, over and over: one line tells it.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    outage: BTreeSet<Daemon>,
    failing: BTreeSet<Daemon>,
}

impl Trouble {
    /// Takes the end of a pass.
    pub(crate) fn tell(&self, daemon: Daemon, error: Option<&Error>) {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = error else {
            if inside.failing.remove(&daemon) {
                tracing::info!(daemon = daemon.name(), "the daemon works again");
            }
            if inside.outage.remove(&daemon) && inside.outage.is_empty() {
                tracing::info!("every daemon works again");
            }
            return;
        };
        if error.is_outage() {
            if inside.outage.is_empty() {
                tracing::warn!(daemon = daemon.name(), %error, "the scheduler keeps trying");
            }
            inside.outage.insert(daemon);
        } else if inside.failing.insert(daemon) {
            tracing::error!(daemon = daemon.name(), %error, "a daemon fails");
        }
        tracing::debug!(daemon = daemon.name(), %error, "a pass failed");
    }
}
