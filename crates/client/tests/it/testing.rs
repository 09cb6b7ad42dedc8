//! The bench for tests of services.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use longshore::testing::{Bench, BenchError};
use longshore::worker::State;
use longshore::{Job, JobError, JobStatus, secs};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Add {
    numbers: Vec<u32>,
}

impl Job for Add {
    const FUNCTION_NAME: &'static str = "add";
    type Output = u32;
}

type Failures = Arc<AtomicU32>;

/// Fails as often as it is told to, then adds.
async fn add(job: Add, State(failures): State<Failures>) -> Result<u32, JobError> {
    let left = |left: u32| left.checked_sub(1);
    if failures
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
        .is_ok()
    {
        return Err(JobError::transient("not yet"));
    }
    Ok(job.numbers.iter().sum())
}

fn numbers(numbers: &[u32]) -> Add {
    Add {
        numbers: numbers.to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_runs_what_is_due_and_what_follows_from_it() {
    let bench = Bench::new().unwrap();
    let first = bench.client().enqueue(numbers(&[1, 2])).await.unwrap();
    let child = bench
        .client()
        .enqueue(numbers(&[3]))
        .depends_on([&first])
        .await
        .unwrap();
    let later = bench
        .client()
        .enqueue(numbers(&[4]))
        .delay(secs(86_400))
        .await
        .unwrap();
    assert_eq!(
        bench.enqueued::<Add>().await.unwrap(),
        [numbers(&[1, 2]), numbers(&[3]), numbers(&[4])]
    );
    let failures = Failures::default();
    let register = || {
        let failures = Arc::clone(&failures);
        move |worker: longshore::worker::Builder| worker.state(failures).register(add)
    };
    bench.drain(register()).await.unwrap();
    assert_eq!((first.wait().await.unwrap(), child.wait().await.unwrap()), (3, 3));
    assert_eq!(later.status().await.unwrap(), JobStatus::Scheduled);
    assert_eq!(bench.enqueued::<Add>().await.unwrap(), [numbers(&[4])]);
    bench.clock().advance(secs(86_400));
    bench.drain(register()).await.unwrap();
    assert_eq!(later.wait().await.unwrap(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_waits_for_its_time_and_takes_none_of_the_tests() {
    let bench = Bench::new().unwrap();
    let retried = bench
        .client()
        .enqueue(numbers(&[5]))
        .retry_delay(secs(3_600))
        .retry_jitter(false)
        .await
        .unwrap();
    let failures = Failures::new(AtomicU32::new(1));
    let register = || {
        let failures = Arc::clone(&failures);
        move |worker: longshore::worker::Builder| worker.state(failures).register(add)
    };
    bench.drain(register()).await.unwrap();
    assert_eq!(retried.status().await.unwrap(), JobStatus::Retrying);
    bench.clock().advance(secs(3_600));
    bench.drain(register()).await.unwrap();
    assert_eq!(retried.wait().await.unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_its_state_is_told() {
    let bench = Bench::new().unwrap();
    let drained = bench.drain(|worker| worker.register(add)).await;
    assert!(matches!(drained, Err(BenchError::Worker(_))), "{drained:?}");
}
