//! Cancel, wherever the job stands.

use longshore::{CancelReply, ClientError, JobId, JobStatus, WaitError, secs};
use longshore_core::port::broker::message_id;

use crate::rig::{Fail, Forever, Join, PATIENCE, Rig, echo};

#[tokio::test]
async fn a_job_that_has_not_started_is_cancelled_at_once() {
    let rig = Rig::new();
    let queued = rig.client.enqueue(echo("a")).await.unwrap();
    let blocked = rig.client.enqueue(Join).depends_on([&queued]).await.unwrap();
    let scheduled = rig.client.enqueue(echo("b")).delay(secs(60)).await.unwrap();
    for (id, status) in [
        (blocked.id(), JobStatus::Blocked),
        (queued.id(), JobStatus::Queued),
        (scheduled.id(), JobStatus::Scheduled),
    ] {
        assert_eq!(rig.status(id).await, Some(status));
        let reply = rig.client.cancel(id, "not wanted").await.unwrap();
        assert_eq!(reply, CancelReply::Cancelled, "{status}");
        assert_eq!(rig.status(id).await, Some(JobStatus::Cancelled));
        let again = rig.client.cancel(id, "again").await.unwrap();
        assert_eq!(again, CancelReply::AlreadyFinished(JobStatus::Cancelled));
    }
    let error = scheduled.wait().await.unwrap_err();
    assert!(
        matches!(&error, WaitError::Cancelled { reason, .. } if reason == "not wanted"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_running_and_a_retrying_job_are_cancelled() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let running = rig.client.enqueue(Forever).await.unwrap();
    rig.until(running.id(), JobStatus::Running).await;
    assert_eq!(running.cancel("enough").await.unwrap(), CancelReply::Requested);
    let error = running.wait_timeout(PATIENCE).await.unwrap_err();
    assert!(matches!(error, WaitError::Cancelled { .. }), "{error:?}");

    let retrying = rig
        .client
        .enqueue(Fail { for_good: false })
        .retry_delay(secs(60))
        .await
        .unwrap();
    rig.until(retrying.id(), JobStatus::Retrying).await;
    assert_eq!(retrying.cancel("enough").await.unwrap(), CancelReply::Cancelled);
    let error = retrying.wait_timeout(PATIENCE).await.unwrap_err();
    assert!(matches!(error, WaitError::Cancelled { .. }), "{error:?}");
}

#[tokio::test]
async fn a_job_that_has_ended_stays_as_it_is() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let done = rig.client.enqueue(echo("a")).await.unwrap();
    done.wait_timeout(PATIENCE).await.unwrap();
    let failed = rig.client.enqueue(Fail { for_good: true }).await.unwrap();
    failed.wait_timeout(PATIENCE).await.unwrap_err();
    assert_eq!(
        done.cancel("late").await.unwrap(),
        CancelReply::AlreadyFinished(JobStatus::Completed)
    );
    assert_eq!(
        failed.cancel("late").await.unwrap(),
        CancelReply::AlreadyFinished(JobStatus::Failed)
    );
    let nobody = JobId::from_uuid(message_id());
    assert_eq!(
        rig.client.cancel(nobody, "who").await.unwrap(),
        CancelReply::Unknown
    );
}

#[tokio::test]
async fn a_reason_that_is_too_long_is_refused() {
    let rig = Rig::new();
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    let error = handle.cancel("x".repeat(1_025)).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Invalid { field: "reason", .. }),
        "{error:?}"
    );
    assert_eq!(rig.status(handle.id()).await, Some(JobStatus::Queued));
}
