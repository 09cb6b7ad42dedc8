//! Settings of a client.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use longshore_backend::{Backend, BackendConfig, Durability, Endpoints, Profile};
use longshore_core::limits::{BUNDLE_JOBS_MAX, DURATION_MAX};
use longshore_core::port::Ports;
use longshore_core::random::{Random, SystemRandom};
use longshore_core::shard::Shards;
use longshore_core::telemetry::Telemetry;
use longshore_core::{Clock, SystemClock};

use crate::client::Client;
use crate::error::ConnectError;

/// What an enqueue does while Redis is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedisAway {
    /// It fails, after a few tries. Default.
    #[default]
    Error,
    /// It publishes the job without a record, which the worker makes when the job arrives. Only for jobs that start
    /// now, and have neither parents nor an [`id`](crate::Enqueue::id) or
    /// [`idempotency_key`](crate::Enqueue::idempotency_key) of their own; the others fail as by [`Self::Error`]. Whether
    /// a key belongs to another job already nobody but Redis can tell, and that job would be started with the
    /// arguments of this one. So an enqueue or a batch that is repeated under the ids of an error waits for Redis too.
    /// Such a job cannot be found until a worker has it.
    PublishWithoutRecord,
}

/// What a client works with besides its backend.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) created_by: Option<String>,
    pub(crate) redis_away: RedisAway,
    pub(crate) enqueue_timeout: Duration,
    pub(crate) publish_timeout: Duration,
    pub(crate) wait_patience: Duration,
    pub(crate) arrival_patience: Duration,
    pub(crate) bundle_max: Option<usize>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            created_by: None,
            redis_away: RedisAway::default(),
            enqueue_timeout: Duration::from_secs(5),
            publish_timeout: Duration::from_secs(10),
            wait_patience: Duration::from_secs(60),
            arrival_patience: Duration::from_secs(60 * 60),
            bundle_max: None,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        }
    }
}

/// Sets a client up; made by [`Client::builder`].
#[derive(Clone, Debug, Default)]
pub struct ClientBuilder {
    settings: Settings,
    profile: Profile,
    shards: Option<u64>,
    durability: Durability,
    redis_replicas: u16,
    allow_degraded: bool,
    connection_name: Option<String>,
    amqp_ca_file: Option<PathBuf>,
    redis_ca_file: Option<PathBuf>,
    wait_for_broker: bool,
    telemetry: Telemetry,
}

impl ClientBuilder {
    /// How logical queues are laid out in RabbitMQ; the same for all programs of an installation. Default: quorum.
    #[must_use]
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// How many shards a new installation gets, 1 to 4096. Default: 4 on one Redis, 64 on a cluster. An existing
    /// installation keeps its number, and another one here is an error.
    #[must_use]
    pub const fn shards(mut self, shards: u16) -> Self {
        self.shards = Some(shards as u64);
        self
    }

    /// How much an acknowledged enqueue has waited for: with [`Durability::Strict`] the record is on disk, and on as many
    /// replicas as [`Self::redis_replicas`] says. Default: as Redis is configured.
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many replicas of Redis a write waits for with [`Durability::Strict`]; fewer leave its outcome unknown.
    /// Default: 0, the disk alone.
    #[must_use]
    pub const fn redis_replicas(mut self, replicas: u16) -> Self {
        self.redis_replicas = replicas;
        self
    }

    /// Connect although Redis is set up so that it may lose jobs (eviction, no append-only file). Default: no.
    #[must_use]
    pub const fn allow_degraded(mut self, allow: bool) -> Self {
        self.allow_degraded = allow;
        self
    }

    /// Name under which the connections appear in RabbitMQ's management and in `CLIENT LIST`. Default: `longshore`.
    #[must_use]
    pub fn connection_name(mut self, name: impl Into<String>) -> Self {
        self.connection_name = Some(name.into());
        self
    }

