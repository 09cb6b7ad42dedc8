//! Dependencies: what a child waits for.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::limits::{EDGES_LOOK_MAX, PARENT_RESULT_BYTES_MAX, PARENT_RESULTS_BYTES_MAX};
use longshore_core::outcome::{ErrorInfo, Outcome};
use longshore_core::port::enqueue::{
    EdgeSettled, EdgeSettlement, Enqueued, NewJob, ParentOutcome, ParentState, Registration,
};
use longshore_core::spec::{Dependency, EdgePolicy, OnCancelled, OnFailed, Start};
use longshore_core::{JobId, JobStatus};

use super::rig::{Rig, completed, failed};

cases! { Edges:
    parents_are_looked_up_tombstones_included ["dependencies: 1"],
    a_batch_with_the_same_ids_again_completes_its_prefix ["dependencies: 1"],
    a_childs_edges_are_due_for_a_look_after_5_seconds ["dependencies: 2"],
    a_live_parent_is_open_and_an_unknown_one_unknown ["dependencies: 2"],
    an_ended_parent_tells_its_outcome_at_registration ["dependencies: 2"],
    a_failed_parent_is_open_for_a_child_that_waits ["dependencies: 2"],
    a_large_result_is_not_passed_on ["dependencies: 2"],
    the_last_completed_parent_releases_the_child ["dependencies: 3"],
    a_released_child_with_a_due_time_is_scheduled ["dependencies: 3"],
    a_released_child_is_published_by_whom_the_caller_says ["dependencies: 3"],
    a_child_that_was_cancelled_hears_of_no_other_parent,
    an_edge_settles_once ["dependencies: 3"],
    a_failed_parent_acts_by_the_edges_policy ["dependencies: 3"],
    a_cancelled_parent_acts_by_the_edges_policy ["dependencies: 3"],
    a_parent_that_is_gone_acts_by_the_edges_policy ["dependencies: 3"],
    a_child_sees_its_parents_results ["dependencies: 3"],
    a_child_keeps_a_bounded_amount_of_results ["dependencies: 3"],
    a_released_child_has_no_edges_to_verify ["dependencies: 3"],
    the_sweep_leases_the_edges_that_it_looks_at ["dependencies: 6"],
    an_unknown_parent_is_remembered_until_every_one_is_found ["dependencies: 6"],
    a_look_takes_no_more_edges_than_a_call_should ["dependencies: 6"],
    the_verification_of_a_job_that_was_taken_back_says_so ["dependencies: 4"],
    verified_edges_are_looked_at_in_ten_minutes_and_later_and_later ["dependencies: 4"],
    an_enqueue_again_of_a_blocked_job_finds_it_blocked ["dependencies: 4"],
    an_enqueue_with_an_unknown_parent_takes_itself_back ["dependencies: 4"],
    an_abort_leaves_anything_but_blocked_alone ["dependencies: 4"],
    an_abort_leaves_a_child_that_another_enqueue_acknowledged ["dependencies: 4"],
    the_sweep_names_the_open_edges_alone ["dependencies: 6"],
    a_child_of_an_unknown_parent_is_failed ["dependencies: 6"],
}

/// Parents in shard 1 and their child in shard 0.
pub(super) async fn family(rig: &Rig, parents: usize, policy: EdgePolicy) -> (Vec<NewJob>, NewJob) {
    let mut all = Vec::new();
    for _ in 0..parents {
        let parent = rig.job_in(1, |_| {});
        rig.enqueue(&parent).await;
        all.push(parent);
    }
    let edges = all
        .iter()
        .map(|parent| Dependency {
            id: parent.id,
            policy,
        })
        .collect();
    (all, rig.enqueued(|spec| spec.depends_on = edges).await)
}

pub(super) async fn register(rig: &Rig, parent: JobId, child: JobId, policy: EdgePolicy) -> ParentState {
    let edge = Registration {
        parent,
        child,
        policy,
    };
    let mut states = rig
        .ports
        .enqueue
        .register(rig.shard_of(parent), vec![edge])
        .await
        .unwrap();
    assert_eq!(states.len(), 1);
    states.remove(0)
}

