//! Takes running jobs from workers that beat no more.

use longshore_core::telemetry::Event;

use super::Daemon;
use crate::context::Context;
use crate::error::Error;
use crate::publisher::BITE;
use crate::status::Done;

/// Expires leases that are over: the job is queued again, or given up. After an outage the store itself holds this
/// back for one lease, so that living owners can beat first.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    cx.each_shard(shards, |shard| Box::pin(expire(cx, shard))).await
}

async fn expire(cx: &Context, shard: u16) -> Result<Done, Error> {
    let mut total = 0;
    loop {
        let expired = cx.ports.schedule.expire_leases(shard, BITE).await?;
        let rows = u64::from(expired.requeued) + u64::from(expired.failed) + u64::from(expired.cancelled);
        if rows > 0 {
            cx.ports.telemetry.observe(&Event::LeasesExpired {
                requeued: expired.requeued.into(),
                failed: expired.failed.into(),
                cancelled: expired.cancelled.into(),
            });
        }
        if expired.requeued > 0 {
            cx.wakes.wake(Daemon::DispatchOutbox);
        }
        if expired.failed > 0 {
            cx.wakes.wake(Daemon::KeepDeadLetters);
        }
        if expired.failed > 0 || expired.cancelled > 0 {
            cx.wakes.wake(Daemon::TellChildren);
        }
        total += rows;
        if rows < BITE as u64 || cx.is_stopping() {
            return Ok(Done::rows(total));
        }
    }
}
