//! Random faults from a printed seed, on a fleet of processes and servers of its own, judged by the history of its jobs.
//!
//! `LONGSHORE_SOAK_SECONDS` says how long faults come, `LONGSHORE_SOAK_SEED` which.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use longshore_core::JobId;
use longshore_core::random::Random as _;
use longshore_testkit::factory::SeededRandom;
use longshore_testkit::history::{Event, Final, History, Ties};
use longshore_testkit::process::Proc;
use longshore_testkit::servers::{RabbitMq, Redis, RedisOptions};
use longshore_testkit::wait::eventually;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::process::Fleet;

/// Jobs of one enqueue.
const BATCH: usize = 10;
/// How long the fleet may take to come to rest: a lease, the pause after an outage, retries, and room.
const REST: Duration = Duration::from_secs(300);

/// Writes what it does into the history; every tenth job fails once. The result tells which start it is of.
const HANDLER: &str = r#"
printf '%s started %s %s\n' "$LONGSHORE_JOB_ID" "$LONGSHORE_ATTEMPT" "$LONGSHORE_FENCE" >> "$HISTORY"
sleep 0.2
case "$LONGSHORE_JOB_ID$LONGSHORE_ATTEMPT" in *01) exit 75 ;; esac
printf '%s ended %s\n' "$LONGSHORE_JOB_ID" "$LONGSHORE_ATTEMPT" >> "$HISTORY"
echo "{\"result\": $LONGSHORE_FENCE}"
"#;

struct Soak {
    fleet: Fleet,
    broker: RabbitMq,
    redis: Redis,
    random: SeededRandom,
    workers: Vec<Proc>,
    schedulers: Vec<Proc>,
    history: PathBuf,
    batches: Vec<Batch>,
    /// How often each kind of fault came.
    faults: BTreeMap<&'static str, usize>,
}

struct Batch {
    tag: String,
    ids: Vec<String>,
    file: PathBuf,
    acknowledged: bool,
}

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}: a number"))
    })
}

impl Soak {
    async fn start(seed: u64) -> Self {
        let broker = RabbitMq::start().await.unwrap();
        let redis = Redis::start(RedisOptions::default()).await.unwrap();
        let mut fleet = Fleet::on(broker.amqp_url(), redis.url(), "quorum");
        fleet.keep_binary();
        let history = fleet.folder().join("history");
        std::fs::write(&history, "").unwrap();
        let config = format!(
            "[worker.commands.mark]\nprogram = \"/bin/sh\"\nargs = [\"-c\", '''{HANDLER}''']\nenv = {{ HISTORY = \"{}\" }}\n",
            history.display()
        );
        std::fs::write(fleet.folder().join("longshore.toml"), config).unwrap();
        let workers = (0..3).map(|_| worker(&fleet)).collect();
        let schedulers = (0..2).map(|_| fleet.start(&["scheduler"])).collect();
        Self {
            fleet,
            broker,
            redis,
            random: SeededRandom::new(seed),
            workers,
            schedulers,
            history,
            batches: Vec::new(),
            faults: BTreeMap::new(),
        }
    }

    fn below(&self, count: usize) -> usize {
        usize::try_from(self.random.next_u64() % count as u64).unwrap()
    }

    /// Appends to the same file as the handlers, so that all events have one order.
    fn note(&self, lines: &str) {
        use std::io::Write as _;
        let mut file = std::fs::File::options().append(true).open(&self.history).unwrap();
        file.write_all(lines.as_bytes()).unwrap();
    }

    fn new_batch(&mut self) {
        let tag = format!("batch-{}", self.batches.len());
        let ids: Vec<_> = (0..BATCH).map(|_| Uuid::new_v4().to_string()).collect();
        let mut lines = String::new();
        for id in &ids {
            let job = json!({"id": id, "function_name": "mark", "args": {}, "tags": [tag], "max_retries": 20,
                "retry_delay": "1s"});
            writeln!(lines, "{job}").unwrap();
        }
        let file = self.fleet.folder().join(format!("{tag}.jsonl"));
        std::fs::write(&file, lines).unwrap();
        self.batches.push(Batch {
            tag,
            ids,
            file,
            acknowledged: false,
        });
    }

