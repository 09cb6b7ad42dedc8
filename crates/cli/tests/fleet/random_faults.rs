//! Random faults from a printed seed, on a fleet of processes and servers of its own, judged by the history of its jobs.
//!
//! `LONGSHORE_SOAK_SECONDS` says how long faults come, `LONGSHORE_SOAK_SEED` which.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_testkit::history::Ties;
use longshore_testkit::process::Proc;
use longshore_testkit::servers::{RabbitMq, Redis, RedisOptions};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::process::Fleet;
use crate::scene::{REST, Scene, jobs, number};

/// Jobs of one enqueue.
const BATCH: usize = 10;

struct Soak {
    scene: Scene,
    broker: RabbitMq,
    redis: Redis,
    workers: Vec<Proc>,
    schedulers: Vec<Proc>,
    batches: Vec<Batch>,
    /// How often each kind of fault came.
    faults: BTreeMap<&'static str, usize>,
}

struct Batch {
    tag: String,
    jobs: Vec<Value>,
    file: String,
    acknowledged: bool,
}

impl Soak {
    async fn start() -> Self {
        let broker = RabbitMq::start().await.unwrap();
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let mut fleet = Fleet::on(broker.amqp_url(), redis.url(), "quorum");
        fleet.keep_binary();
        let scene = Scene::of(fleet);
        let workers = (0..3).map(|_| scene.worker()).collect();
        let schedulers = (0..2).map(|_| scene.scheduler()).collect();
        Self {
            scene,
            broker,
            redis,
            workers,
            schedulers,
            batches: Vec::new(),
            faults: BTreeMap::new(),
        }
    }

    fn new_batch(&mut self) {
        let tag = format!("batch-{}", self.batches.len());
        let mut jobs = jobs(BATCH, "mark", 0.2);
        for job in &mut jobs {
            job["tags"] = json!([tag]);
        }
        self.batches.push(Batch {
            file: self.scene.file(&jobs),
            tag,
            jobs,
            acknowledged: false,
        });
    }

    /// Enqueues the batches that nobody has acknowledged yet; a second time changes nothing.
    async fn enqueue(&mut self) {
        for batch in self.batches.iter_mut().filter(|batch| !batch.acknowledged) {
            let asked = self.scene.fleet.run(&["enqueue", "--file", &batch.file]).await;
            if asked.is_ok() {
                self.scene.are_acknowledged(&batch.jobs);
                batch.acknowledged = true;
            }
        }
    }

    async fn fault(&mut self) {
        let short = Duration::from_millis(500 + self.scene.random_below(3_000));
        let (worker_at, scheduler_at) = (self.scene.below(3), self.scene.below(2));
        let what = match self.scene.below(9) {
            0 | 1 => {
                self.workers[worker_at].kill9();
                self.workers[worker_at] = self.scene.worker();
                "worker killed"
            }
            2 => {
                // Half of the time beyond its lease.
                self.workers[worker_at].stop();
                sleep(if self.scene.below(2) == 0 {
                    short
                } else {
                    Duration::from_secs(40)
                })
                .await;
                self.workers[worker_at].cont();
                "worker frozen"
            }
            3 => {
                self.schedulers[scheduler_at].kill9();
                self.schedulers[scheduler_at] = self.scene.scheduler();
                "scheduler killed"
            }
            4 => {
                self.schedulers[scheduler_at].stop();
                sleep(short).await;
                self.schedulers[scheduler_at].cont();
                "scheduler frozen"
            }
            5 => {
                self.redis.kill9();
                sleep(short).await;
                self.redis.restart().await.unwrap();
                "Redis killed"
            }
            6 => {
                self.redis.freeze();
                sleep(short).await;
                self.redis.thaw();
                "Redis frozen"
            }
            7 => {
                self.broker.kill9();
                self.broker.restart().await.unwrap();
                "RabbitMQ killed"
            }
            _ => {
                self.broker.freeze();
                sleep(short).await;
                self.broker.thaw();
                "RabbitMQ frozen"
            }
        };
        *self.faults.entry(what).or_default() += 1;
        eprintln!("  fault {}: {what}", self.faults.values().sum::<usize>());
    }

    /// Every process that is not there is started: a scheduler or worker may give up when it starts during an outage.
    fn heal(&mut self) {
        for at in 0..self.workers.len() {
            if self.workers[at].try_wait().is_some() {
                self.workers[at] = self.scene.worker();
            }
        }
        for at in 0..self.schedulers.len() {
            if self.schedulers[at].try_wait().is_some() {
                self.schedulers[at] = self.scene.scheduler();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes LONGSHORE_SOAK_SECONDS, two minutes unless set, and the time to come to rest"]
async fn real_servers_soak_random_faults_lose_and_double_nothing() {
    let seconds = number("LONGSHORE_SOAK_SECONDS", 120);
    eprintln!("random faults for {seconds} s");
    let mut soak = Soak::start().await;
    soak.new_batch();
    soak.enqueue().await;
    soak.scene.started(BATCH).await;
    // A node writes the definitions of its queues late; killed before that it comes back with queues that have no leader, for
    // ever, and nothing of what follows would be tried.
    soak.broker.control().write_buffered().await.unwrap();
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        soak.new_batch();
        soak.enqueue().await;
        if soak.scene.below(2) == 0 {
            soak.fault().await;
            soak.heal();
        }
        let at = soak.scene.below(soak.batches.len());
        soak.scene.look_at(&["--tag", &soak.batches[at].tag]).await;
    }
    let healed = Instant::now();
    while soak.batches.iter().any(|batch| !batch.acknowledged) {
        assert!(
            healed.elapsed() < REST,
            "enqueues are refused long after the faults"
        );
        soak.heal();
        soak.enqueue().await;
    }
    eprintln!("{seconds} s, faults {:?}", soak.faults);
    let verdict = soak.scene.judge(healed, &Ties::default()).await;
    eprintln!("{verdict}");
    assert_eq!(verdict.acknowledged, soak.batches.len() * BATCH);
    assert!(!soak.faults.is_empty(), "no faults in {seconds} s");
}