pub(super) async fn settle(rig: &Rig, child: JobId, parent: JobId, outcome: ParentOutcome) -> EdgeSettled {
    let edge = EdgeSettlement {
        child,
        parent,
        outcome,
    };
    let shard = rig.shard_of(child);
    let settled = rig
        .ports
        .enqueue
        .settle_edges(shard, vec![edge], Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(settled.len(), 1);
    settled[0]
}

pub(super) fn done() -> ParentOutcome {
    ParentOutcome::Completed {
        result: Some(Bytes::from_static(&[42])),
    }
}

async fn looked_at(rig: &Rig) -> Vec<JobId> {
    let open = rig.ports.schedule.open_edges(0, 100).await.unwrap();
    open.into_iter().map(|open| open.child).collect()
}

async fn parents_are_looked_up_tombstones_included(rig: Rig) {
    let live = rig.enqueued(|_| {}).await;
    let gone = super::retention::pruned(&rig, completed()).await;
    let ids = vec![rig.job(|_| {}).id, gone.id, live.id];
    let statuses = rig.ports.enqueue.statuses(0, ids).await.unwrap();
    assert_eq!(
        statuses,
        [None, Some(JobStatus::Completed), Some(JobStatus::Queued)]
    );
}

async fn a_batch_with_the_same_ids_again_completes_its_prefix(rig: Rig) {
    let parent = rig.job(|_| {});
    let child = rig.job(|spec| spec.depends_on = vec![parent.id.into()]);
    rig.enqueue(&parent).await;
    let reply = rig
        .ports
        .enqueue
        .enqueue(0, vec![parent, child.clone()])
        .await
        .unwrap();
    assert!(matches!(reply.jobs[0], Enqueued::Existing { .. }), "{reply:?}");
    assert_eq!(
        reply.jobs[1],
        Enqueued::Created {
            status: JobStatus::Blocked,
            gen_: 0
        }
    );
}

async fn a_childs_edges_are_due_for_a_look_after_5_seconds(rig: Rig) {
    let (parents, child) = family(&rig, 2, EdgePolicy::default()).await;
    assert_eq!(looked_at(&rig).await, []);
    rig.pass_secs(6).await;
    let open = rig.ports.schedule.open_edges(0, 100).await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].child, child.id);
    assert_eq!(open[0].unknown_since, None);
    let mut edges = open[0].edges.clone();
    edges.sort_unstable_by_key(|(id, _)| *id);
    let mut expected: Vec<_> = parents
        .iter()
        .map(|parent| (parent.id, EdgePolicy::default()))
        .collect();
    expected.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(edges, expected);
}

async fn a_live_parent_is_open_and_an_unknown_one_unknown(rig: Rig) {
    let (parents, child) = family(&rig, 1, EdgePolicy::default()).await;
    for _ in 0..2 {
        assert_eq!(
            register(&rig, parents[0].id, child.id, EdgePolicy::default()).await,
            ParentState::Open
        );
    }
    let stray = rig.job_in(1, |_| {}).id;
    assert_eq!(
        register(&rig, stray, child.id, EdgePolicy::default()).await,
        ParentState::Unknown
    );
}

async fn an_ended_parent_tells_its_outcome_at_registration(rig: Rig) {
    let child = rig.job_in(1, |_| {}).id;
    let settled = |outcome| ParentState::Settled(outcome);
    let policy = EdgePolicy {
        on_failed: OnFailed::Cancel,
        ..EdgePolicy::default()
    };
    for (end, outcome) in [
        (completed(), done()),
        (failed(), ParentOutcome::Failed),
        (Outcome::Cancelled, ParentOutcome::Cancelled),
        (Outcome::Expired, ParentOutcome::Cancelled),
    ] {
        let parent = rig.ended(end).await;
        assert_eq!(register(&rig, parent.id, child, policy).await, settled(outcome));
    }
    let pruned = super::retention::pruned(&rig, completed()).await;
    let state = register(&rig, pruned.id, child, policy).await;
    let fine = matches!(
        state,
        ParentState::Settled(ParentOutcome::Completed { result: None } | ParentOutcome::Gone)
    );
    assert!(fine, "{state:?}");
    assert_eq!(rig.ports.schedule.relations(0, 100).await.unwrap(), []);
}

async fn a_failed_parent_is_open_for_a_child_that_waits(rig: Rig) {
    let parent = rig.ended(failed()).await;
    let child = rig.job_in(1, |_| {}).id;
    assert_eq!(
        register(&rig, parent.id, child, EdgePolicy::default()).await,
        ParentState::Open
    );
}

