//! Cancelling every job that matches, as an operation.

use longshore::{ClientError, JobFilter, JobStatus, OperationId, QueueName};

use crate::rig::{Rig, echo};

async fn statuses(rig: &Rig, status: JobStatus) -> usize {
    let filter = JobFilter {
        statuses: vec![status],
        ..JobFilter::default()
    };
    rig.client.list(filter).limit(1_000).await.unwrap().jobs.len()
}

#[tokio::test]
async fn an_interrupted_cancel_goes_on_and_spares_what_was_enqueued_after_its_start() {
    let rig = Rig::new();
    for number in 0..600 {
        rig.client
            .enqueue(echo(&number.to_string()))
            .tag("old")
            .await
            .unwrap();
    }
    let filter = JobFilter {
        tags: vec!["old".to_owned()],
        ..JobFilter::default()
    };
    assert_eq!(rig.client.count_cancellable(&filter).await.unwrap(), 600);
    let id = OperationId(7);
    let bulk = rig
        .client
        .cancel_all(filter.clone(), "wrong data", Some(id))
        .await
        .unwrap();
    // The process dies with the first page: the second step is never reported, nor is anything after it.
    let run = async move {
        let mut steps = 0;
        bulk.run(move |_| {
            steps += 1;
            assert!(steps < 2, "here it dies");
        })
        .await
    };
    assert!(tokio::spawn(run).await.is_err());
    let half = statuses(&rig, JobStatus::Cancelled).await;
    assert!(half > 0 && half < 600, "{half}");
    let later = rig.client.enqueue(echo("later")).tag("old").await.unwrap();

    let bulk = rig.client.dead_letters().resume(id).await.unwrap().unwrap();
    assert_eq!(bulk.operation().total, Some(600), "counted at the start");
    let ended = bulk.run(|_| {}).await.unwrap();
    assert_eq!((ended.total, ended.done, ended.kept), (Some(600), 600, 0));
    assert!(ended.ended_at.is_some());
    assert_eq!(statuses(&rig, JobStatus::Cancelled).await, 600);
    assert_eq!(later.poll().await.unwrap().status, JobStatus::Queued);

    // Once more does nothing more; another filter under the id is told.
    let again = rig
        .client
        .cancel_all(filter, "wrong data", Some(id))
        .await
        .unwrap();
    assert_eq!(again.run(|_| {}).await.unwrap(), ended);
    assert_eq!(later.poll().await.unwrap().status, JobStatus::Queued);
    let other = JobFilter {
        queue: Some(QueueName::default()),
        ..JobFilter::default()
    };
    let taken = rig
        .client
        .cancel_all(other.clone(), "", Some(id))
        .await
        .unwrap_err();
    assert!(
        matches!(
            taken,
            ClientError::Invalid {
                field: "operation",
                ..
            }
        ),
        "{taken}"
    );
    let long = rig
        .client
        .cancel_all(other, "x".repeat(1_025), None)
        .await
        .unwrap_err();
    assert!(
        matches!(long, ClientError::Invalid { field: "reason", .. }),
        "{long}"
    );
}

#[tokio::test]
async fn jobs_that_have_ended_are_never_meant() {
    let rig = Rig::new();
    let job = rig.client.enqueue(echo("a")).await.unwrap();
    job.cancel("first").await.unwrap();
    for statuses in [
        vec![JobStatus::Cancelled],
        vec![JobStatus::Completed, JobStatus::Failed],
        Vec::new(),
    ] {
        let filter = JobFilter {
            statuses,
            ..JobFilter::default()
        };
        assert_eq!(rig.client.count_cancellable(&filter).await.unwrap(), 0);
        let bulk = rig.client.cancel_all(filter, "second", None).await.unwrap();
        let ended = bulk.run(|_| {}).await.unwrap();
        assert_eq!(
            (ended.total, ended.done, ended.ended_at.is_some()),
            (Some(0), 0, true)
        );
    }
    let job = rig.client.view(job.id()).await.unwrap().unwrap();
    assert_eq!(job.cancel_reason.as_deref(), Some("first"));
}
