//! Republishing what the broker has lost.

use std::time::Duration;

use longshore_core::clock::Timestamp;
use longshore_core::message::Gen;
use longshore_core::port::enqueue::NewJob;
use longshore_core::port::schedule::Watermark;
use longshore_core::{JobId, JobStatus, Priority, QueueName};

use super::rig::Rig;

cases! { Audit:
    age_alone_never_republishes ["audit: never by age alone"],
    a_job_below_the_watermark_is_republished_with_its_gen ["audit: below the watermark", "audit: keeps the gen"],
    a_job_published_after_the_watermark_stays ["audit: below the watermark"],
    a_watermark_speaks_for_its_queue_and_priority_alone ["audit: below the watermark"],
    a_paused_queue_is_never_audited ["audit: never a paused queue"],
    a_republished_job_is_ready_again ["audit: keeps the gen"],
    a_republish_that_fails_is_tried_again_from_the_outbox ["audit: keeps the gen"],
    what_is_not_queued_is_not_audited,
}

fn watermark(job: &NewJob, published_before: Timestamp) -> Watermark {
    Watermark {
        queue: job.queue.clone(),
        priority: job.priority,
        published_before,
    }
}

async fn audit(rig: &Rig, marks: Vec<Watermark>) -> Vec<(JobId, Gen)> {
    let leased = rig.ports.schedule.audit(0, marks, 100).await.unwrap();
    leased.jobs.into_iter().map(|job| (job.id, job.gen_)).collect()
}

async fn age_alone_never_republishes(rig: Rig) {
    rig.published(|_| {}).await;
    rig.pass_secs(7 * 86_400).await;
    assert_eq!(audit(&rig, Vec::new()).await, []);
}

async fn a_job_below_the_watermark_is_republished_with_its_gen(rig: Rig) {
    let job = rig.published(|_| {}).await;
    rig.pass_secs(60).await;
    let marks = vec![watermark(&job, rig.now())];
    assert_eq!(audit(&rig, marks.clone()).await, [(job.id, 1)]);
    assert_eq!(audit(&rig, marks).await, [], "it is leased");
    rig.start(&job, 1).await;
}

async fn a_job_published_after_the_watermark_stays(rig: Rig) {
    let before = rig.now();
    rig.pass_secs(10).await;
    let job = rig.published(|_| {}).await;
    rig.pass_secs(60).await;
    assert_eq!(audit(&rig, vec![watermark(&job, before)]).await, []);
}

async fn a_watermark_speaks_for_its_queue_and_priority_alone(rig: Rig) {
    let job = rig.published(|_| {}).await;
    rig.pass_secs(60).await;
    let mut other_queue = watermark(&job, rig.now());
    other_queue.queue = QueueName::new("other").unwrap();
    let mut other_priority = watermark(&job, rig.now());
    other_priority.priority = Priority::Critical;
    assert_eq!(audit(&rig, vec![other_queue, other_priority]).await, []);
}

async fn a_paused_queue_is_never_audited(rig: Rig) {
    let job = rig.published(|_| {}).await;
    rig.pass_secs(60).await;
    rig.ports
        .inspect
        .set_paused(job.queue.clone(), true)
        .await
        .unwrap();
    let marks = vec![watermark(&job, rig.now())];
    assert_eq!(audit(&rig, marks.clone()).await, []);
    rig.ports
        .inspect
        .set_paused(job.queue.clone(), false)
        .await
        .unwrap();
    assert_eq!(audit(&rig, marks).await, [(job.id, 1)]);
}

async fn a_republished_job_is_ready_again(rig: Rig) {
    let job = rig.published(|_| {}).await;
    rig.pass_secs(60).await;
    let mark = rig.now();
    audit(&rig, vec![watermark(&job, mark)]).await;
    rig.pass_secs(5).await;
    rig.mark_published(job.id, 1).await;
    Rig::assert_at(rig.view(job.id).await.published_at, rig.now());
    rig.pass_secs(60).await;
    assert_eq!(
        audit(&rig, vec![watermark(&job, mark)]).await,
        [],
        "it was published after that mark"
    );
    assert_eq!(rig.outbox_ids().await, []);
}

async fn a_republish_that_fails_is_tried_again_from_the_outbox(rig: Rig) {
    let job = rig.published(|_| {}).await;
    rig.pass_secs(60).await;
    audit(&rig, vec![watermark(&job, rig.now())]).await;
    rig.pass_secs(15).await;
    assert_eq!(rig.outbox_ids().await, []);
    rig.pass_secs(16).await;
    assert_eq!(rig.outbox_ids().await, [(job.id, 1)]);
}

async fn what_is_not_queued_is_not_audited(rig: Rig) {
    let held = rig.running(|_| {}).await;
    let unpublished = rig.enqueued(|_| {}).await;
    let later = rig.now().after(Duration::from_secs(60));
    assert_eq!(audit(&rig, vec![watermark(&held.job, later)]).await, []);
    assert_eq!(rig.status(unpublished.id).await, Some(JobStatus::Queued));
}
