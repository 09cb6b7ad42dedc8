//! Dependencies: which children hear of a parent that was given up, and what a requeue of it means to them.

use longshore_core::JobStatus;
use longshore_core::port::enqueue::{EdgeSettled, ParentOutcome, ParentState};
use longshore_core::port::schedule::DeadLetterChange;
use longshore_core::spec::{Dependency, EdgePolicy, OnFailed};

use super::edges::{done, register, settle};
use super::relations::{family, relations, told};
use super::rig::{Rig, completed, failed};

cases! { Relations:
    a_failed_parent_tells_no_child_that_waits ["dependencies: 5"],
    a_failed_parent_tells_the_children_that_do_not_wait ["dependencies: 5"],
    a_failed_parent_tells_those_alone_that_do_not_wait,
    a_child_that_was_told_is_told_no_more,
    a_child_that_registers_again_is_told_by_its_last_policy ["dependencies: 5"],
    a_requeued_parent_keeps_its_children ["dependencies: 5"],
}

async fn a_failed_parent_tells_no_child_that_waits(rig: Rig) {
    let (parent, child) = family(&rig, EdgePolicy::default()).await;
    rig.finish(&parent, failed()).await;
    let all = rig.ports.schedule.relations(0, 100).await.unwrap();
    assert_eq!(all, [], "not even a row without children");
    assert_eq!(rig.status(child.id).await, Some(JobStatus::Blocked));
}

async fn a_failed_parent_tells_the_children_that_do_not_wait(rig: Rig) {
    let policy = EdgePolicy {
        on_failed: OnFailed::Cancel,
        ..EdgePolicy::default()
    };
    let (parent, child) = family(&rig, policy).await;
    rig.finish(&parent, failed()).await;
    let relation = relations(&rig).await.remove(0);
    assert_eq!(
        (relation.outcome, relation.children),
        (ParentOutcome::Failed, vec![child.id])
    );
    assert_eq!(
        settle(&rig, child.id, parent.id, ParentOutcome::Failed).await,
        EdgeSettled::Cancelled
    );
    assert!(!told(&rig, parent.id, vec![child.id]).await);
}

async fn a_failed_parent_tells_those_alone_that_do_not_wait(rig: Rig) {
    let cancels = EdgePolicy {
        on_failed: OnFailed::Cancel,
        ..EdgePolicy::default()
    };
    let (parent, child) = family(&rig, cancels).await;
    let waits = rig.job_in(1, |spec| spec.depends_on = vec![Dependency::from(parent.id)]);
    rig.enqueue(&waits).await;
    let state = register(&rig, parent.id, waits.id, EdgePolicy::default()).await;
    assert_eq!(state, ParentState::Open);
    rig.finish(&parent, failed()).await;
    let relation = relations(&rig).await.remove(0);
    assert_eq!(
        (relation.outcome, relation.children),
        (ParentOutcome::Failed, vec![child.id])
    );
}

async fn a_child_that_was_told_is_told_no_more(rig: Rig) {
    let cancels = EdgePolicy {
        on_failed: OnFailed::Cancel,
        ..EdgePolicy::default()
    };
    let (parent, child) = family(&rig, cancels).await;
    rig.finish(&parent, failed()).await;
    assert!(!told(&rig, parent.id, vec![child.id]).await);
    rig.pass_secs(1).await;
    let requeued = rig.ports.schedule.requeue(0, vec![parent.id], rig.now()).await;
    assert_eq!(requeued.unwrap(), [DeadLetterChange::Done]);
    let other = rig.job_in(1, |_| {}).id;
    assert_eq!(register(&rig, parent.id, other, cancels).await, ParentState::Open);
    let again = rig.start(&parent.job, 2).await;
    rig.finish(&again, completed()).await;
    assert_eq!(relations(&rig).await.remove(0).children, [other]);
}

async fn a_child_that_registers_again_is_told_by_its_last_policy(rig: Rig) {
    let waits = EdgePolicy::default();
    let cancels = EdgePolicy {
        on_failed: OnFailed::Cancel,
        ..waits
    };
    for (first, last) in [(waits, cancels), (cancels, waits)] {
        let (parent, child) = family(&rig, first).await;
        assert_eq!(register(&rig, parent.id, child.id, last).await, ParentState::Open);
        rig.finish(&parent, failed()).await;
        let all = rig.ports.schedule.relations(0, 100).await.unwrap();
        let told: Vec<_> = all.iter().map(|relation| relation.children.clone()).collect();
        if last == waits {
            assert!(told.is_empty(), "{told:?}");
        } else {
            assert_eq!(told, [[child.id]]);
        }
        for relation in all {
            assert!(!self::told(&rig, relation.parent, relation.children).await);
        }
    }
}

async fn a_requeued_parent_keeps_its_children(rig: Rig) {
    let (parent, child) = family(&rig, EdgePolicy::default()).await;
    rig.finish(&parent, failed()).await;
    rig.pass_secs(1).await;
    let changes = rig
        .ports
        .schedule
        .requeue(0, vec![parent.id], rig.now())
        .await
        .unwrap();
    assert_eq!(changes, [DeadLetterChange::Done]);
    let again = rig.start(&parent.job, 2).await;
    rig.finish(&again, completed()).await;
    let relation = relations(&rig).await.remove(0);
    assert_eq!((relation.outcome, relation.children), (done(), vec![child.id]));
}
