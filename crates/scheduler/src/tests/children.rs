//! Parents and children.

use longshore_core::limits::{EDGES_GRACE, UNKNOWN_PARENT_AGE};
use longshore_core::port::enqueue::{NewJob, ParentState, Registration};
use longshore_core::spec::{Dependency, EdgePolicy, OnFailed};
use longshore_core::{JobId, JobStatus};

use super::{Rig, completed, failed, rig};
use crate::Daemon;

impl Rig {
    /// A child of this parent, enqueued and not yet registered.
    async fn child(&self, shard: u16, parent: JobId, policy: EdgePolicy) -> NewJob {
        let edge = Dependency { id: parent, policy };
        let child = self.factory.job(shard, |spec| spec.depends_on = vec![edge]);
        self.enqueue(&child).await;
        child
    }

    async fn register(&self, parent: JobId, child: JobId, policy: EdgePolicy) {
        let edge = Registration {
            parent,
            child,
            policy,
        };
        let states = self
            .ports
            .enqueue
            .register(self.shard(parent), vec![edge])
            .await
            .unwrap();
        assert_eq!(states, [ParentState::Open]);
    }
}

#[tokio::test]
async fn a_thousand_children_in_every_shard_are_released_when_their_parent_completes() {
    let rig = rig();
    let parent = rig.enqueued(|_| {}).await;
    let mut children = Vec::new();
    for number in 0..1_000_u16 {
        let child = rig.child(number % 4, parent.id, EdgePolicy::default()).await;
        rig.register(parent.id, child.id, EdgePolicy::default()).await;
        children.push(child.id);
    }
    let running = rig.claim(parent.id, 1).await;
    assert_eq!(rig.run(Daemon::TellChildren).await, 0);
    rig.finish(&running, completed()).await;
    assert_eq!(rig.run(Daemon::TellChildren).await, 1_000);
    assert_eq!(rig.run(Daemon::TellChildren).await, 0);
    // They are due for the scheduler at once.
    assert_eq!(rig.run(Daemon::DispatchOutbox).await, 1_000);
    let mut delivered: Vec<_> = rig.delivered().await.into_iter().map(|(id, _)| id).collect();
    delivered.sort_unstable();
    children.sort_unstable();
    assert_eq!(delivered, children);
}

#[tokio::test]
async fn cancelled_children_have_their_own_children_told() {
    let rig = rig();
    let policy = EdgePolicy {
        on_failed: OnFailed::Cancel,
        ..EdgePolicy::default()
    };
    let parent = rig.enqueued(|_| {}).await;
    let child = rig.child(1, parent.id, policy).await;
    rig.register(parent.id, child.id, policy).await;
    let grandchild = rig.child(2, child.id, policy).await;
    rig.register(child.id, grandchild.id, policy).await;
    let running = rig.claim(parent.id, 1).await;
    rig.finish(&running, failed()).await;
    while rig.run(Daemon::TellChildren).await > 0 {}
    assert_eq!(rig.status(child.id).await, JobStatus::Cancelled);
    assert_eq!(rig.status(grandchild.id).await, JobStatus::Cancelled);
}

#[tokio::test]
async fn a_child_whose_client_died_before_it_registered_is_repaired() {
    let rig = rig();
    let done = rig.ended(completed()).await;
    let open = rig.enqueued(|_| {}).await;
    let told = rig.child(1, done.id, EdgePolicy::default()).await;
    let waits = rig.child(2, open.id, EdgePolicy::default()).await;
    assert_eq!(rig.run(Daemon::VerifyEdges).await, 0, "the client has its time");
    rig.clock.advance(EDGES_GRACE);
    assert_eq!(rig.run(Daemon::VerifyEdges).await, 2);
    assert_eq!(rig.status(told.id).await, JobStatus::Queued);
    assert_eq!(rig.status(waits.id).await, JobStatus::Blocked);
    assert_eq!(rig.run(Daemon::VerifyEdges).await, 0, "it is registered now");
    let running = rig.claim(open.id, 1).await;
    rig.finish(&running, completed()).await;
    assert_eq!(rig.run(Daemon::TellChildren).await, 1);
    assert_eq!(rig.status(waits.id).await, JobStatus::Queued);
}

#[tokio::test]
async fn a_parent_that_stays_unknown_fails_its_child() {
    let rig = rig();
    let nobody = rig.factory.job(3, |_| {});
    let child = rig.child(0, nobody.id, EdgePolicy::default()).await;
    rig.clock.advance(UNKNOWN_PARENT_AGE);
    rig.run(Daemon::VerifyEdges).await;
    assert_eq!(rig.status(child.id).await, JobStatus::Blocked, "it may come yet");
    rig.pass_secs(1);
    rig.run(Daemon::VerifyEdges).await;
    let view = rig.view(child.id).await;
    assert_eq!(view.status, JobStatus::Failed);
    assert!(view.error.unwrap().message.contains(&nobody.id.to_string()));
}

#[tokio::test]
async fn a_crowd_with_unknown_parents_does_not_keep_others_waiting() {
    let rig = rig();
    let nobody = rig.factory.job(3, |_| {});
    for _ in 0..450 {
        rig.child(0, nobody.id, EdgePolicy::default()).await;
    }
    rig.pass_secs(1);
    let done = rig.ended(completed()).await;
    let child = rig.child(0, done.id, EdgePolicy::default()).await;
    rig.clock.advance(EDGES_GRACE);
    while rig.try_run(Daemon::VerifyEdges).await.unwrap().more {}
    assert_eq!(rig.status(child.id).await, JobStatus::Queued);
}