    /// Who is told of enqueues, publishes and calls, and puts their spans into traces. Only for connections that the
    /// client makes itself; ports and backends bring their own. Default: nobody.
    #[must_use]
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.telemetry = telemetry;
        self
    }

    /// PEM file with the certificate authority of an `amqps://` server. Default: the system's authorities.
    #[must_use]
    pub fn amqp_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.amqp_ca_file = Some(file.into());
        self
    }

    /// PEM file with the certificate authority of a `rediss://` server. Default: the system's authorities.
    #[must_use]
    pub fn redis_ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.redis_ca_file = Some(file.into());
        self
    }

    /// Connect although RabbitMQ cannot be reached now; what is enqueued meanwhile is deferred. Default: no.
    #[must_use]
    pub const fn wait_for_broker(mut self, wait: bool) -> Self {
        self.wait_for_broker = wait;
        self
    }

    /// Who asks for jobs that do not say so themselves, for example the service's name. Default: nobody.
    #[must_use]
    pub fn created_by(mut self, who: impl Into<String>) -> Self {
        self.settings.created_by = Some(who.into());
        self
    }

    /// What an enqueue does while Redis is away. Default: an error.
    #[must_use]
    pub const fn redis_away(mut self, policy: RedisAway) -> Self {
        self.settings.redis_away = policy;
        self
    }

    /// How long an enqueue may take, from the call to its answer. When it is over, a recorded job is "deferred",
    /// [`EnqueueError::TimedOut`](crate::EnqueueError::TimedOut) says that nothing was sent, and
    /// [`EnqueueError::Store`](crate::EnqueueError::Store) names the id of a job whose record is in doubt. A batch as a
    /// whole may take longer; the limit holds for each of its round trips to the store. At most ten years. Default: 5 s.
    #[must_use]
    pub const fn enqueue_timeout(mut self, timeout: Duration) -> Self {
        self.settings.enqueue_timeout = timeout;
        self
    }

    /// How long an enqueue waits for the broker's confirm before it answers "deferred"; a single one for no longer than
    /// its [`Self::enqueue_timeout`]. At most ten years. Default: 10 s.
    #[must_use]
    pub const fn publish_timeout(mut self, timeout: Duration) -> Self {
        self.settings.publish_timeout = timeout;
        self
    }

    /// How long waiting for a job, and following its progress, bear a store that does not answer. At most ten years.
    /// Default: 60 s.
    #[must_use]
    pub const fn wait_patience(mut self, patience: Duration) -> Self {
        self.settings.wait_patience = patience;
        self
    }

    /// How long waiting for a job that was published without a record ([`RedisAway::PublishWithoutRecord`]) goes on
    /// before a worker has made the record; it is unknown then. At most ten years. Default: 1 h.
    #[must_use]
    pub const fn arrival_patience(mut self, patience: Duration) -> Self {
        self.settings.arrival_patience = patience;
        self
    }

    /// How many jobs that were enqueued at once, of one queue and priority, may share a broker message, 1 to 64. A worker
    /// takes a message whole. Default: as many as take at most 100 ms of one worker by the run times that the store has
    /// counted in the last 10 minutes; jobs of a function that is not known yet travel alone.
    #[must_use]
    pub const fn bundle_max(mut self, jobs: usize) -> Self {
        self.settings.bundle_max = Some(jobs);
        self
    }

    /// Another clock. Default: the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Another source of randomness, for ids. Default: the operating system's.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.settings.random = random;
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// When a setting is out of range, a URL is wrong, or a server or folder cannot be used.
    pub async fn connect<E>(self, endpoints: E) -> Result<Client, ConnectError>
    where
        E: TryInto<Endpoints>,
        ConnectError: From<E::Error>,
    {
        self.check()?;
        let config = self.config(endpoints.try_into()?)?;
        let backend = Box::pin(Backend::connect(&config)).await?;
        Ok(Client::new(backend.ports().clone(), Some(backend), self.settings))
    }

    /// A client of a backend that is connected already, and that others (a worker, say) may share. What is said here
    /// of connections is the backend's own business then.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn backend(self, backend: &Backend) -> Result<Client, ConnectError> {
        self.check()?;
        Ok(Client::new(backend.ports().clone(), None, self.settings))
    }

    /// A client of ports of any making.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn ports(self, ports: Ports) -> Result<Client, ConnectError> {
        self.check()?;
        Ok(Client::new(ports, None, self.settings))
    }

    /// Everything about the connections. A client consumes nothing: the broker's consumer time-out is none of its
    /// settings.
    fn config(&self, endpoints: Endpoints) -> Result<BackendConfig, ConnectError> {
        let mut config = BackendConfig::new(endpoints);
        config.profile = self.profile;
        config.durability = self.durability;
        config.redis_replicas = self.redis_replicas;
        config.allow_degraded = self.allow_degraded;
        config.amqp_ca_file.clone_from(&self.amqp_ca_file);
        config.redis_ca_file.clone_from(&self.redis_ca_file);
        config.wait_for_broker = self.wait_for_broker;
        config.telemetry = self.telemetry.clone();
        if let Some(name) = &self.connection_name {
            config.connection_name.clone_from(name);
        }
        config.shards = self
            .shards
            .map(Shards::new)
            .transpose()
            .map_err(|error| setting("shards", error))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConnectError> {
        let jobs = self.settings.bundle_max.unwrap_or(1);
        if !(1..=BUNDLE_JOBS_MAX).contains(&jobs) {
            let problem = format!("{jobs} is out of range; use 1 to {BUNDLE_JOBS_MAX}");
            return Err(setting("bundle_max", problem));
        }
        let timeouts = [
            ("enqueue_timeout", self.settings.enqueue_timeout),
            ("publish_timeout", self.settings.publish_timeout),
        ];
        if let Some((field, _)) = timeouts.into_iter().find(|(_, timeout)| timeout.is_zero()) {
            return Err(setting(field, "is zero; use at least 1 ms, for example 5 s"));
        }
        let patience = [
            ("wait_patience", self.settings.wait_patience),
            ("arrival_patience", self.settings.arrival_patience),
        ];
        // They are added to the time of now, which does not reach as far as a duration.
        let mut limits = timeouts.into_iter().chain(patience);
        match limits.find(|(_, limit)| *limit > DURATION_MAX) {
            Some((field, limit)) => Err(setting(
                field,
                format!("{limit:?} is too long; use at most ten years"),
            )),
            None => Ok(()),
        }
    }
}

