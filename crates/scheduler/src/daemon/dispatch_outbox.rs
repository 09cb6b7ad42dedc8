//! Publishes what waits in the outbox.

use longshore_core::port::schedule::Leased;

use crate::context::Context;
use crate::error::Error;
use crate::publisher::BITE;
use crate::status::Done;

/// Leases due rows, publishes them, and marks those that the broker confirmed.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    cx.each_shard(shards, |shard| Box::pin(bite(cx, shard, Lease::Outbox)))
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

/// Leases and publishes one bite of a shard. A backlog is drained by pass after pass, so that what is urgent in one
/// shard does not wait for all that is less so in another.
pub(super) async fn bite(cx: &Context, shard: u16, lease: Lease) -> Result<Done, Error> {
    let room = cx.publisher.room().await?;
    let leased: Leased = match lease {
        Lease::Outbox => cx.ports.schedule.lease_outbox(shard, BITE).await?,
        Lease::Due => cx.ports.schedule.promote(shard, BITE).await?,
    };
    let more = leased.looked_at >= BITE && !cx.is_stopping();
    let sent = cx.publisher.send(shard, leased, room).await?;
    Ok(Done { more, ..sent })
}
