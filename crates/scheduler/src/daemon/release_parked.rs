//! Releases jobs that waited for a worker that has their function.

use super::Daemon;
use crate::context::Context;
use crate::error::Error;
use crate::status::Done;

/// Releases parked jobs of functions that a live worker has. A worker that registers releases its own; this finds
/// those that were parked while it did.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    cx.each_shard(shards, |shard| Box::pin(release(cx, shard))).await
}

async fn release(cx: &Context, shard: u16) -> Result<Done, Error> {
    let rows = u64::from(cx.ports.schedule.unpark(shard).await?);
    if rows > 0 {
        cx.wakes.wake(Daemon::DispatchOutbox);
    }
    Ok(Done::rows(rows))
}
