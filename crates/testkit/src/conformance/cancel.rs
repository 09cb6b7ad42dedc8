//! Cancel.

use std::time::Duration;

use longshore_core::port::attempt::{Claimed, Finished, Hint, Over};
use longshore_core::port::enqueue::{CancelReply, CancelRequest};
use longshore_core::spec::Start;
use longshore_core::{JobStatus, WorkerId};

use super::rig::{Rig, completed, failed, retry};

cases! { Cancel:
    a_job_that_has_not_started_is_cancelled ["cancel: before running"],
    a_cancelled_job_leaves_every_waiting_place ["cancel: before running"],
    a_running_job_is_asked_to_stop ["cancel: running"],
    workers_are_told_of_a_cancel ["cancel: running"],
    an_ended_job_is_already_finished ["cancel: terminal"],
    a_pruned_job_is_already_finished ["cancel: terminal"],
    an_unknown_job_is_unknown,
    a_repeated_cancel_gets_an_answer_that_agrees,
    of_cancel_and_finish_one_wins,
}

async fn a_job_that_has_not_started_is_cancelled(rig: Rig) {
    let parent = rig.enqueued(|_| {}).await;
    let blocked = rig
        .enqueued(|spec| spec.depends_on = vec![parent.id.into()])
        .await;
    let scheduled = rig
        .enqueued(|spec| spec.start = Start::After(Duration::from_secs(60)))
        .await;
    let retrying = rig.running(|_| {}).await;
    rig.finish(&retrying, retry(60)).await;
    let published = rig.published(|_| {}).await;
    for id in [parent.id, blocked.id, scheduled.id, retrying.id, published.id] {
        assert_eq!(rig.cancel(id).await, CancelReply::Cancelled);
        let view = rig.view(id).await;
        assert_eq!(
            (view.status, view.finished_at.is_some()),
            (JobStatus::Cancelled, true)
        );
        assert_eq!(view.cancel_reason.as_deref(), Some("not needed any more"));
    }
    assert_eq!(
        rig.deliver(published.id, 1).await,
        Claimed::Over(Over::Ended(JobStatus::Cancelled))
    );
}

async fn a_cancelled_job_leaves_every_waiting_place(rig: Rig) {
    let parent = rig.job_in(1, |_| {});
    rig.enqueue(&parent).await;
    let deadline = rig.now().after(Duration::from_secs(1000));
    let blocked = rig
        .enqueued(|spec| {
            spec.depends_on = vec![parent.id.into()];
            spec.deadline = Some(deadline);
        })
        .await;
    let scheduled = rig
        .enqueued(|spec| spec.start = Start::After(Duration::from_secs(60)))
        .await;
    let queued = rig.enqueued(|_| {}).await;
    for id in [blocked.id, scheduled.id, queued.id] {
        rig.cancel(id).await;
    }
    rig.pass_secs(2000).await;
    assert_eq!((rig.outbox_ids().await, rig.promoted().await), (vec![], vec![]));
    assert_eq!(rig.ports.schedule.open_edges(0, 10).await.unwrap(), []);
    assert_eq!(rig.ports.schedule.expire_waiting(0, 10).await.unwrap(), 0);
}

async fn a_running_job_is_asked_to_stop(rig: Rig) {
    let held = rig.running(|_| {}).await;
    assert_eq!(rig.cancel(held.id).await, CancelReply::Requested);
    let view = rig.view(held.id).await;
    assert_eq!(view.status, JobStatus::Running);
    assert_eq!(view.cancel_reason.as_deref(), Some("not needed any more"));
    let Claimed::Run(grant) = rig.claim(held.id, 1, held.nonce).await else {
        panic!("the owner stays")
    };
    assert!(grant.cancel_requested);
    let finished = rig
        .finish(&held, longshore_core::outcome::Outcome::Cancelled)
        .await;
    assert_eq!(finished, Finished::Accepted(JobStatus::Cancelled));
}

async fn workers_are_told_of_a_cancel(rig: Rig) {
    let worker = rig.worker("tester-1", &["work"]);
    rig.ports.attempt.worker_beat(worker).await.unwrap();
    let mut hints = rig.ports.attempt.hints().await.unwrap();
    let held = rig.running(|_| {}).await;
    rig.cancel(held.id).await;
    let told = async {
        loop {
            match hints.next().await {
                Some(Hint::Cancel(id)) if id == held.id => return,
                Some(_) => {}
                None => panic!("the hints ended"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), told)
        .await
        .expect("a hint within 5 s");
    rig.ports
        .attempt
        .worker_gone(WorkerId("tester-1".to_owned()))
        .await
        .unwrap();
}

async fn an_ended_job_is_already_finished(rig: Rig) {
    for (outcome, status) in [(completed(), JobStatus::Completed), (failed(), JobStatus::Failed)] {
        let held = rig.ended(outcome).await;
        let before = rig.view(held.id).await;
        assert_eq!(rig.cancel(held.id).await, CancelReply::AlreadyFinished(status));
        assert_eq!(rig.view(held.id).await, before);
    }
}

async fn a_pruned_job_is_already_finished(rig: Rig) {
    let held = super::retention::pruned(&rig, completed()).await;
    assert_eq!(
        rig.cancel(held.id).await,
        CancelReply::AlreadyFinished(JobStatus::Completed)
    );
    assert_eq!(rig.find(held.id).await, None);
}

async fn an_unknown_job_is_unknown(rig: Rig) {
    let stray = rig.job(|_| {});
    assert_eq!(rig.cancel(stray.id).await, CancelReply::Unknown);
    assert_eq!(rig.find(stray.id).await, None);
}

async fn a_repeated_cancel_gets_an_answer_that_agrees(rig: Rig) {
    let held = rig.running(|_| {}).await;
    assert_eq!(rig.cancel(held.id).await, CancelReply::Requested);
    assert_eq!(rig.cancel(held.id).await, CancelReply::Requested);
    let later = CancelRequest {
        id: held.id,
        reason: "another reason".to_owned(),
    };
    let (shard, later) = (rig.shard_of(held.id), vec![later]);
    let again = rig.ports.enqueue.cancel(shard, later).await.unwrap();
    assert_eq!(again, [CancelReply::Requested]);
    let reason = rig.view(held.id).await.cancel_reason;
    assert_eq!(reason.as_deref(), Some("not needed any more"), "the first one");
    let queued = rig.published(|_| {}).await;
    assert_eq!(rig.cancel(queued.id).await, CancelReply::Cancelled);
    let again = rig.cancel(queued.id).await;
    let fine = [
        CancelReply::Cancelled,
        CancelReply::AlreadyFinished(JobStatus::Cancelled),
    ];
    assert!(fine.contains(&again), "{again:?}");
}

async fn of_cancel_and_finish_one_wins(rig: Rig) {
    for _ in 0..50 {
        let held = rig.running(|_| {}).await;
        let (cancelled, finished) = tokio::join!(rig.cancel(held.id), rig.finish(&held, retry(60)));
        let ends = match finished {
            Finished::Accepted(status) => status,
            other => panic!("the owner finishes: {other:?}"),
        };
        let status = rig.status(held.id).await;
        assert_eq!(status, Some(JobStatus::Cancelled), "{cancelled:?}, {ends}");
        let agrees = matches!(
            (cancelled, ends),
            (CancelReply::Requested, JobStatus::Cancelled) | (CancelReply::Cancelled, JobStatus::Retrying)
        );
        assert!(agrees, "{cancelled:?}, {ends}");
    }
}
