//! What stays in a folder of jobs that are gone, and until when.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore_backend::embedded::{Options, Store};
use longshore_core::outcome::Outcome;
use longshore_core::port::Ports;
use longshore_core::port::schedule::Pruned;
use longshore_core::{Clock, JobId, JobStatus, SystemClock};
use longshore_testkit::clock::ManualClock;

use crate::rig::{finish, published, shard, start};

const DAY: Duration = Duration::from_secs(86_400);

fn open(folder: &Path, clock: &ManualClock) -> Store {
    let options = Options {
        clock: Arc::new(clock.clone()),
        ..Options::default()
    };
    Store::open(folder, options).unwrap()
}

async fn prune(ports: &Ports) -> Pruned {
    let retention = [(JobStatus::Completed, Duration::from_secs(5))];
    ports.schedule.prune(0, retention.into(), 100).await.unwrap()
}

/// A job that has completed, and of which nothing but the tombstone is left.
async fn pruned(ports: &Ports, clock: &ManualClock) -> JobId {
    let id = published(ports, |_| {}).await.id;
    start(ports, id, 1, 1).await;
    let result = Bytes::from_static(&[7]);
    finish(ports, id, 1, Outcome::Completed { result }).await;
    clock.advance(Duration::from_secs(10));
    assert_eq!(prune(ports).await.jobs, 1);
    id
}

async fn statuses(ports: &Ports, ids: [JobId; 2]) -> Vec<Option<JobStatus>> {
    let shard = shard(ports, ids[0]);
    ports.enqueue.statuses(shard, ids.to_vec()).await.unwrap()
}

#[tokio::test]
async fn a_tombstone_whose_time_is_over_is_deleted_from_memory_and_disk() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(SystemClock.now());
    let store = open(folder.path(), &clock);
    let ports = store.ports();
    let old = pruned(&ports, &clock).await;
    let early = clock.now();
    clock.advance(4 * DAY);
    let young = pruned(&ports, &clock).await;
    clock.advance(4 * DAY);
    let late = clock.now();
    let both = [old, young];
    let completed = Some(JobStatus::Completed);
    assert_eq!(statuses(&ports, both).await, [None, completed]);
    // One that is over answers no more, deleted or not. A clock that goes back shows which it is.
    clock.set(early);
    assert_eq!(statuses(&ports, both).await, [completed, completed]);
    clock.set(late);
    prune(&ports).await;
    clock.set(early);
    assert_eq!(statuses(&ports, both).await, [None, completed], "in memory");
    store.close().unwrap();
    let store = open(folder.path(), &clock);
    assert_eq!(
        statuses(&store.ports(), both).await,
        [None, completed],
        "on the disk"
    );
}