    /// Enqueues the batches that nobody has acknowledged yet; a second time changes nothing.
    async fn enqueue(&mut self) {
        for at in 0..self.batches.len() {
            let batch = &self.batches[at];
            if batch.acknowledged {
                continue;
            }
            let file = batch.file.to_str().unwrap();
            if self.fleet.run(&["enqueue", "--file", file]).await.is_ok() {
                let lines: String = batch.ids.iter().fold(String::new(), |mut lines, id| {
                    writeln!(lines, "{id} {}", Event::Acknowledged).unwrap();
                    lines
                });
                self.note(&lines);
                self.batches[at].acknowledged = true;
            }
        }
    }

    /// How the jobs of a batch stand, as a reader sees it; noted.
    async fn look(&self, batch: &Batch) -> Option<Vec<Value>> {
        let args = ["job", "ls", "-o", "json", "--limit", "1000", "--tag", &batch.tag];
        let jobs: Vec<Value> = serde_json::from_str(&self.fleet.run(&args).await.ok()?).unwrap();
        let mut lines = String::new();
        for job in &jobs {
            let (id, status) = (job["id"].as_str().unwrap(), job["status"].as_str().unwrap());
            writeln!(lines, "{id} seen {status} {}", job["finished_at_ms"]).unwrap();
        }
        self.note(&lines);
        Some(jobs)
    }

    async fn fault(&mut self) {
        let short = Duration::from_millis(500 + self.random.next_u64() % 3_000);
        let (worker_at, scheduler_at) = (self.below(3), self.below(2));
        let what = match self.below(9) {
            0 | 1 => {
                self.workers[worker_at].kill9();
                self.workers[worker_at] = worker(&self.fleet);
                "worker killed"
            }
            2 => {
                // Half of the time beyond its lease.
                self.workers[worker_at].stop();
                sleep(if self.below(2) == 0 {
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
                self.schedulers[scheduler_at] = self.fleet.start(&["scheduler"]);
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
                self.workers[at] = worker(&self.fleet);
            }
        }
        for at in 0..self.schedulers.len() {
            if self.schedulers[at].try_wait().is_some() {
                self.schedulers[at] = self.fleet.start(&["scheduler"]);
            }
        }
    }

    /// Whether every job of every batch has ended; why not otherwise.
    async fn at_rest(&self) -> Result<(), String> {
        for batch in &self.batches {
            let jobs = self.look(batch).await.ok_or("no answer")?;
            let open = jobs.iter().filter(|job| job["finished_at_ms"].is_null()).count();
            if jobs.len() < batch.ids.len() || open > 0 {
                return Err(format!("{}: {} known, {open} open", batch.tag, jobs.len()));
            }
        }
        Ok(())
    }
}

fn worker(fleet: &Fleet) -> Proc {
    fleet.start(&["worker", "--max-workers", "4"])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes LONGSHORE_SOAK_SECONDS, two minutes unless set, and the time to come to rest"]
async fn real_servers_soak_random_faults_lose_and_double_nothing() {
    let seconds = number("LONGSHORE_SOAK_SECONDS", 120);
    let seed = number("LONGSHORE_SOAK_SEED", u64::from(std::process::id()));
    eprintln!("random faults for {seconds} s; again by LONGSHORE_SOAK_SEED={seed}");
    let mut soak = Soak::start(seed).await;
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        soak.new_batch();
        soak.enqueue().await;
        if soak.below(2) == 0 {
            soak.fault().await;
            soak.heal();
        }
        let at = soak.below(soak.batches.len());
        soak.look(&soak.batches[at]).await;
    }
    let quiet = Instant::now();
    while soak.batches.iter().any(|batch| !batch.acknowledged) {
        assert!(
            quiet.elapsed() < REST,
            "enqueues are refused long after the faults"
        );
        soak.heal();
        soak.enqueue().await;
    }
    // What does not end is judged with everything else.
    let rest = eventually(REST, "every job has ended", || soak.at_rest()).await;
    let healed = quiet.elapsed();

    let history = History::default();
    history
        .read(&std::fs::read_to_string(&soak.history).unwrap())
        .unwrap();
    let last = history.by_job();
    let ends = |job: JobId| {
        let seen = last[&job].iter().rev().find_map(|event| match event {
            Event::Seen { status, .. } => Some(*status),
            _ => None,
        });
        Final::of(seen)
    };
    let verdict = history.check(ends, &Ties::default());
    eprintln!(
        "seed {seed}: {seconds} s, faults {:?}, at rest {healed:?} after the last: {verdict}",
        soak.faults
    );
    rest.unwrap();
    assert_eq!(verdict.violations, [], "{verdict}");
    assert_eq!(verdict.acknowledged, soak.batches.len() * BATCH);
    assert!(!soak.faults.is_empty(), "no faults in {seconds} s");
}
