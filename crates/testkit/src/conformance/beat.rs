//! Keeping a claim.

use longshore_core::limits::LEASE;
use longshore_core::port::attempt::Beaten;
use longshore_core::{JobStatus, WorkerId};

use super::rig::{Rig, completed, failed, retry};

const ALIVE: Beaten = Beaten::Alive {
    cancel_requested: false,
};

cases! { Beat:
    a_beat_extends_the_lease ["beat: owner"],
    a_beat_tells_of_a_cancel ["beat: owner", "cancel: running"],
    a_late_beat_before_the_sweep_keeps_the_job ["beat: owner"],
    a_beat_for_an_unknown_job_is_missing ["beat: missing"],
    a_beat_of_another_owner_is_lost ["beat: lost"],
    a_beat_for_a_job_that_left_running_is_lost_and_changes_nothing ["beat: lost"],
    a_beat_does_not_revive_a_pruned_job ["beat: lost"],
    beats_are_answered_in_their_order,
}

async fn a_beat_extends_the_lease(rig: Rig) {
    rig.calm_sweep().await;
    let held = rig.running(|_| {}).await;
    for _ in 0..6 {
        let done = rig.pass_swept(10).await;
        assert_eq!(done.requeued, 0);
        assert_eq!(rig.beat(held.id, held.nonce).await, ALIVE);
        Rig::assert_at(rig.view(held.id).await.lease_until, rig.now().after(LEASE));
    }
    assert_eq!(
        rig.view(held.id).await.worker,
        Some(WorkerId("tester-1".to_owned()))
    );
}

async fn a_beat_tells_of_a_cancel(rig: Rig) {
    let held = rig.running(|_| {}).await;
    rig.cancel(held.id).await;
    assert_eq!(
        rig.beat(held.id, held.nonce).await,
        Beaten::Alive {
            cancel_requested: true
        }
    );
}

async fn a_late_beat_before_the_sweep_keeps_the_job(rig: Rig) {
    rig.calm_sweep().await;
    let held = rig.running(|_| {}).await;
    rig.pass_swept(25).await;
    rig.pass_secs(10).await;
    assert_eq!(rig.beat(held.id, held.nonce).await, ALIVE);
    assert_eq!(rig.sweep(100).await.requeued, 0);
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Running));
}

async fn a_beat_for_an_unknown_job_is_missing(rig: Rig) {
    let stray = rig.job(|_| {});
    assert_eq!(rig.beat(stray.id, rig.nonce()).await, Beaten::Missing);
    assert_eq!(rig.find(stray.id).await, None);
}

async fn a_beat_of_another_owner_is_lost(rig: Rig) {
    let held = rig.running(|_| {}).await;
    rig.pass_secs(10).await;
    let before = rig.view(held.id).await.lease_until;
    assert_eq!(rig.beat(held.id, rig.nonce()).await, Beaten::Lost);
    assert_eq!(rig.view(held.id).await.lease_until, before);
}

async fn a_beat_for_a_job_that_left_running_is_lost_and_changes_nothing(rig: Rig) {
    for outcome in [
        completed(),
        failed(),
        retry(60),
        longshore_core::outcome::Outcome::Released,
    ] {
        let held = rig.running(|_| {}).await;
        rig.finish(&held, outcome).await;
        let before = rig.view(held.id).await;
        assert_eq!(rig.beat(held.id, held.nonce).await, Beaten::Lost);
        assert_eq!(rig.view(held.id).await, before);
    }
}

async fn a_beat_does_not_revive_a_pruned_job(rig: Rig) {
    let held = super::retention::pruned(&rig, completed()).await;
    assert_eq!(rig.beat(held.id, held.nonce).await, Beaten::Lost);
    assert_eq!(rig.find(held.id).await, None);
}

async fn beats_are_answered_in_their_order(rig: Rig) {
    let (one, two) = (rig.running(|_| {}).await, rig.running(|_| {}).await);
    let stray = rig.job(|_| {});
    let claims = vec![
        (two.id, two.nonce),
        (stray.id, two.nonce),
        (one.id, two.nonce),
        (one.id, one.nonce),
    ];
    let answers = rig.ports.attempt.beat(0, claims).await.unwrap();
    assert_eq!(answers, [ALIVE, Beaten::Missing, Beaten::Lost, ALIVE]);
}
