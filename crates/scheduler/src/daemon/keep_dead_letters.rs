//! Keeps a durable twin of every dead letter in the broker's archive, and no others.
//!
//! Copies are made by every replica for its own shards. The archive itself and the broker's own dead letters are one
//! queue each, so one replica at a time keeps them: the one that has the lease of shard 0. Two that do it at once for
//! the moment of a handover make at worst a second copy of a twin, which the next lap drops.

mod given_up;
mod lap;
mod missing;

#[cfg(test)]
pub(crate) use given_up::take as take_given_up;

use longshore_core::message::Epoch;
use longshore_core::port::broker::{Delivery, Source, Subscription};
use longshore_core::port::schedule::Removals;
use longshore_core::port::{self, Ports};
use tokio::sync::Mutex;
use tokio::time::{Duration, timeout};

use super::Daemon;
use crate::context::Context;
use crate::error::Error;
use crate::publisher::{self, BITE};
use crate::status::Done;

/// Quiet time after which a subscription counts as drained.
const QUIET: Duration = Duration::from_millis(300);

/// How long a letter that is known to be there may take to come.
const LATE: Duration = Duration::from_secs(10);

/// How long a subscription may take to begin.
const SUBSCRIBE: Duration = Duration::from_secs(10);

/// What the keeper remembers between passes. Nothing of it is needed for correctness.
#[derive(Debug, Default)]
pub(crate) struct Keeper(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    /// Its subscription to what the broker gave up; held while this replica is the keeper.
    given_up: Option<Box<dyn Subscription>>,
    /// The shards' epochs when the archive was last looked at; `None` before the first look.
    epochs: Option<Vec<Epoch>>,
    /// A lap began and did not end.
    lap_is_open: bool,
    /// Dead letters against twins.
    counts: missing::Counts,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory")
            .field("epochs", &self.epochs)
            .field("lap_is_open", &self.lap_is_open)
            .finish_non_exhaustive()
    }
}

/// Copies new dead letters; as the keeper, also drains what the broker gave up, and makes a lap of the archive when
/// twins were made stale or the store was wiped. Whoever is the keeper no more lets go of all that it holds.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    let copied = cx.each_shard(shards, |shard| Box::pin(copy(cx, shard))).await;
    let mut memory = cx.keeper.0.lock().await;
    if !cx.held.borrow().is_first {
        *memory = Memory::default();
        return copied;
    }
    let drained = given_up::drain(cx, &mut memory.given_up).await;
    let kept = keep(cx, &mut memory).await;
    Ok(copied?.and(drained?).and(kept?))
}

/// Copies the uncopied dead letters of a shard.
async fn copy(cx: &Context, shard: u16) -> Result<Done, Error> {
    let mut total = 0;
    loop {
        let letters = cx.ports.schedule.dead_uncopied(shard, BITE).await?;
        let found = letters.len();
        if found == 0 {
            return Ok(Done::rows(total));
        }
        if !cx.ports.publish.is_ready() {
            return Err(Error::BrokerNotReady);
        }
        let ids: Vec<_> = letters.iter().map(|letter| (letter.id, letter.gen_)).collect();
        let answers = cx.ports.publish.archive(letters).await;
        let copied: Vec<_> = std::iter::zip(ids, &answers)
            .filter(|(_, answer)| answer.is_confirmed())
            .map(|(dead, _)| dead)
            .collect();
        total += copied.len() as u64;
        if !copied.is_empty() {
            cx.ports.schedule.dead_copied(shard, copied).await?;
        }
        publisher::check(&answers)?;
        if found < BITE || cx.is_stopping() {
            return Ok(Done::rows(total));
        }
    }
}

/// Makes a lap of the archive when there is a reason for one.
async fn keep(cx: &Context, memory: &mut Memory) -> Result<Done, Error> {
    let epochs = epochs(&cx.ports).await?;
    let pending = removals(&cx.ports).await?;
    let is_ready = cx.ports.publish.is_ready();
    let short = if is_ready {
        memory.counts.are_short(cx).await?
    } else {
        None
    };
    let has_reason =
        memory.lap_is_open || short.is_some() || pending.iter().any(|removals| removals.pending > 0);
    if !has_reason && memory.epochs.as_ref() == Some(&epochs) {
        return Ok(Done::default());
    }
    if !is_ready {
        return Err(Error::BrokerNotReady);
    }
    // Before any subscription holds some of them.
    let archived = cx.ports.consume.archived().await?;
    let is_known = memory.epochs.is_some();
    // The oldest twins stand first: they tell whether the store was wiped while nobody looked.
    if !has_reason && !is_known && !lap::meets_another_epoch(cx, &epochs, archived).await? {
        memory.epochs = Some(epochs);
        return Ok(Done::default());
    }
    memory.lap_is_open = true;
    let (mut done, seen) = lap::run(cx, &epochs, archived).await?;
    if cx.is_stopping() {
        return Ok(done);
    }
    swept(&cx.ports, &pending).await?;
    memory.lap_is_open = false;
    if let Some(until) = short {
        done = done.and(Done::rows(missing::copy(cx, &epochs, &seen, until).await?));
    }
    memory.epochs = Some(epochs);
    cx.wakes.wake(Daemon::KeepDeadLetters);
    Ok(done)
}

/// The epoch of every shard. A lease of no rows reads it.
async fn epochs(ports: &Ports) -> Result<Vec<Epoch>, Error> {
    let mut epochs = Vec::new();
    for shard in ports.enqueue.shards().all() {
        epochs.push(ports.schedule.lease_outbox(shard, 0).await?.epoch);
    }
    Ok(epochs)
}

/// The twins of each shard that were made stale.
async fn removals(ports: &Ports) -> Result<Vec<Removals>, Error> {
    let mut pending = Vec::new();
    for shard in ports.enqueue.shards().all() {
        pending.push(ports.schedule.removals_pending(shard, 0).await?);
    }
    Ok(pending)
}

/// Takes back the reasons that there were for a lap when it began. What was removed since then is one for the next.
async fn swept(ports: &Ports, began: &[Removals]) -> Result<(), Error> {
    for (shard, began) in std::iter::zip(ports.enqueue.shards().all(), began) {
        if began.pending > 0 {
            ports.schedule.removals_pending(shard, began.counted).await?;
        }
    }
    Ok(())
}

/// Subscribes, but does not wait for a broker that is away.
async fn subscribe(cx: &Context, source: Source, prefetch: u16) -> Result<Box<dyn Subscription>, Error> {
    if !cx.ports.publish.is_ready() {
        return Err(Error::BrokerNotReady);
    }
    tokio::select! {
        subscription = timeout(SUBSCRIBE, cx.ports.consume.subscribe(source, prefetch)) => match subscription {
            Ok(subscription) => Ok(subscription?),
            Err(_) => Err(Error::BrokerNotReady),
        },
        () = cx.stop.cancelled() => Err(port::Error::Closed.into()),
    }
}

/// The next delivery, unless the subscription is quiet or has ended.
async fn next(subscription: &mut dyn Subscription) -> Next {
    next_within(QUIET, subscription).await
}

async fn next_within(quiet: Duration, subscription: &mut dyn Subscription) -> Next {
    match timeout(quiet, subscription.next()).await {
        Ok(Some(delivery)) => Next::Delivery(Box::new(delivery)),
        Ok(None) => Next::Ended,
        Err(_) => Next::Quiet,
    }
}

enum Next {
    Delivery(Box<Delivery>),
    Quiet,
    Ended,
}
