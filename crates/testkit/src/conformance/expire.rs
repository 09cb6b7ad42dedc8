//! Leases, expiries and deadlines that are over.

use std::time::Duration;

use longshore_core::JobStatus;
use longshore_core::limits::LOSTS_MAX;
use longshore_core::port::attempt::{Beaten, Claimed, Finished};
use longshore_core::spec::Start;

use super::rig::{Rig, completed, retry};

cases! { Expire:
    a_job_whose_worker_is_gone_is_queued_again ["expire: queued again"],
    a_lease_that_holds_is_left_alone ["expire: queued again"],
    a_lost_job_to_be_cancelled_is_cancelled ["expire: cancel flag"],
    a_job_that_loses_its_workers_too_often_is_failed ["expire: losts used up"],
    losts_use_no_retries ["expire: queued again"],
    a_sweep_that_was_away_gives_owners_a_lease_to_beat ["expire: the sweep was away"],
    takeover_waits_while_the_sweep_was_away ["expire: the sweep was away"],
    expiry_takes_bites ["expire: queued again"],
    waiting_jobs_past_their_expiry_expire,
    jobs_past_their_deadline_expire_unless_they_run,
    expiring_takes_bites,
}

async fn a_job_whose_worker_is_gone_is_queued_again(rig: Rig) {
    rig.calm_sweep().await;
    let held = rig.running(|_| {}).await;
    let done = rig.pass_swept(40).await;
    assert_eq!((done.requeued, done.failed, done.cancelled), (1, 0, 0));
    let view = rig.view(held.id).await;
    assert_eq!(
        (view.status, view.gen_, view.losts, view.attempts),
        (JobStatus::Queued, 2, 1, 1)
    );
    assert_eq!((view.worker, view.lease_until), (None, None));
    let history = view.full.unwrap().history;
    assert_eq!((history.len(), history[0].outcome.as_str()), (1, "lost"));
    assert_eq!(rig.beat(held.id, held.nonce).await, Beaten::Lost);
    assert_eq!(rig.finish(&held, completed()).await, Finished::Lost);
    rig.pass_secs(6).await;
    assert_eq!(rig.outbox_ids().await, [(held.id, 2)]);
    let second = rig.start(&held.job, 2).await;
    assert_eq!((second.grant.attempt, second.grant.losts), (2, 1));
}

async fn a_lease_that_holds_is_left_alone(rig: Rig) {
    rig.calm_sweep().await;
    let held = rig.running(|_| {}).await;
    let done = rig.pass_swept(25).await;
    assert_eq!((done.requeued, done.failed, done.cancelled), (0, 0, 0));
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Running));
}

async fn a_lost_job_to_be_cancelled_is_cancelled(rig: Rig) {
    rig.calm_sweep().await;
    let held = rig.running(|_| {}).await;
    rig.cancel(held.id).await;
    let done = rig.pass_swept(40).await;
    assert_eq!((done.requeued, done.failed, done.cancelled), (0, 0, 1));
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Cancelled));
    assert_eq!(rig.outbox_ids().await, []);
}

async fn a_job_that_loses_its_workers_too_often_is_failed(rig: Rig) {
    rig.calm_sweep().await;
    let job = rig.published(|_| {}).await;
    let mut lives = 0;
    while rig.status(job.id).await == Some(JobStatus::Queued) {
        let gen_ = rig.view(job.id).await.gen_;
        rig.start(&job, gen_).await;
        lives += 1;
        rig.pass_swept(40).await;
        assert!(lives <= LOSTS_MAX, "it runs again after {lives} losts");
    }
    assert_eq!(lives, LOSTS_MAX, "given up after so many losts");
    let view = rig.view(job.id).await;
    assert_eq!((view.status, view.losts), (JobStatus::Failed, lives));
    assert_eq!(view.error.unwrap().error_type, "worker_lost");
}

async fn losts_use_no_retries(rig: Rig) {
    rig.calm_sweep().await;
    let held = rig.running(|spec| spec.max_retries = 0).await;
    assert_eq!(rig.pass_swept(40).await.requeued, 1);
    assert_eq!(rig.view(held.id).await.retries, 0);
}

