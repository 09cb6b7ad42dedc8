//! Dispatches for the broker.

use longshore_core::id::JobId;
use longshore_core::port::schedule::{Leased, Publishable, Watermark};
use longshore_core::record::{Index, Slot};
use longshore_core::transition;

use super::super::disk::Part;
use super::super::rows::Group;
use super::super::state::{State, Tx};

/// Leases those of `ids` that `take` takes, and reads what the broker needs of them.
pub(super) fn lease(
    state: &mut State,
    tx: &mut Tx<'_>,
    shard: u16,
    ids: &[JobId],
    take: impl Fn(&mut Slot) -> bool,
) -> Leased {
    let mut jobs = Vec::with_capacity(ids.len());
    for id in ids {
        if state.change(tx, *id, |slot, _| take(slot)) {
            jobs.extend(publishable(state, tx, *id));
        }
    }
    Leased {
        epoch: state.shard(shard).epoch,
        jobs,
        looked_at: ids.len(),
    }
}

fn publishable(state: &State, tx: &Tx<'_>, id: JobId) -> Option<Publishable> {
    let record = state.record(id)?;
    let envelope = match tx.disk.part(id, Part::Envelope) {
        Ok(Some(envelope)) => envelope,
        Ok(None) => {
            tracing::error!(job = %id, "its envelope is missing; it cannot be published");
            return None;
        }
        Err(error) => {
            tracing::error!(job = %id, %error, "its envelope cannot be read; it is tried again later");
            return None;
        }
    };
    Some(Publishable {
        id,
        gen_: record.gen_,
        queue: record.queue.clone(),
        priority: record.priority,
        attempts: record.attempts,
        retries: record.retries,
        losts: record.losts,
        envelope,
    })
}

/// Leases what is certainly out of the broker.
pub(super) fn audit(
    state: &mut State,
    tx: &mut Tx<'_>,
    shard: u16,
    watermarks: &[Watermark],
    limit: usize,
) -> Leased {
    let now = tx.now;
    let mut all = Leased {
        epoch: state.shard(shard).epoch,
        ..Leased::default()
    };
    for mark in watermarks {
        let left = limit.saturating_sub(all.looked_at);
        let (Some(until), false) = (
            mark.published_before.millis().checked_sub(1),
            state.paused.contains(&mark.queue),
        ) else {
            continue;
        };
        let group = Group::Queue(mark.queue.clone(), mark.priority);
        let lost = state
            .rows(shard)
            .map(|rows| rows.group_until(Index::Ready, group, until, left));
        let before = mark.published_before;
        let bite = lease(state, tx, shard, &lost.unwrap_or_default(), |slot| {
            transition::audit(slot, before, false, now)
        });
        all.looked_at += bite.looked_at;
        all.jobs.extend(bite.jobs);
    }
    all
}
