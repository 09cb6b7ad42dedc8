//! What every job does: it takes a while, and fails now and then.

use std::time::Duration;

use longshore::JobError;
use longshore_core::{JobId, Timestamp};
use longshore_testkit::history::Event;
use longshore_worker::JobContext;
use tokio::time::sleep;

use crate::gate::Gate;

/// The cron entry fires every five minutes.
const TICK: u64 = 300_000;

pub(crate) async fn handle(gate: &Gate, ctx: &JobContext) -> Result<u8, JobError> {
    let world = &gate.world;
    gate.thawed().await;
    let (attempt, fence) = (ctx.attempt(), ctx.fence());
    world.look_at_parents(ctx.id()).await;
    world.starts(ctx.id(), attempt, fence);
    if ctx.envelope().function_name.as_str() == "tick" {
        world.ticked(tick_of(ctx), ctx.id());
    }
    // A few are so long that their message is acknowledged before their end.
    let takes = match world.below(60) {
        0 => 1_500_000,
        1..=3 => 120_000,
        _ => 3_000,
    };
    tokio::select! {
        biased;
        () = ctx.cancelled() => return Err(JobError::cancelled()),
        () = sleep(Duration::from_millis(world.below(takes))) => {}
    }
    gate.thawed().await;
    match world.below(24) {
        0 => return Err(JobError::permanent("no")),
        1..=3 => return Err(JobError::transient("later")),
        4 => return Err(JobError::snooze(Duration::from_millis(world.below(90_000)))),
        5 => return Err(JobError::rate_limited(Duration::from_millis(world.below(90_000)))),
        _ => {}
    }
    world.saw(ctx.id(), Event::Ended { attempt });
    Ok(1)
}

/// The tick that a job was made for, by its id; 0 for one that no tick explains.
fn tick_of(ctx: &JobContext) -> u64 {
    let made = ctx.envelope().created_at.millis();
    let shard = ctx.id().carried_shard().unwrap_or(0);
    let ticks = (0..50).map(|back| (made / TICK - back) * TICK);
    let mut mine = ticks.filter(|tick| JobId::from_cron_tick("cron", Timestamp(*tick), shard) == ctx.id());
    mine.next().unwrap_or(0)
}
