//! How attempts end.

use std::time::Duration;

use bytes::Bytes;
use longshore_core::JobStatus;
use longshore_core::limits::{HISTORY_ATTEMPTS, RESULT_BYTES_MAX};
use longshore_core::outcome::{Outcome, Progress};
use longshore_core::port::attempt::{Finish, Finished};

use super::rig::{Rig, completed, error, failed, retry};

cases! { Finish:
    a_completed_job_keeps_its_result ["finish: settle"],
    a_failed_job_keeps_its_error ["finish: settle"],
    a_cancelled_or_expired_attempt_ends_the_job ["finish: settle"],
    a_retry_waits_and_counts ["finish: retrying"],
    a_snooze_undoes_the_start ["finish: retrying"],
    a_release_undoes_the_start_and_queues_again ["finish: retrying"],
    a_repeated_finish_is_accepted_once ["finish: already, by this nonce"],
    a_finish_repeated_after_pruning_is_accepted ["finish: already, by this nonce"],
    a_finish_of_another_owner_is_lost ["finish: lost"],
    a_finish_for_an_unknown_job_is_missing ["finish: missing"],
    a_finish_does_not_revive_a_pruned_job ["finish: lost"],
    of_two_owners_one_finish_is_accepted ["finish: lost"],
    with_a_cancel_requested_only_success_ends_otherwise ["finish: settle"],
    a_result_of_the_largest_size_is_kept,
    the_last_progress_comes_with_the_finish,
    the_last_twenty_attempts_are_kept,
    an_ended_job_is_in_no_sweep,
}

async fn a_completed_job_keeps_its_result(rig: Rig) {
    let held = rig.running(|_| {}).await;
    rig.pass_secs(5).await;
    assert_eq!(
        rig.finish(&held, completed()).await,
        Finished::Accepted(JobStatus::Completed)
    );
    let view = rig.view(held.id).await;
    assert_eq!(
        (view.status, view.attempts, view.retries),
        (JobStatus::Completed, 1, 0)
    );
    Rig::assert_at(view.finished_at, rig.now());
    assert_eq!(
        view.full.as_ref().unwrap().result,
        Some(Bytes::from_static(&[42]))
    );
    assert_eq!(
        (view.worker.as_ref(), view.lease_until, view.error.as_ref()),
        (None, None, None)
    );
    assert_eq!(view.to_result().progress.fraction, Some(1.0));
}

async fn a_failed_job_keeps_its_error(rig: Rig) {
    let held = rig.running(|_| {}).await;
    assert_eq!(
        rig.finish(&held, failed()).await,
        Finished::Accepted(JobStatus::Failed)
    );
    let view = rig.view(held.id).await;
    assert_eq!(
        (view.status, view.error.as_ref()),
        (JobStatus::Failed, Some(&error()))
    );
    let full = view.full.unwrap();
    assert_eq!((full.result, full.history.len()), (None, 1));
    assert_eq!(
        (full.history[0].number, full.history[0].outcome.as_str()),
        (1, "failed")
    );
    assert_eq!(full.history[0].worker, "tester-1");
    assert!(
        full.history[0].error.contains("the disk is on fire"),
        "{:?}",
        full.history
    );
}

async fn a_cancelled_or_expired_attempt_ends_the_job(rig: Rig) {
    for (outcome, status) in [
        (Outcome::Cancelled, JobStatus::Cancelled),
        (Outcome::Expired, JobStatus::Expired),
    ] {
        let held = rig.running(|_| {}).await;
        assert_eq!(rig.finish(&held, outcome).await, Finished::Accepted(status));
        let view = rig.view(held.id).await;
        assert_eq!((view.status, view.finished_at.is_some()), (status, true));
        assert_eq!(view.full.unwrap().history[0].outcome, status.as_str());
    }
}

