//! Parents and children.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use longshore_core::limits::{EDGES_GRACE, OUTBOX_LEASE, UNKNOWN_PARENT_AGE};
use longshore_core::message::Gen;
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::enqueue::{
    CancelReply, CancelRequest, EdgeSettled, EdgeSettlement, EnqueueReply, NewJob, ParentState, Registration,
};
use longshore_core::port::{self, EnqueuePort, Reply};
use longshore_core::shard::Shards;
use longshore_core::spec::{Dependency, EdgePolicy, OnFailed};
use longshore_core::{JobId, JobStatus};

use super::{Rig, completed, failed, finish, rig, rig_over, rig_with, status};
use crate::{Daemon, Intervals};

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
async fn children_are_told_when_their_parent_ends_and_not_at_the_next_look() {
    // A look an hour: what happens sooner was a hint.
    let intervals = Intervals {
        tell_children: Duration::from_secs(3_600),
        ..Intervals::default()
    };
    let rig = rig_with(|builder| builder.intervals(intervals));
    let parent = rig.enqueued(|_| {}).await;
    let child = rig.child(1, parent.id, EdgePolicy::default()).await;
    rig.register(parent.id, child.id, EdgePolicy::default()).await;
    let running = rig.claim(parent.id, 1).await;
    let Rig {
        ports,
        scheduler,
        store: _store,
        _folder,
        ..
    } = rig;
    let stop = scheduler.context.stop.clone();
    let mut looks = scheduler.handle().watch(Daemon::TellChildren).unwrap();
    let scheduler = tokio::spawn(scheduler.run());
    // It listens before it looks for the first time.
    looks.wait_for(|status| status.passes > 0).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), async {
        finish(&ports, &running, completed()).await;
        while status(&ports, child.id).await == JobStatus::Blocked {
            looks.changed().await.unwrap();
        }
    })
    .await
    .expect("the child is told within 20 s");
    stop.cancel();
    scheduler.await.unwrap();
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
    rig.clock.advance(EDGES_GRACE);
    rig.run(Daemon::VerifyEdges).await;
    rig.clock.advance(UNKNOWN_PARENT_AGE);
    rig.run(Daemon::VerifyEdges).await;
    assert_eq!(rig.status(child.id).await, JobStatus::Blocked, "it may come yet");
    rig.clock.advance(OUTBOX_LEASE);
    rig.run(Daemon::VerifyEdges).await;
    let view = rig.view(child.id).await;
    assert_eq!(view.status, JobStatus::Failed);
    assert!(view.error.unwrap().message.contains(&nobody.id.to_string()));
}

#[tokio::test]
async fn a_parent_that_is_lost_late_has_its_time_to_come_back() {
    let rig = rig();
    let lost = rig.factory.job(3, |_| {});
    let child = rig.child(0, lost.id, EdgePolicy::default()).await;
    // The child has waited for hours when its parent's shard goes back in time.
    rig.ports.enqueue.edges_verified(0, vec![child.id]).await.unwrap();
    rig.pass_secs(3 * 3_600);
    rig.run(Daemon::VerifyEdges).await;
    assert_eq!(rig.status(child.id).await, JobStatus::Blocked);
    rig.clock.advance(UNKNOWN_PARENT_AGE / 2);
    rig.run(Daemon::VerifyEdges).await;
    // A message brings the parent back; that it was unknown is forgotten.
    rig.enqueue(&lost).await;
    rig.clock.advance(OUTBOX_LEASE);
    rig.run(Daemon::VerifyEdges).await;
    rig.pass_secs(3 * 3_600);
    rig.run(Daemon::VerifyEdges).await;
    assert_eq!(rig.status(child.id).await, JobStatus::Blocked);
}

#[tokio::test]
async fn parents_in_a_shard_that_is_away_keep_nobody_elses_children_waiting() {
    let rig = rig_with_one_away(&Arc::default());
    let (away, done) = (rig.factory.job(AWAY, |_| {}), rig.ended(completed()).await);
    let waits = rig.child(0, away.id, EdgePolicy::default()).await;
    let told = rig.child(0, done.id, EdgePolicy::default()).await;
    rig.clock.advance(EDGES_GRACE);
    rig.run(Daemon::VerifyEdges).await;
    assert_eq!(rig.status(told.id).await, JobStatus::Queued);
    rig.clock.advance(UNKNOWN_PARENT_AGE * 2);
    rig.run(Daemon::VerifyEdges).await;
    assert_eq!(rig.status(waits.id).await, JobStatus::Blocked);
}

