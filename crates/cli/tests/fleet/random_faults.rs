//! Random faults from a printed seed, on a fleet of processes and servers of its own that works all the time, judged by the
//! history of its jobs. Faults overlap: the next one comes whether or not the last has healed. Each heals by itself.
//!
//! `LONGSHORE_SOAK_SECONDS` says how long faults come, `LONGSHORE_SOAK_SEED` which.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use longshore_core::JobId;
use longshore_testkit::process::Proc;
use longshore_testkit::proxy::Proxy;
use longshore_testkit::servers::{RabbitMq, Redis, RedisOptions};
use longshore_testkit::wait::eventually;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::process::Fleet;
use crate::random_load::{CRON, Load};
use crate::scene::{REST, Scene, id_of, number};

/// At most so many faults at once: something is to work, most of the time.
const AT_ONCE: usize = 4;
const WORKERS: usize = 3;
const SCHEDULERS: usize = 2;

/// What a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Worker(usize),
    Scheduler(usize),
    Redis,
    RabbitMq,
    /// The way of a process to a server: of the last worker to Redis and RabbitMQ, of the last scheduler to both.
    Wire(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Killed,
    Frozen,
    CutOff,
    HeardAndHearsNothing,
    HearsAndIsNotHeard,
    Slow,
    Reset,
}

/// A process, and how it was started.
struct Member {
    process: Proc,
    args: Vec<String>,
}

/// Servers, processes, and the ways of those that reach their servers through proxies alone.
struct Site {
    scene: Arc<Scene>,
    broker: RabbitMq,
    redis: Redis,
    wires: Vec<Proxy>,
    workers: Vec<Mutex<Member>>,
    schedulers: Vec<Mutex<Member>>,
    /// What is not healed.
    ill: Mutex<BTreeSet<Target>>,
    /// How often each kind of fault came.
    faults: Mutex<BTreeMap<(&'static str, Fault), usize>>,
    /// Faults that began before another one had healed.
    overlapping: Mutex<usize>,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Worker(_) => "worker",
            Self::Scheduler(_) => "scheduler",
            Self::Redis => "Redis",
            Self::RabbitMq => "RabbitMQ",
            Self::Wire(0) => "worker to Redis",
            Self::Wire(1) => "worker to RabbitMQ",
            Self::Wire(2) => "scheduler to Redis",
            Self::Wire(_) => "scheduler to RabbitMQ",
        }
    }
}

