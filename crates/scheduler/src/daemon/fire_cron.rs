//! Makes the jobs of cron entries.
//!
//! Any number of schedulers may plan the same tick; the store moves an entry from the tick that was read, once, and
//! the job's id follows from entry and tick. What is late is measured by the store's clock.

use std::collections::BTreeSet;

use longshore_core::cron::{Definition, Overlap, plan};
use longshore_core::limits::CRON_GRACE;
use longshore_core::port::cron::CronEntry;
use longshore_core::port::enqueue::CancelRequest;
use longshore_core::port::schedule::CronFire;
use longshore_core::telemetry::Repair;
use longshore_core::{JobId, Timestamp};

use super::Daemon;
use crate::context::Context;
use crate::error::Error;
use crate::failures::Failures;
use crate::status::Done;

/// Entries that are looked at in one bite: definitions may be 64 KiB each.
const BITE: usize = 64;
/// Most entries of a shard that a pass looks at when those before them do not move.
const LOOK_MAX: usize = 16 * BITE;

/// Fires every tick that is due.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    let done = cx.each_shard(shards, |shard| Box::pin(fire_due(cx, shard))).await;
    if matches!(done, Ok(done) if done.rows > 0) {
        cx.wakes.wake(Daemon::DispatchOutbox);
    }
    done
}

async fn fire_due(cx: &Context, shard: u16) -> Result<Done, Error> {
    let (mut limit, mut tried) = (BITE, BTreeSet::new());
    let (mut rows, mut failures) = (0, Failures::default());
    loop {
        let due = cx.ports.schedule.cron_due(shard, limit).await?;
        let full = due.entries.len() == limit;
        for entry in due.entries {
            if cx.is_stopping() {
                break;
            }
            if !tried.insert(entry.name.clone()) {
                continue;
            }
            // One entry that fails does not hold the others up.
            match fire_entry(cx, shard, &entry, due.now).await {
                Ok(moved) => rows += moved,
                Err(error) => failures.note(shard, error),
            }
        }
        // What cannot be read stays due, and is the longest due: others are behind it.
        let looks_on = full && rows == 0 && limit < LOOK_MAX;
        if !looks_on || cx.is_stopping() || failures.is_away(shard) {
            return failures.end(Done {
                more: full && rows > 0,
                ..Done::rows(rows)
            });
        }
        limit = (2 * limit).min(LOOK_MAX);
    }
}

/// Brings an entry past `now`. Answers how often it moved.
async fn fire_entry(cx: &Context, shard: u16, entry: &CronEntry, now: Timestamp) -> Result<u64, Error> {
    let definition = match Definition::decode(&entry.definition) {
        Ok(definition) => definition,
        Err(error) => {
            cx.unread.tell(entry, &error);
            return Ok(0);
        }
    };
    let late = now.since(entry.next_at);
    if late > CRON_GRACE {
        tracing::warn!(entry = %entry.name, ?late, policy = %definition.misfire, "ticks of a cron entry were missed");
    }
    let mut last = entry.last.map(|job| job.id);
    let mut moved = 0;
    for step in plan(&definition.schedule, definition.misfire, entry.next_at, now) {
        // An entry that was put back to a tick of before meets the job of this very tick.
        let own = JobId::from_cron_tick(entry.name.as_str(), step.tick, shard);
        let open = match last.filter(|id| step.fires && *id != own) {
            Some(id) => open_beside(cx, definition.overlap, id).await?,
            None => None,
        };
        let is_skipped = open.is_some() && definition.overlap == Overlap::Skip;
        if is_skipped {
            tracing::info!(entry = %entry.name, job = ?last, "a tick was skipped: the last job has not ended");
        }
        let fires = step.fires && !is_skipped;
        let instead_of = open.filter(|_| fires).map(|id| CancelRequest {
            id,
            reason: format!("cron entry {} fired again", entry.name),
        });
        let job = fires.then(|| definition.job_of_tick(&entry.name, step.tick, now, shard));
        let job = job.transpose()?;
        last = job.as_ref().map(|job| job.id).or(last);
        let fire = CronFire {
            name: entry.name.clone(),
            version: entry.version,
            expected: step.tick,
            next: step.next,
            job,
            instead_of,
        };
        let fired = cx.ports.schedule.cron_fire(shard, fire).await?;
        if !fired || cx.is_stopping() {
            // Another scheduler is at it, or somebody changed the entry.
            cx.ports
                .telemetry
                .repaired(Repair::TickRefused, usize::from(!fired));
            break;
        }
        moved += 1;
    }
    Ok(moved)
}

/// The entry's last job, when the policy asks whether it has ended and it has not. One that ends meanwhile costs a tick at
/// most; one that another scheduler makes meanwhile has moved the entry.
async fn open_beside(cx: &Context, overlap: Overlap, last: JobId) -> Result<Option<JobId>, Error> {
    if overlap == Overlap::Allow {
        return Ok(None);
    }
    let shard = cx.ports.enqueue.shards().of(&last);
    let status = cx
        .ports
        .enqueue
        .statuses(shard, vec![last])
        .await?
        .pop()
        .flatten();
    Ok(status.is_some_and(|status| !status.is_terminal()).then_some(last))
}
