//! What the cron daemons remember between passes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use longshore_core::cron::{Definition, InvalidDefinition};
use longshore_core::name::CronName;
use longshore_core::port::cron::CronEntry;

/// Entries that are remembered as told; beyond it they are told again. More than a pass over a few shards looks at.
const TOLD_MAX: usize = 10_000;

/// The entries of the configuration file, until they are in the store.
#[derive(Debug, Default)]
pub(crate) struct CronFile(Mutex<Option<BTreeMap<CronName, Definition>>>);

impl CronFile {
    pub(crate) fn new(entries: Option<BTreeMap<CronName, Definition>>) -> Self {
        Self(Mutex::new(entries))
    }

    /// What is still to be applied.
    pub(crate) fn wanted(&self) -> Option<BTreeMap<CronName, Definition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn applied(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Entries that this build cannot read: each version is told once.
#[derive(Debug, Default)]
pub(crate) struct Unread(Mutex<BTreeSet<(CronName, u64)>>);

impl Unread {
    pub(crate) fn tell(&self, entry: &CronEntry, error: &InvalidDefinition) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        if told.insert((entry.name.clone(), entry.version)) {
            tracing::error!(entry = %entry.name, %error, "a cron entry cannot be read and does not fire");
        }
    }
}