fn setting(field: &'static str, problem: impl std::fmt::Display) -> ConnectError {
    // The domain's own errors name the field already.
    let text = problem.to_string();
    let prefix = format!("{field}: ");
    let problem = text.strip_prefix(&prefix).map_or(text.clone(), str::to_owned);
    ConnectError::Setting { field, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_connections_reaches_them() {
        let config = ClientBuilder::default()
            .durability(Durability::Strict)
            .allow_degraded(true)
            .connection_name("shop")
            .shards(8)
            .config(Endpoints::embedded("jobs"))
            .unwrap();
        assert_eq!(
            (
                config.durability,
                config.allow_degraded,
                config.connection_name.as_str()
            ),
            (Durability::Strict, true, "shop")
        );
        assert_eq!(config.shards.map(Shards::count), Some(8));
    }

    #[test]
    fn a_limit_beyond_ten_years_is_refused() {
        type Set = fn(ClientBuilder, Duration) -> ClientBuilder;
        let limits: [(&str, Set); 4] = [
            ("enqueue_timeout", ClientBuilder::enqueue_timeout),
            ("publish_timeout", ClientBuilder::publish_timeout),
            ("wait_patience", ClientBuilder::wait_patience),
            ("arrival_patience", ClientBuilder::arrival_patience),
        ];
        for (field, set) in limits {
            set(ClientBuilder::default(), DURATION_MAX).check().unwrap();
            for limit in [DURATION_MAX + Duration::from_millis(1), Duration::MAX] {
                let error = set(ClientBuilder::default(), limit).check().unwrap_err();
                assert_eq!(
                    error.to_string(),
                    format!("{field}: {limit:?} is too long; use at most ten years")
                );
            }
        }
    }
}
