//! Records that were lost, and stores that were wiped.

use std::time::Duration;

use longshore_core::JobStatus;
use longshore_core::WorkerId;
use longshore_core::port::attempt::{
    Beaten, Claimed, Finished, GiveBackReason, GivenBack, Over, Rebuild, Then,
};
use longshore_core::port::enqueue::NewJob;

use super::rig::{Rig, completed};

cases! { Rebuild:
    a_lost_record_is_made_anew_from_the_message ["delivery: missing"],
    a_rebuild_of_a_running_attempt_keeps_its_number ["beat: missing", "finish: missing"],
    a_lost_record_is_made_anew_to_be_given_back ["delivery: missing", "give_back: missing"],
    a_rebuild_that_gives_a_known_job_back_answers_how_it_stands,
    a_repeated_rebuild_gets_the_same_answer,
    a_rebuild_of_a_known_job_answers_as_a_claim,
    a_rebuild_of_an_ended_job_revives_nothing ["delivery: missing, tombstone"],
    a_later_dispatch_is_rebuilt_without_its_expiry,
    a_wiped_shard_has_another_epoch ["delivery: missing"],
    work_goes_on_after_a_wipe ["beat: missing", "finish: missing"],
}

fn lost(rig: &Rig, job: &NewJob) -> Rebuild {
    Rebuild {
        job: job.clone(),
        gen_: 4,
        attempts: 2,
        retries: 1,
        losts: 1,
        nonce: rig.nonce(),
        worker: WorkerId("tester-2".to_owned()),
        then: Then::Claim,
    }
}

async fn a_lost_record_is_made_anew_from_the_message(rig: Rig) {
    let job = rig.job(|spec| spec.tags = ["x".to_owned()].into());
    let rebuild = lost(&rig, &job);
    let nonce = rebuild.nonce;
    let Claimed::Run(grant) = rig.rebuild(rebuild).await else {
        panic!("it was not rebuilt")
    };
    assert_eq!(
        (grant.attempt, grant.retries, grant.losts, grant.gen_),
        (3, 1, 1, 4)
    );
    let view = rig.view(job.id).await;
    assert_eq!(
        (view.status, view.gen_, view.attempts),
        (JobStatus::Running, 4, 3)
    );
    assert_eq!((view.retries, view.losts, &view.tags), (1, 1, &job.tags));
    assert_eq!(view.full.unwrap().envelope, job.envelope);
    assert_eq!(
        rig.beat(job.id, nonce).await,
        Beaten::Alive {
            cancel_requested: false
        }
    );
    let finished = rig.finish_as(job.id, nonce, completed()).await;
    assert_eq!(finished, Finished::Accepted(JobStatus::Completed));
}

async fn a_rebuild_of_a_running_attempt_keeps_its_number(rig: Rig) {
    let job = rig.job(|_| {});
    let mut rebuild = lost(&rig, &job);
    rebuild.then = Then::GoOn;
    let nonce = rebuild.nonce;
    assert_eq!(rig.beat(job.id, nonce).await, Beaten::Missing);
    assert_eq!(rig.finish_as(job.id, nonce, completed()).await, Finished::Missing);
    let Claimed::Run(grant) = rig.rebuild(rebuild).await else {
        panic!("it was not rebuilt")
    };
    assert_eq!(grant.attempt, 2);
    let finished = rig.finish_as(job.id, nonce, completed()).await;
    assert_eq!(finished, Finished::Accepted(JobStatus::Completed));
    assert_eq!(rig.view(job.id).await.attempts, 2);
}

async fn a_lost_record_is_made_anew_to_be_given_back(rig: Rig) {
    let job = rig.published(|_| {}).await;
    rig.sabotage().wipe().await;
    let answer = rig.give_back(job.id, 4, GiveBackReason::Unstarted).await;
    let epoch = rig.ports.schedule.lease_outbox(0, 1).await.unwrap().epoch;
    assert_eq!(answer, GivenBack::Missing { epoch });
    assert_eq!(rig.find(job.id).await, None, "a give-back makes no record");
    let mut rebuild = lost(&rig, &job);
    rebuild.then = Then::GiveBack;
    for _ in 0..2 {
        let answer = rig.rebuild(rebuild.clone()).await;
        assert_eq!(answer, Claimed::Over(Over::Stale));
    }
    let view = rig.view(job.id).await;
    assert_eq!((view.status, view.gen_), (JobStatus::Queued, 5));
    assert_eq!((view.attempts, view.retries, view.losts), (2, 1, 1));
    assert_eq!(view.full.unwrap().envelope, job.envelope);
    assert_eq!(rig.outbox_ids().await, [(job.id, 5)], "due now");
}

