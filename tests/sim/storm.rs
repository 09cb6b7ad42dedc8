//! The faults that come over the fleet, and the people who work in the middle of them.

use std::rc::Rc;
use std::time::Duration;

use longshore_core::port::schedule::DeadLetterChange;
use longshore_core::view::JobFilter;
use longshore_core::{JobStatus, QueueName, Timestamp};
use tokio::time::{Instant, sleep};

use crate::fleet::Fleet;
use crate::world::World;

/// Faults, one after the other, until the time is over.
pub(crate) async fn rage(fleet: &Rc<Fleet>, until: Instant) {
    while Instant::now() < until {
        sleep(Duration::from_secs(5 + fleet.world.below(55))).await;
        fleet.replace_the_dead();
        strike(fleet);
    }
}

fn strike(fleet: &Fleet) {
    let world = &fleet.world;
    let number = usize::try_from(world.below(fleet.actors.borrow().len() as u64)).unwrap();
    match world.below(26) {
        0..=2 => {
            world.fault(&format!("actor {number} is killed"));
            fleet.kill(number);
        }
        3..=7 => {
            let ways = 1 + world.below(60);
            world.fault(&format!("actor {number} dies after {ways} ways"));
            fleet.actors.borrow()[number].gate.weather.dies_after(ways);
        }
        8..=12 => {
            let by = Duration::from_millis(world.below(90_000));
            world.fault(&format!("actor {number} freezes for {by:?}"));
            let weather = &fleet.actors.borrow()[number].gate.weather;
            weather.freeze_until(world.passed() + by);
        }
        13..=15 => {
            world.fault(&format!("actor {number} has bad weather"));
            fleet.actors.borrow()[number].gate.weather.set(100, 100, 2_000);
        }
        16 | 17 => {
            world.tell("the weather is fine");
            for actor in fleet.actors.borrow().iter() {
                actor.gate.weather.set(5, 5, 20);
            }
        }
        18 => jump(world),
        19 | 20 => {
            world.fault("the broker loses its queue");
            let store = fleet.store.borrow();
            store.as_ref().unwrap().delete_queue(&QueueName::default());
        }
        21 => {
            world.fault("the disk is full for a write");
            fleet.store.borrow().as_ref().unwrap().fail_next_write();
        }
        22 | 23 => {
            world.fault(&format!("actor {number} is told to end"));
            fleet.actors.borrow()[number].is_to_end();
        }
        _ => {
            world.fault("the process with the store dies");
            fleet.dies_and_begins();
        }
    }
}

/// The clock goes ahead up to an hour, or back up to a minute.
fn jump(world: &World) {
    let by = if world.once_in(3) {
        -i64::try_from(world.below(60_000)).unwrap()
    } else {
        i64::try_from(world.below(3_600_000)).unwrap()
    };
    world.fault(&format!("the clock jumps by {by} ms"));
    world.clock.jump(by);
}

/// A person pauses and resumes the queue, and queues dead letters again.
pub(crate) async fn operate(fleet: Rc<Fleet>, until: Instant) {
    while Instant::now() < until {
        sleep(Duration::from_secs(60 + fleet.world.below(600))).await;
        let ports = fleet.world.ports();
        if fleet.world.once_in(2) {
            let paused = ports.inspect.set_paused(QueueName::default(), true).await;
            fleet
                .world
                .tell(&format!("the queue is paused: {}", paused.is_ok()));
            sleep(Duration::from_secs(fleet.world.below(400))).await;
            resume(&fleet).await;
        } else {
            requeue_some(&fleet).await;
        }
    }
}

/// As often as it takes: a disk that is full refuses it.
pub(crate) async fn resume(fleet: &Fleet) {
    loop {
        let inspect = fleet.world.ports().inspect;
        if inspect.set_paused(QueueName::default(), false).await.is_ok() {
            return fleet.world.tell("the queue goes on");
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn requeue_some(fleet: &Fleet) {
    let ports = fleet.world.ports();
    let dead = JobFilter {
        statuses: vec![JobStatus::Failed],
        ..JobFilter::default()
    };
    let Ok(page) = ports.inspect.list(dead, None, 5).await else {
        return;
    };
    for job in page.jobs {
        let shard = ports.enqueue.shards().of(&job.id);
        let changed = ports
            .schedule
            .requeue(shard, vec![job.id], Timestamp(u64::MAX))
            .await;
        if changed.is_ok_and(|changes| changes == [DeadLetterChange::Done]) {
            fleet.world.requeued(job.id);
        }
    }
}