async fn a_large_result_is_not_passed_on(rig: Rig) {
    let child = rig.job_in(1, |_| {}).id;
    for (bytes, passed) in [
        (PARENT_RESULT_BYTES_MAX, true),
        (PARENT_RESULT_BYTES_MAX + 1, false),
    ] {
        let result = Bytes::from(vec![1; bytes]);
        let parent = rig
            .ended(Outcome::Completed {
                result: result.clone(),
            })
            .await;
        let state = register(&rig, parent.id, child, EdgePolicy::default()).await;
        let result = passed.then_some(result);
        assert_eq!(
            state,
            ParentState::Settled(ParentOutcome::Completed { result }),
            "{bytes} bytes"
        );
    }
}

async fn the_last_completed_parent_releases_the_child(rig: Rig) {
    let (parents, child) = family(&rig, 2, EdgePolicy::default()).await;
    assert_eq!(
        settle(&rig, child.id, parents[1].id, done()).await,
        EdgeSettled::Waiting
    );
    let view = rig.view(child.id).await;
    assert_eq!(
        view.open_parents.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        [parents[0].id]
    );
    assert_eq!(
        settle(&rig, child.id, parents[0].id, done()).await,
        EdgeSettled::Released { gen_: 1 }
    );
    let view = rig.view(child.id).await;
    assert_eq!(
        (view.status, view.gen_, view.open_parents),
        (JobStatus::Queued, 1, vec![])
    );
    assert_eq!(rig.outbox_ids().await, [(child.id, 1)]);
    rig.start(&child, 1).await;
}

async fn a_released_child_with_a_due_time_is_scheduled(rig: Rig) {
    let parent = rig.job_in(1, |_| {});
    let child = rig
        .enqueued(|spec| {
            spec.depends_on = vec![parent.id.into()];
            spec.start = Start::After(Duration::from_secs(60));
        })
        .await;
    assert_eq!(rig.status(child.id).await, Some(JobStatus::Blocked));
    assert_eq!(
        settle(&rig, child.id, parent.id, done()).await,
        EdgeSettled::Scheduled
    );
    assert_eq!(rig.status(child.id).await, Some(JobStatus::Scheduled));
    rig.pass_secs(61).await;
    assert_eq!(rig.promoted().await, [(child.id, 1)]);
}

async fn a_released_child_is_published_by_whom_the_caller_says(rig: Rig) {
    let (parents, child) = family(&rig, 1, EdgePolicy::default()).await;
    let edge = EdgeSettlement {
        child: child.id,
        parent: parents[0].id,
        outcome: done(),
    };
    let grace = longshore_core::limits::OUTBOX_GRACE;
    rig.ports
        .enqueue
        .settle_edges(0, vec![edge], grace)
        .await
        .unwrap();
    assert_eq!(rig.outbox_ids().await, []);
    rig.pass_secs(6).await;
    assert_eq!(rig.outbox_ids().await, [(child.id, 1)]);
}

async fn a_child_that_was_cancelled_hears_of_no_other_parent(rig: Rig) {
    let (parents, child) = family(&rig, 2, EdgePolicy::default()).await;
    assert_eq!(
        settle(&rig, child.id, parents[0].id, ParentOutcome::Cancelled).await,
        EdgeSettled::Cancelled
    );
    assert_eq!(
        settle(&rig, child.id, parents[1].id, done()).await,
        EdgeSettled::Nothing
    );
    assert_eq!(rig.status(child.id).await, Some(JobStatus::Cancelled));
}

async fn an_edge_settles_once(rig: Rig) {
    let (parents, child) = family(&rig, 2, EdgePolicy::default()).await;
    settle(&rig, child.id, parents[0].id, done()).await;
    assert_eq!(
        settle(&rig, child.id, parents[0].id, ParentOutcome::Gone).await,
        EdgeSettled::Nothing
    );
    assert_eq!(
        settle(&rig, child.id, rig.job(|_| {}).id, done()).await,
        EdgeSettled::Nothing
    );
    assert_eq!(
        settle(&rig, rig.job(|_| {}).id, parents[0].id, done()).await,
        EdgeSettled::Nothing
    );
    assert_eq!(rig.status(child.id).await, Some(JobStatus::Blocked));
    settle(&rig, child.id, parents[1].id, done()).await;
    let held = rig.start(&child, 1).await;
    assert_eq!(
        settle(&rig, child.id, parents[1].id, ParentOutcome::Gone).await,
        EdgeSettled::Nothing
    );
    rig.finish(&held, completed()).await;
    assert_eq!(rig.view(child.id).await.gen_, 1);
}

