//! Waiting for jobs and following their progress.

use std::time::Duration;

use longshore::{
    Acceptance, ClientError, JobId, JobStatus, ProgressEvent, ProgressStream, RedisAway, WaitError, secs,
};
use longshore_core::port::broker::message_id;

use crate::rig::{Echo, Fail, Forever, PATIENCE, Rig, Stumble, Walk, echo};

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
                status: Some(JobStatus::Queued),
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
    let mut stream = handle.progress();
    let event = stream.next().await.unwrap();
    assert!(matches!(event, Err(ClientError::NotFound(_))), "{event:?}");
    assert!(stream.next().await.is_none());
    assert!(matches!(
        handle.status().await.unwrap_err(),
        ClientError::NotFound(_)
    ));
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
    // Nobody asks before the first event is asked for.
    let first = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap();
    assert_eq!(first.unwrap().unwrap().status, JobStatus::Queued);
    rig.run_fleet();
    let events = all(stream).await;
    assert_eq!(events.last().unwrap().status, JobStatus::Completed);
    let seen: Vec<_> = events
        .iter()
        .map(|event| &event.progress)
        .filter(|progress| progress.fraction.is_some())
        .collect();
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

/// Every event until the end.
async fn all(mut stream: ProgressStream) -> Vec<ProgressEvent> {
    let mut events = Vec::new();
    while let Some(event) = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap() {
        events.push(event.unwrap());
    }
    events
}

/// Whether the second start is seen from its beginning: nothing of the first one's progress, then its own.
fn assert_begins_anew(events: &[ProgressEvent], attempt: u32) {
    let first = events
        .iter()
        .rposition(|event| event.progress.message == "first")
        .unwrap();
    let second = &events[first + 1..];
    assert!(
        second.iter().any(|event| event.status == JobStatus::Running
            && event.attempt == attempt
            && event.progress.message == "again"),
        "{events:#?}"
    );
    let running = |event: &&ProgressEvent| event.status == JobStatus::Running;
    assert!(
        second
            .iter()
            .filter(running)
            .all(|event| event.progress.fraction != Some(0.75)),
        "{events:#?}"
    );
}

#[tokio::test]
async fn progress_goes_on_after_a_retry() {
    let mut rig = Rig::new();
    let job = rig.client.enqueue(Stumble { snoozes: false });
    let handle = job.retry_delay(Duration::from_millis(10)).await.unwrap();
    let stream = handle.progress();
    rig.run_fleet();
    assert_begins_anew(&all(stream).await, 2);
}

#[tokio::test]
async fn progress_goes_on_after_a_snooze_that_gives_the_attempt_back() {
    let mut rig = Rig::new();
    let handle = rig.client.enqueue(Stumble { snoozes: true }).await.unwrap();
    let stream = handle.progress();
    rig.run_fleet();
    assert_begins_anew(&all(stream).await, 1);
}

#[tokio::test]
async fn progress_says_how_the_job_ended() {
    let mut rig = Rig::new();
    let cancelled = rig.client.enqueue(Forever).await.unwrap();
    cancelled.cancel("not wanted").await.unwrap();
    let events = all(cancelled.progress()).await;
    assert_eq!(events.last().unwrap().status, JobStatus::Cancelled);
    let result = cancelled.poll().await.unwrap();
    assert_eq!(result.cancel_reason.as_deref(), Some("not wanted"));
    rig.run_fleet();
    let failed = rig.client.enqueue(Fail { for_good: true }).await.unwrap();
    let events = all(failed.progress()).await;
    assert_eq!(events.last().unwrap().status, JobStatus::Failed);
}

#[tokio::test]
async fn progress_that_cannot_be_followed_ends_with_the_reason() {
    let rig = Rig::with(|client| client.wait_patience(Duration::from_millis(10)));
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    rig.looks.set_away(true);
    let mut stream = handle.progress();
    let event = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap();
    assert!(matches!(event, Some(Err(ClientError::Store(_)))), "{event:?}");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_result_that_cannot_be_read_at_once_is_read_again() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    rig.looks.fail_full(2);
    assert_eq!(handle.wait_timeout(PATIENCE).await.unwrap(), "a");
}

#[tokio::test]
async fn waiting_bears_a_store_that_is_away_for_as_long_as_it_was_told() {
    let mut rig = Rig::with(|client| client.wait_patience(Duration::from_millis(10)));
    rig.run_fleet();
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    assert_eq!(handle.wait_timeout(PATIENCE).await.unwrap(), "a");
    rig.looks.fail_full(usize::MAX);
    let error = handle.wait_timeout(PATIENCE).await.unwrap_err();
    assert!(
        matches!(error, WaitError::Client(ClientError::Store(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_wait_that_is_over_is_timed_out_although_the_store_is_away() {
    let rig = Rig::new();
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    rig.looks.set_away(true);
    let error = handle.wait_timeout(Duration::from_millis(50)).await.unwrap_err();
    assert!(
        matches!(error, WaitError::TimedOut { status: None, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_job_without_a_record_that_never_arrives_is_not_waited_for_for_ever() {
    let rig = Rig::with(|client| {
        client
            .redis_away(RedisAway::PublishWithoutRecord)
            .arrival_patience(Duration::from_millis(10))
    });
    rig.faults.set_away(true);
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    assert_eq!(handle.acceptance(), Some(Acceptance::Unrecorded));
    let error = handle.wait_timeout(PATIENCE).await.unwrap_err();
    assert!(
        matches!(error, WaitError::Client(ClientError::NotFound(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_status_of_a_job_is_read_without_its_arguments() {
    let rig = Rig::new();
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    rig.looks.fail_full(usize::MAX);
    assert_eq!(handle.status().await.unwrap(), JobStatus::Queued);
    let summary = rig.client.summary(handle.id()).await.unwrap().unwrap();
    assert_eq!((summary.full, summary.function_name.as_str()), (None, "echo"));
}
