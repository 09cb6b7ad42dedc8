//! Waiting for jobs and following their progress.

use std::time::Duration;

use longshore::{ClientError, JobId, JobStatus, WaitError, secs};
use longshore_core::port::broker::message_id;

use crate::rig::{Echo, Fail, PATIENCE, Rig, Walk, echo};

#[tokio::test]
async fn a_failed_job_is_an_error_with_what_the_handler_said() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let handle = rig.client.enqueue(Fail { for_good: true }).await.unwrap();
    let error = handle.wait_timeout(PATIENCE).await.unwrap_err();
    let WaitError::Failed { id, error: info } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((*id, info.message.as_str()), (handle.id(), "the ledger is torn"));
    assert!(error.to_string().contains("the ledger is torn") && !error.is_retryable());
}

#[tokio::test]
async fn an_expired_job_is_an_error() {
    let mut rig = Rig::new();
    let handle = rig
        .client
        .enqueue(echo("late"))
        .expires_in(Duration::from_millis(1))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    rig.run_fleet();
    let error = handle.wait_timeout(PATIENCE).await.unwrap_err();
    assert!(matches!(error, WaitError::Expired { .. }), "{error:?}");
}

#[tokio::test]
async fn waiting_ends_after_the_given_time_and_the_job_goes_on() {
    let rig = Rig::new();
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    let error = handle.wait_timeout(Duration::from_millis(50)).await.unwrap_err();
    assert!(
        matches!(
            error,
            WaitError::TimedOut {
                status: JobStatus::Queued,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(rig.status(handle.id()).await, Some(JobStatus::Queued));
}

#[tokio::test]
async fn an_unknown_job_is_said_to_be_unknown() {
    let rig = Rig::new();
    let handle = rig.client.job(JobId::from_uuid(message_id()));
    assert!(matches!(
        handle.poll().await.unwrap_err(),
        ClientError::NotFound(_)
    ));
    assert!(matches!(
        handle.wait().await.unwrap_err(),
        WaitError::Client(ClientError::NotFound(_))
    ));
    assert_eq!(handle.progress().next().await, None);
    assert!(rig.client.view(handle.id()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_result_of_another_type_is_an_error_and_not_a_panic() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let handle = rig.client.enqueue(echo("text")).await.unwrap();
    let error = handle.typed::<u64>().wait_timeout(PATIENCE).await.unwrap_err();
    assert!(matches!(error, WaitError::Result { .. }), "{error:?}");
}

#[tokio::test]
async fn progress_rises_and_ends_with_the_whole() {
    let mut rig = Rig::new();
    let handle = rig.client.enqueue(Walk { steps: 5 }).await.unwrap();
    let mut stream = handle.progress();
    rig.run_fleet();
    let mut seen = Vec::new();
    while let Some(progress) = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap() {
        seen.push(progress);
    }
    let fractions: Vec<_> = seen.iter().map(|progress| progress.fraction.unwrap()).collect();
    assert!(fractions.len() >= 3, "{fractions:?}");
    assert!(fractions.is_sorted(), "{fractions:?}");
    assert!((fractions.last().unwrap() - 1.0).abs() < f64::EPSILON);
    assert!(seen[0].message.starts_with("step ") && seen[0].fields.contains_key("step"));
    assert_eq!(handle.wait().await.unwrap(), 5);
}

#[tokio::test]
async fn many_wait_at_once() {
    let mut rig = Rig::new();
    let mut handles = Vec::new();
    for number in 0..200 {
        handles.push(rig.client.enqueue(echo(&number.to_string())).await.unwrap());
    }
    let waits = handles.iter().map(|handle| handle.wait_timeout(secs(30)));
    let all = futures_util::future::try_join_all(waits);
    rig.run_fleet();
    assert_eq!(all.await.unwrap().len(), 200);
    let id = handles[7].id();
    assert_eq!(rig.client.job_as::<Echo>(id).wait().await.unwrap(), "7");
}