async fn a_rebuild_that_gives_a_known_job_back_answers_how_it_stands(rig: Rig) {
    let queued = rig.published(|_| {}).await;
    let running = rig.running(|_| {}).await;
    let ended = rig.ended(completed()).await;
    let pruned = super::retention::pruned(&rig, completed()).await;
    let done = Over::Ended(JobStatus::Completed);
    for (job, over) in [
        (&queued, Over::Stale),
        (&running.job, Over::Stale),
        (&ended.job, done),
        (&pruned.job, done),
    ] {
        let mut rebuild = lost(&rig, job);
        rebuild.gen_ = 1;
        rebuild.then = Then::GiveBack;
        assert_eq!(rig.rebuild(rebuild).await, Claimed::Over(over));
    }
    assert_eq!(rig.view(queued.id).await.gen_, 2);
    assert_eq!(rig.status(running.id).await, Some(JobStatus::Running));
    assert_eq!(rig.find(pruned.id).await, None);
}

async fn a_repeated_rebuild_gets_the_same_answer(rig: Rig) {
    let rebuild = lost(&rig, &rig.job(|_| {}));
    let first = rig.rebuild(rebuild.clone()).await;
    assert!(matches!(first, Claimed::Run(_)));
    assert_eq!(rig.rebuild(rebuild).await, first);
}

async fn a_rebuild_of_a_known_job_answers_as_a_claim(rig: Rig) {
    let held = rig.running(|_| {}).await;
    let busy = rig.rebuild(lost(&rig, &held.job)).await;
    assert!(matches!(busy, Claimed::Busy { .. }), "{busy:?}");
    let queued = rig.published(|_| {}).await;
    let mut same = lost(&rig, &queued);
    same.gen_ = 1;
    let Claimed::Run(grant) = rig.rebuild(same).await else {
        panic!("a Queued job runs")
    };
    assert_eq!(
        (grant.attempt, grant.losts),
        (1, 0),
        "the record's counts, not the message's"
    );
}

async fn a_rebuild_of_an_ended_job_revives_nothing(rig: Rig) {
    let ended = rig.ended(completed()).await;
    let pruned = super::retention::pruned(&rig, completed()).await;
    for held in [&ended, &pruned] {
        let answer = rig.rebuild(lost(&rig, &held.job)).await;
        assert_eq!(answer, Claimed::Over(Over::Ended(JobStatus::Completed)));
    }
    assert_eq!(rig.find(pruned.id).await, None);
    assert_eq!(rig.status(ended.id).await, Some(JobStatus::Completed));
}

async fn a_wiped_shard_has_another_epoch(rig: Rig) {
    let job = rig.published(|_| {}).await;
    let before = rig.ports.schedule.lease_outbox(0, 1).await.unwrap().epoch;
    rig.sabotage().wipe().await;
    let Claimed::Missing { epoch } = rig.deliver(job.id, 1).await else {
        panic!("the record is gone")
    };
    assert_ne!(epoch, before);
    assert_ne!(epoch, 0);
    assert_eq!(
        rig.ports.schedule.lease_outbox(0, 1).await.unwrap().epoch,
        epoch,
        "it is drawn once"
    );
    let Claimed::Run(_) = rig.rebuild(lost(&rig, &job)).await else {
        panic!("it was not rebuilt")
    };
}

async fn work_goes_on_after_a_wipe(rig: Rig) {
    let held = rig.running(|_| {}).await;
    rig.sabotage().wipe().await;
    assert_eq!(rig.beat(held.id, held.nonce).await, Beaten::Missing);
    let mut rebuild = lost(&rig, &held.job);
    rebuild.nonce = held.nonce;
    rebuild.then = Then::GoOn;
    let Claimed::Run(_) = rig.rebuild(rebuild).await else {
        panic!("it was not rebuilt")
    };
    assert_eq!(
        rig.finish(&held, completed()).await,
        Finished::Accepted(JobStatus::Completed)
    );
    rig.enqueued(|_| {}).await;
}

async fn a_later_dispatch_is_rebuilt_without_its_expiry(rig: Rig) {
    let expiry = Some(Duration::from_secs(10));
    let (first, later) = (
        rig.job(|spec| spec.expires_in = expiry),
        rig.job(|spec| spec.expires_in = expiry),
    );
    rig.pass_secs(11).await;
    for (job, gen_) in [(&first, 1), (&later, 2)] {
        let mut rebuild = lost(&rig, job);
        (rebuild.gen_, rebuild.attempts) = (gen_, 0);
        let answer = rig.rebuild(rebuild).await;
        if gen_ == 1 {
            assert_eq!(answer, Claimed::Over(Over::Ended(JobStatus::Expired)));
        } else {
            assert!(matches!(answer, Claimed::Run(_)), "a requeue cut it: {answer:?}");
        }
    }
}
