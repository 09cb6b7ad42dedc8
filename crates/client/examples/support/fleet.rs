//! A fleet of one process for the examples: a worker and a scheduler, on an embedded store in a temporary folder, or on the
//! servers that `LONGSHORE_AMQP_URL` and `LONGSHORE_REDIS_URL` name.
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

/// Where an example runs.
pub(crate) struct Place {
    endpoints: Endpoints,
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    /// The servers of the environment, else a folder.
    pub(crate) fn from_environment() -> Result<Self, Box<dyn Error>> {
        let url = |name| std::env::var(name).ok();
        match (url("LONGSHORE_AMQP_URL"), url("LONGSHORE_REDIS_URL")) {
            (Some(amqp), Some(redis)) => Self::servers(&amqp, &redis),
            _ => Self::folder(),
        }
    }

    /// An embedded store.
    pub(crate) fn folder() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        Ok(Self {
            endpoints: Endpoints::embedded(folder.path()),
            _folder: Some(folder),
        })
    }

    /// RabbitMQ and Redis.
    pub(crate) fn servers(amqp: &str, redis: &str) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            endpoints: Endpoints::servers(amqp, redis)?,
            _folder: None,
        })
    }
}

pub(crate) struct Fleet {
    pub(crate) client: Client,
    backend: Backend,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Fleet {
    /// Starts a worker with the handlers that `register` adds, and a scheduler.
    pub(crate) async fn start(
        place: &Place,
        register: impl FnOnce(Builder) -> Builder,
    ) -> Result<Self, Box<dyn Error>> {
        let backend = Backend::connect(&BackendConfig::new(place.endpoints.clone())).await?;
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
