//! From a configuration to the ports.

use std::sync::Arc;

use longshore_core::port::Ports;
use longshore_core::shard::Shards;
use parking_lot::Mutex;

use crate::config::{BackendConfig, Durability, Endpoints};
use crate::secret::SecretUrl;
use crate::{amqp, redis, traced};

/// A connected backend: the ports, and what keeps them alive. Cheap to clone; [`Backend::close`] ends every clone.
#[derive(Clone, Debug)]
pub struct Backend {
    ports: Ports,
    is_owner: bool,
    held: Arc<Mutex<Option<Held>>>,
}

/// What must be closed.
#[derive(Debug)]
enum Held {
    Servers(amqp::Broker, redis::Store),
    #[cfg(feature = "embedded")]
    Folder(crate::embedded::Embedded),
}

/// Why a backend could not be connected. Never shows credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// RabbitMQ.
    #[error(transparent)]
    Broker(#[from] amqp::Error),
    /// Redis.
    #[error(transparent)]
    Store(#[from] redis::ConnectError),
    /// The embedded store's folder can be neither opened nor connected to.
    #[cfg(feature = "embedded")]
    #[error("embedded: {0}")]
    Embedded(Arc<crate::embedded::OpenError>),
    /// This build lacks what the endpoint needs.
    #[cfg(not(feature = "embedded"))]
    #[error("{endpoint}: this build cannot connect to it; {fix}")]
    Unsupported {
        /// The endpoint, without credentials.
        endpoint: String,
        /// What to do instead.
        fix: &'static str,
    },
}

impl Backend {
    /// Connects. Every background task of the connections runs on the runtime that calls this; when that runtime
    /// ends, they end.
    ///
    /// # Errors
    /// When an endpoint cannot be reached, refuses the credentials, or holds a topology or data that this
    /// configuration does not fit.
    pub async fn connect(config: &BackendConfig) -> Result<Self, ConnectError> {
        match &config.endpoints {
            #[cfg(feature = "embedded")]
            Endpoints::Embedded { folder } => Self::open(config, folder).await,
            #[cfg(not(feature = "embedded"))]
            Endpoints::Embedded { .. } => Err(ConnectError::Unsupported {
                endpoint: config.endpoints.to_string(),
                fix: "turn on the feature `embedded` of longshore-backend",
            }),
            Endpoints::Servers { amqp, redis } => Self::servers(config, amqp, redis).await,
        }
    }

    async fn servers(
        config: &BackendConfig,
        amqp_url: &SecretUrl,
        redis_url: &SecretUrl,
    ) -> Result<Self, ConnectError> {
        use_one_tls_provider();
        // Redis first: how many shards there are is written there.
        let store = redis::Store::connect(&redis::Config {
            shards: config.shards,
            allow_degraded: config.allow_degraded,
            ca_file: config.redis_ca_file.clone(),
            strict: config.durability == Durability::Strict,
            replicas: config.redis_replicas,
            connection_name: config.connection_name.clone(),
            telemetry: config.telemetry.clone(),
            ..redis::Config::new(redis_url.clone())
        })
        .await?;
        let broker = Box::pin(amqp::Broker::connect(amqp::Config {
            url: amqp_url.clone(),
            profile: config.profile,
            shards: store.enqueue_port().shards(),
            ca_file: config.amqp_ca_file.clone(),
            consumer_timeout: config.consumer_timeout,
            connection_name: config.connection_name.clone(),
            wait_for_broker: config.wait_for_broker,
            telemetry: config.telemetry.clone(),
        }))
        .await
        .inspect_err(|_| store.close())?;
        let ports = Ports {
            enqueue: store.enqueue_port(),
            attempt: store.attempt_port(),
            schedule: store.schedule_port(),
            inspect: store.inspect_port(),
            cron: store.cron_port(),
            publish: traced::publish(broker.publisher(), &config.telemetry),
            consume: broker.consumer(),
            telemetry: config.telemetry.clone(),
        };
        Ok(Self {
            ports,
            is_owner: true,
            held: Arc::new(Mutex::new(Some(Held::Servers(broker, store)))),
        })
    }

    #[cfg(feature = "embedded")]
    async fn open(config: &BackendConfig, folder: &std::path::Path) -> Result<Self, ConnectError> {
        use crate::embedded::{Options, Role, Sync, open_or_connect};

        let options = Options {
            shards: config.shards,
            sync: match config.durability {
                Durability::Default => Sync::Process,
                Durability::Strict => Sync::Always,
            },
            ..Options::default()
        };
        let opened = open_or_connect(folder, options)
            .await
            .map_err(|error| ConnectError::Embedded(Arc::new(error)))?;
        let ports = Ports {
            publish: traced::publish(opened.ports.publish.clone(), &config.telemetry),
            telemetry: config.telemetry.clone(),
            ..opened.ports.clone()
        };
        Ok(Self {
            ports,
            is_owner: opened.role == Role::Owner,
            held: Arc::new(Mutex::new(Some(Held::Folder(opened)))),
        })
    }

    /// What the backend offers.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// How many shards the installation has.
    pub fn shards(&self) -> Shards {
        self.ports.enqueue.shards()
    }

    /// Whether this process may run what must run somewhere: always with servers; with the embedded store only in
    /// the process that owns the folder.
    pub fn is_owner(&self) -> bool {
        self.is_owner
    }

    /// Closes every connection after what was acknowledged is sent. Deliveries that are still unacknowledged come
    /// again to others. What goes wrong is logged: whatever was answered before is kept all the same.
    pub async fn close(&self) {
        let held = self.held.lock().take();
        match held {
            None => {}
            Some(Held::Servers(broker, store)) => {
                broker.close().await;
                store.close();
            }
            #[cfg(feature = "embedded")]
            Some(Held::Folder(folder)) => {
                if let Err(error) = folder.close() {
                    tracing::error!(%error, "the embedded store did not close well");
                }
            }
        }
    }
}

/// Two connections with two TLS libraries' defaults would be one too many: whoever has not chosen gets ring.
fn use_one_tls_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread has just chosen.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}
