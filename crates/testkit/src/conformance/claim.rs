//! What a worker learns of a delivery, row by row.

use std::time::Duration;

use longshore_core::limits::{LEASE, LOSTS_MAX};
use longshore_core::outcome::Outcome;
use longshore_core::port::attempt::{Beaten, Claim, Claimed, Finish, Finished, GiveBackReason, Over};
use longshore_core::spec::Start;
use longshore_core::{JobStatus, WorkerId};

use super::rig::{Rig, completed, retry};

cases! { Claim:
    a_queued_job_with_the_same_gen_runs ["delivery: queued, same gen"],
    a_job_that_is_not_yet_marked_published_runs ["delivery: queued, same gen"],
    an_unknown_job_is_missing_with_the_epoch_of_its_shard ["delivery: missing"],
    a_tombstone_is_over ["delivery: missing, tombstone"],
    an_ended_job_is_over ["delivery: terminal"],
    a_retried_claim_gets_the_same_answer ["delivery: running, my nonce"],
    a_job_with_a_live_lease_is_busy_whatever_the_gen ["delivery: running, lease alive"],
    a_lease_that_is_over_is_taken_over ["delivery: running, lease over"],
    a_takeover_of_a_job_to_be_cancelled_cancels_it ["delivery: running, lease over"],
    a_takeover_with_all_losts_used_up_fails_the_job ["delivery: running, lease over"],
    a_job_that_waits_elsewhere_is_stale ["delivery: waits elsewhere"],
    an_older_gen_is_stale ["delivery: older gen"],
    a_newer_gen_is_adopted ["delivery: newer gen"],
    a_newer_gen_is_adopted_by_a_waiting_job ["delivery: newer gen"],
    a_job_past_its_expiry_is_expired_by_the_claim,
    a_job_past_its_deadline_is_expired_by_the_claim,
    a_started_job_does_not_expire_before_its_deadline,
    fences_rise_with_every_claim,
    a_step_finishes_before_it_claims,
    of_concurrent_claims_one_runs,
}

async fn a_queued_job_with_the_same_gen_runs(rig: Rig) {
    let job = rig.published(|_| {}).await;
    let held = rig.start(&job, 1).await;
    let grant = &held.grant;
    assert_eq!(
        (grant.attempt, grant.retries, grant.losts, grant.gen_),
        (1, 0, 0, 1)
    );
    assert!(!grant.cancel_requested && grant.fence > 0);
    Rig::assert_at(Some(grant.started_at), rig.now());
    let view = rig.view(job.id).await;
    assert_eq!((view.status, view.attempts), (JobStatus::Running, 1));
    assert_eq!(view.worker, Some(WorkerId("tester-1".to_owned())));
    Rig::assert_at(view.lease_until, rig.now().after(LEASE));
    Rig::assert_at(view.started_at, rig.now());
}

async fn a_job_that_is_not_yet_marked_published_runs(rig: Rig) {
    let job = rig.enqueued(|_| {}).await;
    rig.start(&job, 1).await;
}

async fn an_unknown_job_is_missing_with_the_epoch_of_its_shard(rig: Rig) {
    let epoch = rig
        .ports
        .enqueue
        .enqueue(0, vec![rig.job(|_| {})])
        .await
        .unwrap()
        .epoch;
    let stray = rig.job(|_| {});
    assert_eq!(rig.deliver(stray.id, 1).await, Claimed::Missing { epoch });
    assert_eq!(rig.find(stray.id).await, None, "asking makes no record");
}

async fn a_tombstone_is_over(rig: Rig) {
    let held = super::retention::pruned(&rig, completed()).await;
    assert_eq!(rig.find(held.id).await, None);
    assert_eq!(
        rig.deliver(held.id, 1).await,
        Claimed::Over(Over::Ended(JobStatus::Completed))
    );
    assert_eq!(rig.find(held.id).await, None, "a late delivery revives nothing");
}

async fn an_ended_job_is_over(rig: Rig) {
    let held = rig.ended(completed()).await;
    for gen_ in [1, 2] {
        assert_eq!(
            rig.deliver(held.id, gen_).await,
            Claimed::Over(Over::Ended(JobStatus::Completed))
        );
    }
    let cancelled = rig.published(|_| {}).await;
    rig.cancel(cancelled.id).await;
    assert_eq!(
        rig.deliver(cancelled.id, 1).await,
        Claimed::Over(Over::Ended(JobStatus::Cancelled))
    );
}

async fn a_retried_claim_gets_the_same_answer(rig: Rig) {
    let held = rig.running(|_| {}).await;
    rig.pass_secs(3).await;
    assert_eq!(
        rig.claim(held.id, 1, held.nonce).await,
        Claimed::Run(held.grant.clone())
    );
    let view = rig.view(held.id).await;
    assert_eq!(view.attempts, 1);
    // Whoever got the answer counts its lease from there.
    Rig::assert_at(view.lease_until, rig.now().after(LEASE));
}

