//! Many jobs in one call.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use longshore::{Acceptance, Batch, BatchProgress, EnqueueError, JobId, JobStatus};
use longshore_core::port::broker::message_id;

use crate::ports::Fault;
use crate::rig::{Join, PATIENCE, Rig, echo};

#[tokio::test]
async fn jobs_of_a_batch_wait_for_each_other_in_any_order() {
    let mut rig = Rig::new();
    let outer = rig.client.enqueue(echo("outer")).await.unwrap();
    let mut batch = Batch::new();
    let last = batch.add(Join).name("last").reference();
    let texts: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|text| batch.add(echo(text)).reference())
        .collect();
    // The child was added before its parents.
    batch.job(last).unwrap().depends_on(texts).depends_on([&outer]);
    let handles = rig.client.enqueue_many(batch).await.unwrap();
    assert_eq!(handles.len(), 4);
    assert_eq!(handles[0].acceptance(), Some(Acceptance::Waiting));
    assert_eq!(handles[1].acceptance(), Some(Acceptance::Published));
    rig.run_fleet();
    let joined = handles.get(last).unwrap();
    assert_eq!(joined.id(), handles[last.index()].id());
    assert_eq!(
        joined.wait_timeout(PATIENCE).await.unwrap(),
        ["a", "b", "c", "outer"]
    );
    let foreign = Batch::new().add(Join).reference();
    assert!(handles.get(foreign).is_none());
}

#[tokio::test]
async fn a_cycle_is_named_job_by_job_and_nothing_is_written() {
    let rig = Rig::new();
    let mut batch = Batch::new();
    let fetch = batch.add(Join).name("fetch").reference();
    let process = batch.add(Join).name("process").depends_on([fetch]).reference();
    batch.add(Join).name("innocent").depends_on([process]);
    batch.job(fetch).unwrap().depends_on([process]);
    let error = rig.client.enqueue_many(batch).await.unwrap_err();
    let EnqueueError::Cycle { jobs } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((jobs.len(), jobs.first()), (3, jobs.last()));
    let text = error.to_string();
    assert!(
        text.starts_with("depends_on:") && text.contains("(fetch)") && text.contains("(process)"),
        "{text}"
    );
    assert!(!text.contains("innocent"), "{text}");
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn problems_duplicates_and_unknown_parents_name_the_job_and_write_nothing() {
    let rig = Rig::new();
    let mut batch = Batch::new();
    batch.add(echo("fine"));
    batch.add(echo("a")).name("bad tag").tag("");
    batch.add(echo("b")).name("bad backoff").retry_backoff(0.1);
    let text = rig.client.enqueue_many(batch).await.unwrap_err().to_string();
    assert!(text.contains("job 2 (bad tag): tags:"), "{text}");
    assert!(text.contains("job 3 (bad backoff): retry_backoff:"), "{text}");

    let id = JobId::from_uuid(message_id());
    let mut batch = Batch::new();
    batch.add(echo("a")).id(id);
    batch.add(echo("b")).id(id);
    let error = rig.client.enqueue_many(batch).await.unwrap_err();
    assert!(matches!(error, EnqueueError::Duplicate { .. }), "{error:?}");

    let mut batch = Batch::new();
    batch.add(echo("a"));
    batch.add(Join).name("orphan").depends_on([id]);
    let error = rig.client.enqueue_many(batch).await.unwrap_err();
    assert!(
        matches!(&error, EnqueueError::UnknownParent { job, parent } if job.contains("orphan") && *parent == id),
        "{error:?}"
    );

    let stranger = Batch::new().add(echo("elsewhere")).reference();
    let mut batch = Batch::new();
    batch.add(Join).depends_on([stranger]);
    let error = rig.client.enqueue_many(batch).await.unwrap_err();
    assert!(error.to_string().contains("another batch"), "{error}");
    assert_eq!(rig.faults.enqueues.load(Ordering::SeqCst), 0);
    assert_eq!(rig.count().await, 0);
}

#[tokio::test]
async fn a_large_batch_takes_few_script_calls_and_tells_how_far_it_is() {
    let rig = Rig::new();
    let mut batch = Batch::new();
    for number in 0..5_000 {
        batch.add(echo(&number.to_string()));
    }
    let seen: Arc<Mutex<Vec<BatchProgress>>> = Arc::default();
    let told = Arc::clone(&seen);
    let handles = rig
        .client
        .enqueue_many(batch)
        .on_progress(move |progress| told.lock().unwrap().push(progress))
        .await
        .unwrap();
    assert_eq!(handles.len(), 5_000);
    let calls = rig.faults.enqueues.load(Ordering::SeqCst);
    assert!((20..=24).contains(&calls), "{calls} script calls");
    let seen = seen.lock().unwrap();
    assert!(seen.is_sorted_by_key(|progress| progress.accepted));
    assert_eq!(
        seen.last(),
        Some(&BatchProgress {
            accepted: 5_000,
            of: 5_000
        })
    );
}

#[tokio::test]
async fn a_batch_that_stopped_halfway_is_completed_by_its_error() {
    let rig = Rig::new();
    let id = JobId::from_uuid(message_id());
    let taken = rig.client.enqueue(echo("taken")).id(id).await.unwrap();
    let mut batch = Batch::new();
    let parent = batch.add(echo("parent")).reference();
    let clash = batch.add(echo("clash")).id(id).depends_on([parent]).reference();
    batch.add(Join).depends_on([clash]);
    let error = rig.client.enqueue_many(batch).await.unwrap_err();
    let EnqueueError::Incomplete {
        accepted,
        of,
        mut batch,
        source,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((accepted, of), (1, 3));
    assert!(matches!(*source, EnqueueError::Conflict { .. }), "{source:?}");
    assert_eq!(rig.count().await, 2);
    // With the clash resolved the same batch goes through; what was accepted before is found again.
    batch.job(clash).unwrap().id(JobId::from_uuid(message_id()));
    let handles = rig.client.enqueue_many(*batch).await.unwrap();
    assert_eq!(handles[0].acceptance(), Some(Acceptance::Existing));
    assert_eq!(rig.count().await, 4);
    assert_eq!(rig.status(taken.id()).await, Some(JobStatus::Queued));
}

#[tokio::test]
async fn a_batch_is_completed_after_the_store_was_away() {
    let rig = Rig::new();
    let mut batch = Batch::new();
    let parents: Vec<_> = (0..600)
        .map(|number| batch.add(echo(&number.to_string())).reference())
        .collect();
    batch.add(Join).depends_on(parents);
    rig.faults.next([Fault::ReplyLost]);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let faults = Arc::clone(&rig.faults);
    let error = rig
        .client
        .enqueue_many(batch)
        .on_progress(move |_| {
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                faults.set_away(true);
            }
        })
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    let EnqueueError::Incomplete { batch, accepted, .. } = error else {
        panic!("{error:?}");
    };
    assert!((1..601).contains(&accepted), "{accepted}");
    rig.faults.set_away(false);
    let handles = rig.client.enqueue_many(*batch).await.unwrap();
    assert_eq!((handles.len(), rig.count().await), (601, 601));
    assert_eq!(rig.status(handles[600].id()).await, Some(JobStatus::Blocked));
}
