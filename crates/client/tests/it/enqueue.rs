//! One job on its way in.

use std::future::IntoFuture as _;
use std::sync::atomic::Ordering;

use longshore::{Acceptance, EnqueueError, JobId, JobStatus, secs};
use longshore_core::port::broker::message_id;

use crate::rig::{Echo, Join, PATIENCE, Rig, echo};

#[tokio::test]
async fn a_typed_job_comes_back_with_its_result() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let handle = rig.client.enqueue(echo("hello")).await.unwrap();
    assert_eq!(handle.acceptance(), Some(Acceptance::Published));
    assert_eq!(handle.wait_timeout(PATIENCE).await.unwrap(), "hello");
    let result = handle.poll().await.unwrap();
    assert_eq!(
        (result.status, result.progress.fraction),
        (JobStatus::Completed, Some(1.0))
    );
    let untyped = rig.client.job(handle.id()).wait().await.unwrap();
    assert_eq!(untyped, "hello");
    assert_eq!(
        rig.client.job_as::<Echo>(handle.id()).wait().await.unwrap(),
        "hello"
    );
}

#[tokio::test]
async fn the_same_key_and_job_is_the_same_job() {
    let rig = Rig::new();
    let send = |text: &str| rig.client.enqueue(echo(text)).idempotency_key("order-4711");
    let first = send("a").await.unwrap();
    let again = send("a").await.unwrap();
    assert_eq!(first.id(), again.id());
    assert_eq!(first.id(), JobId::from_idempotency_key("order-4711"));
    assert_eq!((first.was_existing(), again.was_existing()), (false, true));
    assert_eq!(again.acceptance(), Some(Acceptance::Existing));
    assert_eq!(rig.count().await, 1);
}

#[tokio::test]
async fn the_same_id_with_another_job_is_a_conflict_that_names_it() {
    let rig = Rig::new();
    let id = JobId::from_uuid(message_id());
    rig.client.enqueue(echo("a")).id(id).await.unwrap();
    let error = rig
        .client
        .enqueue(echo("b"))
        .id(id)
        .name("Second")
        .await
        .unwrap_err();
    assert!(
        matches!(error, EnqueueError::Conflict { id: taken, .. } if taken == id),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.starts_with("id:") && text.contains(&id.to_string()) && text.contains("Second"),
        "{text}"
    );
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn an_unknown_parent_is_named_and_nothing_is_written() {
    let rig = Rig::new();
    let nobody = JobId::from_uuid(message_id());
    let known = rig.client.enqueue(echo("parent")).await.unwrap();
    let before = rig.faults.enqueues.load(Ordering::SeqCst);
    let error = rig
        .client
        .enqueue(Join)
        .depends_on([known.id(), nobody])
        .await
        .unwrap_err();
    assert!(
        matches!(&error, EnqueueError::UnknownParent { parent, job } if *parent == nobody && job == "join"),
        "{error:?}"
    );
    assert_eq!(rig.faults.enqueues.load(Ordering::SeqCst), before);
    assert_eq!(rig.count().await, 1);
}

#[tokio::test]
async fn a_job_that_is_its_own_parent_is_a_cycle() {
    let rig = Rig::new();
    let id = JobId::from_uuid(message_id());
    let error = rig
        .client
        .enqueue(Join)
        .id(id)
        .depends_on([id])
        .await
        .unwrap_err();
    assert!(matches!(error, EnqueueError::Cycle { .. }), "{error:?}");
}

#[tokio::test]
async fn a_child_waits_for_its_parents_and_sees_their_results() {
    let mut rig = Rig::new();
    let one = rig.client.enqueue(echo("one")).await.unwrap();
    let two = rig.client.enqueue(echo("two")).delay(secs(1)).await.unwrap();
    let child = rig.client.enqueue(Join).depends_on([&one, &two]).await.unwrap();
    assert_eq!(child.acceptance(), Some(Acceptance::Waiting));
    assert_eq!(child.status_at_enqueue(), Some(JobStatus::Blocked));
    assert_eq!(rig.faults.verified.load(Ordering::SeqCst), 1);
    rig.run_fleet();
    assert_eq!(child.wait_timeout(PATIENCE).await.unwrap(), ["one", "two"]);
}

#[tokio::test]
async fn a_child_of_parents_that_are_done_starts_at_once() {
    let mut rig = Rig::new();
    rig.run_fleet();
    let parent = rig.client.enqueue(echo("done")).await.unwrap();
    parent.wait_timeout(PATIENCE).await.unwrap();
    let child = rig.client.enqueue(Join).depends_on([&parent]).await.unwrap();
    assert_eq!(child.acceptance(), Some(Acceptance::Published));
    assert_eq!(child.wait_timeout(PATIENCE).await.unwrap(), ["done"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_concurrent_enqueues_share_script_calls() {
    let rig = Rig::new();
    let jobs = (0..10_000).map(|number| {
        let client = rig.client.clone();
        tokio::spawn(async move { client.enqueue(echo(&number.to_string())).await })
    });
    let jobs: Vec<_> = jobs.collect();
    let mut ids = std::collections::BTreeSet::new();
    for job in jobs {
        ids.insert(job.await.unwrap().unwrap().id());
    }
    assert_eq!(ids.len(), 10_000);
    let calls = rig.faults.enqueues.load(Ordering::SeqCst);
    assert!(calls <= 1_000, "{calls} script calls for 10,000 jobs");
    assert_eq!(rig.broker.jobs.load(Ordering::SeqCst), 10_000);
    rig.client.flush().await;
    let waiting = rig.client.queue_size("default").await.unwrap();
    assert_eq!(waiting, 10_000);
}

#[tokio::test]
async fn jobs_that_gathered_share_messages_where_bundles_are_allowed() {
    let mut rig = Rig::with(|client| client.bundle_max(16));
    let jobs = (0..200).map(|number| rig.client.enqueue(echo(&number.to_string())).into_future());
    let handles = futures_util::future::try_join_all(jobs).await.unwrap();
    let messages = rig.broker.messages.load(Ordering::SeqCst);
    assert!((200 / 16..=40).contains(&messages), "{messages} messages");
    rig.run_fleet();
    for (number, handle) in handles.iter().enumerate() {
        assert_eq!(handle.wait_timeout(PATIENCE).await.unwrap(), number.to_string());
    }
}

#[tokio::test]
async fn what_the_broker_confirmed_is_marked_once_flushed() {
    let rig = Rig::new();
    let handle = rig.client.enqueue(echo("a")).await.unwrap();
    rig.client.flush().await;
    let view = rig.client.view(handle.id()).await.unwrap().unwrap();
    assert!(view.published_at.is_some());
}

#[test]
fn outside_of_a_runtime_there_is_an_error_and_no_panic() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rig = runtime.block_on(async { Rig::new() });
    let answer = futures_util::FutureExt::now_or_never(rig.client.enqueue(echo("a")).into_future());
    assert!(matches!(answer, Some(Err(EnqueueError::NoRuntime))), "{answer:?}");
}
