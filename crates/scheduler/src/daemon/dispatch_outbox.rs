//! Publishes what waits in the outbox.

use longshore_core::port::schedule::Leased;

use crate::context::Context;
use crate::error::Error;
use crate::publisher::BITE;
use crate::status::Done;

/// Leases due rows, publishes them, and marks those that the broker confirmed.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    cx.each_shard(shards, |shard| Box::pin(drain(cx, shard, Lease::Outbox)))
        .await
}

/// Where dispatches are leased from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lease {
    /// Due outbox rows.
    Outbox,
    /// Due jobs, which are queued by this.
    Due,
}

/// Leases and publishes bites of a shard until one comes back short. One bite is enough for most passes; a backlog is
/// drained by three at once, so that the store and the broker need not wait for each other.
pub(super) async fn drain(cx: &Context, shard: u16, lease: Lease) -> Result<Done, Error> {
    let (rows, full) = bite(cx, shard, lease).await?;
    if !full {
        return Ok(Done::rows(rows));
    }
    let one = || Box::pin(bites(cx, shard, lease));
    let (one, two, three) = futures_util::join!(one(), one(), one());
    Ok(Done::rows(rows).and(one?).and(two?).and(three?))
}

async fn bites(cx: &Context, shard: u16, lease: Lease) -> Result<Done, Error> {
    let mut total = 0;
    loop {
        let (rows, full) = bite(cx, shard, lease).await?;
        total += rows;
        if !full || cx.is_stopping() {
            return Ok(Done::rows(total));
        }
    }
}

/// One bite: how many rows were published, and whether more may be due.
async fn bite(cx: &Context, shard: u16, lease: Lease) -> Result<(u64, bool), Error> {
    let room = cx.publisher.room().await?;
    let leased: Leased = match lease {
        Lease::Outbox => cx.ports.schedule.lease_outbox(shard, BITE).await?,
        Lease::Due => cx.ports.schedule.promote(shard, BITE).await?,
    };
    let full = leased.looked_at >= BITE;
    Ok((cx.publisher.send(shard, leased, room).await?, full))
}
