//! What people and programs do all the time while random faults come: producers enqueue and some are killed, jobs are looked
//! at and cancelled, a cron entry ticks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use longshore_core::random::Random as _;
use longshore_core::{JobId, JobStatus};
use longshore_testkit::factory::SeededRandom;
use longshore_testkit::history::{Event, Ties};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::scene::{Scene, family, id_of, jobs};

/// Jobs of one enqueue.
const BATCH: usize = 10;
/// So many that have not ended keep every worker busy; producers wait then.
const OPEN_MAX: usize = 150;
/// How long a producer may take before somebody gives it up.
const PATIENCE: Duration = Duration::from_secs(60);
const PRIORITIES: [&str; 4] = ["low", "normal", "high", "critical"];
/// Ticks every two seconds.
pub(crate) const CRON: &str =
    "[cron.tick]\nexpression = \"*/2 * * * * *\"\nfunction = \"mark\"\nargs = \"0.05\"\n";

/// Jobs that are enqueued together.
pub(crate) struct Batch {
    tag: String,
    jobs: Vec<Value>,
    file: String,
}

/// The load, and what came of it.
pub(crate) struct Load {
    scene: Arc<Scene>,
    over: AtomicBool,
    made: AtomicUsize,
    /// Jobs that had not ended when somebody looked last, and those that came since.
    open: AtomicUsize,
    /// Taken by a store that said so.
    batches: Mutex<Vec<Batch>>,
    /// Asked for, and nobody said that they are taken.
    wanted: Mutex<VecDeque<Batch>>,
    parents: Mutex<BTreeMap<JobId, Vec<JobId>>>,
    /// What those who cancelled a job were told.
    told: Mutex<BTreeMap<JobId, String>>,
    pub(crate) killed: AtomicUsize,
    pub(crate) refused: AtomicUsize,
}

impl Load {
    pub(crate) fn new(scene: Arc<Scene>) -> Arc<Self> {
        Arc::new(Self {
            scene,
            over: false.into(),
            made: 0.into(),
            open: 0.into(),
            batches: Mutex::default(),
            wanted: Mutex::default(),
            parents: Mutex::default(),
            told: Mutex::default(),
            killed: 0.into(),
            refused: 0.into(),
        })
    }

    /// Jobs of all priorities, acknowledged: every queue is there then.
    pub(crate) async fn first(&self) {
        let jobs = (0..BATCH).map(|at| job("mark", 0.2, at)).collect();
        let batch = self.batch(jobs);
        self.scene.enqueue(&batch.jobs).await;
        self.batches.lock().push(batch);
    }

    fn random(&self) -> SeededRandom {
        SeededRandom::new(self.scene.random.next_u64())
    }

    /// Produces until it is over; any number of these may run.
    pub(crate) async fn produce(self: Arc<Self>) {
        let random = self.random();
        while !self.over.load(Relaxed) {
            sleep(Duration::from_millis(300 + below(&random, 2_500))).await;
            if self.open.load(Relaxed) > OPEN_MAX {
                continue;
            }
            let again = if below(&random, 3) == 0 {
                self.wanted.lock().pop_front()
            } else {
                None
            };
            let batch = again.unwrap_or_else(|| self.new_batch(&random));
            let life = (below(&random, 3) == 0).then(|| Duration::from_millis(below(&random, 2_500)));
            // Not everybody who dies is replaced by somebody who asks again.
            let forgotten = below(&random, 4) == 0;
            self.ask(batch, life, forgotten).await;
        }
    }

    /// One producer, killed after its `life` if it has one.
    async fn ask(&self, batch: Batch, life: Option<Duration>, forgotten: bool) {
        let process = self.scene.fleet.start(&["enqueue", "--file", &batch.file]);
        if let Ok(status) = process.wait(life.unwrap_or(PATIENCE)).await {
            if status.success() {
                self.scene.are_acknowledged(&batch.jobs);
                self.open.fetch_add(batch.jobs.len(), Relaxed);
                self.batches.lock().push(batch);
                return;
            }
            self.refused.fetch_add(1, Relaxed);
        } else {
            process.kill9();
            self.killed.fetch_add(1, Relaxed);
            if life.is_some() && forgotten {
                return;
            }
        }
        self.wanted.lock().push_back(batch);
    }

    fn batch(&self, mut jobs: Vec<Value>) -> Batch {
        let tag = format!("batch-{}", self.made.fetch_add(1, Relaxed));
        for job in &mut jobs {
            job["tags"] = json!([tag]);
        }
        Batch {
            file: self.scene.file(&jobs),
            tag,
            jobs,
        }
    }

    fn new_batch(&self, random: &SeededRandom) -> Batch {
        let pick = |bound: u64| usize::try_from(below(random, bound)).unwrap();
        let pace = || [0.05, 0.2, 0.5, 1.5][pick(4)];
        let mut jobs: Vec<_> = (0..BATCH).map(|_| job("mark", pace(), pick(4))).collect();
        match pick(6) {
            0 => jobs = self.family(),
            1 => {
                for job in &mut jobs {
                    job["delay"] = json!(format!("{}ms", 500 + below(random, 6_000)));
                }
            }
            // A dead letter, and one that takes longer than a lease.
            2 => {
                jobs[0] = job("fails", 0.0, pick(4));
                jobs[1] = job("mark", 10.0 + pace() * 20.0, pick(4));
            }
            _ => {}
        }
        self.batch(jobs)
    }