async fn settled_by(
    rig: &Rig,
    policy: EdgePolicy,
    outcome: ParentOutcome,
) -> (EdgeSettled, Option<JobStatus>) {
    let (parents, child) = family(rig, 1, policy).await;
    let settled = settle(rig, child.id, parents[0].id, outcome).await;
    (settled, rig.status(child.id).await)
}

const RELEASED: (EdgeSettled, Option<JobStatus>) =
    (EdgeSettled::Released { gen_: 1 }, Some(JobStatus::Queued));
const CANCELLED: (EdgeSettled, Option<JobStatus>) = (EdgeSettled::Cancelled, Some(JobStatus::Cancelled));
const WAITING: (EdgeSettled, Option<JobStatus>) = (EdgeSettled::Waiting, Some(JobStatus::Blocked));

async fn a_failed_parent_acts_by_the_edges_policy(rig: Rig) {
    for (on_failed, expected) in [
        (OnFailed::Wait, WAITING),
        (OnFailed::Cancel, CANCELLED),
        (OnFailed::Run, RELEASED),
    ] {
        let policy = EdgePolicy {
            on_failed,
            ..EdgePolicy::default()
        };
        assert_eq!(
            settled_by(&rig, policy, ParentOutcome::Failed).await,
            expected,
            "{on_failed:?}"
        );
    }
}

async fn a_cancelled_parent_acts_by_the_edges_policy(rig: Rig) {
    for (on_cancelled, expected) in [(OnCancelled::Cancel, CANCELLED), (OnCancelled::Run, RELEASED)] {
        let policy = EdgePolicy {
            on_cancelled,
            ..EdgePolicy::default()
        };
        assert_eq!(
            settled_by(&rig, policy, ParentOutcome::Cancelled).await,
            expected,
            "{on_cancelled:?}"
        );
    }
}

async fn a_parent_that_is_gone_acts_by_the_edges_policy(rig: Rig) {
    for (on_cancelled, expected) in [(OnCancelled::Cancel, CANCELLED), (OnCancelled::Run, RELEASED)] {
        let policy = EdgePolicy {
            on_cancelled,
            ..EdgePolicy::default()
        };
        assert_eq!(
            settled_by(&rig, policy, ParentOutcome::Gone).await,
            expected,
            "{on_cancelled:?}"
        );
    }
}

async fn a_child_sees_its_parents_results(rig: Rig) {
    let policy = EdgePolicy {
        on_failed: OnFailed::Run,
        on_cancelled: OnCancelled::Run,
    };
    let (parents, child) = family(&rig, 3, policy).await;
    let outcomes = [done(), ParentOutcome::Failed, ParentOutcome::Cancelled];
    for (parent, outcome) in parents.iter().zip(&outcomes) {
        settle(&rig, child.id, parent.id, outcome.clone()).await;
    }
    rig.start(&child, 1).await;
    let mut seen = rig.ports.attempt.parents(0, child.id).await.unwrap();
    seen.sort_unstable_by_key(|(id, _)| *id);
    let mut expected: Vec<_> = parents.iter().map(|parent| parent.id).zip(outcomes).collect();
    expected.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(seen, expected);
    assert_eq!(
        rig.ports.attempt.parents(0, rig.job(|_| {}).id).await.unwrap(),
        []
    );
}

async fn a_released_child_has_no_edges_to_verify(rig: Rig) {
    let (parents, child) = family(&rig, 1, EdgePolicy::default()).await;
    settle(&rig, child.id, parents[0].id, done()).await;
    rig.ports.enqueue.edges_verified(0, vec![child.id]).await.unwrap();
    rig.pass_secs(86_400).await;
    assert_eq!(looked_at(&rig).await, []);
}

