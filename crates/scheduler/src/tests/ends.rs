//! Leases, expiries, retention.

use std::time::Duration;

use longshore_core::port::enqueue::Registration;
use longshore_core::spec::{Dependency, EdgePolicy, OnCancelled, OnFailed};
use longshore_core::{Clock, JobStatus};

use super::{Rig, completed, failed, rig, rig_with};
use crate::{Daemon, Retention};

impl Rig {
    /// Time passes in a live fleet: the sweep does its rounds.
    async fn pass_swept(&self, seconds: u64) -> u64 {
        let mut rows = self.run(Daemon::ExpireLeases).await;
        for _ in 0..seconds / 2 {
            self.pass_secs(2);
            rows += self.run(Daemon::ExpireLeases).await;
        }
        rows
    }
}

#[tokio::test]
async fn a_job_of_a_lost_worker_is_queued_again() {
    let rig = rig();
    let job = rig.enqueued(|_| {}).await;
    rig.claim(job.id, 1).await;
    assert_eq!(rig.pass_swept(28).await, 0);
    assert_eq!(rig.pass_swept(4).await, 1);
    let view = rig.view(job.id).await;
    assert_eq!((view.status, view.gen_, view.losts), (JobStatus::Queued, 2, 1));
    assert_eq!(rig.run(Daemon::DispatchOutbox).await, 1);
    assert_eq!(rig.delivered().await, [(job.id, 2)]);
}

#[tokio::test]
async fn a_sweep_that_was_away_leaves_living_owners_their_time() {
    let rig = rig();
    let job = rig.enqueued(|_| {}).await;
    let running = rig.claim(job.id, 1).await;
    rig.pass_swept(2).await;
    rig.pass_secs(3_600);
    assert_eq!(rig.run(Daemon::ExpireLeases).await, 0);
    rig.finish(&running, completed()).await;
    assert_eq!(rig.status(job.id).await, JobStatus::Completed);
}

#[tokio::test]
async fn a_job_that_waited_past_its_expiry_ends() {
    let rig = rig();
    let job = rig
        .enqueued(|spec| spec.expires_in = Some(Duration::from_secs(60)))
        .await;
    rig.pass_secs(59);
    assert_eq!(rig.run(Daemon::ExpireWaiting).await, 0);
    rig.pass_secs(2);
    assert_eq!(rig.run(Daemon::ExpireWaiting).await, 1);
    assert_eq!(rig.status(job.id).await, JobStatus::Expired);
}

#[tokio::test]
async fn an_ended_job_is_pruned_after_its_retention_and_leaves_a_tombstone() {
    let day = Duration::from_secs(86_400);
    let rig = rig_with(|builder| {
        builder.retention(Retention {
            completed: day,
            ..Retention::default()
        })
    });
    let short = rig.ended(completed()).await;
    let long = rig.ended(failed()).await;
    rig.pass_secs(86_399);
    assert_eq!(rig.run(Daemon::PruneFinished).await, 0);
    rig.pass_secs(1);
    assert_eq!(rig.run(Daemon::PruneFinished).await, 1);
    assert_eq!(rig.find(short.id).await, None);
    assert_eq!(
        rig.status(short.id).await,
        JobStatus::Completed,
        "the tombstone tells"
    );
    assert!(rig.find(long.id).await.is_some());
    rig.clock.advance(day * 6);
    assert_eq!(rig.run(Daemon::PruneFinished).await, 1);
    assert_eq!(rig.find(long.id).await, None);
}

#[tokio::test]
async fn a_parent_is_pruned_after_its_waiting_children_were_told_that_it_is_gone() {
    let rig = rig();
    let policy = EdgePolicy {
        on_failed: OnFailed::Wait,
        on_cancelled: OnCancelled::Cancel,
    };
    let parent = rig.enqueued(|_| {}).await;
    let edge = Dependency {
        id: parent.id,
        policy,
    };
    let child = rig.enqueued_in(1, |spec| spec.depends_on = vec![edge]).await;
    let edge = Registration {
        parent: parent.id,
        child: child.id,
        policy,
    };
    rig.ports.enqueue.register(0, vec![edge]).await.unwrap();
    rig.ports.enqueue.edges_verified(1, vec![child.id]).await.unwrap();
    let running = rig.claim(parent.id, 1).await;
    rig.finish(&running, failed()).await;
    assert_eq!(rig.run(Daemon::TellChildren).await, 0, "it may be requeued");
    rig.pass_secs(8 * 86_400);
    assert_eq!(rig.run(Daemon::PruneFinished).await, 0);
    assert_eq!(rig.run(Daemon::TellChildren).await, 1);
    assert_eq!(rig.status(child.id).await, JobStatus::Cancelled);
    assert_eq!(rig.run(Daemon::PruneFinished).await, 1);
    assert_eq!(rig.find(parent.id).await, None);
    assert!(rig.view(child.id).await.finished_at == Some(rig.clock.now()));
}
