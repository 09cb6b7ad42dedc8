//! What a worker has taken ahead of its slots, by a subscription of its own, goes back when it may not run there.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::port::broker::{Depth, Source, Subscription};
use longshore_core::port::{ConsumePort, Ports, Reply};
use longshore_core::{JobError, JobId, JobStatus, QueueName};
use longshore_worker::Worker;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::rig::{Echo, Rig, Running, echo, gated, until};

const SLOTS: usize = 2;
/// Jobs that show that they are short.
const SHORT: usize = 8;

/// A broker that remembers how many messages each subscription of a worker may hold.
struct Remembering {
    broker: Arc<dyn ConsumePort>,
    prefetches: Mutex<Vec<u16>>,
}

impl ConsumePort for Remembering {
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        self.prefetches.lock().push(prefetch);
        self.broker.subscribe(source, prefetch)
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

/// A worker whose slots are busy, and which has ahead of them as many jobs as it may.
struct Full {
    rig: Rig,
    worker: Running,
    gate: Arc<Semaphore>,
    running: Vec<JobId>,
    /// What it has taken ahead, and one job that it has not.
    waiting: Vec<JobId>,
    taken: usize,
}

impl Full {
    async fn new() -> Self {
        let rig = Rig::new();
        let broker = Arc::new(Remembering {
            broker: rig.ports.consume.clone(),
            prefetches: Mutex::default(),
        });
        let ports = Ports {
            consume: broker.clone(),
            ..rig.ports.clone()
        };
        let gate = Arc::new(Semaphore::new(SHORT));
        let builder = Worker::builder(ports).max_workers(SLOTS);
        let worker = Running::start(builder.state(Arc::clone(&gate)).register(gated));
        for id in enqueue(&rig, SHORT).await {
            rig.until(id, JobStatus::Completed).await;
        }
        until("it subscribes for more than its slots", || {
            broker.prefetches.lock().len() == 2
        })
        .await;
        let taken = usize::from(broker.prefetches.lock()[1]);
        let running = enqueue(&rig, SLOTS).await;
        for id in &running {
            rig.until(*id, JobStatus::Running).await;
        }
        let waiting = enqueue(&rig, taken + 1).await;
        until("it has taken all that it may", || {
            worker.stats.snapshot().waiting == taken as u64
        })
        .await;
        assert_eq!(ready(&rig).await, 1);
        Self {
            rig,
            worker,
            gate,
            running,
            waiting,
            taken,
        }
    }

    /// It has given up all that it had taken ahead, and its slots are as busy as before.
    async fn holds_nothing(&self) {
        let now = || self.worker.stats.snapshot();
        until("nothing waits in it", || now().waiting == 0).await;
        assert_eq!(now().busy, SLOTS as u64);
    }

    /// Lets what runs end, and the worker with it: it has given each job that it had taken ahead back once, and with its
    /// subscriptions no message more comes back than are there.
    async fn end(self, messages: usize) -> Rig {
        self.gate.add_permits(SLOTS);
        for id in self.running {
            let view = self.rig.until(id, JobStatus::Completed).await;
            assert_eq!((view.attempts, view.losts), (1, 0));
        }
        let report = self.worker.stop().await;
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.stats.started, (SHORT + SLOTS) as u64);
        assert_eq!(report.stats.given_back, self.taken as u64);
        assert_eq!(ready(&self.rig).await, messages);
        self.rig
    }
}

async fn enqueue(rig: &Rig, count: usize) -> Vec<JobId> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(rig.enqueue(echo(&number.to_string())).await);
    }
    ids
}

/// How many messages the broker has that no worker holds.
async fn ready(rig: &Rig) -> usize {
    let depths = rig.ports.consume.depths(vec![QueueName::default()]).await;
    let ready: u64 = depths.unwrap().iter().map(|depth| depth.ready).sum();
    usize::try_from(ready).unwrap()
}

async fn until_ready(rig: &Rig, messages: usize) {
    let all = async {
        while ready(rig).await != messages {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), all).await;
    in_time.expect("the broker has every message again");
}

/// Another worker runs these jobs, each once and as if nobody had had it before.
async fn another_runs(rig: &Rig, ids: &[JobId]) {
    let handler = async |job: Echo| Ok::<_, JobError>(job.text);
    let other = Running::start(rig.worker().register(handler));
    for id in ids {
        let view = rig.until(*id, JobStatus::Completed).await;
        assert_eq!((view.attempts, view.losts), (1, 0));
    }
    assert_eq!(other.stop().await.stats.started, ids.len() as u64);
}

async fn pause(rig: &Rig, paused: bool) {
    let set = rig.ports.inspect.set_paused(QueueName::default(), paused);
    set.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_ahead_goes_back_when_its_queue_is_paused_and_runs_once_elsewhere() {
    let full = Full::new().await;
    let waiting = full.waiting.clone();
    pause(&full.rig, true).await;
    full.holds_nothing().await;
    until_ready(&full.rig, waiting.len()).await;
    let rig = full.end(waiting.len()).await;
    pause(&rig, false).await;
    another_runs(&rig, &waiting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_ahead_goes_back_when_its_worker_drains_and_runs_once_elsewhere_meanwhile() {
    let full = Full::new().await;
    full.worker.stop.cancel();
    full.holds_nothing().await;
    another_runs(&full.rig, &full.waiting).await;
    full.end(0).await;
}