async fn verified_edges_are_looked_at_in_ten_minutes_and_later_and_later(rig: Rig) {
    let (_, child) = family(&rig, 1, EdgePolicy::default()).await;
    rig.ports.enqueue.edges_verified(0, vec![child.id]).await.unwrap();
    rig.pass_secs(590).await;
    assert_eq!(looked_at(&rig).await, []);
    rig.pass_secs(11).await;
    assert_eq!(looked_at(&rig).await, [child.id]);
    for _ in 0..8 {
        rig.ports.enqueue.edges_verified(0, vec![child.id]).await.unwrap();
        rig.pass_secs(601).await;
        assert_eq!(looked_at(&rig).await, [], "the next look is further away");
        rig.pass_secs(6 * 3600).await;
        assert_eq!(looked_at(&rig).await, [child.id], "never more than six hours");
    }
}

async fn the_sweep_leases_the_edges_that_it_looks_at(rig: Rig) {
    let (_, child) = family(&rig, 1, EdgePolicy::default()).await;
    rig.pass_secs(6).await;
    assert_eq!(looked_at(&rig).await, [child.id]);
    rig.pass_secs(20).await;
    assert_eq!(looked_at(&rig).await, [], "another scheduler has it");
    rig.pass_secs(11).await;
    assert_eq!(looked_at(&rig).await, [child.id], "which has died");
    rig.ports.enqueue.edges_verified(0, vec![child.id]).await.unwrap();
    rig.pass_secs(590).await;
    assert_eq!(looked_at(&rig).await, []);
    rig.pass_secs(11).await;
    assert_eq!(looked_at(&rig).await, [child.id], "a look is no verification");
}

async fn an_unknown_parent_is_remembered_until_every_one_is_found(rig: Rig) {
    let (_, child) = family(&rig, 1, EdgePolicy::default()).await;
    let unknown_since = async || {
        rig.pass_secs(31).await;
        let open = rig.ports.schedule.open_edges(0, 100).await.unwrap();
        assert_eq!(open.len(), 1);
        open[0].unknown_since
    };
    assert_eq!(unknown_since().await, None);
    let first = rig.now();
    for _ in 0..2 {
        rig.ports
            .schedule
            .parents_unknown(0, vec![child.id, rig.job(|_| {}).id])
            .await
            .unwrap();
        Rig::assert_at(unknown_since().await, first);
    }
    rig.ports.enqueue.edges_verified(0, vec![child.id]).await.unwrap();
    rig.pass_secs(600).await;
    assert_eq!(unknown_since().await, None);
}

async fn a_look_takes_no_more_edges_than_a_call_should(rig: Rig) {
    for parents in [EDGES_LOOK_MAX - 1_000, 1_000, EDGES_LOOK_MAX + 1, 1] {
        let edges: Vec<Dependency> = (0..parents).map(|_| rig.job_in(1, |_| {}).id.into()).collect();
        rig.enqueued(|spec| spec.depends_on = edges).await;
        rig.pass_secs(1).await;
    }
    rig.pass_secs(6).await;
    let mut looks = Vec::new();
    loop {
        let open = rig.ports.schedule.open_edges(0, 100).await.unwrap();
        if open.is_empty() {
            break;
        }
        looks.push(open.iter().map(|open| open.edges.len()).collect::<Vec<_>>());
    }
    assert_eq!(
        looks,
        [
            vec![EDGES_LOOK_MAX - 1_000, 1_000],
            vec![EDGES_LOOK_MAX + 1],
            vec![1]
        ]
    );
}

async fn the_verification_of_a_job_that_was_taken_back_says_so(rig: Rig) {
    let (_, child) = family(&rig, 1, EdgePolicy::default()).await;
    let (_, aborted) = family(&rig, 1, EdgePolicy::default()).await;
    let queued = rig.enqueued(|_| {}).await;
    let pruned = super::retention::pruned(&rig, completed()).await;
    rig.ports.enqueue.abort(0, vec![aborted.id]).await.unwrap();
    let known = rig
        .ports
        .enqueue
        .edges_verified(0, vec![child.id, aborted.id, queued.id, pruned.id])
        .await
        .unwrap();
    assert_eq!(known, [true, false, true, true]);
}

