//! Who runs what, and when.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::message::MessageJob;
use longshore_core::port::enqueue::NewJob;
use longshore_core::random::SystemRandom;
use longshore_core::{Clock, Envelope, JobError, JobId, JobStatus, Priority, QueueName, SystemClock, limits};
use longshore_worker::{Builder, State, Worker};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::rig::{Echo, Rig, Running, echo, named, publish, until, until_known};

/// Lets attempts end one by one, and keeps the order in which they started.
#[derive(Clone)]
struct Gate {
    starts: Arc<Mutex<Vec<String>>>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self {
            starts: Arc::default(),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    fn started(&self) -> usize {
        self.starts.lock().len()
    }
}

/// A worker that takes jobs ahead of its slots, whatever they are.
fn holding(rig: &Rig, slots: usize) -> Builder {
    rig.worker().max_workers(slots).prefetch(16)
}

async fn gated(job: Echo, State(gate): State<Gate>) -> Result<String, JobError> {
    gate.starts.lock().push(job.text.clone());
    gate.open.acquire().await?.forget();
    Ok(job.text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_critical_job_starts_at_the_next_free_slot() {
    let rig = Rig::new();
    let gate = Gate::new();
    let worker = Running::start(holding(&rig, 1).state(gate.clone()).register(gated));
    rig.enqueue(echo("first")).await;
    until("the first starts", || gate.started() == 1).await;
    for text in ["second", "third"] {
        rig.enqueue(echo(text)).await;
    }
    let mut critical = echo("critical");
    critical.priority = Priority::Critical;
    let id = rig.enqueue(critical).await;
    until("some wait", || worker.stats.snapshot().waiting >= 2).await;
    gate.open.add_permits(4);
    rig.until(id, JobStatus::Completed).await;
    until("all start", || gate.started() == 4).await;
    assert_eq!(gate.starts.lock()[1], "critical");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_jobs_run_at_once_than_there_are_slots() {
    let rig = Rig::new();
    let gate = Gate::new();
    let worker = Running::start(holding(&rig, 3).state(gate.clone()).register(gated));
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(rig.enqueue(echo(&number.to_string())).await);
    }
    until("the slots are full", || {
        gate.started() == 3 && worker.stats.snapshot().waiting > 0
    })
    .await;
    let mut running = 0;
    for id in &ids {
        running += usize::from(rig.view(*id).await.status == JobStatus::Running);
    }
    assert_eq!(running, 3);
    gate.open.add_permits(6);
    for id in ids {
        rig.until(id, JobStatus::Completed).await;
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_is_not_registered_is_handed_to_a_worker_that_has_it() {
    let rig = Rig::new();
    let nothing = async |_: serde_json::Value| Ok::<_, JobError>(());
    let one = Running::start(rig.worker().register_named("other", nothing));
    let id = rig.enqueue(named("mine", &())).await;
    until("it is handed back", || one.stats.snapshot().given_back > 0).await;
    assert_eq!(one.stop().await.stats.started, 0);
    let two = Running::start(rig.worker().register_named("mine", nothing));
    let view = rig.until(id, JobStatus::Completed).await;
    assert_eq!((view.attempts, view.losts), (1, 0));
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_queue_starts_nothing_until_it_is_resumed() {
    let rig = Rig::new();
    let gate = Gate::new();
    let worker = Running::start(holding(&rig, 1).state(gate.clone()).register(gated));
    let first = rig.enqueue(echo("first")).await;
    rig.until(first, JobStatus::Running).await;
    rig.enqueue(echo("second")).await;
    until("the second waits", || worker.stats.snapshot().waiting == 1).await;
    rig.ports
        .inspect
        .set_paused(QueueName::default(), true)
        .await
        .unwrap();
    until("it goes back", || worker.stats.snapshot().given_back == 1).await;
    gate.open.add_permits(2);
    rig.until(first, JobStatus::Completed).await;
    assert_eq!(gate.started(), 1);
    rig.ports
        .inspect
        .set_paused(QueueName::default(), false)
        .await
        .unwrap();
    until("it starts after all", || gate.started() == 2).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jobs_of_one_message_run_each_and_a_lost_record_is_rebuilt() {
    let rig = Rig::new();
    let now = SystemClock.now();
    let mut ids = Vec::new();
    let mut jobs = Vec::new();
    let mut like = None;
    let mut epoch = 0;
    for number in 0..3 {
        let id = JobId::generate(now, 1, &SystemRandom);
        let envelope = Envelope::from_spec(&echo(&number.to_string()), id, now);
        let encoded = envelope.encode().unwrap();
        // The last job's record is missing.
        if number < 2 {
            let new = NewJob::from_envelope(&envelope, encoded.clone());
            epoch = rig.ports.enqueue.enqueue(1, vec![new]).await.unwrap().epoch;
        }
        jobs.push(MessageJob {
            id,
            gen_: 1,
            attempts: 0,
            retries: 0,
            losts: 0,
            envelope: encoded,
        });
        like = Some(envelope);
        ids.push(id);
    }
    publish(&rig.ports, 1, epoch, &like.unwrap(), jobs).await;
    let worker = Running::start(
        rig.worker()
            .register(async |job: Echo| Ok::<_, JobError>(job.text)),
    );
    for id in &ids {
        until_known(&rig, *id).await;
        rig.until(*id, JobStatus::Completed).await;
    }
    let stats = worker.stop().await.stats;
    assert_eq!((stats.completed, stats.rebuilt), (3, 1));
    let depths = rig
        .ports
        .consume
        .depths(vec![QueueName::default()])
        .await
        .unwrap();
    assert_eq!(depths.iter().map(|depth| depth.ready).sum::<u64>(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_whose_record_is_wiped_while_it_runs_still_completes_its_job() {
    let rig = Rig::new();
    let gate = Gate::new();
    let worker = Running::start(rig.worker().state(gate.clone()).register(gated));
    let id = rig.enqueue(echo("x")).await;
    until("it starts", || gate.started() == 1).await;
    rig.store.wipe().unwrap();
    gate.open.add_permits(1);
    until_known(&rig, id).await;
    let view = rig.until(id, JobStatus::Completed).await;
    assert_eq!(view.attempts, 1);
    assert_eq!(worker.stop().await.stats.rebuilt, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_message_go_into_quarantine_and_hold_nothing_up() {
    let rig = Rig::new();
    rig.store.inject(&QueueName::default(), b"not a message");
    let worker = Running::start(
        rig.worker()
            .register(async |job: Echo| Ok::<_, JobError>(job.text)),
    );
    until("they are put aside", || worker.stats.snapshot().quarantined == 1).await;
    let id = rig.enqueue(echo("x")).await;
    rig.until(id, JobStatus::Completed).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_ends_is_made_again_and_what_ran_goes_on() {
    let rig = Rig::new();
    let gate = Gate::new();
    let worker = Running::start(rig.worker().state(gate.clone()).register(gated));
    let first = rig.enqueue(echo("first")).await;
    until("it starts", || gate.started() == 1).await;
    rig.store.delete_queue(&QueueName::default());
    let second = rig.enqueue(echo("second")).await;
    gate.open.add_permits(2);
    rig.until(first, JobStatus::Completed).await;
    rig.until(second, JobStatus::Completed).await;
    assert_eq!(worker.stop().await.stats.started, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_lost_two_workers_runs_alone() {
    let rig = Rig::new();
    let gate = Gate::new();
    let worker = Running::start(rig.worker().max_workers(4).state(gate.clone()).register(gated));
    let first = rig.enqueue(echo("first")).await;
    until("the first starts", || gate.started() == 1).await;
    let now = SystemClock.now();
    let id = JobId::generate(now, 0, &SystemRandom);
    let envelope = Envelope::from_spec(&echo("dangerous"), id, now);
    let job = MessageJob {
        id,
        gen_: 3,
        attempts: 2,
        retries: 0,
        losts: 2,
        envelope: envelope.encode().unwrap(),
    };
    publish(&rig.ports, 0, 0, &envelope, vec![job]).await;
    until("it waits", || worker.stats.snapshot().waiting == 1).await;
    let third = rig.enqueue(echo("third")).await;
    until("the third waits too", || worker.stats.snapshot().waiting == 2).await;
    gate.open.add_permits(1);
    rig.until(first, JobStatus::Completed).await;
    until("the dangerous one starts", || gate.started() == 2).await;
    // The loop counts a start after its handler has begun.
    until("one runs", || worker.stats.snapshot().busy == 1).await;
    assert_eq!(rig.view(third).await.status, JobStatus::Queued);
    gate.open.add_permits(2);
    rig.until(id, JobStatus::Completed).await;
    rig.until(third, JobStatus::Completed).await;
    assert_eq!(*gate.starts.lock(), ["first", "dangerous", "third"]);
    worker.stop().await;
}

/// Blocks its thread; the two such threads of the test's runtime are all it has.
#[expect(clippy::disallowed_methods, reason = "the case is about handlers that block")]
async fn hog(_: Echo) -> Result<String, JobError> {
    std::thread::sleep(limits::LEASE + Duration::from_secs(3));
    Ok("still mine".to_owned())
}

#[test]
fn a_handler_that_blocks_every_thread_of_its_runtime_keeps_its_lease() {
    let mine = runtime(2);
    let theirs = runtime(1);
    mine.block_on(async {
        let rig = Rig::new();
        let worker = Running::start_on(theirs.handle(), rig.worker().max_workers(1).register(hog));
        let id = rig.enqueue(echo("x")).await;
        let running = rig.until(id, JobStatus::Running).await;
        let began = tokio::time::Instant::now();
        while began.elapsed() < limits::LEASE + Duration::from_secs(1) {
            let shard = rig.ports.enqueue.shards().of(&id);
            let expired = rig.ports.schedule.expire_leases(shard, 10).await.unwrap();
            assert_eq!((expired.requeued, expired.failed), (0, 0));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let later = rig.view(id).await;
        assert!(later.lease_until > running.lease_until, "{later:?}");
        let view = rig.until(id, JobStatus::Completed).await;
        assert_eq!((view.attempts, view.losts), (1, 0));
        worker.stop().await;
    });
    theirs.shutdown_background();
}

fn runtime(threads: usize) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(threads).enable_all().build().unwrap()
}

#[test]
fn urls_that_cannot_be_used_are_told_with_every_other_problem() {
    let urls = ("amqp://u:s3cret@h".to_owned(), "http://h".to_owned());
    let error = Worker::builder(urls).build().unwrap_err().to_string();
    assert!(
        error.contains("redis_url:") && error.contains("no handler is registered"),
        "{error}"
    );
    assert!(!error.contains("s3cret"), "{error}");
    let error = Worker::builder("embedded://").build().unwrap_err().to_string();
    assert!(error.contains("embedded://FOLDER"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_ahead_of_unknown_jobs_and_something_of_short_ones() {
    const JOBS: usize = 100;
    let rig = Rig::new();
    let gate = Gate::new();
    let worker = Running::start(rig.worker().max_workers(2).state(gate.clone()).register(gated));
    let ahead = || worker.stats.snapshot().waiting;
    let mut ids = Vec::new();
    for number in 0..JOBS {
        ids.push(rig.enqueue(echo(&number.to_string())).await);
    }
    until("the slots are full", || gate.started() == 2).await;
    assert_eq!(ahead(), 0);
    // The first ones end at once and show that they are short; those behind them do not.
    gate.open.add_permits(JOBS / 2);
    until("some are taken ahead", || {
        gate.started() == JOBS / 2 + 2 && ahead() > 2
    })
    .await;
    gate.open.add_permits(JOBS / 2);
    for id in ids {
        rig.until(id, JobStatus::Completed).await;
    }
    worker.stop().await;
}
