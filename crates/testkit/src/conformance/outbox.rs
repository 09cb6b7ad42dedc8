//! From the record to the broker: the outbox, and what becomes due.

use std::time::Duration;

use longshore_core::limits::OUTBOX_LEASE;
use longshore_core::port::attempt::GiveBackReason;
use longshore_core::spec::Start;
use longshore_core::{JobStatus, Priority};

use super::rig::{Rig, retry};

cases! { Outbox:
    a_published_dispatch_leaves_the_outbox ["mark_published: queued, same gen"],
    a_mark_of_an_older_gen_does_nothing ["mark_published: anything else"],
    a_mark_after_the_claim_does_nothing ["mark_published: anything else"],
    a_mark_of_a_waiting_or_unknown_job_does_nothing ["mark_published: anything else"],
    due_rows_are_leased_for_thirty_seconds ["lease_outbox: due rows are leased"],
    rows_in_flight_extend_their_lease ["lease_outbox: rows in flight extend their lease"],
    an_extension_of_another_gen_does_nothing,
    a_refused_row_comes_again_when_it_was_put_off_to ["lease_outbox: due rows are leased"],
    the_outbox_is_leased_in_bites_the_most_urgent_first ["lease_outbox: due rows are leased"],
    a_claimed_job_leaves_the_outbox,
    a_due_job_is_promoted_with_a_new_gen_and_already_leased ["promote"],
    a_due_job_past_its_time_expires_instead ["promote"],
    a_retry_is_promoted_with_its_counts ["promote"],
    promotion_takes_bites ["promote"],
    concurrent_sweeps_lease_each_row_once,
}

async fn a_published_dispatch_leaves_the_outbox(rig: Rig) {
    let job = rig.enqueued(|_| {}).await;
    rig.mark_published(job.id, 1).await;
    Rig::assert_at(rig.view(job.id).await.published_at, rig.now());
    rig.mark_published(job.id, 1).await;
    rig.pass_secs(3600).await;
    assert_eq!(rig.outbox_ids().await, []);
    assert_eq!(rig.status(job.id).await, Some(JobStatus::Queued));
}

async fn a_mark_of_an_older_gen_does_nothing(rig: Rig) {
    let job = rig.enqueued(|_| {}).await;
    rig.give_back(job.id, 1, GiveBackReason::Unstarted).await;
    rig.mark_published(job.id, 1).await;
    assert_eq!(rig.view(job.id).await.published_at, None);
    rig.pass_secs(6).await;
    assert_eq!(rig.outbox_ids().await, [(job.id, 2)]);
}

async fn a_mark_after_the_claim_does_nothing(rig: Rig) {
    let job = rig.enqueued(|_| {}).await;
    let held = rig.start(&job, 1).await;
    rig.mark_published(job.id, 1).await;
    let view = rig.view(job.id).await;
    assert_eq!((view.status, view.gen_), (JobStatus::Running, 1));
    rig.finish(&held, super::rig::completed()).await;
    rig.mark_published(job.id, 1).await;
    assert_eq!(rig.status(job.id).await, Some(JobStatus::Completed));
}

async fn a_mark_of_a_waiting_or_unknown_job_does_nothing(rig: Rig) {
    let later = rig
        .enqueued(|spec| spec.start = Start::After(Duration::from_secs(60)))
        .await;
    rig.mark_published(later.id, 0).await;
    rig.mark_published(rig.job(|_| {}).id, 1).await;
    assert_eq!(rig.status(later.id).await, Some(JobStatus::Scheduled));
}

async fn due_rows_are_leased_for_thirty_seconds(rig: Rig) {
    let job = rig.enqueued(|_| {}).await;
    rig.pass_secs(6).await;
    assert_eq!(rig.outbox_ids().await, [(job.id, 1)]);
    assert_eq!(rig.outbox_ids().await, []);
    rig.pass_secs(20).await;
    assert_eq!(rig.outbox_ids().await, []);
    rig.pass_secs(11).await;
    assert_eq!(rig.outbox_ids().await, [(job.id, 1)]);
}

async fn rows_in_flight_extend_their_lease(rig: Rig) {
    let job = rig.enqueued(|_| {}).await;
    rig.pass_secs(6).await;
    rig.outbox().await;
    rig.pass_secs(20).await;
    rig.ports
        .schedule
        .extend_outbox(0, vec![(job.id, 1)], OUTBOX_LEASE)
        .await
        .unwrap();
    rig.pass_secs(20).await;
    assert_eq!(rig.outbox_ids().await, []);
    rig.pass_secs(11).await;
    assert_eq!(rig.outbox_ids().await, [(job.id, 1)]);
    rig.mark_published(job.id, 1).await;
    rig.ports
        .schedule
        .extend_outbox(0, vec![(job.id, 1)], OUTBOX_LEASE)
        .await
        .unwrap();
    rig.pass_secs(60).await;
    assert_eq!(
        rig.outbox_ids().await,
        [],
        "a late extension does not bring a row back"
    );
}