async fn an_enqueue_again_of_a_blocked_job_finds_it_blocked(rig: Rig) {
    let (_, child) = family(&rig, 1, EdgePolicy::default()).await;
    let existing = Enqueued::Existing {
        status: JobStatus::Blocked,
        gen_: 0,
        unpublished: false,
    };
    assert_eq!(rig.enqueue(&child).await, existing);
}

async fn an_enqueue_with_an_unknown_parent_takes_itself_back(rig: Rig) {
    let child = rig
        .enqueued(|spec| spec.depends_on = vec![rig.job(|_| {}).id.into()])
        .await;
    rig.ports.enqueue.abort(0, vec![child.id]).await.unwrap();
    assert_eq!(
        (rig.find(child.id).await, rig.status(child.id).await),
        (None, None)
    );
    rig.pass_secs(60).await;
    assert_eq!(looked_at(&rig).await, []);
    assert!(
        matches!(rig.enqueue(&child).await, Enqueued::Created { .. }),
        "no tombstone is left"
    );
}

async fn an_abort_leaves_anything_but_blocked_alone(rig: Rig) {
    let held = rig.running(|_| {}).await;
    let queued = rig.published(|_| {}).await;
    rig.ports
        .enqueue
        .abort(0, vec![held.id, queued.id, rig.job(|_| {}).id])
        .await
        .unwrap();
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Running));
    assert_eq!(rig.status(queued.id).await, Some(JobStatus::Queued));
}

async fn the_sweep_names_the_open_edges_alone(rig: Rig) {
    let (parents, child) = family(&rig, 3, EdgePolicy::default()).await;
    settle(&rig, child.id, parents[1].id, done()).await;
    rig.pass_secs(6).await;
    let open = rig.ports.schedule.open_edges(0, 100).await.unwrap();
    assert_eq!(open.len(), 1);
    let mut ids: Vec<_> = open[0].edges.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    let mut expected = vec![parents[0].id, parents[2].id];
    expected.sort_unstable();
    assert_eq!(ids, expected);
}

async fn a_child_of_an_unknown_parent_is_failed(rig: Rig) {
    let (_, child) = family(&rig, 1, EdgePolicy::default()).await;
    let queued = rig.published(|_| {}).await;
    let error = ErrorInfo::new("parent_unknown", "parent unknown");
    let children = vec![(child.id, error.clone()), (queued.id, error.clone())];
    rig.ports.enqueue.fail_blocked(0, children).await.unwrap();
    let view = rig.view(child.id).await;
    assert_eq!((view.status, view.error), (JobStatus::Failed, Some(error)));
    assert_eq!(
        rig.status(queued.id).await,
        Some(JobStatus::Queued),
        "only Blocked jobs"
    );
    rig.pass_secs(86_400).await;
    assert_eq!(looked_at(&rig).await, []);
}

async fn a_child_keeps_a_bounded_amount_of_results(rig: Rig) {
    let whole = PARENT_RESULTS_BYTES_MAX / PARENT_RESULT_BYTES_MAX;
    let (parents, child) = family(&rig, whole + 1, EdgePolicy::default()).await;
    let result = Bytes::from(vec![1; PARENT_RESULT_BYTES_MAX]);
    for parent in &parents {
        let result = Some(result.clone());
        settle(&rig, child.id, parent.id, ParentOutcome::Completed { result }).await;
    }
    let outcomes = rig.ports.attempt.parents(0, child.id).await.unwrap();
    let bytes = outcomes.iter().map(|(_, outcome)| match outcome {
        ParentOutcome::Completed { result } => result.as_ref().map_or(0, Bytes::len),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        (outcomes.len(), bytes.sum::<usize>()),
        (whole + 1, PARENT_RESULTS_BYTES_MAX)
    );
    let last = (parents[whole].id, ParentOutcome::Completed { result: None });
    assert!(
        outcomes.contains(&last),
        "past the bound only the outcome is kept"
    );
    rig.start(&child, 1).await;
}

async fn an_abort_leaves_a_child_that_another_enqueue_acknowledged(rig: Rig) {
    let (_, child) = family(&rig, 1, EdgePolicy::default()).await;
    rig.ports.enqueue.edges_verified(0, vec![child.id]).await.unwrap();
    rig.ports.enqueue.abort(0, vec![child.id]).await.unwrap();
    assert_eq!(rig.status(child.id).await, Some(JobStatus::Blocked));
}
