//! From a configuration to the ports.

use std::sync::Arc;

use longshore_core::port::Ports;
use longshore_core::shard::Shards;
use parking_lot::Mutex;

use crate::config::{BackendConfig, Endpoints};

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
    #[cfg(feature = "embedded")]
    Folder(crate::embedded::Embedded),
}

/// Why a backend could not be connected. Never shows credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// RabbitMQ.
    #[error("amqp_url: {0}")]
    Broker(#[from] crate::amqp::Error),
    /// The embedded store's folder can be neither opened nor connected to.
    #[cfg(feature = "embedded")]
    #[error("embedded: {0}")]
    Embedded(Arc<crate::embedded::OpenError>),
    /// This build lacks what the endpoint needs.
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
            Endpoints::Servers { .. } => Err(ConnectError::Unsupported {
                endpoint: config.endpoints.to_string(),
                fix: "the Redis half of the servers is not in it; use embedded://FOLDER",
            }),
        }
    }

    #[cfg(feature = "embedded")]
    async fn open(config: &BackendConfig, folder: &std::path::Path) -> Result<Self, ConnectError> {
        use crate::config::Durability;
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
        Ok(Self {
            ports: opened.ports.clone(),
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
    #[expect(clippy::unused_async, reason = "connections to servers are waited for")]
    pub async fn close(&self) {
        let held = self.held.lock().take();
        match held {
            None => {}
            #[cfg(feature = "embedded")]
            Some(Held::Folder(folder)) => {
                if let Err(error) = folder.close() {
                    tracing::error!(%error, "the embedded store did not close well");
                }
            }
        }
    }
}
