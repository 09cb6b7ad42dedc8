//! Brings the cron entries of the configuration file into the store, once a start.
//!
//! The file is what is wanted: an entry of a name that is there is written over, and one that came from a file and is
//! in it no more goes. An entry that says the same keeps its next tick, so that a restart misses none.

use std::collections::BTreeMap;

use longshore_core::cron::{Definition, Source};
use longshore_core::limits::CRON_PAGE;
use longshore_core::name::CronName;
use longshore_core::port::cron::{CronEntry, CronPut, CronWritten};

use crate::context::Context;
use crate::error::Error;
use crate::failures::Failures;
use crate::status::Done;

/// Applies the file, unless that was done. An entry that fails holds no others up; the next pass looks at all of them
/// again, and those that are written say the same.
pub(super) async fn pass(cx: &Context) -> Result<Done, Error> {
    let Some(wanted) = cx.cron_file.wanted() else {
        return Ok(Done::default());
    };
    let (mut rows, mut failures) = (0, Failures::default());
    let shards = cx.ports.enqueue.shards();
    for (name, definition) in &wanted {
        let shard = shards.of_bytes(name.as_str().as_bytes());
        if failures.is_away(shard) {
            continue;
        }
        match put(cx, name, definition).await {
            Ok(changed) => rows += u64::from(changed),
            Err(error) => failures.note(shard, error),
        }
    }
    for shard in shards.all() {
        if failures.is_away(shard) {
            continue;
        }
        match remove_others(cx, shard, &wanted).await {
            Ok(removed) => rows += removed,
            Err(error) => failures.note(shard, error),
        }
    }
    let done = failures.end(Done::rows(rows))?;
    cx.cron_file.applied();
    Ok(done)
}

/// Answers whether anything changed.
async fn put(cx: &Context, name: &CronName, definition: &Definition) -> Result<bool, Error> {
    let known = cx.ports.cron.cron_entry(name.clone()).await?;
    let said = known
        .as_ref()
        .and_then(|entry| Definition::decode(&entry.definition).ok());
    if said.is_some_and(|said| said.source == Source::Call) {
        tracing::warn!(entry = %name, "the configuration file writes over a cron entry that was made by a call");
    }
    let entry = CronPut {
        name: name.clone(),
        definition: definition.encode()?,
        next_at: definition.next_at(known.as_ref(), cx.clock.now()),
        if_version: Some(known.map_or(0, |entry| entry.version)),
    };
    match cx.ports.cron.cron_put(entry).await? {
        CronWritten::Written(_) => Ok(true),
        CronWritten::Unchanged(_) => Ok(false),
        CronWritten::Conflict(_) => Err(Error::CronChanged(name.clone())),
    }
}

async fn remove_others(
    cx: &Context,
    shard: u16,
    wanted: &BTreeMap<CronName, Definition>,
) -> Result<u64, Error> {
    let (mut removed, mut after) = (0, None);
    loop {
        let page = cx.ports.cron.cron_entries(shard, after, CRON_PAGE).await?;
        after = page.last().map(|entry| entry.name.clone());
        for entry in page.iter().filter(|entry| is_left(entry, wanted)) {
            removed += u64::from(cx.ports.cron.cron_remove(entry.name.clone()).await?);
            tracing::info!(entry = %entry.name, "a cron entry is in the configuration file no more");
        }
        if page.len() < CRON_PAGE {
            return Ok(removed);
        }
    }
}

/// Whether an entry came from a file and is wanted no more.
fn is_left(entry: &CronEntry, wanted: &BTreeMap<CronName, Definition>) -> bool {
    let from_file = |definition: Definition| definition.source == Source::File;
    !wanted.contains_key(&entry.name) && Definition::decode(&entry.definition).is_ok_and(from_file)
}
