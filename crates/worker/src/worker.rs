//! A worker that is set up: its control loop runs in a thread of its own, its handlers where `run` was called.

use std::sync::Arc;

use longshore_core::random::Random;
use longshore_core::{Clock, WorkerId};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::builder::Builder;
use crate::control::{Control, Parts};
use crate::error::Error;
use crate::health::WorkerHealth;
use crate::registry::Registry;
use crate::report::RunReport;
use crate::settings::Settings;
use crate::source::BackendSource;
use crate::state::StateMap;
use crate::stats::WorkerStats;

/// A worker that is set up and not started.
pub struct Worker {
    source: BackendSource,
    state: Arc<StateMap>,
    registry: Registry,
    settings: Settings,
    shutdown: CancellationToken,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    stats: Arc<WorkerStats>,
    health: WorkerHealth,
}

impl Worker {
    /// Starts to set a worker up: by URLs as a client's, `("amqp://…", "redis://…")` or `"embedded://FOLDER"`, by a
    /// [`BackendConfig`](crate::BackendConfig), or on a [`Backend`](crate::Backend) that is connected already. A URL
    /// that cannot be used is told by [`Builder::build`].
    pub fn builder(source: impl Into<BackendSource>) -> Builder {
        Builder::new(source.into())
    }

    pub(crate) fn new(
        source: BackendSource,
        state: Arc<StateMap>,
        registry: Registry,
        settings: Settings,
        shutdown: CancellationToken,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            health: WorkerHealth::new(&settings.queues),
            source,
            state,
            registry,
            settings,
            shutdown,
            clock,
            random,
            stats: Arc::default(),
        }
    }

    /// The worker's name.
    pub fn id(&self) -> WorkerId {
        self.settings.worker_id()
    }

    /// The worker's counters; they go on while it runs.
    pub fn stats(&self) -> Arc<WorkerStats> {
        Arc::clone(&self.stats)
    }

    /// How the worker does, for health checks.
    pub fn health(&self) -> WorkerHealth {
        self.health.clone()
    }

    /// Runs jobs until the shutdown token is cancelled and the drain is over. Handlers run on the runtime that this is
    /// called on; beats, claims and acknowledgements on a thread of their own, so that a handler that blocks every
    /// thread of its runtime does not lose its jobs. Dropping the future starts the drain and does not wait for it.
    ///
    /// # Errors
    /// When there is no runtime, the thread cannot be started, or the backend cannot be reached at the start. Later
    /// outages are waited out.
    pub async fn run(self) -> Result<RunReport, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let shutdown = self.shutdown.child_token();
        let _drain_on_drop = shutdown.clone().drop_guard();
        let (report, reported) = oneshot::channel();
        std::thread::Builder::new()
            .name("longshore-control".to_owned())
            .spawn(move || {
                // The caller may have gone; the report is nobody's then.
                drop(report.send(control_thread(self, runtime, shutdown)));
            })
            .map_err(Error::Thread)?;
        reported.await.unwrap_or(Err(Error::ControlLost))
    }

    /// As [`Worker::run`], with everything on the runtime that this is called on. For simulations, in which one time that
    /// stands still moves all: a handler that blocks would hold the beats up as well. Dropping the future is a crash:
    /// nothing is handed back, and handlers that run go on.
    ///
    /// # Errors
    /// When there is no runtime, or the backend cannot be reached at the start.
    #[doc(hidden)]
    pub async fn run_in_place(self) -> Result<RunReport, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let shutdown = self.shutdown.child_token();
        Box::pin(control(self, runtime, shutdown)).await
    }
}

fn control_thread(worker: Worker, handlers: Handle, shutdown: CancellationToken) -> Result<RunReport, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Thread)?;
    let report = runtime.block_on(control(worker, handlers, shutdown));
    // A connection that hangs must not keep the thread.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    report
}

async fn control(worker: Worker, handlers: Handle, shutdown: CancellationToken) -> Result<RunReport, Error> {
    let (ports, own) = worker.source.open().await?;
    let control = Control::new(Parts {
        ports,
        state: worker.state,
        registry: worker.registry,
        settings: worker.settings,
        clock: worker.clock,
        random: worker.random,
        stats: worker.stats,
        health: worker.health,
        handlers,
    });
    let report = control.run(shutdown).await;
    if let Some(backend) = own {
        backend.close().await;
    }
    Ok(report)
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("settings", &self.settings)
            .field("functions", &self.registry.names())
            .finish_non_exhaustive()
    }
}