async fn a_retry_waits_and_counts(rig: Rig) {
    let held = rig.running(|_| {}).await;
    assert_eq!(
        rig.finish(&held, retry(20)).await,
        Finished::Accepted(JobStatus::Retrying)
    );
    let view = rig.view(held.id).await;
    assert_eq!(
        (view.status, view.gen_, view.attempts, view.retries),
        (JobStatus::Retrying, 1, 1, 1)
    );
    Rig::assert_at(view.run_at, rig.now().after(Duration::from_secs(20)));
    assert_eq!((view.finished_at, view.error), (None, Some(error())));
    assert_eq!(view.full.unwrap().history[0].outcome, "retry");
    rig.pass_secs(10).await;
    assert_eq!(rig.promoted().await, []);
    rig.pass_secs(11).await;
    assert_eq!(rig.promoted().await, [(held.id, 2)]);
    let second = rig.start(&held.job, 2).await;
    assert_eq!((second.grant.attempt, second.grant.retries), (2, 1));
}

async fn a_snooze_undoes_the_start(rig: Rig) {
    let held = rig.running(|_| {}).await;
    let reply = rig
        .finish(
            &held,
            Outcome::Snooze {
                delay: Duration::from_secs(20),
            },
        )
        .await;
    let waits = [JobStatus::Scheduled, JobStatus::Retrying].map(Finished::Accepted);
    assert!(waits.contains(&reply), "{reply:?}");
    let view = rig.view(held.id).await;
    assert_eq!((view.attempts, view.retries), (0, 0));
    assert_eq!(view.full.unwrap().history, []);
    rig.pass_secs(21).await;
    assert_eq!(rig.promoted().await, [(held.id, 2)]);
    assert_eq!(rig.start(&held.job, 2).await.grant.attempt, 1);
}

async fn a_release_undoes_the_start_and_queues_again(rig: Rig) {
    let held = rig.running(|_| {}).await;
    assert_eq!(
        rig.finish(&held, Outcome::Released).await,
        Finished::Accepted(JobStatus::Queued)
    );
    let view = rig.view(held.id).await;
    assert_eq!((view.gen_, view.attempts, view.published_at), (2, 0, None));
    assert_eq!(view.full.unwrap().history, []);
    assert_eq!(rig.outbox_ids().await, [(held.id, 2)], "it is due now");
    assert_eq!(rig.start(&held.job, 2).await.grant.attempt, 1);
}

async fn a_repeated_finish_is_accepted_once(rig: Rig) {
    for outcome in [
        completed(),
        failed(),
        retry(60),
        Outcome::Cancelled,
        Outcome::Expired,
    ] {
        let held = rig.running(|_| {}).await;
        let first = rig.finish(&held, outcome.clone()).await;
        assert!(matches!(first, Finished::Accepted(_)), "{first:?}");
        let before = rig.view(held.id).await;
        rig.pass_secs(1).await;
        assert_eq!(rig.finish(&held, outcome).await, first);
        assert_eq!(rig.view(held.id).await, before);
    }
}

async fn a_finish_repeated_after_pruning_is_accepted(rig: Rig) {
    let held = super::retention::pruned(&rig, completed()).await;
    assert_eq!(
        rig.finish(&held, completed()).await,
        Finished::Accepted(JobStatus::Completed)
    );
    assert_eq!(rig.find(held.id).await, None);
}

async fn a_finish_of_another_owner_is_lost(rig: Rig) {
    let held = rig.running(|_| {}).await;
    let before = rig.view(held.id).await;
    assert_eq!(
        rig.finish_as(held.id, rig.nonce(), completed()).await,
        Finished::Lost
    );
    assert_eq!(rig.view(held.id).await, before);
    let queued = rig.published(|_| {}).await;
    assert_eq!(
        rig.finish_as(queued.id, rig.nonce(), completed()).await,
        Finished::Lost
    );
    assert_eq!(rig.status(queued.id).await, Some(JobStatus::Queued));
}

async fn a_finish_for_an_unknown_job_is_missing(rig: Rig) {
    let stray = rig.job(|_| {});
    assert_eq!(
        rig.finish_as(stray.id, rig.nonce(), completed()).await,
        Finished::Missing
    );
    assert_eq!(rig.find(stray.id).await, None);
}

async fn a_finish_does_not_revive_a_pruned_job(rig: Rig) {
    let held = super::retention::pruned(&rig, completed()).await;
    assert_eq!(
        rig.finish_as(held.id, rig.nonce(), failed()).await,
        Finished::Lost
    );
    assert_eq!(rig.status(held.id).await, Some(JobStatus::Completed));
}

