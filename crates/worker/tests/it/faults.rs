//! Messages that are acknowledged only when their job is safe elsewhere, and jobs that hold up others.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use longshore_core::message::MessageJob;
use longshore_core::port::broker::{AckSink, Delivery, Depth, Receipt, Source, Subscription};
use longshore_core::port::{ConsumePort, Ports, Reply};
use longshore_core::random::SystemRandom;
use longshore_core::spec::Fencing;
use longshore_core::{
    Clock, Envelope, JobError, JobId, JobSpec, JobStatus, Priority, QueueName, SystemClock, limits,
};
use longshore_worker::{State, StopCause, Worker};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::cut::{Cut, Fault};
use crate::rig::{Echo, Rig, Running, echo, named, publish, until};

/// A broker with a consumer time-out of its own, that counts what is acknowledged.
struct Watched {
    broker: Arc<dyn ConsumePort>,
    timeout: Duration,
    acks: Arc<Acks>,
}

#[derive(Default)]
struct Acks {
    open: Mutex<HashMap<u64, Receipt>>,
    last: AtomicU64,
    acked: AtomicUsize,
}

impl AckSink for Acks {
    fn ack(&self, ticket: u64) {
        if let Some(receipt) = self.open.lock().remove(&ticket) {
            self.acked.fetch_add(1, Ordering::SeqCst);
            receipt.ack();
        }
    }
}

struct WatchedSubscription(Box<dyn Subscription>, Arc<Acks>);

impl Subscription for WatchedSubscription {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Delivery>> + Send + '_>> {
        Box::pin(async move {
            let mut delivery = self.0.next().await?;
            let ticket = self.1.last.fetch_add(1, Ordering::SeqCst);
            let receipt = Receipt::new(Arc::clone(&self.1) as Arc<dyn AckSink>, ticket);
            let inner = std::mem::replace(&mut delivery.receipt, receipt);
            self.1.open.lock().insert(ticket, inner);
            Some(delivery)
        })
    }

    fn quiet(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.quiet()
    }
}

impl ConsumePort for Watched {
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        Box::pin(async move {
            let subscription = self.broker.subscribe(source, prefetch).await?;
            let watched = WatchedSubscription(subscription, Arc::clone(&self.acks));
            Ok(Box::new(watched) as Box<dyn Subscription>)
        })
    }

    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>> {
        self.broker.depths(queues)
    }

    fn archived(&self) -> Reply<'_, u64> {
        self.broker.archived()
    }

    fn consumer_timeout(&self) -> Duration {
        self.timeout
    }
}

