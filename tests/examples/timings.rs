//! First timings of one producer and one worker on private servers, with the processor time that a job costs.
//!
//! `cargo run --release -p longshore-tests --example timings -- [quorum|classic] [JOBS] [BUNDLE]`
//!
//! The producer enqueues no-op jobs, pipelined; then a worker with 100 slots drains them; then both run at once; then
//! jobs are enqueued one by one at 100 a second, and the time from the call to the start of the handler is taken.
//! A scheduler runs all the while. The machine should do nothing else.
#![expect(clippy::print_stdout, reason = "it prints what it measures")]
#![expect(clippy::disallowed_methods, reason = "it measures wall time")]
#![expect(clippy::cast_precision_loss, reason = "rates")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use longshore::{Batch, Client, Job, JobError};
use longshore_backend::{Backend, BackendConfig, Endpoints, Profile};
use longshore_scheduler::Scheduler;
use longshore_testkit::servers::{RabbitMq, Redis, RedisOptions};
use longshore_worker::{State, Worker};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

type Problem = Box<dyn Error>;

/// A no-op job with a string and an integer.
#[derive(Clone, Serialize, Deserialize)]
struct Noop {
    text: String,
    number: usize,
}

impl Job for Noop {
    const FUNCTION_NAME: &'static str = "noop";
    type Output = usize;
}

/// When each job was handed over, and how long it took to its start.
#[derive(Clone, Default)]
struct Seen {
    done: Arc<AtomicUsize>,
    called: Arc<Mutex<Vec<Instant>>>,
    waits: Arc<Mutex<Vec<Duration>>>,
}

async fn noop(job: Noop, State(seen): State<Seen>) -> Result<usize, JobError> {
    if let Some(called) = seen.called.lock().get(job.number) {
        seen.waits.lock().push(called.elapsed());
    }
    seen.done.fetch_add(1, Ordering::Relaxed);
    Ok(job.number)
}

fn job(number: usize) -> Noop {
    let text = "a string of some length".to_owned();
    Noop { text, number }
}

/// Processor time of a process so far.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the name, in brackets; user and system time are the 14th and 15th, in ticks of 10 ms.
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// What a phase cost.
struct Phase {
    began: Instant,
    cpu: [Duration; 3],
    pids: [u32; 3],
}

impl Phase {
    fn begin(pids: [u32; 3]) -> Self {
        Self {
            began: Instant::now(),
            cpu: pids.map(cpu),
            pids,
        }
    }

    fn end(self, name: &str, jobs: usize) {
        let took = self.began.elapsed().as_secs_f64();
        let mut costs = self.pids.iter().zip(self.cpu).map(|(pid, before)| {
            let spent = cpu(*pid).saturating_sub(before).as_secs_f64();
            spent * 1e3 / jobs as f64
        });
        let mut cost = || costs.next().unwrap_or(f64::NAN);
        println!(
            "{name:<12} {:>8.0} jobs/s; CPU s a 1,000 jobs: client {:.3}, broker {:.3}, redis {:.3}",
            jobs as f64 / took,
            cost(),
            cost(),
            cost()
        );
    }
}

async fn enqueue(client: &Client, jobs: usize) -> Result<(), Problem> {
    for from in (0..jobs).step_by(5_000) {
        let mut batch = Batch::new();
        for number in from..jobs.min(from + 5_000) {
            batch.add(job(number));
        }
        client.enqueue_many(batch).await?;
    }
    Ok(())
}

async fn until_done(seen: &Seen, jobs: usize) {
    while seen.done.load(Ordering::Relaxed) < jobs {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Starts a worker; it stops with the token.
async fn worker(config: &BackendConfig, seen: &Seen) -> Result<CancellationToken, Problem> {
    let stop = CancellationToken::new();
    let worker = Worker::builder(Backend::connect(config).await?)
        .state(seen.clone())
        .register(noop)
        .max_workers(100)
        .shutdown(stop.clone())
        .build()?;
    tokio::spawn(async move {
        if let Err(error) = worker.run().await {
            println!("the worker ended: {error}");
        }
    });
    Ok(stop)
}

fn percentile(sorted: &[Duration], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = ((sorted.len() - 1) as f64 * share) as usize;
    sorted
        .get(index)
        .map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e3)
}

#[tokio::main]
async fn main() -> Result<(), Problem> {
    let mut args = std::env::args().skip(1);
    let profile = match args.next().as_deref() {
        Some("classic") => Profile::Classic,
        _ => Profile::Quorum,
    };
    let jobs: usize = args.next().map_or(Ok(20_000), |jobs| jobs.parse())?;
    let bundle: usize = args.next().map_or(Ok(1), |bundle| bundle.parse())?;
    let (broker, redis) = (
        RabbitMq::start().await?,
        Redis::start(RedisOptions::default()).await?,
    );
    let mut config = BackendConfig::new(Endpoints::servers(&broker.amqp_url(), &redis.url())?);
    config.profile = profile;
    let client = Client::builder()
        .bundle_max(bundle)
        .backend(&Backend::connect(&config).await?)?;
    let stop = CancellationToken::new();
    let scheduler = Scheduler::builder(Backend::connect(&config).await?.ports().clone());
    tokio::spawn(scheduler.shutdown(stop.clone()).run());
    let pids = [
        std::process::id(),
        broker.pid().unwrap_or(0),
        redis.pid().unwrap_or(0),
    ];
    let seen = Seen::default();
    println!("{profile:?}, {jobs} jobs, at most {bundle} a message");
    enqueue(&client, 500).await?;
    let warm = worker(&config, &seen).await?;
    until_done(&seen, 500).await;
    warm.cancel();
    tokio::time::sleep(Duration::from_secs(1)).await;

    let phase = Phase::begin(pids);
    enqueue(&client, jobs).await?;
    phase.end("enqueue", jobs);

    seen.done.store(0, Ordering::Relaxed);
    let phase = Phase::begin(pids);
    let stop_worker = worker(&config, &seen).await?;
    until_done(&seen, jobs).await;
    phase.end("drain", jobs);

    seen.done.store(0, Ordering::Relaxed);
    let phase = Phase::begin(pids);
    enqueue(&client, jobs).await?;
    until_done(&seen, jobs).await;
    phase.end("end to end", jobs);

    let mut tick = tokio::time::interval(Duration::from_millis(10));
    seen.done.store(0, Ordering::Relaxed);
    let phase = Phase::begin(pids);
    for number in 0..1_000 {
        tick.tick().await;
        seen.called.lock().push(Instant::now());
        let call = client.enqueue(job(number)).into_future();
        tokio::spawn(async move {
            if let Err(error) = call.await {
                println!("an enqueue failed: {error}");
            }
        });
    }
    until_done(&seen, 1_000).await;
    phase.end("100 a second", 1_000);
    let mut waits = seen.waits.lock().clone();
    waits.sort_unstable();
    println!(
        "enqueue to start at 100/s: p50 {:.1} ms, p99 {:.1} ms",
        percentile(&waits, 0.5),
        percentile(&waits, 0.99)
    );
    stop_worker.cancel();
    stop.cancel();
    Ok(())
}
