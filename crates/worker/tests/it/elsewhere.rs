//! Jobs that go elsewhere: to a slot that is free in another worker, or back where they were granted and may not start.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::port::broker::{Depth, Source, Subscription};
use longshore_core::port::{ConsumePort, Error, Ports, Reply};
use longshore_core::random::SystemRandom;
use longshore_core::{Clock, Job, JobError, JobId, JobSpec, JobStatus, Priority, QueueName, SystemClock};
use longshore_worker::{Builder, State, Worker};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::cut::{Cut, Fault};
use crate::rig::{Echo, Rig, Running, echo, spec, until};

/// Lets attempts end one by one, and keeps the order in which they started.
#[derive(Clone)]
struct Gate {
    starts: Arc<Mutex<Vec<String>>>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new(permits: usize) -> Self {
        Self {
            starts: Arc::default(),
            open: Arc::new(Semaphore::new(permits)),
        }
    }

    fn starts(&self) -> Vec<String> {
        self.starts.lock().clone()
    }
}

async fn gated(job: Echo, State(gate): State<Gate>) -> Result<String, JobError> {
    gate.starts.lock().push(job.text.clone());
    gate.open.acquire().await?.forget();
    Ok(job.text)
}

/// A job of another function.
#[derive(Serialize, Deserialize)]
struct Shout(Echo);

impl Job for Shout {
    const FUNCTION_NAME: &'static str = "shout";
    type Output = String;
}

async fn shouted(job: Shout, gate: State<Gate>) -> Result<String, JobError> {
    gated(job.0, gate).await
}

/// A worker with one slot that holds what it cannot start.
fn holding(builder: Builder, gate: &Gate) -> Builder {
    let builder = builder.max_workers(1).prefetch(4).state(gate.clone());
    builder.register(gated).register(shouted)
}

fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

fn in_queue(name: &str, text: &str) -> JobSpec {
    let mut spec = echo(text);
    spec.queue = queue(name);
    spec
}

async fn pause(rig: &Rig, queue: QueueName, paused: bool) {
    rig.ports.inspect.set_paused(queue, paused).await.unwrap();
}

async fn until_waiting(worker: &Running, jobs: u64) {
    until("they wait", || worker.stats.snapshot().waiting == jobs).await;
}

/// A broker of which one queue cannot be consumed.
struct Refusing(Arc<dyn ConsumePort>, QueueName);

