//! Deletes ended jobs after their retention.

use super::Daemon;
use crate::context::Context;
use crate::error::Error;
use crate::publisher::BITE;
use crate::status::Done;

/// Deletes what ended long enough ago; a tombstone stays. A parent whose children wait is deleted after they were told
/// that it is gone.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    cx.each_shard(shards, |shard| Box::pin(prune(cx, shard))).await
}

async fn prune(cx: &Context, shard: u16) -> Result<Done, Error> {
    let retention = cx.settings.retention.by_status();
    let mut total = 0;
    loop {
        let pruned = cx.ports.schedule.prune(shard, retention.clone(), BITE).await?;
        total += u64::from(pruned.jobs);
        if pruned.held_by_children > 0 {
            cx.wakes.wake(Daemon::TellChildren);
        }
        let looked_at = u64::from(pruned.jobs) + u64::from(pruned.held_by_children);
        // A bite of nothing but held parents would come back the same.
        if pruned.jobs == 0 || looked_at < BITE as u64 || cx.is_stopping() {
            return Ok(Done::rows(total));
        }
    }
}
