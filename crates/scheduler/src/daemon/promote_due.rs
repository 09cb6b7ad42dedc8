//! Queues Scheduled and Retrying jobs whose time has come.
//!
//! The store has no bell for "now": an adaptive timer looks, often while jobs come due and less often otherwise
//! ([`crate::Intervals`]). While the broker takes nothing, due jobs stay where they are, and start as soon as it is
//! back.

use super::dispatch_outbox::{Lease, bite};
use crate::context::Context;
use crate::error::Error;
use crate::status::Done;

/// Promotes due jobs, publishes them, and marks those that the broker confirmed. One that is promoted and not
/// published, because this process ends between, is a row of the outbox.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    cx.each_shard(shards, |shard| Box::pin(bite(cx, shard, Lease::Due)))
        .await
}