async fn a_sweep_that_was_away_gives_owners_a_lease_to_beat(rig: Rig) {
    rig.calm_sweep().await;
    let (lives, dies) = (rig.running(|_| {}).await, rig.running(|_| {}).await);
    rig.pass_secs(300).await;
    let done = rig.sweep(100).await;
    assert_eq!((done.requeued, done.failed), (0, 0));
    assert!(
        done.paused_for > Duration::ZERO && done.paused_for <= Duration::from_secs(30),
        "{done:?}"
    );
    assert_eq!(rig.pass_swept(10).await.requeued, 0);
    assert!(matches!(
        rig.beat(lives.id, lives.nonce).await,
        Beaten::Alive { .. }
    ));
    assert_eq!(
        rig.pass_swept(25).await.requeued,
        1,
        "the pause is over after one lease"
    );
    assert_eq!(rig.status(lives.id).await, Some(JobStatus::Running));
    assert_eq!(rig.status(dies.id).await, Some(JobStatus::Queued));
}

async fn takeover_waits_while_the_sweep_was_away(rig: Rig) {
    rig.calm_sweep().await;
    let held = rig.running(|_| {}).await;
    rig.pass_secs(300).await;
    let before = rig.deliver(held.id, 1).await;
    assert!(
        matches!(before, Claimed::Busy { retry_in } if retry_in > Duration::ZERO),
        "{before:?}"
    );
    rig.sweep(100).await;
    let paused = rig.deliver(held.id, 1).await;
    assert!(
        matches!(paused, Claimed::Busy { retry_in } if retry_in > Duration::ZERO),
        "{paused:?}"
    );
    assert!(matches!(
        rig.beat(held.id, held.nonce).await,
        Beaten::Alive { .. }
    ));
}

async fn expiry_takes_bites(rig: Rig) {
    rig.calm_sweep().await;
    for _ in 0..3 {
        rig.running(|_| {}).await;
    }
    rig.pass_swept(25).await;
    rig.pass_secs(10).await;
    assert_eq!(rig.sweep(2).await.requeued, 2);
    assert_eq!(rig.sweep(2).await.requeued, 1);
    assert_eq!(rig.sweep(2).await.requeued, 0);
}

async fn waiting_jobs_past_their_expiry_expire(rig: Rig) {
    let expiry = Some(Duration::from_secs(10));
    let parent = rig.enqueued(|_| {}).await;
    let queued = rig.published(|spec| spec.expires_in = expiry).await;
    let unpublished = rig.enqueued(|spec| spec.expires_in = expiry).await;
    let scheduled = rig
        .enqueued(|spec| {
            spec.expires_in = expiry;
            spec.start = Start::After(Duration::from_secs(60));
        })
        .await;
    let blocked = rig
        .enqueued(|spec| {
            spec.expires_in = expiry;
            spec.depends_on = vec![parent.id.into()];
        })
        .await;
    assert_eq!(rig.ports.schedule.expire_waiting(0, 100).await.unwrap(), 0);
    rig.pass_secs(11).await;
    assert_eq!(rig.ports.schedule.expire_waiting(0, 100).await.unwrap(), 4);
    for id in [queued.id, unpublished.id, scheduled.id, blocked.id] {
        assert_eq!(rig.status(id).await, Some(JobStatus::Expired));
    }
    rig.pass_secs(60).await;
    assert_eq!(
        (rig.outbox_ids().await, rig.promoted().await),
        (vec![(parent.id, 1)], vec![])
    );
    assert_eq!(rig.ports.schedule.open_edges(0, 10).await.unwrap(), []);
}

async fn jobs_past_their_deadline_expire_unless_they_run(rig: Rig) {
    let deadline = Some(rig.now().after(Duration::from_secs(10)));
    let queued = rig.published(|spec| spec.deadline = deadline).await;
    let running = rig.running(|spec| spec.deadline = deadline).await;
    let retrying = rig.running(|spec| spec.deadline = deadline).await;
    rig.finish(&retrying, retry(600)).await;
    rig.pass_secs(11).await;
    rig.ports.schedule.expire_waiting(0, 100).await.unwrap();
    assert_eq!(rig.status(queued.id).await, Some(JobStatus::Expired));
    assert_eq!(rig.status(retrying.id).await, Some(JobStatus::Expired));
    assert_eq!(
        rig.status(running.id).await,
        Some(JobStatus::Running),
        "its worker ends it"
    );
    rig.finish(&running, longshore_core::outcome::Outcome::Expired)
        .await;
    assert_eq!(rig.status(running.id).await, Some(JobStatus::Expired));
}

async fn expiring_takes_bites(rig: Rig) {
    for _ in 0..3 {
        rig.enqueued(|spec| spec.expires_in = Some(Duration::from_secs(5)))
            .await;
    }
    rig.pass_secs(6).await;
    assert_eq!(rig.ports.schedule.expire_waiting(0, 2).await.unwrap(), 2);
    assert_eq!(rig.ports.schedule.expire_waiting(0, 2).await.unwrap(), 1);
    assert_eq!(rig.ports.schedule.expire_waiting(0, 2).await.unwrap(), 0);
}
