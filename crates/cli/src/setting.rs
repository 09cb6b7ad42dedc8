//! From the command line to a configuration, a backend and a client.

use std::path::PathBuf;

use longshore::Client;
use longshore_backend::{Backend, BackendConfig, Durability, Endpoints, Profile};
use longshore_service::config::{self, Config, Sources};
use longshore_service::exit::ExitCode;
use longshore_service::signals::Stop;

use crate::args::Global;
use crate::failure::Failure;

/// What every command works with.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) config: Config,
    pub(crate) stop: Stop,
}

/// The sources of settings: file, environment, and the options of the command line.
///
/// # Errors
/// When a `--set` is not `KEY=VALUE`.
pub(crate) fn sources(global: &Global) -> Result<Sources, Failure> {
    let mut sources = Sources::process();
    if let Some(file) = &global.config {
        sources = sources.file(file);
    }
    for (key, value) in [("amqp_url", &global.amqp_url), ("redis_url", &global.redis_url)] {
        if let Some(value) = value {
            sources = sources.flag(key, value);
        }
    }
    if let Some(folder) = &global.embedded {
        sources = sources.flag("embedded", folder.to_string_lossy());
    }
    for pair in &global.set {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!(
                "--set: \"{pair}\" is not KEY=VALUE; for example worker.max_workers=4"
            ))
        })?;
        sources = sources.flag(key, value);
    }
    Ok(sources)
}

/// Reads and checks the configuration.
///
/// # Errors
/// Every problem at once.
pub(crate) fn load(sources: &Sources) -> Result<Config, Failure> {
    Config::load(sources).map_err(|problems| Failure::new(ExitCode::Config, problems))
}

impl Setting {
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
        Ok(backend)
    }

    /// Connects.
    ///
    /// # Errors
    /// When a server or folder cannot be used.
    pub(crate) async fn connect(&self) -> Result<Backend, Failure> {
        let config = self.backend_config()?;
        let connected = Box::pin(Backend::connect(&config)).await;
        connected.map_err(|error| Failure::from_error(ExitCode::Unavailable, &error))
    }

    /// A client of a connected backend.
    ///
    /// # Errors
    /// Never with the defaults that it uses.
    pub(crate) fn client(backend: &Backend) -> Result<Client, Failure> {
        Client::builder()
            .backend(backend)
            .map_err(|error| Failure::from_error(ExitCode::Failure, &error))
    }
}
