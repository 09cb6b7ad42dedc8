//! The store goes away and comes back.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_core::port::broker::{Delivery, Depth, Source, Subscription};
use longshore_core::port::{ConsumePort, Ports, Reply};
use longshore_core::spec::{Fencing, OnLostRecord};
use longshore_core::{JobError, JobStatus, QueueName, limits};
use longshore_worker::{JobContext, State, Worker};

use crate::cut::{Cut, Fault};
use crate::rig::{Echo, Rig, Running, echo, gated, named, until, until_after, until_known};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_cannot_be_told_is_told_when_the_store_is_back() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let handler = async |job: Echo, State(gate): State<Arc<tokio::sync::Semaphore>>| {
        gate.acquire().await?.forget();
        Ok::<_, JobError>(job.text)
    };
    let builder = Worker::builder(cut.ports(&rig))
        .max_workers(2)
        .state(Arc::clone(&gate));
    let worker = Running::start(builder.register(handler));
    let first = rig.enqueue(echo("first")).await;
    rig.until(first, JobStatus::Running).await;
    cut.set(Fault::Away);
    gate.add_permits(2);
    until("telling it fails", || worker.stats.snapshot().store_errors >= 2).await;
    let second = rig.enqueue(echo("second")).await;
    assert_eq!(rig.view(first).await.status, JobStatus::Running);
    cut.set(Fault::None);
    assert_eq!(rig.until(first, JobStatus::Completed).await.attempts, 1);
    rig.until(second, JobStatus::Completed).await;
    let report = worker.stop().await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.stats.started, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strictly_fenced_attempt_stops_before_its_lease_ends_and_another_goes_on() {
    async fn waits(_: Echo, ctx: JobContext) -> Result<String, JobError> {
        let began = tokio::time::Instant::now();
        ctx.cancelled().await;
        assert!(began.elapsed() < limits::LEASE);
        Err(JobError::transient("stopped"))
    }
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    let worker = Running::start(Worker::builder(cut.ports(&rig)).register(waits));
    let mut strict = echo("strict");
    strict.fencing = Fencing::Strict;
    let strict = rig.enqueue(strict).await;
    let guarded = rig.enqueue(echo("guarded")).await;
    for id in [strict, guarded] {
        rig.until(id, JobStatus::Running).await;
    }
    until("both run", || worker.stats.snapshot().busy == 2).await;
    cut.set(Fault::Away);
    tokio::time::timeout(limits::LEASE, async {
        while worker.stats.snapshot().busy == 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the strict one stops in time");
    assert_eq!(worker.stats.snapshot().busy, 1);
    cut.set(Fault::None);
    rig.until_job(strict, |view| view.gen_ == 2).await;
    assert_eq!(rig.view(guarded).await.status, JobStatus::Running);
    worker.abandon();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_frozen_while_it_was_granted_a_job_does_not_start_it_on_that_grant() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    cut.set(Fault::Freeze);
    let starts = Arc::new(AtomicUsize::new(0));
    let handler = async |job: Echo, State(starts): State<Arc<AtomicUsize>>| {
        starts.fetch_add(1, Ordering::SeqCst);
        Ok::<_, JobError>(job.text)
    };
    let builder = Worker::builder(cut.ports(&rig)).state(Arc::clone(&starts));
    let worker = Running::start(builder.register(handler));
    let id = rig.enqueue(echo("x")).await;
    until_after(limits::LEASE, "it hears of two grants", || {
        worker.stats.snapshot().started == 2
    })
    .await;
    let view = rig.until(id, JobStatus::Completed).await;
    assert_eq!((starts.load(Ordering::SeqCst), view.losts), (1, 0));
    assert!(worker.stop().await.is_clean());
}

/// A worker that has another function than the jobs of a case.
fn other(rig: &Rig) -> Running {
    let nothing = async |_: serde_json::Value| Ok::<_, JobError>(());
    Running::start(rig.worker().register_named("other", nothing))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_meets_a_worker_without_its_function_after_a_wipe_is_not_lost() {
    let rig = Rig::new();
    let id = rig.enqueue(named("mine", &())).await;
    rig.store.wipe().unwrap();
    let one = other(&rig);
    until_known(&rig, id).await;
    let nothing = async |_: serde_json::Value| Ok::<_, JobError>(());
    let two = Running::start(rig.worker().register_named("mine", nothing));
    let view = rig.until(id, JobStatus::Completed).await;
    assert_eq!((view.attempts, view.losts), (1, 0));
    assert_eq!(one.stop().await.stats.quarantined, 0);
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_may_not_be_rebuilt_goes_into_quarantine_instead_of_back() {
    let rig = Rig::new();
    let mut spec = named("mine", &());
    spec.on_lost_record = OnLostRecord::Quarantine;
    rig.enqueue(spec).await;
    rig.store.wipe().unwrap();
    let worker = other(&rig);
    until("it is put aside", || worker.stats.snapshot().quarantined == 1).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_waits_in_a_stopping_worker_when_the_store_is_wiped_comes_again() {
    let rig = Rig::new();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let handler = async |job: Echo, State(gate): State<Arc<tokio::sync::Semaphore>>| {
        gate.acquire().await?.forget();
        Ok::<_, JobError>(job.text)
    };
    let worker = || {
        rig.worker()
            .max_workers(1)
            .prefetch(4)
            .state(Arc::clone(&gate))
            .register(handler)
    };
    let one = Running::start(worker());
    let first = rig.enqueue(echo("first")).await;
    rig.until(first, JobStatus::Running).await;
    let second = rig.enqueue(echo("second")).await;
    until("the second waits", || one.stats.snapshot().waiting == 1).await;
    rig.store.wipe().unwrap();
    one.stop.cancel();
    until("it waits no more", || one.stats.snapshot().waiting == 0).await;
    gate.add_permits(2);
    assert!(one.stop().await.is_clean());
    let two = Running::start(worker());
    for id in [first, second] {
        until_known(&rig, id).await;
        rig.until(id, JobStatus::Completed).await;
    }
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_waited_for_another_owner_is_rebuilt_after_a_wipe() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    cut.set(Fault::Busy);
    let handler = async |job: Echo| Ok::<_, JobError>(job.text);
    let worker = Running::start(Worker::builder(cut.ports(&rig)).register(handler));
    let id = rig.enqueue(echo("x")).await;
    until("it waits", || worker.stats.snapshot().waiting == 1).await;
    rig.store.wipe().unwrap();
    cut.set(Fault::None);
    until_known(&rig, id).await;
    rig.until(id, JobStatus::Completed).await;
    let stats = worker.stop().await.stats;
    assert_eq!((stats.rebuilt, stats.quarantined), (1, 0));
}

/// A broker that counts how often a worker subscribed, and stopped.
struct Counted {
    broker: Arc<dyn ConsumePort>,
    subscribed: AtomicUsize,
    stopped: Arc<AtomicUsize>,
}

impl Counted {
    fn new(rig: &Rig) -> Arc<Self> {
        Arc::new(Self {
            broker: rig.ports.consume.clone(),
            subscribed: AtomicUsize::new(0),
            stopped: Arc::default(),
        })
    }

    fn subscribed(&self) -> usize {
        self.subscribed.load(Ordering::SeqCst)
    }
}

struct CountedSubscription(Box<dyn Subscription>, Arc<AtomicUsize>);

impl Subscription for CountedSubscription {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Delivery>> + Send + '_>> {
        self.0.next()
    }

    fn quiet(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            self.0.quiet().await;
            self.1.fetch_add(1, Ordering::SeqCst);
        })
    }
}

impl ConsumePort for Counted {
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        Box::pin(async move {
            let subscription = self.broker.subscribe(source, prefetch).await?;
            self.subscribed.fetch_add(1, Ordering::SeqCst);
            let counted = CountedSubscription(subscription, Arc::clone(&self.stopped));
            Ok(Box::new(counted) as Box<dyn Subscription>)
        })
    }

    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>> {
        self.broker.depths(queues)
    }

    fn archived(&self) -> Reply<'_, u64> {
        self.broker.archived()
    }

    fn consumer_timeout(&self) -> Duration {
        self.broker.consumer_timeout()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_without_the_store_has_not_started_goes_to_others_once() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    let broker = Counted::new(&rig);
    let ports = Ports {
        consume: broker.clone(),
        ..cut.ports(&rig)
    };
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let builder = Worker::builder(ports).max_workers(1).prefetch(4);
    let one = Running::start(builder.state(Arc::clone(&gate)).register(gated));
    let first = rig.enqueue(echo("first")).await;
    rig.until(first, JobStatus::Running).await;
    let held = [
        rig.enqueue(echo("second")).await,
        rig.enqueue(echo("third")).await,
    ];
    until("they wait", || one.stats.snapshot().waiting == 2).await;
    cut.set(Fault::Away);
    let two = Running::start(
        rig.worker()
            .register(async |job: Echo| Ok::<_, JobError>(job.text)),
    );
    until_after(limits::LEASE, "they wait no more", || {
        one.stats.snapshot().waiting == 0
    })
    .await;
    for id in held {
        let view = rig.until(id, JobStatus::Completed).await;
        assert_eq!((view.attempts, view.losts), (1, 0));
    }
    assert_eq!(broker.subscribed(), 1);
    two.stop().await;
    cut.set(Fault::None);
    gate.add_permits(3);
    let last = rig.enqueue(echo("last")).await;
    for id in [first, last] {
        rig.until(id, JobStatus::Completed).await;
    }
    let report = one.stop().await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.stats.started, broker.subscribed()), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_without_the_store_that_starts_all_it_has_keeps_it_and_takes_no_more() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let broker = Counted::new(&rig);
    let ports = Ports {
        consume: broker.clone(),
        ..cut.ports(&rig)
    };
    let builder = Worker::builder(ports).max_workers(2).prefetch(2);
    let one = Running::start(builder.state(Arc::clone(&gate)).register(gated));
    let first = rig.enqueue(echo("first")).await;
    rig.until(first, JobStatus::Running).await;
    cut.set(Fault::Away);
    until_after(limits::LEASE, "it consumes no more", || {
        broker.stopped.load(Ordering::SeqCst) == 1
    })
    .await;
    let two = Running::start(
        rig.worker()
            .register(async |job: Echo| Ok::<_, JobError>(job.text)),
    );
    for text in ["second", "third", "fourth"] {
        let id = rig.enqueue(echo(text)).await;
        rig.until(id, JobStatus::Completed).await;
    }
    assert_eq!(rig.view(first).await.status, JobStatus::Running);
    cut.set(Fault::None);
    gate.add_permits(1);
    assert_eq!(rig.until(first, JobStatus::Completed).await.attempts, 1);
    two.stop().await;
    gate.add_permits(1);
    let last = rig.enqueue(echo("last")).await;
    rig.until(last, JobStatus::Completed).await;
    assert_eq!(broker.subscribed(), 2);
    assert!(one.stop().await.is_clean());
}
