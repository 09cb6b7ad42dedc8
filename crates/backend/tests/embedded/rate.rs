//! How fast it goes, and who goes first.

use longshore_core::outcome::Outcome;
use longshore_core::port::attempt::{Claim, Claimed, Finish, Finished};
use longshore_core::{JobStatus, Nonce, Priority, WorkerId};

use crate::rig::{default_queue, delivery, factory, jobs, message, open, published, subscribe};

const JOBS: u32 = 20_000;
const BATCH: usize = 64;

#[tokio::test]
async fn a_critical_job_behind_ten_thousand_low_ones_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ports = store.ports();
    let factory = factory();
    let low: Vec<_> = (0..10_000)
        .map(|_| message(&factory.job(0, |spec| spec.priority = Priority::Low)))
        .collect();
    ports.publish.publish(low).await;
    let mut subscription = ports.consume.subscribe(default_queue(), 4).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(delivery(subscription.as_mut()).await);
    }
    let urgent = published(&ports, |spec| spec.priority = Priority::Critical).await;
    // Though the low ones fill their prefetch.
    let next = delivery(subscription.as_mut()).await;
    assert_eq!(jobs(&next).jobs[0].id, urgent.id);
}

/// The whole way of twenty thousand jobs, in batches; the rates are printed, because machines differ.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_jobs_go_all_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let ports = store.ports();
    let factory = factory();
    let all: Vec<_> = (0..JOBS).map(|_| factory.job(0, |_| {})).collect();
    let began = tokio::time::Instant::now();
    for batch in all.chunks(BATCH) {
        ports.enqueue.enqueue(0, batch.to_vec()).await.unwrap();
        let mut bundle = message(&batch[0]);
        bundle.jobs = batch.iter().map(|job| message(job).jobs.remove(0)).collect();
        ports.publish.publish(vec![bundle]).await;
        let marks = batch.iter().map(|job| (job.id, 1)).collect();
        ports.enqueue.mark_published(0, marks).await.unwrap();
    }
    let enqueued = began.elapsed();
    let mut subscription = subscribe(&ports, default_queue()).await;
    for _ in 0..all.len().div_ceil(BATCH) {
        let came = delivery(subscription.as_mut()).await;
        let ids: Vec<_> = jobs(&came).jobs.iter().map(|job| job.id).collect();
        let worker = WorkerId("w".to_owned());
        let claims = ids
            .iter()
            .map(|id| Claim {
                id: *id,
                gen_: 1,
                nonce: Nonce(1),
                worker: worker.clone(),
            })
            .collect();
        let (_, claimed) = ports.attempt.step(0, vec![], claims).await.unwrap();
        assert!(claimed.iter().all(|claimed| matches!(claimed, Claimed::Run(_))));
        let outcome = Outcome::Completed {
            result: bytes::Bytes::from_static(&[7]),
        };
        let finishes = ids
            .iter()
            .map(|id| Finish {
                id: *id,
                nonce: Nonce(1),
                outcome: outcome.clone(),
                progress: None,
            })
            .collect();
        let (finished, _) = ports.attempt.step(0, finishes, vec![]).await.unwrap();
        assert!(
            finished
                .iter()
                .all(|finished| *finished == Finished::Accepted(JobStatus::Completed))
        );
        came.receipt.ack();
    }
    let whole = began.elapsed();
    let rate = |time: std::time::Duration| f64::from(JOBS) / time.as_secs_f64();
    println!(
        "enqueued {:.0}/s, all the way {:.0}/s",
        rate(enqueued),
        rate(whole)
    );
    let counts = &ports.inspect.queues().await.unwrap()[&longshore_core::QueueName::default()].counts;
    assert_eq!(counts.get(&JobStatus::Completed), Some(&u64::from(JOBS)));
}
