//! Dependencies: how a parent tells its children.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::limits::CHILDREN_PAGE;
use longshore_core::outcome::Outcome;
use longshore_core::port::attempt::Hint;
use longshore_core::port::enqueue::{EdgeSettled, NewJob, ParentOutcome, ParentState, Registration};
use longshore_core::port::schedule::Relation;
use longshore_core::spec::{Dependency, EdgePolicy};
use longshore_core::{JobId, JobStatus};

use super::edges::{done, register, settle};
use super::rig::{Held, Rig, completed, failed};

cases! { Relations:
    a_settled_parent_tells_its_children ["dependencies: 5"],
    a_parent_without_children_writes_nothing ["dependencies: 5"],
    the_scheduler_hears_of_an_ended_parent ["dependencies: 5"],
    a_relation_comes_again_unless_told ["dependencies: 5"],
    children_are_told_page_by_page ["dependencies: 5"],
    a_child_that_registers_twice_is_counted_once,
    a_cancelled_or_expired_parent_tells_its_children ["dependencies: 5"],
    a_lost_registration_is_repaired_from_the_childs_side ["dependencies: 6"],
    a_parent_that_finishes_while_its_child_is_enqueued_releases_it ["dependencies: 2", "dependencies: 5"],
}

/// A running parent in shard 0 and a child of it in shard 1, registered.
pub(super) async fn family(rig: &Rig, policy: EdgePolicy) -> (Held, NewJob) {
    let parent = rig.running(|_| {}).await;
    let child = rig.job_in(1, |spec| {
        spec.depends_on = vec![Dependency {
            id: parent.id,
            policy,
        }];
    });
    rig.enqueue(&child).await;
    assert_eq!(
        register(rig, parent.id, child.id, policy).await,
        ParentState::Open
    );
    (parent, child)
}

pub(super) async fn relations(rig: &Rig) -> Vec<Relation> {
    let all = rig.ports.schedule.relations(0, 100).await.unwrap();
    all.into_iter()
        .filter(|relation| !relation.children.is_empty())
        .collect()
}

pub(super) async fn told(rig: &Rig, parent: JobId, children: Vec<JobId>) -> bool {
    rig.ports
        .schedule
        .relations_told(0, parent, children)
        .await
        .unwrap()
}

async fn a_settled_parent_tells_its_children(rig: Rig) {
    let (parent, child) = family(&rig, EdgePolicy::default()).await;
    assert_eq!(relations(&rig).await, []);
    rig.finish(&parent, completed()).await;
    let relation = Relation {
        parent: parent.id,
        outcome: done(),
        children: vec![child.id],
    };
    assert_eq!(relations(&rig).await, [relation]);
    assert_eq!(
        settle(&rig, child.id, parent.id, done()).await,
        EdgeSettled::Released { gen_: 1 }
    );
    assert!(!told(&rig, parent.id, vec![child.id]).await);
    rig.pass_secs(3600).await;
    assert_eq!(relations(&rig).await, []);
    assert!(
        !told(&rig, parent.id, vec![child.id]).await,
        "telling twice is the same as once"
    );
}

async fn the_scheduler_hears_of_an_ended_parent(rig: Rig) {
    let (parent, _child) = family(&rig, EdgePolicy::default()).await;
    let mut hints = rig.ports.schedule.ended_parents().await.unwrap();
    rig.finish(&parent, completed()).await;
    let told = async { while hints.next().await.expect("hints that go on") != Hint::ParentEnded {} };
    tokio::time::timeout(Duration::from_secs(5), told)
        .await
        .expect("a hint within 5 s");
}

async fn a_parent_without_children_writes_nothing(rig: Rig) {
    for outcome in [completed(), failed(), Outcome::Cancelled] {
        rig.ended(outcome).await;
    }
    assert_eq!(rig.ports.schedule.relations(0, 100).await.unwrap(), []);
}

async fn a_relation_comes_again_unless_told(rig: Rig) {
    let (parent, child) = family(&rig, EdgePolicy::default()).await;
    rig.finish(&parent, completed()).await;
    assert_eq!(relations(&rig).await.len(), 1);
    assert_eq!(relations(&rig).await, [], "it is leased");
    rig.pass_secs(61).await;
    let again = relations(&rig).await;
    assert_eq!(again.len(), 1, "the daemon that took it died");
    assert_eq!(again[0].children, [child.id]);
}