async fn of_two_owners_one_finish_is_accepted(rig: Rig) {
    rig.calm_sweep().await;
    let old = rig.running(|_| {}).await;
    rig.pass_swept(40).await;
    let new = rig.start(&old.job, 2).await;
    let (late, good) = tokio::join!(rig.finish(&old, failed()), rig.finish(&new, completed()));
    assert_eq!(
        (late, good),
        (Finished::Lost, Finished::Accepted(JobStatus::Completed))
    );
    assert_eq!(rig.finish(&old, completed()).await, Finished::Lost);
}

async fn with_a_cancel_requested_only_success_ends_otherwise(rig: Rig) {
    let delay = Duration::from_secs(9);
    let others = [
        failed(),
        retry(9),
        Outcome::Snooze { delay },
        Outcome::Released,
        Outcome::Expired,
    ];
    for outcome in others {
        let held = rig.running(|_| {}).await;
        rig.cancel(held.id).await;
        let reply = rig.finish(&held, outcome.clone()).await;
        assert_eq!(reply, Finished::Accepted(JobStatus::Cancelled), "{outcome:?}");
        assert_eq!(
            rig.view(held.id).await.cancel_reason.as_deref(),
            Some("not needed any more")
        );
    }
    let held = rig.running(|_| {}).await;
    rig.cancel(held.id).await;
    assert_eq!(
        rig.finish(&held, completed()).await,
        Finished::Accepted(JobStatus::Completed)
    );
    assert_eq!((rig.outbox_ids().await, rig.promoted().await), (vec![], vec![]));
}

async fn a_result_of_the_largest_size_is_kept(rig: Rig) {
    let result = Bytes::from(vec![0xab; RESULT_BYTES_MAX]);
    let held = rig
        .ended(Outcome::Completed {
            result: result.clone(),
        })
        .await;
    assert_eq!(rig.view(held.id).await.full.unwrap().result, Some(result));
}

async fn the_last_progress_comes_with_the_finish(rig: Rig) {
    let held = rig.running(|_| {}).await;
    let progress = Progress {
        fraction: Some(0.75),
        message: "three of four".to_owned(),
        seq: 9,
        ..Progress::default()
    };
    let finish = Finish {
        id: held.id,
        nonce: held.nonce,
        outcome: failed(),
        progress: Some(progress),
    };
    rig.ports.attempt.step(0, vec![finish], Vec::new()).await.unwrap();
    let seen = rig.view(held.id).await.progress;
    assert_eq!(
        (seen.fraction, seen.message.as_str(), seen.seq),
        (Some(0.75), "three of four", 9)
    );
}

async fn the_last_twenty_attempts_are_kept(rig: Rig) {
    let mut held = rig.running(|spec| spec.max_retries = 100).await;
    for gen_ in 2..=26 {
        rig.finish(&held, retry(1)).await;
        rig.pass_secs(2).await;
        assert_eq!(rig.promoted().await, [(held.id, gen_)]);
        held = rig.start(&held.job, gen_).await;
    }
    let history = rig.view(held.id).await.full.unwrap().history;
    assert_eq!(history.len(), HISTORY_ATTEMPTS);
    let numbers: Vec<_> = history.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (6..=25).collect::<Vec<_>>(), "the oldest first");
}

async fn an_ended_job_is_in_no_sweep(rig: Rig) {
    let deadline = rig.now().after(Duration::from_secs(60));
    for outcome in [completed(), failed(), Outcome::Cancelled, Outcome::Expired] {
        let held = rig.running(|spec| spec.deadline = Some(deadline)).await;
        rig.finish(&held, outcome).await;
    }
    let done = rig.pass_swept(100).await;
    assert_eq!((done.requeued, done.failed, done.cancelled), (0, 0, 0));
    assert_eq!((rig.outbox_ids().await, rig.promoted().await), (vec![], vec![]));
    assert_eq!(rig.ports.schedule.expire_waiting(0, 100).await.unwrap(), 0);
}
