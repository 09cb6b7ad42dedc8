//! From the command line to a configuration, a backend and a client.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use indicatif::MultiProgress;
use longshore::Client;
use longshore_backend::{Backend, BackendConfig, Durability, Endpoints, Profile};
use longshore_core::telemetry::Telemetry;
use longshore_service::config::{self, Config, Origin, Sources};
use longshore_service::exit::ExitCode;
use longshore_service::health::{self, Health};
use longshore_service::metrics::Metrics;
use longshore_service::signals::Stop;
use longshore_service::telemetry::{self, Observed};

use crate::args::Global;
use crate::failpoint;
use crate::failure::Failure;
use crate::output::UnderBars;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `longshore dev`: makes the embedded folder.
    Dev,
    /// A process that runs on; it needs both servers.
    Service,
    /// A command that asks and answers. Most of them need Redis alone, and what is enqueued while RabbitMQ is away is
    /// deferred.
    Client,
    /// A command that only looks: what makes Redis unfit to keep jobs is told, and no reason to refuse.
    Look,
    /// `longshore doctor`: nothing that is wrong with a server is a reason to refuse.
    Doctor,
}

/// What every command works with.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) config: Config,
    pub(crate) stop: Stop,
    /// How the process does; parts of it add themselves.
    pub(crate) health: Health,
    /// Log, traces and metrics, once they are set up.
    observed: Arc<OnceLock<Observed>>,
}

/// The sources of settings: file, environment, and the options of the command line.
pub(crate) fn sources(global: &Global) -> Sources {
    let mut sources = Sources::process();
    if let Some(file) = &global.config {
        sources = sources.file(file);
    }
    for (key, value) in [
        ("amqp_url", &global.amqp_url),
        ("redis_url", &global.redis_url),
        ("api.url", &global.url),
    ] {
        if let Some(value) = value {
            sources = sources.flag(key, value);
        }
    }
    if let Some(folder) = &global.embedded {
        sources = sources.flag("embedded", folder.to_string_lossy());
    }
    global
        .set
        .iter()
        .fold(sources, |sources, pair| sources.pair(pair))
}

impl Setting {
    pub(crate) fn new(config: Config, stop: Stop) -> Self {
        Self {
            config,
            stop,
            health: Health::default(),
            observed: Arc::default(),
        }
    }

    /// Sets up the log, and what the configuration asks for of traces, metrics and probes. For processes that run on.
    ///
    /// # Errors
    /// When a filter, an address or an endpoint cannot be used.
    pub(crate) fn observe(&self, role: &str, bars: &MultiProgress) -> Result<(), Failure> {
        let bars = bars.clone();
        let observed = telemetry::install(&self.config, role, move || UnderBars(bars.clone()))
            .map_err(|error| Failure::from_error(ExitCode::Config, &error))?;
        longshore_worker::install_panic_hook();
        if let Some(address) = self.config.health.listen {
            health::serve(address, &self.health, observed.metrics())
                .map_err(|error| Failure::from_error(ExitCode::Config, &error))?;
        }
        // It is set once: a second installation fails above.
        self.observed.set(observed).ok();
        Ok(())
    }

    /// Exports the traces of a command that asks and answers, when there is a receiver. Such a command has no log.
    ///
    /// # Errors
    /// When the endpoint cannot be used.
    pub(crate) fn observe_quietly(&self, role: &str) -> Result<(), Failure> {
        let is_in_env = std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some();
        if self.config.telemetry.endpoint.is_none() && !is_in_env {
            return Ok(());
        }
        let mut config = self.config.clone();
        "off".clone_into(&mut config.log.level);
        config.health.listen = None;
        let observed = telemetry::install(&config, role, std::io::sink)
            .map_err(|error| Failure::from_error(ExitCode::Config, &error))?;
        self.observed.set(observed).ok();
        Ok(())
    }

    /// Who the parts of this process tell what happens.
    pub(crate) fn telemetry(&self) -> Telemetry {
        self.observed
            .get()
            .map_or_else(Telemetry::off, Observed::telemetry)
    }

    /// The metrics of this process, when somebody reads them.
    pub(crate) fn metrics(&self) -> Option<&Metrics> {
        self.observed.get()?.metrics()
    }

    /// Exports what has gathered, within the time that the configuration gives.
    pub(crate) async fn flush(&self) {
        if let Some(observed) = self.observed.get() {
            observed.close().await;
        }
    }

