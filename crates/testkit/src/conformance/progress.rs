//! Progress.

use std::time::Duration;

use longshore_core::outcome::{ErrorInfo, Outcome, Progress};
use longshore_core::port::attempt::{Claimed, ProgressWrite};
use longshore_core::port::schedule::DeadLetterChange;
use longshore_core::{JobId, JobStatus, Nonce};

use super::rig::{Rig, completed, retry};

cases! { Progress:
    the_owners_progress_is_seen,
    the_latest_progress_wins,
    progress_of_another_owner_is_dropped,
    progress_after_the_end_is_dropped,
    progress_revives_nothing,
    one_call_writes_progress_of_many_jobs,
    a_new_attempt_may_begin_anew,
    every_start_begins_without_progress,
    a_repeated_claim_keeps_the_progress,
}

fn update(fraction: f64, seq: u64) -> Progress {
    let fields = [("items".to_owned(), serde_json::json!(seq))].into();
    Progress {
        fraction: Some(fraction),
        message: format!("step {seq}"),
        seq,
        fields,
        ..Progress::default()
    }
}

async fn write(rig: &Rig, id: JobId, nonce: Nonce, progress: Progress) {
    rig.ports
        .attempt
        .progress(0, vec![ProgressWrite { id, nonce, progress }])
        .await
        .unwrap();
}

async fn seen(rig: &Rig, id: JobId) -> (Option<f64>, String) {
    let progress = rig.view(id).await.progress;
    (progress.fraction, progress.message)
}

async fn the_owners_progress_is_seen(rig: Rig) {
    let held = rig.running(|_| {}).await;
    assert_eq!(seen(&rig, held.id).await, (None, String::new()));
    write(&rig, held.id, held.nonce, update(0.25, 1)).await;
    let progress = rig.view(held.id).await.progress;
    assert_eq!(
        (progress.fraction, progress.message.as_str(), progress.seq),
        (Some(0.25), "step 1", 1)
    );
    assert_eq!(progress.fields["items"], serde_json::json!(1));
}

async fn the_latest_progress_wins(rig: Rig) {
    let held = rig.running(|_| {}).await;
    for seq in 1..=15 {
        write(&rig, held.id, held.nonce, update(0.05, seq)).await;
    }
    assert_eq!(seen(&rig, held.id).await, (Some(0.05), "step 15".to_owned()));
    rig.finish(&held, completed()).await;
    let result = rig.view(held.id).await.to_result();
    assert_eq!(result.progress.fraction, Some(1.0));
}

async fn progress_of_another_owner_is_dropped(rig: Rig) {
    let held = rig.running(|_| {}).await;
    write(&rig, held.id, held.nonce, update(0.25, 1)).await;
    write(&rig, held.id, rig.nonce(), update(0.99, 2)).await;
    assert_eq!(seen(&rig, held.id).await.0, Some(0.25));
}

async fn progress_after_the_end_is_dropped(rig: Rig) {
    let held = rig.running(|_| {}).await;
    rig.finish(&held, completed()).await;
    let before = rig.view(held.id).await;
    write(&rig, held.id, held.nonce, update(0.5, 2)).await;
    assert_eq!(rig.view(held.id).await, before);
}

async fn progress_revives_nothing(rig: Rig) {
    let stray = rig.job(|_| {}).id;
    write(&rig, stray, rig.nonce(), update(0.5, 1)).await;
    assert_eq!(rig.find(stray).await, None);
    let held = super::retention::pruned(&rig, completed()).await;
    write(&rig, held.id, held.nonce, update(0.5, 1)).await;
    assert_eq!(rig.find(held.id).await, None);
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Completed));
}

async fn one_call_writes_progress_of_many_jobs(rig: Rig) {
    let (one, two) = (rig.running(|_| {}).await, rig.running(|_| {}).await);
    let progress = |held: &super::Held, seq| ProgressWrite {
        id: held.id,
        nonce: held.nonce,
        progress: update(0.5, seq),
    };
    rig.ports
        .attempt
        .progress(0, vec![progress(&one, 1), progress(&two, 2)])
        .await
        .unwrap();
    assert_eq!(seen(&rig, one.id).await.1, "step 1");
    assert_eq!(seen(&rig, two.id).await.1, "step 2");
}

async fn a_new_attempt_may_begin_anew(rig: Rig) {
    let held = rig.running(|_| {}).await;
    write(&rig, held.id, held.nonce, update(0.9, 50)).await;
    rig.finish(&held, retry(0)).await;
    rig.pass_secs(1).await;
    rig.promoted().await;
    let second = rig.start(&held.job, 2).await;
    assert_eq!(rig.view(held.id).await.progress, Progress::default());
    write(&rig, second.id, second.nonce, update(0.1, 1)).await;
    assert_eq!(seen(&rig, held.id).await, (Some(0.1), "step 1".to_owned()));
    write(&rig, held.id, held.nonce, update(0.95, 51)).await;
    assert_eq!(
        seen(&rig, held.id).await.0,
        Some(0.1),
        "the old owner is not heard"
    );
}

async fn every_start_begins_without_progress(rig: Rig) {
    let held = rig.running(|_| {}).await;
    write(&rig, held.id, held.nonce, update(0.9, 50)).await;
    let delay = Duration::ZERO;
    rig.finish(&held, Outcome::Snooze { delay }).await;
    assert_eq!(seen(&rig, held.id).await.0, Some(0.9), "kept while it waits");
    rig.pass_secs(1).await;
    rig.promoted().await;
    let snoozed = rig.start(&held.job, 2).await;
    assert_eq!((snoozed.grant.attempt, held.grant.attempt), (1, 1));
    assert_eq!(rig.view(held.id).await.progress, Progress::default());
    write(&rig, held.id, snoozed.nonce, update(0.8, 40)).await;
    rig.finish(&snoozed, Outcome::Released).await;
    let released = rig.start(&held.job, 3).await;
    assert_eq!(rig.view(held.id).await.progress, Progress::default());
    write(&rig, held.id, released.nonce, update(0.7, 30)).await;
    let error = ErrorInfo::new("test", "for good");
    rig.finish(&released, Outcome::Failed { error }).await;
    assert_eq!(seen(&rig, held.id).await.0, Some(0.7), "kept when it ends");
    let requeued = rig
        .ports
        .schedule
        .requeue(0, vec![held.id], rig.now().after(Duration::from_secs(1)));
    assert_eq!(requeued.await.unwrap(), [DeadLetterChange::Done]);
    rig.start(&held.job, 4).await;
    assert_eq!(rig.view(held.id).await.progress, Progress::default());
}

async fn a_repeated_claim_keeps_the_progress(rig: Rig) {
    let held = rig.running(|_| {}).await;
    write(&rig, held.id, held.nonce, update(0.5, 3)).await;
    let again = rig.claim(held.id, 1, held.nonce).await;
    assert!(matches!(again, Claimed::Run(_)), "{again:?}");
    assert_eq!(seen(&rig, held.id).await.0, Some(0.5));
}