async fn a_job_with_a_live_lease_is_busy_whatever_the_gen(rig: Rig) {
    let held = rig.running(|_| {}).await;
    rig.pass_secs(10).await;
    for gen_ in [0, 1, 2] {
        match rig.deliver(held.id, gen_).await {
            Claimed::Busy { retry_in } => {
                assert!(
                    retry_in > Duration::from_secs(10),
                    "{retry_in:?} with 20 s of lease left"
                );
                assert!(
                    retry_in <= Duration::from_secs(21),
                    "{retry_in:?} with 20 s of lease left"
                );
            }
            other => panic!("gen {gen_}: {other:?}"),
        }
    }
    let view = rig.view(held.id).await;
    assert_eq!((view.gen_, view.attempts), (1, 1));
}

/// A running job whose lease has just ended, in a shard whose sweep has not come to it yet.
async fn abandoned(rig: &Rig, cancel: bool) -> super::Held {
    rig.calm_sweep().await;
    let held = rig.running(|_| {}).await;
    if cancel {
        rig.cancel(held.id).await;
    }
    rig.pass_swept(25).await;
    rig.pass_secs(6).await;
    held
}

async fn a_lease_that_is_over_is_taken_over(rig: Rig) {
    let held = abandoned(&rig, false).await;
    let new = rig.start(&held.job, 1).await;
    assert_eq!((new.grant.attempt, new.grant.losts, new.grant.retries), (2, 1, 0));
    assert!(new.grant.fence > held.grant.fence);
    assert_eq!(rig.beat(held.id, held.nonce).await, Beaten::Lost);
    assert_eq!(rig.finish(&held, completed()).await, Finished::Lost);
    let history = rig.view(held.id).await.full.unwrap().history;
    assert_eq!(
        history
            .iter()
            .map(|entry| entry.outcome.as_str())
            .collect::<Vec<_>>(),
        ["lost"]
    );
    assert_eq!(
        rig.finish(&new, completed()).await,
        Finished::Accepted(JobStatus::Completed)
    );
}

async fn a_takeover_of_a_job_to_be_cancelled_cancels_it(rig: Rig) {
    let held = abandoned(&rig, true).await;
    assert_eq!(
        rig.deliver(held.id, 1).await,
        Claimed::Over(Over::Ended(JobStatus::Cancelled))
    );
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Cancelled));
}

async fn a_takeover_with_all_losts_used_up_fails_the_job(rig: Rig) {
    let held = abandoned(&rig, false).await;
    let mut losts = 0;
    loop {
        match rig.deliver(held.id, 1).await {
            Claimed::Run(grant) => {
                losts = grant.losts;
                rig.pass_swept(25).await;
                rig.pass_secs(6).await;
            }
            Claimed::Over(over) => {
                assert_eq!(over, Over::Ended(JobStatus::Failed));
                break;
            }
            other => panic!("after {losts} losts: {other:?}"),
        }
    }
    let view = rig.view(held.id).await;
    assert!(
        view.losts >= LOSTS_MAX && losts <= LOSTS_MAX,
        "{} losts",
        view.losts
    );
    assert_eq!(view.error.unwrap().error_type, "worker_lost");
}

async fn a_job_that_waits_elsewhere_is_stale(rig: Rig) {
    let parent = rig.enqueued(|_| {}).await;
    let blocked = rig
        .enqueued(|spec| spec.depends_on = vec![parent.id.into()])
        .await;
    let scheduled = rig
        .enqueued(|spec| spec.start = Start::After(Duration::from_secs(60)))
        .await;
    let retrying = rig.running(|_| {}).await;
    rig.finish(&retrying, retry(60)).await;
    for (id, gen_) in [
        (blocked.id, 0),
        (scheduled.id, 0),
        (retrying.id, 1),
        (retrying.id, 0),
    ] {
        let before = rig.status(id).await;
        assert_eq!(
            rig.deliver(id, gen_).await,
            Claimed::Over(Over::Stale),
            "{before:?}, gen {gen_}"
        );
        assert_eq!(rig.status(id).await, before);
    }
}

async fn an_older_gen_is_stale(rig: Rig) {
    let job = rig.published(|_| {}).await;
    rig.give_back(job.id, 1, GiveBackReason::Unstarted).await;
    assert_eq!(rig.deliver(job.id, 1).await, Claimed::Over(Over::Stale));
    assert_eq!(rig.view(job.id).await.attempts, 0);
    rig.start(&job, 2).await;
}