impl Site {
    async fn start() -> Self {
        let broker = RabbitMq::start().await.unwrap();
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let mut wires = Vec::new();
        for addr in [redis.addr(), broker.addr(), redis.addr(), broker.addr()] {
            wires.push(Proxy::start(addr).await.unwrap());
        }
        let mut fleet = Fleet::on(broker.amqp_url(), redis.url(), "quorum");
        fleet.keep_binary();
        let scene = Arc::new(Scene::of(fleet));
        scene.configure(CRON);
        let through = |role: &[&str], redis_wire: &Proxy, broker_wire: &Proxy| {
            let amqp = broker
                .amqp_url()
                .replace(&broker.addr().to_string(), &broker_wire.addr().to_string());
            let redis = redis.url_at(redis_wire.addr());
            let args = [role, &["--amqp-url", &amqp, "--redis-url", &redis]].concat();
            args.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let (worker, scheduler) = (["worker", "--max-workers", "4"], ["scheduler"]);
        let last_worker = through(&worker, &wires[0], &wires[1]);
        let last_scheduler = through(&scheduler, &wires[2], &wires[3]);
        let start = |role: &[&str], last: Vec<String>, count: usize| {
            let direct = role.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
            let all = vec![direct; count - 1].into_iter().chain([last]);
            all.map(|args| {
                let process = start(&scene, &args);
                Mutex::new(Member { process, args })
            })
            .collect()
        };
        Self {
            workers: start(&worker, last_worker, WORKERS),
            schedulers: start(&scheduler, last_scheduler, SCHEDULERS),
            scene,
            broker,
            redis,
            wires,
            ill: Mutex::default(),
            faults: Mutex::default(),
            overlapping: Mutex::default(),
        }
    }

    fn any_fault(&self) -> (Target, Fault) {
        let below = |count| self.scene.below(count);
        match below(15) {
            0 | 1 => (Target::Worker(below(WORKERS)), Fault::Killed),
            2 => (Target::Worker(below(WORKERS)), Fault::Frozen),
            3 => (Target::Scheduler(below(SCHEDULERS)), Fault::Killed),
            4 => (Target::Scheduler(below(SCHEDULERS)), Fault::Frozen),
            5 => (Target::Redis, Fault::Killed),
            6 => (Target::Redis, Fault::Frozen),
            7 => (Target::RabbitMq, Fault::Killed),
            8 => (Target::RabbitMq, Fault::Frozen),
            9 => (Target::Wire(below(4)), Fault::Reset),
            10 => (Target::Wire(below(4)), Fault::Slow),
            11 => (Target::Wire(below(4)), Fault::HeardAndHearsNothing),
            12 => (Target::Wire(below(4)), Fault::HearsAndIsNotHeard),
            _ => (Target::Wire(below(4)), Fault::CutOff),
        }
    }

    /// Begins a fault, unless what it would hit is ill already or too much is; it heals by itself.
    fn begin(self: &Arc<Self>, running: &mut JoinSet<()>) {
        let (target, fault) = self.any_fault();
        let mut length = Duration::from_millis(500 + self.scene.random_below(3_000));
        // Beyond a lease; servers come back sooner.
        if self.scene.below(4) == 0 {
            length = match target {
                Target::Redis | Target::RabbitMq => length * 4,
                _ => Duration::from_secs(40),
            };
        }
        {
            let mut ill = self.ill.lock();
            if ill.len() >= AT_ONCE || !ill.insert(target) {
                return;
            }
            *self.overlapping.lock() += usize::from(ill.len() > 1);
            eprintln!(
                "  {} {fault:?} for {length:?}, with {} others",
                target.name(),
                ill.len() - 1
            );
        }
        *self.faults.lock().entry((target.name(), fault)).or_default() += 1;
        let site = Arc::clone(self);
        running.spawn(async move {
            site.suffer(target, fault, length).await;
            site.ill.lock().remove(&target);
        });
    }

    async fn suffer(&self, target: Target, fault: Fault, length: Duration) {
        match target {
            Target::Worker(at) => self.process_suffers(&self.workers[at], fault, length).await,
            Target::Scheduler(at) => self.process_suffers(&self.schedulers[at], fault, length).await,
            Target::Redis if fault == Fault::Killed => {
                self.redis.kill9();
                sleep(length).await;
                self.redis.restart().await.unwrap();
            }
            Target::Redis => {
                self.redis.freeze();
                sleep(length).await;
                self.redis.thaw();
            }
            Target::RabbitMq if fault == Fault::Killed => {
                self.broker.kill9();
                sleep(length).await;
                self.broker.restart().await.unwrap();
            }
            Target::RabbitMq => {
                self.broker.freeze();
                sleep(length).await;
                self.broker.thaw();
            }
            Target::Wire(at) => {
                let wire = &self.wires[at];
                match fault {
                    Fault::HeardAndHearsNothing => wire.drop_replies(),
                    Fault::HearsAndIsNotHeard => wire.drop_requests(),
                    Fault::Slow => wire.latency(length / 20),
                    Fault::Reset => wire.cut(),
                    Fault::CutOff | Fault::Killed | Fault::Frozen => wire.half_open(),
                }
                if fault != Fault::Reset {
                    sleep(length).await;
                }
                wire.heal().await.unwrap();
            }
        }
    }

    async fn process_suffers(&self, member: &Mutex<Member>, fault: Fault, length: Duration) {
        if fault == Fault::Frozen {
            member.lock().process.stop();
            sleep(length).await;
            member.lock().process.cont();
        } else {
            // Nobody is missed for long: a supervisor starts the next one.
            member.lock().process.kill9();
            sleep(length.min(Duration::from_secs(3))).await;
            let mut member = member.lock();
            member.process = start(&self.scene, &member.args);
        }
    }

    /// Every process that ended by itself is started: one may give up when it starts during an outage.
    fn supervise(&self) {
        let ill = self.ill.lock();
        let workers = (0..WORKERS).map(|at| (Target::Worker(at), &self.workers[at]));
        let schedulers = (0..SCHEDULERS).map(|at| (Target::Scheduler(at), &self.schedulers[at]));
        for (_, member) in workers
            .chain(schedulers)
            .filter(|(target, _)| !ill.contains(target))
        {
            let mut member = member.lock();
            if member.process.try_wait().is_some() {
                member.process = start(&self.scene, &member.args);
            }
        }
    }

    /// When everything is at rest: no row of an index that disagrees with a record, and no message.
    async fn nothing_is_left(&self) {
        let said = self
            .scene
            .fleet
            .command(&["doctor", "-o", "json"])
            .output()
            .unwrap();
        let said: Value = serde_json::from_slice(&said.stdout).unwrap();
        let findings = said["findings"].as_array().unwrap().iter();
        let rows: Vec<_> = findings
            .filter(|finding| finding["problem"].as_str().unwrap().contains("row"))
            .collect();
        assert!(rows.is_empty() && !said["compared"].is_null(), "{said}");
        // A copy that the audit published is taken and dropped.
        let messages = || async {
            let queues = self.broker.control().list_queues("/").await.unwrap();
            let jobs = queues.iter().filter(|queue| queue.name.starts_with("jobs."));
            let full: Vec<_> = jobs.filter(|queue| queue.ready + queue.unacked > 0).collect();
            if full.is_empty() {
                Ok(())
            } else {
                Err(format!("{full:?}"))
            }
        };
        eventually(REST, "no message is left", messages).await.unwrap();
    }

    /// One accepted end for each job, by what the store counted in the scripts that accepted them.
    async fn ends_were_counted_once(&self, known: &[Value]) {
        let said = self
            .scene
            .fleet
            .run(&["stats", "--window", "2h", "-o", "json"])
            .await
            .unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        eprintln!("counted: {}", said["total"]);
        for status in ["completed", "failed", "cancelled", "expired"] {
            let ended = known.iter().filter(|job| job["status"] == status).count();
            assert_eq!(said["total"][status], ended, "{status}: {}", said["total"]);
        }
        assert_eq!(said["total"]["enqueued"], known.len(), "{}", said["total"]);
    }
}

fn start(scene: &Scene, args: &[String]) -> Proc {
    scene
        .fleet
        .start(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes LONGSHORE_SOAK_SECONDS, two minutes unless set, and the time to come to rest"]
async fn real_servers_soak_random_faults_lose_and_double_nothing() {
    let seconds = number("LONGSHORE_SOAK_SECONDS", 120);
    eprintln!("random faults for {seconds} s");
    let site = Arc::new(Site::start().await);
    let scene = Arc::clone(&site.scene);
    let load = Load::new(Arc::clone(&scene));
    load.first().await;
    scene.started(10).await;
    // A node writes the definitions of its queues late; killed before that it comes back with queues that have no leader, for
    // ever, and nothing of what follows would be tried.
    site.broker.control().write_buffered().await.unwrap();
    let mut people = JoinSet::new();
    for _ in 0..2 {
        people.spawn(Arc::clone(&load).produce());
    }
    people.spawn(Arc::clone(&load).meddle());
    let (mut running, end) = (JoinSet::new(), Instant::now() + Duration::from_secs(seconds));
    while Instant::now() < end {
        sleep(Duration::from_millis(300 + scene.random_below(5_000))).await;
        site.supervise();
        site.begin(&mut running);
        // A task that panicked would otherwise be known at the end only.
        while let Some(ended) = running.try_join_next() {
            ended.unwrap();
        }
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
    let healed = Instant::now();
    load.is_over();
    while let Some(ended) = people.join_next().await {
        ended.unwrap();
    }
    site.supervise();
    load.ask_for_the_rest().await;
    let paused = || async { scene.fleet.run(&["cron", "pause", "tick"]).await };
    eventually(REST, "the entry is paused", paused).await.unwrap();
    let ticked = || async { scene.look_at(&["--tag", "cron:tick"]).await };
    let ticked = eventually(REST, "the jobs of ticks are listed", ticked)
        .await
        .unwrap();
    let ties = load.ties(&ticked);
    let faults = site.faults.lock().clone();
    eprintln!(
        "{seconds} s, {} faults, {} of them before another had healed: {faults:?}",
        faults.values().sum::<usize>(),
        site.overlapping.lock(),
    );
    let verdict = scene.judge(healed, &ties).await;
    let known = scene.look().await.unwrap();
    let ends = known
        .iter()
        .map(|job| (id_of(job), job["status"].as_str().unwrap().to_owned()));
    let told = load.cancels_were_true(&ends.collect::<BTreeMap<JobId, _>>());
    site.ends_were_counted_once(&known).await;
    site.nothing_is_left().await;
    eprintln!(
        "{verdict}; {} jobs known, {} ticks, {told} cancels told, producers: {:?} killed, {:?} refused",
        known.len(),
        ticked.len(),
        load.killed,
        load.refused,
    );
    assert_eq!(verdict.acknowledged, load.acknowledged());
    assert!(!faults.is_empty(), "no faults in {seconds} s");
    assert!(!ticked.is_empty(), "the entry never ticked");
}
