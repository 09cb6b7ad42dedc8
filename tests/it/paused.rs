//! A paused queue keeps its jobs in the broker, each once.

use std::time::Duration;

use longshore::{Batch, JobStatus, Priority};
use longshore_backend::Profile;
use longshore_scheduler::Intervals;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;

use crate::rig::{LONG, Pace, Rig, Step};

/// Messages of the job queues, ready or delivered.
async fn messages(servers: &SharedServers) -> u64 {
    let queues = servers.vhost().list_queues().await.unwrap();
    queues
        .iter()
        .filter(|queue| queue.name.starts_with("jobs."))
        .map(|queue| queue.ready + queue.unacked)
        .sum()
}

/// Jobs wait in a paused queue for `hold` beside two schedulers and two workers, are counted in the broker again and
/// again, and all run once when the queue is resumed.
async fn each_job_is_in_the_broker_once(jobs: u64, hold: Duration, intervals: Intervals) {
    let servers = SharedServers::get().await.unwrap();
    let mut rig = Rig::servers(servers.amqp_url(), &servers.redis_url(), Profile::Quorum).await;
    rig.client.pause("default").await.unwrap();
    for _ in 0..2 {
        rig.scheduler(intervals.clone()).await;
        rig.worker(4).await;
    }
    // Messages are counted: one a job, whatever producers do otherwise.
    let client = rig.bundling(Some(1));
    for from in (0..jobs).step_by(1_000) {
        let mut batch = Batch::new();
        for number in from..jobs.min(from + 1_000) {
            let pace = Pace::Quick;
            batch.add(Step { number, pace }).priority(Priority::Normal);
        }
        client.enqueue_many(batch).await.unwrap();
    }
    eventually(LONG, "the broker has every job", || async {
        let seen = messages(&servers).await;
        if seen == jobs {
            Ok(())
        } else {
            Err(format!("{seen} messages"))
        }
    })
    .await
    .unwrap();

    let end = tokio::time::Instant::now() + hold;
    while tokio::time::Instant::now() < end {
        tokio::time::sleep(hold / 20).await;
        assert_eq!(messages(&servers).await, jobs);
    }
    assert_eq!(rig.book.starts(), Vec::<u64>::new());
    assert_eq!(rig.counts().await.unwrap().get(&JobStatus::Queued), Some(&jobs));

    rig.client.resume("default").await.unwrap();
    assert_eq!(rig.all_completed(jobs).await, jobs);
    let jobs = usize::try_from(jobs).unwrap();
    assert_eq!(rig.book.runs(), (jobs, jobs));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_holds_each_job_once() {
    let intervals = Intervals::all(Duration::from_millis(50));
    each_job_is_in_the_broker_once(2_000, Duration::from_secs(20), intervals).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes eleven minutes; scripts/test soak runs it"]
async fn soak_a_queue_paused_ten_minutes_holds_20_000_jobs_once() {
    each_job_is_in_the_broker_once(20_000, Duration::from_secs(600), Intervals::default()).await;
}