/// Waits for one permit each.
async fn gated(job: Echo, State(gate): State<Arc<Semaphore>>) -> Result<String, JobError> {
    gate.acquire().await?.forget();
    Ok(job.text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_acknowledged_early_only_after_a_beat_proved_the_lease() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    let acks = Arc::new(Acks::default());
    let consume = Arc::new(Watched {
        broker: rig.ports.consume.clone(),
        timeout: Duration::from_secs(3),
        acks: Arc::clone(&acks),
    });
    let ports = Ports {
        consume,
        ..cut.ports(&rig)
    };
    let acked = || acks.acked.load(Ordering::SeqCst);
    let gate = Arc::new(Semaphore::new(0));
    let worker = Running::start(Worker::builder(ports).state(Arc::clone(&gate)).register(gated));
    let id = rig.enqueue(echo("long")).await;
    rig.until(id, JobStatus::Running).await;
    cut.set(Fault::NoBeats);
    until("a beat fails", || worker.stats.snapshot().store_errors > 0).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(acked(), 0, "it is past its age, and nothing proves the lease");
    cut.set(Fault::None);
    until("it is acknowledged", || acked() == 1).await;
    assert_eq!(rig.view(id).await.status, JobStatus::Running);
    gate.add_permits(1);
    rig.until(id, JobStatus::Completed).await;
    assert!(worker.stop().await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_cannot_be_recorded_leaves_the_job_in_quarantine() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    cut.set(Fault::CorruptEnds);
    let handler = async |job: Echo| Ok::<_, JobError>(job.text);
    let worker = Running::start(Worker::builder(cut.ports(&rig)).register(handler));
    let id = rig.enqueue(echo("x")).await;
    until("it is put aside", || worker.stats.snapshot().quarantined == 1).await;
    let aside = cut.quarantined.lock().remove(0);
    assert_eq!(Envelope::decode(&aside.body).unwrap().id, id);
    assert!(aside.reason.contains("not a number"), "{}", aside.reason);
    cut.set(Fault::None);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_give_back_that_cannot_be_recorded_leaves_the_job_in_quarantine() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    cut.set(Fault::CorruptBacks);
    let nothing = async |_: serde_json::Value| Ok::<_, JobError>(());
    let worker = Worker::builder(cut.ports(&rig)).register_named("other", nothing);
    let worker = Running::start(worker);
    rig.enqueue(named("mine", &())).await;
    until("it is put aside", || worker.stats.snapshot().quarantined == 1).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_quarantine_refuses_goes_there_without_its_body() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    cut.set(Fault::CorruptAsides);
    rig.store.inject(&QueueName::default(), b"not a message");
    let handler = async |job: Echo| Ok::<_, JobError>(job.text);
    let worker = Running::start(Worker::builder(cut.ports(&rig)).register(handler));
    until("it is put aside", || worker.stats.snapshot().quarantined == 1).await;
    assert!(cut.quarantined.lock()[0].body.is_empty());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_names_another_shard_than_its_job_goes_into_quarantine() {
    let rig = Rig::new();
    let (envelope, job) = message_job(&echo("x"), 0, 0);
    publish(&rig.ports, 1, 0, &envelope, vec![job]).await;
    let handler = async |job: Echo| Ok::<_, JobError>(job.text);
    let worker = Running::start(rig.worker().register(handler));
    until("it is put aside", || worker.stats.snapshot().quarantined == 1).await;
    assert_eq!(worker.stop().await.stats.started, 0);
}

/// A job that has no record.
fn message_job(spec: &JobSpec, shard: u16, losts: u32) -> (Envelope, MessageJob) {
    let now = SystemClock.now();
    let id = JobId::generate(now, shard, &SystemRandom);
    let envelope = Envelope::from_spec(spec, id, now);
    let job = MessageJob {
        id,
        gen_: 1,
        attempts: losts,
        retries: 0,
        losts,
        envelope: envelope.encode().unwrap(),
    };
    (envelope, job)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strictly_fenced_attempt_that_was_told_to_stop_is_aborted_before_its_lease_ends() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    let handler = async |_: Echo| {
        std::future::pending::<()>().await;
        Ok::<_, JobError>(String::new())
    };
    let builder = Worker::builder(cut.ports(&rig)).cancel_grace(Duration::from_secs(120));
    let worker = Running::start(builder.register(handler));
    let mut spec = echo("strict");
    spec.fencing = Fencing::Strict;
    spec.timeout = Some(Duration::from_secs(1));
    let id = rig.enqueue(spec).await;
    cut.set(Fault::NoBeats);
    rig.until(id, JobStatus::Running).await;
    tokio::time::timeout(limits::LEASE, async {
        while worker.stats.snapshot().released == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("it is aborted in time");
    cut.set(Fault::None);
    worker.abandon();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_of_many_queues_serves_each() {
    const QUEUES: usize = 100;
    let rig = Rig::new();
    let name = |number: usize| format!("q{number}");
    let mut builder = rig.worker();
    for number in 0..QUEUES {
        builder = builder.queue(&name(number));
    }
    let worker = Running::start(builder.register(async |job: Echo| Ok::<_, JobError>(job.text)));
    let warm = rig.enqueue(in_queue("q0")).await;
    rig.until(warm, JobStatus::Completed).await;
    for number in (0..QUEUES).rev() {
        let id = rig.enqueue(in_queue(&name(number))).await;
        rig.until(id, JobStatus::Completed).await;
    }
    worker.stop().await;
}

fn in_queue(name: &str) -> JobSpec {
    let mut spec = echo(name);
    spec.queue = QueueName::new(name).unwrap();
    spec
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_waits_to_be_alone_holds_up_no_critical_job_and_others_not_for_long() {
    let rig = Rig::new();
    let gate = Arc::new(Semaphore::new(0));
    let worker = rig
        .worker()
        .max_workers(4)
        .state(Arc::clone(&gate))
        .register(gated);
    let worker = Running::start(worker);
    let first = rig.enqueue(echo("first")).await;
    rig.until(first, JobStatus::Running).await;
    let (envelope, job) = message_job(&echo("dangerous"), 0, 2);
    publish(&rig.ports, 0, 0, &envelope, vec![job]).await;
    until("it waits", || worker.stats.snapshot().waiting == 1).await;
    let mut critical = echo("critical");
    critical.priority = Priority::Critical;
    let critical = rig.enqueue(critical).await;
    let normal = rig.enqueue(echo("normal")).await;
    rig.until(critical, JobStatus::Running).await;
    assert_eq!(rig.view(normal).await.status, JobStatus::Queued);
    tokio::time::sleep(Duration::from_secs(25)).await;
    rig.until(normal, JobStatus::Running).await;
    assert_eq!(rig.view(first).await.status, JobStatus::Running);
    gate.add_permits(4);
    rig.until(envelope.id, JobStatus::Completed).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_other_shards_go_on_while_one_shard_does_not_answer() {
    jobs_of_other_shards_go_on(Fault::ShardAway(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_other_shards_go_on_while_one_shard_forbids_claims() {
    jobs_of_other_shards_go_on(Fault::StepsForbidden(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_other_shards_go_on_while_one_shard_refuses_claims() {
    jobs_of_other_shards_go_on(Fault::StepsRefused(1)).await;
}

async fn jobs_of_other_shards_go_on(fault: Fault) {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    cut.set(fault);
    let handler = async |job: Echo| Ok::<_, JobError>(job.text);
    let builder = Worker::builder(cut.ports(&rig)).max_workers(2).prefetch(16);
    let worker = Running::start(builder.register(handler));
    let mut away = Vec::new();
    for _ in 0..4 {
        away.push(rig.enqueue(in_shard(1)).await);
    }
    until("the shard fails", || worker.stats.snapshot().store_errors > 0).await;
    for _ in 0..20 {
        let id = rig.enqueue(in_shard(0)).await;
        rig.until(id, JobStatus::Completed).await;
    }
    cut.set(Fault::None);
    for id in away {
        rig.until(id, JobStatus::Completed).await;
    }
    assert!(worker.stop().await.is_clean());
}

fn in_shard(shard: u16) -> JobSpec {
    let mut spec = echo("x");
    spec.id = Some(JobId::generate(SystemClock.now(), shard, &SystemRandom));
    spec
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_with_too_many_stuck_handlers_drains_and_says_why() {
    let rig = Rig::new();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let handler = |_: Echo, State(released): State<Arc<Mutex<std::sync::mpsc::Receiver<()>>>>| {
        Ok::<_, JobError>(format!("{:?}", released.lock().recv()))
    };
    let builder = rig
        .worker()
        .max_workers(2)
        .drain_deadline(Duration::from_millis(50))
        .cancel_grace(Duration::from_millis(50))
        .state(released);
    let worker = Running::start(builder.register_blocking(handler));
    until("it is ready", || worker.stats.snapshot().ready == 1).await;
    let mut spec = echo("x");
    spec.timeout = Some(Duration::from_millis(50));
    let id = rig.enqueue(spec).await;
    rig.until(id, JobStatus::Running).await;
    until("it drains", || worker.stats.snapshot().ready == 0).await;
    let report = worker.ended().await;
    assert_eq!(report.cause, StopCause::Stuck(vec![id]));
    assert!(!report.is_clean());
    assert_eq!(report.left_running, [id]);
    drop(release);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_worker_tells_ends_as_long_as_its_drain_may_take() {
    let rig = Rig::new();
    let cut = Cut::new(&rig);
    let gate = Arc::new(Semaphore::new(0));
    let builder = Worker::builder(cut.ports(&rig)).drain_deadline(Duration::from_secs(60));
    let worker = Running::start(builder.state(Arc::clone(&gate)).register(gated));
    let id = rig.enqueue(echo("x")).await;
    rig.until(id, JobStatus::Running).await;
    cut.set(Fault::Away);
    gate.add_permits(1);
    worker.stop.cancel();
    tokio::time::sleep(Duration::from_secs(6)).await;
    cut.set(Fault::None);
    assert!(worker.ended().await.is_clean());
    assert_eq!(rig.view(id).await.status, JobStatus::Completed);
}