    /// A child waits for nobody whose parent was cancelled or lost too often: it is cancelled.
    fn family(&self) -> Vec<Value> {
        let (mut jobs, ties) = family(BATCH / 2);
        for job in &mut jobs {
            if let Some(parents) = job.get_mut("depends_on") {
                for parent in parents.as_array_mut().unwrap() {
                    *parent = json!({"id": parent, "on_failed": "cancel", "on_cancelled": "cancel"});
                }
            }
        }
        self.parents.lock().extend(ties.parents);
        jobs
    }

    /// Looks at jobs and cancels some until it is over.
    pub(crate) async fn meddle(self: Arc<Self>) {
        let random = self.random();
        while !self.over.load(Relaxed) {
            sleep(Duration::from_millis(200 + below(&random, 1_500))).await;
            self.count_open().await;
            let (tag, job) = {
                let batches = self.batches.lock();
                // Mostly new ones: they still change.
                let back = below(&random, if below(&random, 4) == 0 { 1_000 } else { 4 });
                let at = usize::try_from(back).unwrap().min(batches.len() - 1);
                let batch = &batches[batches.len() - 1 - at];
                let of = usize::try_from(below(&random, batch.jobs.len() as u64)).unwrap();
                (batch.tag.clone(), batch.jobs[of].clone())
            };
            if below(&random, 3) == 0 {
                self.cancel(&job).await;
            }
            self.scene.look_at(&["--tag", &tag]).await;
        }
    }

    async fn count_open(&self) {
        let asked = self
            .scene
            .fleet
            .run(&["stats", "--window", "1m", "-o", "json"])
            .await;
        if let Ok(text) = asked {
            let said: Value = serde_json::from_str(&text).unwrap();
            let counts = said["jobs"].as_object().unwrap().iter();
            let open = counts.filter(|(status, _)| !status.parse::<JobStatus>().unwrap().is_terminal());
            let open: u64 = open.map(|(_, count)| count.as_u64().unwrap()).sum();
            self.open.store(usize::try_from(open).unwrap(), Relaxed);
        }
    }

    async fn cancel(&self, job: &Value) {
        let id = job["id"].as_str().unwrap();
        let Ok(text) = self.scene.fleet.run(&["job", "cancel", id, "-o", "json"]).await else {
            return;
        };
        let said: Value = serde_json::from_str(&text).unwrap();
        if said[0]["already_finished"] == json!(false) {
            self.scene.note(std::slice::from_ref(job), &Event::CancelTold);
            let status = said[0]["status"].as_str().unwrap().to_owned();
            self.told.lock().entry(id_of(job)).or_insert(status);
        }
    }

    /// Everybody stops. Who asked for jobs and was not told that they are taken asks once more.
    pub(crate) fn is_over(&self) {
        self.over.store(true, Relaxed);
    }

    pub(crate) async fn ask_for_the_rest(&self) {
        let wanted = std::mem::take(&mut *self.wanted.lock());
        for batch in wanted {
            self.scene.enqueue(&batch.jobs).await;
            self.batches.lock().push(batch);
        }
    }

    /// Jobs that somebody was told are taken.
    pub(crate) fn acknowledged(&self) -> usize {
        self.batches.lock().iter().map(|batch| batch.jobs.len()).sum()
    }

    /// What must hold between jobs, with these made by the entry: their ids begin with the tick.
    pub(crate) fn ties(&self, ticked: &[Value]) -> Ties {
        let mut ties = Ties {
            parents: self.parents.lock().clone(),
            ..Ties::default()
        };
        for job in ticked {
            let id = job["id"].as_str().unwrap().replace('-', "");
            let tick = u64::from_str_radix(&id[..12], 16).unwrap();
            assert_eq!(tick % 2_000, 0, "{job}");
            let jobs = ties.ticks.entry(("tick".to_owned(), tick)).or_default();
            jobs.push(id_of(job));
        }
        ties
    }

    /// Who was told of a cancel sees the job cancelled, or completed where its handler was the first. How many were told.
    pub(crate) fn cancels_were_true(&self, ends: &BTreeMap<JobId, String>) -> usize {
        let told = self.told.lock();
        for (job, word) in &*told {
            let end = ends[job].as_str();
            let good = end == "cancelled" || word == "requested" && end == "completed";
            assert!(good, "told {word:?}, and {job} ended as {end}");
        }
        told.len()
    }
}

fn job(function: &str, pace: f64, at: usize) -> Value {
    let mut job = jobs(1, function, pace).remove(0);
    job["priority"] = json!(PRIORITIES[at % PRIORITIES.len()]);
    job
}

fn below(random: &SeededRandom, bound: u64) -> u64 {
    random.next_u64() % bound
}
