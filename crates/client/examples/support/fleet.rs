//! A fleet of one process for the examples: a store in a temporary folder, a worker, a scheduler.
//!
//! In production these are three programs: the service that enqueues connects with
//! `Client::connect(("amqp://…", "redis://…"))`, a worker binary registers the handlers, and `longshore scheduler` runs
//! beside them.

use std::error::Error;

use longshore::worker::{Builder, Worker};
use longshore::{Backend, BackendConfig, Client, Endpoints};
use longshore_scheduler::Scheduler;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) struct Fleet {
    pub(crate) client: Client,
    backend: Backend,
    tasks: JoinSet<()>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Fleet {
    /// Starts a worker with the handlers that `register` adds, and a scheduler.
    pub(crate) async fn start(register: impl FnOnce(Builder) -> Builder) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let backend = Backend::connect(&BackendConfig::new(Endpoints::embedded(folder.path()))).await?;
        let client = Client::builder().created_by("the examples").backend(&backend)?;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let worker = register(Worker::builder(backend.clone()))
            .shutdown(stop.clone())
            .build()?;
        tasks.spawn(async move {
            if let Err(error) = worker.run().await {
                println!("the worker ended: {error}");
            }
        });
        let scheduler = Scheduler::builder(backend.ports().clone()).shutdown(stop.clone());
        tasks.spawn(async move { drop(scheduler.run().await) });
        Ok(Self {
            client,
            backend,
            tasks,
            stop,
            _folder: folder,
        })
    }

    /// Lets running jobs end, then stops.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.client.close().await;
        self.backend.close().await;
    }
}