#[tokio::test]
async fn children_in_a_shard_that_is_away_keep_nobody_else_waiting() {
    let asked: Arc<AtomicU32> = Arc::default();
    let rig = rig_with_one_away(&asked);
    let (mut parents, mut away, mut told) = (Vec::new(), Vec::new(), Vec::new());
    // The first ends first, and is the first to be told of.
    for shard in [1, 2] {
        let parent = rig.enqueued(|_| {}).await;
        for shard in [AWAY, shard] {
            let child = rig.child(shard, parent.id, EdgePolicy::default()).await;
            rig.register(parent.id, child.id, EdgePolicy::default()).await;
            if shard == AWAY {
                away.push(child.id);
            } else {
                told.push(child.id);
            }
        }
        let running = rig.claim(parent.id, 1).await;
        rig.finish(&running, completed()).await;
        parents.push(parent.id);
        rig.pass_secs(1);
    }
    let error = rig.try_run(Daemon::TellChildren).await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    for child in told {
        assert_eq!(rig.status(child).await, JobStatus::Queued);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "who is away is asked once");
    rig.clock.advance(OUTBOX_LEASE);
    let left = rig.ports.schedule.relations(0, 16).await.unwrap();
    let mut left: Vec<_> = left
        .into_iter()
        .map(|left| (left.parent, left.children))
        .collect();
    left.sort();
    let mut expected: Vec<_> = parents
        .into_iter()
        .zip(away.into_iter().map(|child| vec![child]))
        .collect();
    expected.sort();
    assert_eq!(left, expected, "only children that were told are struck off");
}

/// The shard that registers nobody and tells nobody.
const AWAY: u16 = 3;

/// A rig whose store has lost a shard, and counts how often it was asked to settle edges there.
fn rig_with_one_away(asked: &Arc<AtomicU32>) -> Rig {
    let asked = Arc::clone(asked);
    rig_over(
        |builder| builder,
        |ports| ports.enqueue = Arc::new(Partly(Arc::clone(&ports.enqueue), asked)),
    )
}

/// A store that has lost a shard for registrations and settlements, and how often it was asked to settle there.
struct Partly(Arc<dyn EnqueuePort>, Arc<AtomicU32>);

impl Partly {
    fn away<'a, T: Send + 'a>() -> Reply<'a, T> {
        Box::pin(std::future::ready(Err(port::Error::Unavailable {
            server: "Redis",
            reason: "injected".to_owned(),
        })))
    }
}

impl EnqueuePort for Partly {
    fn shards(&self) -> Shards {
        self.0.shards()
    }

    fn enqueue(&self, shard: u16, jobs: Vec<NewJob>) -> Reply<'_, EnqueueReply> {
        self.0.enqueue(shard, jobs)
    }

    fn mark_published(&self, shard: u16, jobs: Vec<(JobId, Gen)>) -> Reply<'_, ()> {
        self.0.mark_published(shard, jobs)
    }

    fn statuses(&self, shard: u16, ids: Vec<JobId>) -> Reply<'_, Vec<Option<JobStatus>>> {
        self.0.statuses(shard, ids)
    }

    fn register(&self, shard: u16, edges: Vec<Registration>) -> Reply<'_, Vec<ParentState>> {
        if shard != AWAY {
            return self.0.register(shard, edges);
        }
        Self::away()
    }

    fn settle_edges(
        &self,
        shard: u16,
        edges: Vec<EdgeSettlement>,
        publish_within: Duration,
    ) -> Reply<'_, Vec<EdgeSettled>> {
        if shard != AWAY {
            return self.0.settle_edges(shard, edges, publish_within);
        }
        self.1.fetch_add(1, Ordering::Relaxed);
        Self::away()
    }

    fn edges_verified(&self, shard: u16, children: Vec<JobId>) -> Reply<'_, Vec<bool>> {
        self.0.edges_verified(shard, children)
    }

    fn fail_blocked(&self, shard: u16, children: Vec<(JobId, ErrorInfo)>) -> Reply<'_, ()> {
        self.0.fail_blocked(shard, children)
    }

    fn abort(&self, shard: u16, children: Vec<JobId>) -> Reply<'_, ()> {
        self.0.abort(shard, children)
    }

    fn cancel(&self, shard: u16, jobs: Vec<CancelRequest>) -> Reply<'_, Vec<CancelReply>> {
        self.0.cancel(shard, jobs)
    }
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