impl ConsumePort for Refusing {
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        if source == Source::Jobs(self.1.clone()) {
            let error = Error::Unavailable {
                server: "broker",
                reason: "the queue has no leader".to_owned(),
            };
            return Box::pin(std::future::ready(Err(error)));
        }
        self.0.subscribe(source, prefetch)
    }

    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>> {
        self.0.depths(queues)
    }

    fn archived(&self) -> Reply<'_, u64> {
        self.0.archived()
    }

    fn consumer_timeout(&self) -> Duration {
        self.0.consumer_timeout()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_with_a_paused_queue_gets_jobs_of_its_other_one_that_a_full_worker_holds() {
    let rig = Rig::new();
    pause(&rig, queue("b"), true).await;
    let gate = Gate::new(0);
    let full = holding(rig.worker().queue("a").queue("b"), &gate);
    let full = Running::start(full);
    let first = rig.enqueue(in_queue("a", "first")).await;
    rig.until(first, JobStatus::Running).await;
    let held = rig.enqueue(in_queue("a", "held")).await;
    until_waiting(&full, 1).await;
    let idle = rig.worker().queue("a").queue("b");
    let idle = Running::start(idle.register(async |job: Echo| Ok::<_, JobError>(job.text)));
    let view = rig.until(held, JobStatus::Completed).await;
    assert_eq!((view.attempts, view.losts), (1, 0));
    assert_eq!(rig.view(first).await.status, JobStatus::Running);
    gate.open.add_permits(1);
    idle.stop().await;
    full.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_cannot_consume_a_queue_is_given_jobs_of_its_other_one_and_of_that_one_none() {
    let rig = Rig::new();
    let gate = Gate::new(0);
    let full = holding(rig.worker().queue("a").queue("b"), &gate);
    let full = Running::start(full);
    let first = rig.enqueue(in_queue("a", "first")).await;
    rig.until(first, JobStatus::Running).await;
    let held = rig.enqueue(in_queue("a", "held")).await;
    let other = rig.enqueue(in_queue("b", "other")).await;
    until_waiting(&full, 2).await;
    let ports = Ports {
        consume: Arc::new(Refusing(rig.ports.consume.clone(), queue("b"))),
        ..rig.ports.clone()
    };
    let idle = Worker::builder(ports).queue("a").queue("b");
    let idle = Running::start(idle.register(async |job: Echo| Ok::<_, JobError>(job.text)));
    rig.until(held, JobStatus::Completed).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let view = rig.view(other).await;
    assert_eq!(
        (view.status, view.gen_),
        (JobStatus::Queued, 1),
        "it never went back"
    );
    gate.open.add_permits(2);
    rig.until(other, JobStatus::Completed).await;
    idle.stop().await;
    full.stop().await;
}

fn of(priority: Priority, mut spec: JobSpec) -> JobSpec {
    spec.priority = priority;
    spec
}

/// Which of these jobs, all held by a worker behind a long one, the only slot of another worker gets.
async fn goes_first(jobs: Vec<JobSpec>) -> String {
    let rig = Rig::new();
    let (long, short) = (Gate::new(0), Gate::new(0));
    let full = Running::start(holding(rig.worker(), &long));
    let first = rig.enqueue(echo("first")).await;
    rig.until(first, JobStatus::Running).await;
    let mut held = Vec::new();
    for job in jobs {
        held.push(rig.enqueue(job).await);
    }
    until_waiting(&full, held.len() as u64).await;
    // Until each of them has been held for long.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let idle = Running::start(holding(rig.worker(), &short).prefetch(1));
    until("one has gone there", || !short.starts().is_empty()).await;
    let starts = short.starts();
    for gate in [long, short] {
        gate.open.add_permits(held.len() + 1);
    }
    for id in held {
        rig.until(id, JobStatus::Completed).await;
    }
    idle.stop().await;
    full.stop().await;
    starts.concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_free_slot_of_another_worker_gets_the_most_urgent_job_that_is_held() {
    let jobs = vec![
        of(Priority::Low, echo("low")),
        of(Priority::Normal, echo("normal")),
        of(Priority::Critical, echo("critical")),
    ];
    assert_eq!(goes_first(jobs).await, "critical");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_free_slot_of_another_worker_gets_the_most_urgent_job_of_all_functions() {
    let shout = Shout(Echo {
        text: "critical".to_owned(),
    });
    let jobs = vec![
        of(Priority::Low, echo("low")),
        of(Priority::Low, echo("low")),
        of(Priority::Critical, spec(&shout)),
    ];
    assert_eq!(goes_first(jobs).await, "critical");
}

fn in_shard(shard: u16, text: &str) -> JobSpec {
    let mut spec = echo(text);
    spec.id = Some(JobId::generate(SystemClock.now(), shard, &SystemRandom));
    spec
}

/// A worker has a grant of which it does not know, and another job that waits.
struct Unheard {
    rig: Rig,
    cut: Arc<Cut>,
    worker: Running,
    gate: Gate,
    granted: JobId,
}

impl Unheard {
    async fn new(permits: usize) -> Self {
        let rig = Rig::new();
        let cut = Cut::new(&rig);
        cut.set(Fault::Mute(0));
        let gate = Gate::new(permits);
        let worker = Running::start(holding(Worker::builder(cut.ports(&rig)), &gate));
        let granted = rig.enqueue(in_shard(0, "granted")).await;
        rig.until(granted, JobStatus::Running).await;
        Self {
            rig,
            cut,
            worker,
            gate,
            granted,
        }
    }

    /// Pauses the queue, and waits until the worker knows: it gives the job back that it holds beside the granted one.
    async fn pause(&self) {
        until_waiting(&self.worker, 2).await;
        pause(&self.rig, QueueName::default(), true).await;
        let now = || self.worker.stats.snapshot();
        until("it gives back what waits", || now().given_back == 1).await;
    }

    /// The worker hears of the grant: it hands the job back, or starts it.
    async fn hears(&self, others: usize) {
        self.cut.set(Fault::None);
        let now = || self.worker.stats.snapshot();
        let started = || self.gate.starts().len() > others;
        until("it hears of it", || now().released == 1 || started()).await;
    }

    /// Every job runs in the end, once.
    async fn end(self, others: &[JobId]) {
        for id in others.iter().chain([&self.granted]) {
            let view = self.rig.until(*id, JobStatus::Completed).await;
            assert_eq!((view.attempts, view.losts), (1, 0));
        }
        assert_eq!(self.gate.starts().len(), others.len() + 1);
        assert!(self.worker.stop().await.is_clean());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_grant_is_heard_of_in_a_paused_queue_does_not_start_until_it_is_resumed() {
    let unheard = Unheard::new(2).await;
    let waits = unheard.rig.enqueue(in_shard(0, "waits")).await;
    unheard.pause().await;
    unheard.hears(0).await;
    assert_eq!(unheard.gate.starts(), [""; 0]);
    pause(&unheard.rig, QueueName::default(), false).await;
    unheard.end(&[waits]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_grant_is_heard_of_when_no_slot_is_free_does_not_start_beside_the_others() {
    let unheard = Unheard::new(0).await;
    // While one shard does not answer, its slot is for jobs of others.
    let runs = unheard.rig.enqueue(in_shard(1, "runs")).await;
    unheard.rig.until(runs, JobStatus::Running).await;
    let waits = unheard.rig.enqueue(in_shard(1, "waits")).await;
    unheard.cut.set(Fault::Late(0));
    unheard.pause().await;
    pause(&unheard.rig, QueueName::default(), false).await;
    until_waiting(&unheard.worker, 1).await;
    unheard.hears(1).await;
    assert_eq!(unheard.gate.starts(), ["runs"]);
    unheard.gate.open.add_permits(3);
    unheard.end(&[runs, waits]).await;
}