async fn children_are_told_page_by_page(rig: Rig) {
    let parent = rig.running(|_| {}).await;
    let count = CHILDREN_PAGE + 20;
    let children: Vec<_> = (0..count).map(|_| rig.job_in(1, |_| {}).id).collect();
    let edge = |child: &JobId| Registration {
        parent: parent.id,
        child: *child,
        policy: EdgePolicy::default(),
    };
    let states = rig
        .ports
        .enqueue
        .register(0, children.iter().map(edge).collect())
        .await
        .unwrap();
    assert_eq!(states, vec![ParentState::Open; count]);
    rig.finish(&parent, completed()).await;
    let mut seen = BTreeSet::new();
    loop {
        let page = relations(&rig).await;
        assert_eq!(page.len(), 1, "{} of {count} were told", seen.len());
        assert!(page[0].children.len() <= CHILDREN_PAGE);
        seen.extend(page[0].children.iter().copied());
        if !told(&rig, parent.id, page[0].children.clone()).await {
            break;
        }
        // The row may stay leased until its page was told; it is due again at the latest after the lease.
        rig.pass_secs(61).await;
    }
    assert_eq!(seen, children.into_iter().collect());
    rig.pass_secs(61).await;
    assert_eq!(relations(&rig).await, []);
}

async fn a_child_that_registers_twice_is_counted_once(rig: Rig) {
    let (parent, child) = family(&rig, EdgePolicy::default()).await;
    register(&rig, parent.id, child.id, EdgePolicy::default()).await;
    rig.finish(&parent, completed()).await;
    let relation = relations(&rig).await.remove(0);
    assert_eq!(relation.children, [child.id]);
    assert!(!told(&rig, parent.id, relation.children).await, "nobody is left");
}

async fn a_cancelled_or_expired_parent_tells_its_children(rig: Rig) {
    for outcome in [Outcome::Cancelled, Outcome::Expired] {
        let (parent, child) = family(&rig, EdgePolicy::default()).await;
        rig.finish(&parent, outcome).await;
        let relation = relations(&rig).await.remove(0);
        assert_eq!(
            (relation.outcome, relation.children),
            (ParentOutcome::Cancelled, vec![child.id])
        );
        told(&rig, parent.id, vec![child.id]).await;
    }
    let waiting = rig.enqueued(|_| {}).await;
    let child = rig.job_in(1, |_| {}).id;
    register(&rig, waiting.id, child, EdgePolicy::default()).await;
    rig.cancel(waiting.id).await;
    let relation = relations(&rig).await.remove(0);
    assert_eq!(
        (relation.parent, relation.outcome),
        (waiting.id, ParentOutcome::Cancelled)
    );
}

async fn a_lost_registration_is_repaired_from_the_childs_side(rig: Rig) {
    let parent = rig.job_in(1, |_| {});
    rig.enqueue(&parent).await;
    let child = rig
        .enqueued(|spec| spec.depends_on = vec![parent.id.into()])
        .await;
    let held = rig.start(&parent, 1).await;
    rig.finish(&held, completed()).await;
    rig.pass_secs(6).await;
    let open = rig.ports.schedule.open_edges(0, 10).await.unwrap().remove(0);
    let (id, policy) = open.edges[0];
    let ParentState::Settled(outcome) = register(&rig, id, open.child, policy).await else {
        panic!("the parent has ended")
    };
    assert_eq!(
        settle(&rig, child.id, id, outcome).await,
        EdgeSettled::Released { gen_: 1 }
    );
}

async fn a_parent_that_finishes_while_its_child_is_enqueued_releases_it(rig: Rig) {
    let (mut before, mut after) = (0, 0);
    for round in 0..20 {
        let parent = rig.running(|_| {}).await;
        let child = rig.job_in(1, |spec| spec.depends_on = vec![parent.id.into()]);
        rig.enqueue(&child).await;
        let registration = register(&rig, parent.id, child.id, EdgePolicy::default());
        // The finish comes first, or second, or both race.
        let state = match round % 4 {
            0 => {
                rig.finish(&parent, completed()).await;
                registration.await
            }
            1 => {
                let state = registration.await;
                rig.finish(&parent, completed()).await;
                state
            }
            _ => tokio::join!(registration, rig.finish(&parent, completed())).0,
        };
        match state {
            ParentState::Settled(outcome) => {
                before += 1;
                settle(&rig, child.id, parent.id, outcome).await;
            }
            ParentState::Open => {
                after += 1;
                let relation = relations(&rig).await.remove(0);
                assert_eq!(
                    (relation.parent, &relation.children),
                    (parent.id, &vec![child.id])
                );
                settle(&rig, child.id, parent.id, relation.outcome).await;
                told(&rig, parent.id, relation.children).await;
            }
            ParentState::Unknown | ParentState::Full => panic!("the parent is known"),
        }
        assert_eq!(rig.status(child.id).await, Some(JobStatus::Queued));
    }
    assert!(
        before >= 5 && after >= 5,
        "{before} finishes before, {after} after"
    );
}