async fn a_newer_gen_is_adopted(rig: Rig) {
    let job = rig.published(|_| {}).await;
    let held = rig.start(&job, 5).await;
    assert_eq!(held.grant.gen_, 5);
    assert_eq!(rig.view(job.id).await.gen_, 5);
    rig.finish(&held, retry(1)).await;
    rig.pass_secs(2).await;
    assert_eq!(rig.promoted().await, [(job.id, 6)]);
}

async fn a_newer_gen_is_adopted_by_a_waiting_job(rig: Rig) {
    let parent = rig.enqueued(|_| {}).await;
    let blocked = rig
        .enqueued(|spec| spec.depends_on = vec![parent.id.into()])
        .await;
    let scheduled = rig
        .enqueued(|spec| spec.start = Start::After(Duration::from_secs(60)))
        .await;
    let retrying = rig.running(|_| {}).await;
    rig.finish(&retrying, retry(60)).await;
    for (job, gen_) in [(&blocked, 1), (&scheduled, 1), (&retrying.job, 2)] {
        let held = rig.start(job, gen_).await;
        assert_eq!(rig.status(job.id).await, Some(JobStatus::Running));
        assert_eq!(
            rig.finish(&held, completed()).await,
            Finished::Accepted(JobStatus::Completed)
        );
    }
    rig.pass_secs(61).await;
    assert_eq!(
        rig.promoted().await,
        [],
        "no row of the old waiting place is left"
    );
    assert_eq!(rig.ports.schedule.open_edges(0, 10).await.unwrap(), []);
}

async fn a_job_past_its_expiry_is_expired_by_the_claim(rig: Rig) {
    let job = rig
        .published(|spec| spec.expires_in = Some(Duration::from_secs(10)))
        .await;
    rig.pass_secs(11).await;
    assert_eq!(
        rig.deliver(job.id, 1).await,
        Claimed::Over(Over::Ended(JobStatus::Expired))
    );
    assert_eq!(rig.status(job.id).await, Some(JobStatus::Expired));
}

async fn a_job_past_its_deadline_is_expired_by_the_claim(rig: Rig) {
    let deadline = rig.now().after(Duration::from_secs(10));
    let job = rig.published(|spec| spec.deadline = Some(deadline)).await;
    rig.pass_secs(11).await;
    assert_eq!(
        rig.deliver(job.id, 1).await,
        Claimed::Over(Over::Ended(JobStatus::Expired))
    );
}

async fn a_started_job_does_not_expire_before_its_deadline(rig: Rig) {
    let held = rig
        .running(|spec| spec.expires_in = Some(Duration::from_secs(10)))
        .await;
    rig.finish(&held, retry(20)).await;
    rig.pass_secs(21).await;
    assert_eq!(rig.ports.schedule.expire_waiting(0, 100).await.unwrap(), 0);
    assert_eq!(rig.promoted().await, [(held.id, 2)]);
    rig.start(&held.job, 2).await;
}

async fn fences_rise_with_every_claim(rig: Rig) {
    let mut held = rig.running(|_| {}).await;
    for gen_ in 2..6 {
        rig.finish(&held, retry(0)).await;
        rig.pass_secs(1).await;
        rig.promoted().await;
        let next = rig.start(&held.job, gen_).await;
        assert!(next.grant.fence > held.grant.fence);
        held = next;
    }
    rig.finish(&held, Outcome::Released).await;
    let next = rig.start(&held.job, 6).await;
    assert!(next.grant.fence > held.grant.fence, "without a moment between");
}

async fn a_step_finishes_before_it_claims(rig: Rig) {
    let one = rig.running(|_| {}).await;
    let two = rig.published(|_| {}).await;
    let outcome = longshore_core::outcome::Outcome::Released;
    let finish = Finish {
        id: one.id,
        nonce: one.nonce,
        outcome,
        progress: None,
    };
    let claim = |id, gen_| Claim {
        id,
        gen_,
        nonce: rig.nonce(),
        worker: WorkerId("w".to_owned()),
    };
    let claims = vec![claim(two.id, 1), claim(one.id, 2)];
    let (finished, claimed) = rig.ports.attempt.step(0, vec![finish], claims).await.unwrap();
    assert_eq!(finished, [Finished::Accepted(JobStatus::Queued)]);
    assert!(
        matches!(claimed[..], [Claimed::Run(_), Claimed::Run(_)]),
        "{claimed:?}"
    );
}

async fn of_concurrent_claims_one_runs(rig: Rig) {
    let job = rig.published(|_| {}).await;
    let claims = (0..16).map(|_| rig.deliver(job.id, 1));
    let answers = futures_util::future::join_all(claims).await;
    let granted = answers
        .iter()
        .filter(|answer| matches!(answer, Claimed::Run(_)))
        .count();
    let busy = answers
        .iter()
        .filter(|answer| matches!(answer, Claimed::Busy { .. }))
        .count();
    assert_eq!((granted, busy), (1, 15));
}
