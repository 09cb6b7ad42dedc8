//! RabbitMQ: messages out and in.
//!
//! Two connections, one for publishing and one for consuming, because a broker that blocks publishers makes the
//! client hold everything back on that connection, acknowledgements included. Each has a supervised link that rebuilds
//! it for ever and counts its epochs; nothing outlives the epoch that made it.

mod consumer;
mod declare;
mod dial;
mod drift;
mod link;
mod pauses;
mod publisher;
mod scout;
mod topology;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::shard::Shards;
use longshore_core::telemetry::Telemetry;

pub use drift::Drift;
pub use link::Error;

use consumer::Consumer;
use declare::Declarer;
use dial::Dialer;
use link::Link;
use publisher::Publisher;
use scout::Scout;

use crate::config::Profile;
use crate::secret::SecretUrl;

/// How long an answer of the broker may take before the connection counts as lost.
const RPC_TIMEOUT: Duration = Duration::from_secs(10);

/// What the broker side needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// `amqp://` or `amqps://`.
    pub url: SecretUrl,
    /// Layout of the queues.
    pub profile: Profile,
    /// Shards of the installation, compared with what the broker was set up for.
    pub shards: Shards,
    /// PEM file with the server's certificate authority.
    pub ca_file: Option<PathBuf>,
    /// See [`crate::BackendConfig::consumer_timeout`].
    pub consumer_timeout: Duration,
    /// See [`crate::BackendConfig::connection_name`].
    pub connection_name: String,
    /// See [`crate::BackendConfig::wait_for_broker`].
    pub wait_for_broker: bool,
    /// See [`crate::BackendConfig::telemetry`].
    pub telemetry: Telemetry,
}

/// Whether connecting could take this URL.
pub(crate) fn check_url(url: &SecretUrl) -> Result<(), String> {
    match dial::uri(url) {
        Ok(_) => Ok(()),
        Err(_) => Err("is not an AMQP URL".to_owned()),
    }
}

/// A connected broker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Broker {
    publisher: Arc<Publisher>,
    consumer: Arc<Consumer>,
    links: [Link; 2],
}

impl Broker {
    /// Connects twice and asserts the topology that every queue shares.
    ///
    /// # Errors
    /// When the broker cannot be reached (unless told to wait for it), refuses the credentials, or has a topology
    /// that differs from ours.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let dialer = |role| Dialer::new(&config, role);
        let publishing = Link::start(dialer("publish")?, config.wait_for_broker).await?;
        let consuming = Link::start(dialer("consume")?, config.wait_for_broker).await?;
        let declarer = Arc::new(Declarer::new(config.profile, config.shards));
        if let Some(live) = publishing.live() {
            match declarer.base(&live.connection).await {
                Err(error) if config.wait_for_broker && error.may_pass() => {
                    tracing::warn!(%error, "the topology is asserted later");
                }
                asserted => asserted?,
            }
        }
        let scout = Scout::new(dialer("probe")?, config.profile);
        Ok(Self {
            publisher: Arc::new(Publisher::start(publishing.clone(), Arc::clone(&declarer))),
            consumer: Arc::new(Consumer::new(
                consuming.clone(),
                declarer,
                scout,
                config.consumer_timeout,
            )),
            links: [publishing, consuming],
        })
    }

    /// Messages out.
    pub fn publisher(&self) -> Arc<Publisher> {
        Arc::clone(&self.publisher)
    }

    /// Messages in.
    pub fn consumer(&self) -> Arc<Consumer> {
        Arc::clone(&self.consumer)
    }

    /// Closes both connections, after what was acknowledged is sent. Subscriptions end; unacknowledged deliveries come again to others.
    pub async fn close(&self) {
        self.consumer.close().await;
        for link in &self.links {
            link.close().await;
        }
    }
}
