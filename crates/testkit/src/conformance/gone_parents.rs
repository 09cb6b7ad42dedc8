//! Dependencies: a parent's record stays until its children are told, or told that it is gone.

use std::time::Duration;

use longshore_core::port::enqueue::{EdgeSettled, ParentOutcome};
use longshore_core::port::schedule::DeadLetterChange;
use longshore_core::spec::EdgePolicy;

use super::edges::{done, settle};
use super::relations::{family, relations, told};
use super::retention::{copy_dead, prune};
use super::rig::{Rig, completed, failed};

cases! { Relations:
    a_parent_whose_children_wait_is_not_pruned ["dependencies: 7"],
    a_parent_with_untold_children_is_not_pruned ["dependencies: 7"],
    a_discarded_parent_tells_its_children_that_it_is_gone ["dependencies: 7"],
}

async fn a_parent_whose_children_wait_is_not_pruned(rig: Rig) {
    let (parent, child) = family(&rig, EdgePolicy::default()).await;
    rig.finish(&parent, failed()).await;
    copy_dead(&rig).await;
    rig.pass_secs(3600).await;
    let pruned = prune(&rig, Duration::from_secs(60)).await;
    assert_eq!((pruned.jobs, pruned.held_by_children), (0, 1));
    let relation = relations(&rig).await.remove(0);
    assert_eq!(
        (relation.outcome, &relation.children),
        (ParentOutcome::Gone, &vec![child.id])
    );
    assert_eq!(
        settle(&rig, child.id, parent.id, ParentOutcome::Gone).await,
        EdgeSettled::Cancelled
    );
    told(&rig, parent.id, relation.children).await;
    assert_eq!(prune(&rig, Duration::from_secs(60)).await.jobs, 1);
    assert_eq!(rig.find(parent.id).await, None);
}

async fn a_parent_with_untold_children_is_not_pruned(rig: Rig) {
    let (parent, child) = family(&rig, EdgePolicy::default()).await;
    rig.finish(&parent, completed()).await;
    rig.pass_secs(3600).await;
    assert_eq!(prune(&rig, Duration::from_secs(60)).await.jobs, 0);
    let relation = relations(&rig).await.remove(0);
    assert_eq!(
        (relation.outcome, &relation.children),
        (done(), &vec![child.id]),
        "not gone: completed"
    );
    settle(&rig, child.id, parent.id, done()).await;
    told(&rig, parent.id, relation.children).await;
    assert_eq!(prune(&rig, Duration::from_secs(60)).await.jobs, 1);
}

async fn a_discarded_parent_tells_its_children_that_it_is_gone(rig: Rig) {
    let (parent, child) = family(&rig, EdgePolicy::default()).await;
    rig.finish(&parent, failed()).await;
    rig.pass_secs(1).await;
    let discard = || rig.ports.schedule.discard(0, vec![parent.id], rig.now());
    assert_eq!(discard().await.unwrap(), [DeadLetterChange::HasChildren]);
    assert!(rig.find(parent.id).await.is_some());
    let relation = relations(&rig).await.remove(0);
    assert_eq!(
        (relation.outcome, &relation.children),
        (ParentOutcome::Gone, &vec![child.id])
    );
    settle(&rig, child.id, parent.id, ParentOutcome::Gone).await;
    told(&rig, parent.id, relation.children).await;
    assert_eq!(discard().await.unwrap(), [DeadLetterChange::Done]);
    assert_eq!(rig.find(parent.id).await, None);
}
