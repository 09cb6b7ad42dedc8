//! What people look after themselves: messages in quarantine, and operations on many dead letters.

use longshore_core::dead::Operation;
use longshore_core::limits::{OPERATIONS_MAX, QUARANTINE_PAGE_MAX};
use longshore_core::port::inspect::QuarantineEntry;
use longshore_core::port::{self};
use serde::de::DeserializeOwned;

use super::core::Core;
use super::disk::Disk;
use super::load::{OPERATION, QUARANTINE};
use super::state::Tx;
use super::stored::{self, StoredQuarantined};

impl Core {
    /// What was put aside, by message id from `after` on.
    pub(super) fn quarantine_page(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<QuarantineEntry>, port::Error> {
        let rows = self.disk()?.meta_under(QUARANTINE)?;
        let wanted = rows
            .into_iter()
            .filter(|(id, _)| after.is_none_or(|after| id.as_str() > after))
            .take(limit.min(QUARANTINE_PAGE_MAX));
        wanted
            .map(|(id, bytes)| {
                read::<StoredQuarantined>("message in quarantine", &bytes).map(|found| found.into_entry(id))
            })
            .collect()
    }

    pub(super) fn all_operations(&self) -> Result<Vec<Operation>, port::Error> {
        operations(&*self.disk()?)
    }
}

/// Deletes messages; answers of each whether it was there.
pub(super) fn drop_quarantined(tx: &mut Tx<'_>, message_ids: &[String]) -> Result<Vec<bool>, port::Error> {
    let rows = tx.disk.meta_under(QUARANTINE)?;
    let known: std::collections::BTreeSet<String> = rows.into_iter().map(|(id, _)| id).collect();
    let take = |id: &String| {
        let is_there = known.contains(id);
        if is_there {
            tx.batch.forget_meta(&format!("{QUARANTINE}{id}"));
        }
        is_there
    };
    Ok(message_ids.iter().map(take).collect())
}

/// Remembers an operation from now on, or answers the one that is remembered under its id.
pub(super) fn begin(tx: &mut Tx<'_>, operation: Operation) -> Result<Operation, port::Error> {
    let known = operations(tx.disk)?;
    if let Some(known) = known.iter().find(|known| known.id == operation.id) {
        return Ok(known.clone());
    }
    if known.len() >= OPERATIONS_MAX {
        // Those that have not ended come after all others.
        let first = known
            .iter()
            .min_by_key(|known| (known.ended_at.is_none(), known.started_at));
        if let Some(first) = first {
            tx.batch.forget_meta(&format!("{OPERATION}{}", first.id));
        }
    }
    let begun = Operation {
        started_at: tx.now,
        ..operation
    };
    save(tx, &begun);
    Ok(begun)
}

pub(super) fn save(tx: &mut Tx<'_>, operation: &Operation) {
    let key = format!("{OPERATION}{}", operation.id);
    tx.batch.meta_of(&key, "operation", operation);
}

/// The operations that are remembered, the newest first.
fn operations(disk: &Disk) -> Result<Vec<Operation>, port::Error> {
    let rows = disk.meta_under(OPERATION)?;
    let found = rows.into_iter().map(|(_, bytes)| read("operation", &bytes));
    let mut operations = found.collect::<Result<Vec<Operation>, _>>()?;
    operations.sort_unstable_by_key(|operation| std::cmp::Reverse((operation.started_at, operation.id)));
    Ok(operations)
}

fn read<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, port::Error> {
    stored::decode(what, bytes).map_err(|error| port::Error::Corrupt(error.to_string()))
}
