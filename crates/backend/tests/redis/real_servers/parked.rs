//! Parked jobs as an earlier build has left them: all with the same place, whatever their queue.

use longshore_backend::redis::Store;
use longshore_core::QueueName;
use longshore_core::clock::{Clock as _, SystemClock};
use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::port::attempt::{GiveBack, GiveBackReason, GivenBack};
use longshore_core::port::enqueue::NewJob;
use longshore_core::port::{AttemptPort as _, EnqueuePort as _, SchedulePort as _};
use longshore_testkit::factory::Factory;
use longshore_testkit::servers::Redis;

use super::rig::store;
use super::twin::worker;

const KEY: &str = "{s00}:parked:work";

fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

async fn park(store: &Store, jobs: &[NewJob]) {
    store.enqueue(0, jobs.to_vec()).await.unwrap();
    let back = |job: &NewJob| GiveBack {
        id: job.id,
        gen_: 1,
        reason: GiveBackReason::Park(job.function_name.clone()),
    };
    let given = store.give_back(0, jobs.iter().map(back).collect()).await.unwrap();
    assert!(given.iter().all(|given| *given == GivenBack::Back));
}

/// How many are parked, and how many of them have no place of their own.
async fn rows(redis: &Redis) -> (usize, usize) {
    let count = async |args: &[&str]| redis.cli(args).await.unwrap().trim().parse().unwrap();
    (
        count(&["ZCARD", KEY]).await,
        count(&["ZCOUNT", KEY, "-inf", "0"]).await,
    )
}

async fn no_row_is_a_fault(store: &Store) {
    let port = store.checkup_port();
    let mut from = None;
    loop {
        let look = port.compare_index(0, from, 1_000, false).await.unwrap();
        assert_eq!(look.faults, []);
        let Some(next) = look.next else { return };
        from = Some(next);
    }
}

#[tokio::test]
async fn jobs_that_an_earlier_build_parked_are_released_for_their_own_queue_and_find_their_place() {
    let (redis, store) = store().await;
    let factory = Factory::new(std::sync::Arc::new(SystemClock), rand::random());
    let job = |name: &str| factory.job(0, |spec| spec.queue = queue(name));
    // More than one call takes, before the one that is wanted and after it.
    let mut jobs: Vec<_> = (0..SCRIPT_JOBS_MAX + 100).map(|_| job("other")).collect();
    jobs.insert(SCRIPT_JOBS_MAX + 50, job("mine"));
    park(&store, &jobs).await;
    assert_eq!(rows(&redis).await, (jobs.len(), 0));
    let level = "for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
      redis.call('ZADD', KEYS[1], 0, id)
    end";
    redis.cli(&["EVAL", level, "1", KEY]).await.unwrap();
    no_row_is_a_fault(&store).await;

    let mut worker = worker(SystemClock.now());
    worker.queues = vec![queue("mine")];
    store.worker_beat(worker.clone()).await.unwrap();
    assert_eq!(rows(&redis).await, (jobs.len() - 1, 0));
    no_row_is_a_fault(&store).await;
    assert_eq!(store.unpark(0).await.unwrap(), 0);

    worker.queues = vec![queue("other")];
    store.worker_beat(worker).await.unwrap();
    assert_eq!(rows(&redis).await, (0, 0));
    no_row_is_a_fault(&store).await;
}
