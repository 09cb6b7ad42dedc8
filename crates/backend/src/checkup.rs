//! A look at the servers for `longshore doctor`: it goes on where a connection for work would refuse, and says why, what
//! follows, and what to do.

use std::time::Duration;

use longshore_core::name::QueueName;
use longshore_core::port::broker::Depth;
use longshore_core::shard::Shards;
use serde::{Deserialize, Serialize};

use crate::config::{BackendConfig, Durability, Endpoints};
use crate::secret::SecretUrl;
use crate::{amqp, redis};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Notice,
    /// Works, and will not always.
    Warning,
    /// Jobs do not run, or may be lost.
    Error,
}

impl Severity {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is about, for example `RabbitMQ` or `queue mail`.
    pub subject: String,
    /// What is wrong.
    pub problem: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// Whether this look has put it right.
    pub repaired: bool,
}

impl Finding {
    /// A finding that nobody has repaired.
    pub fn new(
        severity: Severity,
        subject: impl Into<String>,
        problem: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            subject: subject.into(),
            problem: problem.into(),
            why: why.into(),
            fix: fix.into(),
            repaired: false,
        }
    }

    /// The same, put right.
    #[must_use]
    pub fn repaired(mut self, repaired: bool) -> Self {
        self.repaired = repaired;
        self
    }
}

/// What a look at one server found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerReport {
    /// `RabbitMQ` or `Redis`.
    pub server: String,
    /// Where it is, without credentials.
    pub address: String,
    /// What it says of its version; `None` when it did not answer, or does not say.
    pub version: Option<String>,
    /// The median of a few round trips; `None` when it did not answer.
    pub latency: Option<Duration>,
    /// What waits in the broker's queues of jobs, as far as they exist.
    pub depths: Vec<Depth>,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// What the user that looked may not do, for example `read longshore.dead`: this was not looked at, and says nothing
    /// of the server.
    #[serde(default)]
    pub forbidden: Vec<String>,
}

impl ServerReport {
    pub(crate) fn new(server: &str, address: &SecretUrl) -> Self {
        Self {
            server: server.to_owned(),
            address: address.to_string(),
            version: None,
            latency: None,
            depths: Vec::new(),
            findings: Vec::new(),
            forbidden: Vec::new(),
        }
    }

    pub(crate) fn find(&mut self, severity: Severity, problem: String, why: &str, fix: &str) {
        self.findings
            .push(Finding::new(severity, &*self.server, problem, why, fix));
    }
}

/// Looks at Redis; `None` when the configuration names none.
pub async fn redis(config: &BackendConfig) -> Option<ServerReport> {
    let Endpoints::Servers { redis: url, .. } = &config.endpoints else {
        return None;
    };
    crate::connect::use_one_tls_provider();
    let config = redis::Config {
        shards: config.shards,
        allow_degraded: true,
        ca_file: config.redis_ca_file.clone(),
        strict: config.durability == Durability::Strict,
        replicas: config.redis_replicas,
        connection_name: config.connection_name.clone(),
        ..redis::Config::new(url.clone())
    };
    Some(redis::examine(&config).await)
}

/// Looks at RabbitMQ: the exchanges, the queues for dead letters, and what these logical queues are made of; `None` when
/// the configuration names none. `shards` is what the store says. With `repair` it makes what is missing.
pub async fn rabbitmq(
    config: &BackendConfig,
    shards: Shards,
    queues: &[QueueName],
    repair: bool,
) -> Option<ServerReport> {
    let Endpoints::Servers { amqp: url, .. } = &config.endpoints else {
        return None;
    };
    crate::connect::use_one_tls_provider();
    let config = amqp::Config {
        url: url.clone(),
        profile: config.profile,
        shards,
        ca_file: config.amqp_ca_file.clone(),
        consumer_timeout: config.consumer_timeout,
        connection_name: config.connection_name.clone(),
        wait_for_broker: false,
        only_look: true,
        telemetry: config.telemetry.clone(),
    };
    Some(Box::pin(amqp::examine(&config, queues, repair)).await)
}
