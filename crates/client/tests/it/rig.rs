//! A store in a folder of its own, and the rest of a fleet when a test asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore::{Client, ClientBuilder, Job, JobError, JobId, JobStatus, JobView};
use longshore_backend::embedded::{Options, Store};
use longshore_scheduler::Scheduler;
use longshore_worker::{JobContext, State, Worker};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ports::{Broker, Letters, Looks, Store as Faults};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Gives its text back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Echo {
    pub(crate) text: String,
}

impl Job for Echo {
    const FUNCTION_NAME: &'static str = "echo";
    type Output = String;
}

pub(crate) fn echo(text: &str) -> Echo {
    Echo {
        text: text.to_owned(),
    }
}

/// Joins the results of its parents.
#[derive(Serialize, Deserialize)]
pub(crate) struct Join;

impl Job for Join {
    const FUNCTION_NAME: &'static str = "join";
    type Output = Vec<String>;
}

/// Fails for good, or for now.
#[derive(Serialize, Deserialize)]
pub(crate) struct Fail {
    pub(crate) for_good: bool,
}

impl Job for Fail {
    const FUNCTION_NAME: &'static str = "fail";
    type Output = ();
}

/// Tells its progress in so many steps.
#[derive(Serialize, Deserialize)]
pub(crate) struct Walk {
    pub(crate) steps: u32,
}

impl Job for Walk {
    const FUNCTION_NAME: &'static str = "walk";
    type Output = u32;
}

/// Tells its progress, and goes on in another start: first fails or snoozes after many updates, then needs one.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stumble {
    pub(crate) snoozes: bool,
}

impl Job for Stumble {
    const FUNCTION_NAME: &'static str = "stumble";
    type Output = ();
}

/// Runs until it is told to stop.
#[derive(Serialize, Deserialize)]
pub(crate) struct Forever;

impl Job for Forever {
    const FUNCTION_NAME: &'static str = "forever";
    type Output = ();
}

/// Runs for a while, whoever tells it to stop.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stubborn {
    pub(crate) millis: u64,
}

impl Job for Stubborn {
    const FUNCTION_NAME: &'static str = "stubborn";
    type Output = ();
}

async fn run_stubborn(job: Stubborn) -> Result<(), JobError> {
    tokio::time::sleep(Duration::from_millis(job.millis)).await;
    Ok(())
}

async fn run_echo(job: Echo) -> Result<String, JobError> {
    Ok(job.text)
}

async fn run_join(_job: Join, ctx: JobContext) -> Result<Vec<String>, JobError> {
    let mut texts = Vec::new();
    for (parent, _) in ctx.parents().await? {
        texts.push(ctx.parent::<String>(parent).await?);
    }
    texts.sort();
    Ok(texts)
}

async fn run_fail(job: Fail) -> Result<(), JobError> {
    if job.for_good {
        Err(JobError::permanent("the ledger is torn"))
    } else {
        Err(JobError::transient("not yet"))
    }
}

async fn run_walk(job: Walk, ctx: JobContext) -> Result<u32, JobError> {
    for step in 1..=job.steps {
        ctx.progress(f64::from(step) / f64::from(job.steps), format!("step {step}"))
            .field("step", step);
        // Longer than a worker gathers progress for, so that each step is seen.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    Ok(job.steps)
}

async fn run_stumble(
    job: Stumble,
    ctx: JobContext,
    State(starts): State<Arc<AtomicUsize>>,
) -> Result<(), JobError> {
    if starts.fetch_add(1, Ordering::SeqCst) > 0 {
        ctx.progress(0.25, "again");
        tokio::time::sleep(Duration::from_millis(500)).await;
        return Ok(());
    }
    for _ in 0..50 {
        ctx.progress(0.75, "first");
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    if job.snoozes {
        return Err(JobError::snooze(Duration::from_millis(10)));
    }
    Err(JobError::transient("not yet"))
}

async fn run_forever(_job: Forever, ctx: JobContext) -> Result<(), JobError> {
    ctx.cancelled().await;
    Err(JobError::cancelled())
}

pub(crate) struct Rig {
    pub(crate) client: Client,
    pub(crate) faults: Arc<Faults>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) looks: Arc<Looks>,
    pub(crate) letters: Arc<Letters>,
    store: Store,
    fleet: JoinSet<()>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(shape: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let mut ports = store.ports();
        let letters = Letters::around(&ports);
        let faults = Faults::around(ports.enqueue);
        let broker = Broker::around(ports.publish);
        let looks = Looks::around(ports.inspect);
        ports.enqueue = faults.clone();
        ports.inspect = looks.clone();
        ports.schedule = letters.clone();
        ports.publish = broker.clone();
        let client = shape(Client::builder()).ports(ports).unwrap();
        Self {
            client,
            faults,
            broker,
            looks,
            letters,
            store,
            fleet: JoinSet::new(),
            stop: CancellationToken::new(),
            _folder: folder,
        }
    }

    /// Adds a worker and a scheduler. They see the store as it is, without faults.
    pub(crate) fn run_fleet(&mut self) {
        let worker = Worker::builder(self.store.ports())
            .register(run_echo)
            .register(run_join)
            .register(run_fail)
            .register(run_walk)
            .register(run_forever)
            .register(run_stumble)
            .register(run_stubborn)
            .state(Arc::new(AtomicUsize::new(0)))
            .max_workers(4)
            .shutdown(self.stop.clone())
            .build()
            .unwrap();
        self.fleet.spawn(async move { drop(worker.run().await.unwrap()) });
        let scheduler = Scheduler::builder(self.store.ports()).shutdown(self.stop.clone());
        self.fleet.spawn(async move { drop(scheduler.run().await) });
    }

    /// The store as it is, without faults.
    pub(crate) fn ports(&self) -> longshore_core::port::Ports {
        self.store.ports()
    }

    /// Waits until the job has this status.
    pub(crate) async fn until(&self, id: JobId, status: JobStatus) -> JobView {
        let began = tokio::time::Instant::now();
        loop {
            let view = self.client.view(id).await.unwrap();
            if let Some(view) = view.as_ref().filter(|view| view.status == status) {
                return view.clone();
            }
            assert!(began.elapsed() < PATIENCE, "{status} wanted, still {view:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn status(&self, id: JobId) -> Option<JobStatus> {
        Some(self.client.view(id).await.unwrap()?.status)
    }

    /// How many jobs the store knows.
    pub(crate) async fn count(&self) -> usize {
        let mut jobs = self
            .client
            .list(longshore::JobFilter::default())
            .limit(1_000)
            .stream();
        let mut count = 0;
        while let Some(job) = jobs.next().await {
            job.unwrap();
            count += 1;
        }
        count
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
