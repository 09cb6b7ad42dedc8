//! Sets a worker up and checks the whole of it before anything starts.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::random::{Random, SystemRandom};
use longshore_core::{Clock, Job, QueueName, SystemClock, WorkerId};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::handler::{BlockingHandler, Handler};
use crate::registry::{self, Function, Registry};
use crate::report::RunReport;
use crate::settings::Settings;
use crate::source::BackendSource;
use crate::state::StateMap;
use crate::worker::Worker;

/// Sets a worker up. Problems are gathered and reported together by [`Builder::build`].
pub struct Builder {
    source: BackendSource,
    state: StateMap,
    registry: Registry,
    settings: Settings,
    shutdown: CancellationToken,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    problems: Vec<String>,
}

impl Builder {
    pub(crate) fn new(source: BackendSource) -> Self {
        Self {
            source,
            state: StateMap::default(),
            registry: Registry::default(),
            settings: Settings::default(),
            shutdown: CancellationToken::new(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            problems: Vec::new(),
        }
    }

    /// Gives handlers a value to share; they take it as [`crate::State`]. One value a type.
    #[must_use]
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        if self.state.insert(value) {
            let name = std::any::type_name::<T>();
            self.problems.push(format!(
                "state of type {name} is given twice; wrap one of the two in a type of its own"
            ));
        }
        self
    }

    /// Registers an async handler for the job type that it takes.
    #[must_use]
    pub fn register<T: Job, Args: 'static, H: Handler<T, T::Output, Args>>(self, handler: H) -> Self {
        self.insert(
            T::FUNCTION_NAME,
            registry::asynchronous(handler, registry::typed::<T>),
        )
    }

    /// Registers a blocking handler for the job type that it takes; it runs on a thread for blocking work. One that
    /// ignores a cancel keeps its slot until it returns.
    #[must_use]
    pub fn register_blocking<T: Job, Args: 'static, H: BlockingHandler<T, T::Output, Args>>(
        self,
        handler: H,
    ) -> Self {
        self.insert(
            T::FUNCTION_NAME,
            registry::blocking(handler, registry::typed::<T>),
        )
    }

    /// Registers an async handler under a name, for arguments without a type of their own.
    #[must_use]
    pub fn register_named<Out, Args, H>(self, name: &str, handler: H) -> Self
    where
        Out: Serialize + Send + 'static,
        Args: 'static,
        H: Handler<serde_json::Value, Out, Args>,
    {
        self.insert(name, registry::asynchronous(handler, registry::untyped))
    }

    /// Consumes a logical queue; several calls add up. Default: `default` alone.
    #[must_use]
    pub fn queue(mut self, name: &str) -> Self {
        match QueueName::new(name) {
            Ok(queue) if self.settings.queues.contains(&queue) => {}
            Ok(queue) => self.settings.queues.push(queue),
            Err(error) => self.problems.push(error.to_string()),
        }
        self
    }

    /// How many jobs run at once, in that many slots: 1 to 10,000. Default: 8.
    #[must_use]
    pub const fn max_workers(mut self, slots: usize) -> Self {
        self.settings.slots = slots;
        self
    }

    /// Messages that a queue (of the quorum profile: each priority of it) may deliver ahead of their
    /// acknowledgement. Default: as many as slots, and up to 128 more that follow run times, the way of claims and the jobs
    /// of a message: what the slots do in 10 to 100 ms, nothing of jobs over a second. A number that is set here is kept.
    #[must_use]
    pub const fn prefetch(mut self, messages: u16) -> Self {
        self.settings.prefetch = Some(messages);
        self
    }

    /// The worker's name, unique while it lives. Default: host, process id and four random digits.
    #[must_use]
    pub fn id(mut self, id: WorkerId) -> Self {
        self.settings.id = Some(id);
        self
    }

    /// How long a stopping worker waits for its attempts before it cancels them, at most a day. Default: 30 s.
    #[must_use]
    pub const fn drain_deadline(mut self, deadline: Duration) -> Self {
        self.settings.drain_deadline = deadline;
        self
    }

    /// How long an attempt that was told to stop may take before it is aborted, at most a day. Default: 10 s.
    #[must_use]
    pub const fn cancel_grace(mut self, grace: Duration) -> Self {
        self.settings.cancel_grace = grace;
        self
    }

    /// Run time limit of an attempt whose job sets none, at most ten years. Default: 1 h.
    #[must_use]
    pub const fn job_timeout(mut self, limit: Duration) -> Self {
        self.settings.job_timeout = limit;
        self
    }

    /// How many handlers may keep their slots after they were told to stop and aborted (blocking ones that never
    /// return) before the worker drains and reports [`crate::StopCause::Stuck`]. Default: half of the slots, at least 1.
    #[must_use]
    pub const fn stuck_max(mut self, handlers: usize) -> Self {
        self.settings.stuck_max = Some(handlers);
        self
    }

    /// Cancelling this token stops the worker: it takes no more jobs, lets those it runs end, then cancels them.
    #[must_use]
    pub fn shutdown(mut self, token: CancellationToken) -> Self {
        self.shutdown = token;
        self
    }

    /// Another clock. Default: the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of randomness, for nonces and jitter. Default: the operating system's.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every problem: wrong URLs, missing state, functions registered twice, bad names, no handlers,
    /// settings out of range, a build with `panic = "abort"`.
    pub fn build(mut self) -> Result<Worker, Error> {
        self.problems.extend(self.source.problem());
        self.problems.extend(self.registry.verify(&self.state));
        if self.registry.is_empty() {
            self.problems
                .push("no handler is registered; add one with .register(…)".to_owned());
        }
        if cfg!(panic = "abort") {
            self.problems.push(
                "the build has panic = \"abort\", so that one panic would end every job; use panic = \"unwind\""
                    .to_owned(),
            );
        }
        self.settings.complete(&*self.random, &mut self.problems);
        if !self.problems.is_empty() {
            return Err(Error::Invalid {
                problems: self.problems,
            });
        }
        Ok(Worker::new(
            self.source,
            Arc::new(self.state),
            self.registry,
            self.settings,
            self.shutdown,
            self.clock,
            self.random,
        ))
    }

    /// [`Builder::build`], then [`Worker::run`].
    ///
    /// # Errors
    /// Those of both.
    pub async fn run(self) -> Result<RunReport, Error> {
        self.build()?.run().await
    }

    fn insert(mut self, name: &str, function: Arc<dyn Function>) -> Self {
        if let Err(problem) = self.registry.insert(name, function) {
            self.problems.push(problem);
        }
        self
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("settings", &self.settings)
            .field("functions", &self.registry.names())
            .finish_non_exhaustive()
    }
}
