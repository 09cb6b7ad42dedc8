//! An urgent job passes a long line.

use longshore::Priority;
use longshore_backend::Profile;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;
use longshore_worker::WorkerStats;

use crate::rig::{LONG, Pace, Rig};

/// LOW jobs in the line.
const LINE: u64 = 10_000;
const SLOTS: usize = 4;

async fn waiting(stats: &WorkerStats, jobs: u64) {
    let at_least = |seen| {
        if seen >= jobs {
            Ok(())
        } else {
            Err(format!("{seen} wait"))
        }
    };
    eventually(LONG, "jobs wait in the worker", || async {
        at_least(stats.snapshot().waiting)
    })
    .await
    .unwrap();
}

/// At how many freed slots the CRITICAL job, enqueued behind the line, starts. Every slot runs a job that ends when it
/// is told to, so that slots become free one by one; `delivered` says whether the broker hands the job to a worker all
/// of whose slots are taken.
async fn freed_slots_until_critical(mut rig: Rig, delivered: bool) -> usize {
    rig.enqueue(0..LINE, Pace::Gated, Priority::Low).await;
    let stats = rig.worker(SLOTS).await;
    rig.book.started(SLOTS).await;
    // What the worker holds beside its slots, when messages have more than one job, no longer grows.
    let mut held = 0;
    eventually(LONG, "the worker's line stays as it is", || {
        let now = stats.snapshot().waiting;
        let same = now == std::mem::replace(&mut held, now);
        async move {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            same
        }
    })
    .await
    .unwrap();

    rig.enqueue(LINE..LINE + 1, Pace::Gated, Priority::Critical).await;
    waiting(&stats, held + u64::from(delivered)).await;
    for freed in 1..=SLOTS {
        rig.book.open(1);
        rig.book.started(SLOTS + freed).await;
        if rig.book.starts().last() == Some(&LINE) {
            rig.stop().await;
            return freed;
        }
        waiting(&stats, held).await;
    }
    panic!("{:?}", rig.book.starts());
}

#[tokio::test(flavor = "multi_thread")]
async fn critical_starts_at_the_next_free_slot_with_quorum_queues() {
    let servers = SharedServers::get().await.unwrap();
    let rig = Rig::servers(servers.amqp_url(), &servers.redis_url(), Profile::Quorum).await;
    assert_eq!(freed_slots_until_critical(rig, true).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn critical_starts_at_the_next_or_next_but_one_free_slot_with_classic_queues() {
    let servers = SharedServers::get().await.unwrap();
    let rig = Rig::servers(servers.amqp_url(), &servers.redis_url(), Profile::Classic).await;
    assert!((1..=2).contains(&freed_slots_until_critical(rig, false).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn critical_starts_at_the_next_free_slot_with_the_embedded_store() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::embedded(folder.path()).await;
    assert_eq!(freed_slots_until_critical(rig, true).await, 1);
}
