//! Ends waiting jobs whose expiry or deadline has passed.

use super::Daemon;
use crate::context::Context;
use crate::error::Error;
use crate::publisher::BITE;
use crate::status::Done;

/// Expires what waited for too long.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    cx.each_shard(shards, |shard| Box::pin(expire(cx, shard))).await
}

async fn expire(cx: &Context, shard: u16) -> Result<Done, Error> {
    let mut total = 0;
    loop {
        let rows = u64::from(cx.ports.schedule.expire_waiting(shard, BITE).await?);
        total += rows;
        if rows > 0 {
            cx.wakes.wake(Daemon::TellChildren);
        }
        if rows < BITE as u64 || cx.is_stopping() {
            return Ok(Done::rows(total));
        }
    }
}