async fn an_extension_of_another_gen_does_nothing(rig: Rig) {
    let job = rig.enqueued(|_| {}).await;
    rig.give_back(job.id, 1, GiveBackReason::Unstarted).await;
    rig.ports
        .schedule
        .extend_outbox(0, vec![(job.id, 1)], OUTBOX_LEASE)
        .await
        .unwrap();
    assert_eq!(rig.outbox_ids().await, [(job.id, 2)], "due now, as it was");
}

async fn a_refused_row_comes_again_when_it_was_put_off_to(rig: Rig) {
    let job = rig.enqueued(|_| {}).await;
    rig.pass_secs(6).await;
    assert_eq!(rig.outbox_ids().await, [(job.id, 1)]);
    let schedule = &rig.ports.schedule;
    let by = Duration::from_secs(2);
    schedule.extend_outbox(0, vec![(job.id, 1)], by).await.unwrap();
    rig.pass_secs(1).await;
    assert_eq!(rig.outbox_ids().await, []);
    rig.pass_secs(2).await;
    assert_eq!(rig.outbox_ids().await, [(job.id, 1)]);
}

async fn the_outbox_is_leased_in_bites_the_most_urgent_first(rig: Rig) {
    for priority in [
        Priority::Low,
        Priority::Critical,
        Priority::Normal,
        Priority::High,
    ] {
        rig.enqueued(|spec| spec.priority = priority).await;
    }
    rig.pass_secs(6).await;
    let bite = rig.ports.schedule.lease_outbox(0, 1).await.unwrap();
    assert_eq!((bite.jobs.len(), bite.looked_at), (1, 1));
    rig.pass_secs(31).await;
    let all: Vec<_> = rig.outbox().await.into_iter().map(|job| job.priority).collect();
    assert_eq!(all, Priority::DESCENDING);
}

async fn a_claimed_job_leaves_the_outbox(rig: Rig) {
    let job = rig.enqueued(|_| {}).await;
    rig.start(&job, 1).await;
    rig.pass_secs(7).await;
    assert_eq!(rig.outbox_ids().await, []);
}

async fn a_due_job_is_promoted_with_a_new_gen_and_already_leased(rig: Rig) {
    let job = rig
        .enqueued(|spec| spec.start = Start::After(Duration::from_secs(60)))
        .await;
    rig.pass_secs(50).await;
    assert_eq!(rig.promoted().await, []);
    rig.pass_secs(11).await;
    let promoted = rig.ports.schedule.promote(0, 100).await.unwrap().jobs;
    assert_eq!(promoted.len(), 1);
    assert_eq!((promoted[0].id, promoted[0].gen_), (job.id, 1));
    assert_eq!(promoted[0].envelope, job.envelope);
    assert_eq!(rig.view(job.id).await.status, JobStatus::Queued);
    assert_eq!((rig.promoted().await, rig.outbox_ids().await), (vec![], vec![]));
    rig.pass_secs(31).await;
    assert_eq!(
        rig.outbox_ids().await,
        [(job.id, 1)],
        "the promoter died before it published"
    );
    rig.start(&job, 1).await;
}

async fn a_due_job_past_its_time_expires_instead(rig: Rig) {
    let deadline = rig.now().after(Duration::from_secs(20));
    let job = rig
        .enqueued(|spec| {
            spec.start = Start::After(Duration::from_secs(10));
            spec.deadline = Some(deadline);
        })
        .await;
    rig.pass_secs(21).await;
    rig.promoted().await;
    assert_eq!(rig.status(job.id).await, Some(JobStatus::Expired));
    assert_eq!(rig.outbox_ids().await, []);
}

async fn a_retry_is_promoted_with_its_counts(rig: Rig) {
    let held = rig.running(|_| {}).await;
    rig.finish(&held, retry(10)).await;
    rig.pass_secs(11).await;
    let promoted = rig.ports.schedule.promote(0, 100).await.unwrap().jobs;
    assert_eq!(promoted.len(), 1);
    let job = &promoted[0];
    assert_eq!(
        (job.id, job.gen_, job.attempts, job.retries, job.losts),
        (held.id, 2, 1, 1, 0)
    );
    let again = rig.start(&held.job, 2).await;
    assert_eq!((again.grant.attempt, again.grant.retries), (2, 1));
}

async fn promotion_takes_bites(rig: Rig) {
    for seconds in [3, 1, 2] {
        rig.enqueued(|spec| spec.start = Start::After(Duration::from_secs(seconds)))
            .await;
    }
    rig.pass_secs(10).await;
    let bite = rig.ports.schedule.promote(0, 2).await.unwrap();
    assert_eq!((bite.jobs.len(), bite.looked_at), (2, 2));
    assert_eq!(rig.promoted().await.len(), 1);
}

async fn concurrent_sweeps_lease_each_row_once(rig: Rig) {
    for _ in 0..40 {
        rig.enqueued(|_| {}).await;
    }
    rig.pass_secs(6).await;
    let lease = || rig.ports.schedule.lease_outbox(0, 40);
    let (one, two, three) = tokio::join!(lease(), lease(), lease());
    let leased = [one, two, three]
        .into_iter()
        .flat_map(|leased| leased.unwrap().jobs);
    let mut ids: Vec<_> = leased.map(|job| job.id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), count), (40, 40));
}
