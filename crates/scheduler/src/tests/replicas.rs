//! Whole schedulers, running: one, two, and over a store that goes away. Time is the machine's here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_backend::embedded::{Options, Store};
use longshore_core::clock::{Clock, SystemClock};
use longshore_core::port::Ports;
use longshore_core::port::broker::{Payload, Source};
use longshore_core::spec::Start;
use longshore_core::{JobId, QueueName};
use longshore_testkit::factory::Factory;
use longshore_testkit::wait::eventually;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::leases::Cut;
use crate::{Daemon, Handle, Intervals, Report, Scheduler};

const SOON: Duration = Duration::from_secs(20);

fn store(folder: &std::path::Path) -> Store {
    Store::open(folder, Options::default()).unwrap()
}

fn start(
    store: &Store,
    holder: &str,
    intervals: Intervals,
) -> (Handle, CancellationToken, tokio::task::JoinHandle<Report>) {
    start_over(store.ports(), holder, intervals)
}

fn start_over(
    ports: Ports,
    holder: &str,
    intervals: Intervals,
) -> (Handle, CancellationToken, tokio::task::JoinHandle<Report>) {
    let stop = CancellationToken::new();
    let builder = Scheduler::builder(ports).holder(holder).intervals(intervals);
    let scheduler = builder.shutdown(stop.clone()).build();
    (scheduler.handle(), stop, tokio::spawn(scheduler.run()))
}

/// Until a scheduler has so many of the four shards.
async fn until_it_has(shards: usize, scheduler: &Handle, holder: &str) {
    let wanted = format!("{holder} to have {shards} shards");
    eventually(SOON, &wanted, async || scheduler.shards().len() == shards)
        .await
        .unwrap();
}

fn fast_leases() -> Intervals {
    Intervals {
        lease_shards: Duration::from_millis(20),
        ..Intervals::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_job_has_its_message_within_half_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let ports = store.ports();
    let (_, stop, running) = start(&store, "one", Intervals::default());
    let mut jobs = ports
        .consume
        .subscribe(Source::Jobs(QueueName::default()), 10)
        .await
        .unwrap();
    let factory = Factory::new(Arc::new(SystemClock), 1);
    for shard in 0..4 {
        let job = factory.job(shard, |spec| {
            spec.start = Start::After(Duration::from_millis(900));
        });
        let due = job.run_at.unwrap();
        ports.enqueue.enqueue(shard, vec![job]).await.unwrap();
        timeout(SOON, jobs.next()).await.unwrap().unwrap().receipt.ack();
        let late = SystemClock.now().since(due);
        assert!(late < Duration::from_millis(500), "{late:?} late");
    }
    stop.cancel();
    assert_eq!(running.await.unwrap().dropped, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_schedulers_share_the_shards_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let ports = store.ports();
    let (first, stop_first, run_first) = start(&store, "first", fast_leases());
    until_it_has(4, &first, "first").await;
    let (second, stop_second, run_second) = start(&store, "second", fast_leases());
    until_it_has(2, &second, "second").await;

    let factory = Factory::new(Arc::new(SystemClock), 2);
    for shard in 0..4 {
        let due = |spec: &mut longshore_core::JobSpec| spec.start = Start::After(Duration::from_millis(300));
        let jobs = (0..100).map(|_| factory.job(shard, due)).collect();
        ports.enqueue.enqueue(shard, jobs).await.unwrap();
    }
    let mut messages: BTreeMap<JobId, u32> = BTreeMap::new();
    let mut jobs = ports
        .consume
        .subscribe(Source::Jobs(QueueName::default()), 1_000)
        .await
        .unwrap();
    while messages.len() < 400 {
        let delivery = timeout(SOON, jobs.next()).await.unwrap().unwrap();
        let Payload::Jobs(message) = delivery.payload else {
            panic!("{:?}", delivery.payload)
        };
        delivery.receipt.ack();
        message
            .jobs
            .iter()
            .for_each(|job| *messages.entry(job.id).or_default() += 1);
    }
    assert!(
        super::quick(jobs.as_mut()).await.is_none(),
        "nothing is published twice"
    );
    assert!(messages.values().all(|count| *count == 1));

    // One that is stopped gives its shards back at once.
    stop_second.cancel();
    let report = run_second.await.unwrap();
    assert_eq!(report.daemons.len(), Daemon::ALL.len());
    until_it_has(4, &first, "first").await;
    stop_first.cancel();
    run_first.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_that_is_dropped_lets_go_of_its_shards() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let (first, _never, running) = start(&store, "first", fast_leases());
    until_it_has(4, &first, "first").await;
    running.abort();
    let (second, stop, running) = start(&store, "second", fast_leases());
    until_it_has(4, &second, "second").await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_without_a_broker_leaves_its_shards_to_one_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let mut ports = store.ports();
    let cut = Cut::into(&mut ports);
    let (first, stop_first, run_first) = start_over(ports, "first", fast_leases());
    until_it_has(4, &first, "first").await;
    let (second, stop_second, run_second) = start(&store, "second", fast_leases());
    cut.cut();
    eventually(
        SOON,
        "the second to have every shard, and the first none",
        async || second.shards().len() == 4 && first.shards().is_empty(),
    )
    .await
    .unwrap();

    // Where nobody has a broker, somebody works on the shards all the same.
    stop_second.cancel();
    run_second.await.unwrap();
    until_it_has(4, &first, "first").await;
    stop_first.cancel();
    run_first.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_ends_no_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let (handle, stop, running) = start(&store, "one", fast_leases());
    let mut status = handle.watch(Daemon::DispatchOutbox).unwrap();
    timeout(
        SOON,
        status.wait_for(|status| status.passes > 2 && status.errors == 0),
    )
    .await
    .unwrap()
    .unwrap();
    store.close().unwrap();
    timeout(SOON, status.wait_for(|status| status.errors_in_a_row > 2))
        .await
        .unwrap()
        .unwrap();
    assert!(!running.is_finished());
    let asked = Instant::now();
    stop.cancel();
    let report = timeout(SOON, running).await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert!(report.of(Daemon::DispatchOutbox).unwrap().errors > 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_up_is_sooner_than_the_timer() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let hour = Intervals::all(Duration::from_secs(3_600));
    let intervals = Intervals {
        lease_shards: Duration::from_millis(20),
        ..hour
    };
    let (handle, stop, running) = start(&store, "one", intervals);
    until_it_has(4, &handle, "one").await;
    let mut status = handle.watch(Daemon::PruneFinished).unwrap();
    let before = status.borrow().passes;
    handle.wake(Daemon::PruneFinished);
    timeout(SOON, status.wait_for(|status| status.passes > before))
        .await
        .unwrap()
        .unwrap();
    stop.cancel();
    running.await.unwrap();
}
