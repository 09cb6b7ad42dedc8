//! Retention, and the tombstones it leaves.

use std::time::Duration;

use longshore_core::JobStatus;
use longshore_core::outcome::Outcome;
use longshore_core::port::attempt::Claimed;
use longshore_core::port::enqueue::{Enqueued, ParentOutcome, ParentState};
use longshore_core::port::schedule::Pruned;
use longshore_core::spec::{EdgePolicy, OnFailed};

use super::rig::{Held, Rig, completed, failed, retry};

cases! { Retention:
    a_job_is_pruned_after_the_retention_of_its_status,
    a_status_without_a_retention_is_kept,
    live_jobs_are_never_pruned,
    pruning_takes_bites,
    a_tombstone_answers_for_seven_days,
    a_tombstone_ends_and_the_id_is_free_again,
    a_pruned_dead_letter_is_no_dead_letter,
    a_tombstone_tells_a_child_how_its_parent_ended,
}

pub(super) async fn prune(rig: &Rig, retention: Duration) -> Pruned {
    let all = JobStatus::ALL.into_iter().filter(|status| status.is_terminal());
    let retention = all.map(|status| (status, retention)).collect();
    rig.ports.schedule.prune(0, retention, 100).await.unwrap()
}

/// As the keeper does: every dead letter of shard 0 has its twin.
pub(super) async fn copy_dead(rig: &Rig) {
    let dead = rig.ports.schedule.dead_uncopied(0, 100).await.unwrap();
    let copied = dead.iter().map(|letter| (letter.id, letter.gen_)).collect();
    rig.ports.schedule.dead_copied(0, copied).await.unwrap();
}

/// A job that ended and was pruned: only its tombstone is left.
pub(super) async fn pruned(rig: &Rig, outcome: Outcome) -> Held {
    let held = rig.ended(outcome).await;
    copy_dead(rig).await;
    rig.pass_secs(10).await;
    let keep_others = Duration::from_secs(5);
    assert!(prune(rig, keep_others).await.jobs >= 1);
    assert_eq!(rig.find(held.id).await, None, "it is pruned");
    held
}

async fn a_job_is_pruned_after_the_retention_of_its_status(rig: Rig) {
    let held = rig.ended(completed()).await;
    let cancelled = rig.ended(Outcome::Cancelled).await;
    rig.pass_secs(3600).await;
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let retention = [
        (JobStatus::Completed, hours(2)),
        (JobStatus::Cancelled, Duration::from_secs(60)),
    ];
    let prune = || rig.ports.schedule.prune(0, retention.into(), 100);
    assert_eq!(prune().await.unwrap().jobs, 1);
    assert_eq!(rig.find(cancelled.id).await, None);
    assert!(rig.find(held.id).await.is_some());
    rig.pass(hours(2)).await;
    assert_eq!(prune().await.unwrap().jobs, 1);
    assert_eq!(rig.find(held.id).await, None);
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Completed));
}

async fn a_status_without_a_retention_is_kept(rig: Rig) {
    let held = rig.ended(completed()).await;
    rig.pass_secs(365 * 86_400).await;
    let retention = [(JobStatus::Cancelled, Duration::ZERO)];
    assert_eq!(
        rig.ports.schedule.prune(0, retention.into(), 100).await.unwrap(),
        Pruned::default()
    );
    assert!(rig.find(held.id).await.is_some());
}

async fn live_jobs_are_never_pruned(rig: Rig) {
    let queued = rig.enqueued(|_| {}).await;
    let running = rig.running(|_| {}).await;
    let retrying = rig.running(|_| {}).await;
    rig.finish(&retrying, retry(60)).await;
    rig.pass_secs(365 * 86_400).await;
    assert_eq!(prune(&rig, Duration::ZERO).await, Pruned::default());
    for id in [queued.id, running.id, retrying.id] {
        assert!(rig.find(id).await.is_some());
    }
}

async fn pruning_takes_bites(rig: Rig) {
    for _ in 0..5 {
        rig.ended(completed()).await;
    }
    rig.pass_secs(60).await;
    let retention = [(JobStatus::Completed, Duration::from_secs(5))];
    let mut bites = Vec::new();
    for _ in 0..4 {
        bites.push(
            rig.ports
                .schedule
                .prune(0, retention.into(), 2)
                .await
                .unwrap()
                .jobs,
        );
    }
    assert_eq!(bites, [2, 2, 1, 0]);
}

async fn a_tombstone_answers_for_seven_days(rig: Rig) {
    let held = pruned(&rig, completed()).await;
    rig.pass_secs(6 * 86_400).await;
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Completed));
    let again = rig.enqueue(&held.job).await;
    assert!(
        matches!(
            again,
            Enqueued::Existing {
                status: JobStatus::Completed,
                ..
            }
        ),
        "{again:?}"
    );
    assert_eq!(rig.find(held.id).await, None);
}

async fn a_tombstone_ends_and_the_id_is_free_again(rig: Rig) {
    let held = pruned(&rig, completed()).await;
    rig.pass_secs(8 * 86_400).await;
    // Where tombstones are swept rather than expire by themselves, retention does it.
    prune(&rig, Duration::from_secs(5)).await;
    assert_eq!(rig.status(held.id).await, None);
    assert!(matches!(rig.deliver(held.id, 1).await, Claimed::Missing { .. }));
    let again = rig.enqueue(&held.job).await;
    assert!(matches!(again, Enqueued::Created { .. }), "{again:?}");
}

async fn a_pruned_dead_letter_is_no_dead_letter(rig: Rig) {
    let held = pruned(&rig, failed()).await;
    rig.pass_secs(600).await;
    assert_eq!(rig.ports.schedule.dead_uncopied(0, 10).await.unwrap(), []);
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Failed));
}

async fn a_tombstone_tells_a_child_how_its_parent_ended(rig: Rig) {
    let child = rig.job_in(1, |_| {}).id;
    let policy = EdgePolicy {
        on_failed: OnFailed::Cancel,
        ..EdgePolicy::default()
    };
    let parent = pruned(&rig, failed()).await;
    let state = super::edges::register(&rig, parent.id, child, policy).await;
    let fine = matches!(
        state,
        ParentState::Settled(ParentOutcome::Failed | ParentOutcome::Gone)
    );
    assert!(fine, "{state:?}");
}