    /// Whether commands that ask and answer go through a gateway. Servers or a folder of the command line are meant, whatever
    /// else names a gateway.
    pub(crate) fn is_remote(&self) -> bool {
        let by_flag = |key| self.config.origin(key) == Origin::Flag;
        let direct = ["amqp_url", "redis_url", "embedded"].into_iter().any(by_flag);
        self.config.api.url.is_some() && (by_flag("api.url") || !direct)
    }

    /// The folder of the embedded store.
    ///
    /// # Errors
    /// When the configuration names servers.
    pub(crate) fn embedded_folder(&self) -> Result<PathBuf, Failure> {
        match &self.config.endpoints {
            config::Endpoints::Embedded(folder) => Ok(folder.clone()),
            config::Endpoints::Servers { .. } => Err(Failure::usage(
                "`longshore dev` runs on the embedded store, and the configuration names servers; \
                 use --embedded FOLDER, or `longshore worker` and `longshore scheduler`",
            )),
        }
    }

    /// What the backend needs to know.
    ///
    /// # Errors
    /// When a URL is wrong.
    pub(crate) fn backend_config(&self) -> Result<BackendConfig, Failure> {
        let endpoints = match &self.config.endpoints {
            config::Endpoints::Embedded(folder) => Endpoints::embedded(folder),
            config::Endpoints::Servers { amqp, redis } => {
                let servers = Endpoints::servers(amqp.expose(), redis.expose());
                servers.map_err(|error| Failure::new(ExitCode::Config, error))?
            }
        };
        let mut backend = BackendConfig::new(endpoints);
        backend.profile = match self.config.profile {
            config::Profile::Quorum => Profile::Quorum,
            config::Profile::Classic => Profile::Classic,
        };
        backend.durability = match self.config.durability {
            config::Durability::Default => Durability::Default,
            config::Durability::Strict => Durability::Strict,
        };
        backend.redis_replicas = self.config.redis_replicas;
        backend.shards = self.config.shards;
        backend.allow_degraded = self.config.allow_degraded;
        backend.amqp_ca_file.clone_from(&self.config.amqp_ca_file);
        backend.redis_ca_file.clone_from(&self.config.redis_ca_file);
        backend.consumer_timeout = self.config.consumer_timeout;
        backend.telemetry = self.telemetry();
        Ok(backend)
    }

    /// Connects; `None` when told to stop meanwhile.
    ///
    /// # Errors
    /// When a server or folder cannot be used.
    pub(crate) async fn connect(&self, purpose: Purpose) -> Result<Option<Backend>, Failure> {
        if let config::Endpoints::Embedded(folder) = &self.config.endpoints
            && purpose != Purpose::Dev
        {
            self.check_folder(folder)?;
        }
        let mut config = self.backend_config()?;
        config.wait_for_broker = matches!(purpose, Purpose::Client | Purpose::Look);
        config.allow_degraded |= purpose == Purpose::Look;
        config.only_look = purpose == Purpose::Doctor;
        tokio::select! {
            connected = Box::pin(Backend::connect(&config)) => Ok(Some(connected?)),
            () = self.stop.gentle.cancelled() => Ok(None),
        }
    }

    /// A folder that a slip of the configuration would make is one that nobody works on.
    fn check_folder(&self, folder: &Path) -> Result<(), Failure> {
        if folder.is_dir() {
            return Ok(());
        }
        let folder = folder.display();
        let problem = if self.config.origin("embedded") == Origin::Default {
            format!(
                "neither servers nor an embedded store are configured, and there is no folder {folder} here; \
                 set amqp_url and redis_url (environment LONGSHORE_AMQP_URL and LONGSHORE_REDIS_URL, or longshore.toml), \
                 or use --embedded FOLDER of a running `longshore dev`, or run `longshore dev` in this folder"
            )
        } else {
            format!("embedded: there is no folder {folder}; `longshore dev --embedded {folder}` makes it")
        };
        Err(Failure::new(ExitCode::Config, problem))
    }

    /// A client of a connected backend.
    ///
    /// # Errors
    /// When a failpoint is asked for that there is not.
    pub(crate) fn client(&self, backend: &Backend) -> Result<Client, Failure> {
        let builder = match self.config.bundle_max {
            Some(jobs) => Client::builder().bundle_max(jobs),
            None => Client::builder(),
        };
        builder
            .ports(failpoint::ports(backend.ports())?)
            .map_err(|error| Failure::from_error(ExitCode::Failure, &error))
    }
}
