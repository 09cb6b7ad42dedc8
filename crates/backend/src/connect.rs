//! From a configuration to the ports.

use longshore_core::port::Ports;
use longshore_core::shard::Shards;

use crate::config::{BackendConfig, Endpoints};

/// A connected backend: the ports, and what keeps them alive. Cheap to clone; [`Backend::close`] ends every clone.
#[derive(Clone, Debug)]
pub struct Backend {
    ports: Ports,
    is_owner: bool,
    #[cfg(feature = "embedded")]
    embedded: std::sync::Arc<parking_lot::Mutex<Option<crate::embedded::Embedded>>>,
}

/// Why a backend could not be connected. Never shows credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// This build lacks what the endpoint needs.
    #[error("{endpoint}: this build cannot connect to it; {fix}")]
    Unsupported {
        /// The endpoint, without credentials.
        endpoint: String,
        /// What to do instead.
        fix: &'static str,
    },
    /// The embedded store's folder can be neither opened nor connected to.
    #[cfg(feature = "embedded")]
    #[error("embedded: {0}")]
    Embedded(#[from] crate::embedded::OpenError),
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
            Endpoints::Embedded { folder } => Self::open(folder, config.shards).await,
            #[cfg(not(feature = "embedded"))]
            Endpoints::Embedded { .. } => Err(ConnectError::Unsupported {
                endpoint: config.endpoints.to_string(),
                fix: "turn on the feature `embedded`",
            }),
            Endpoints::Servers { .. } => Err(ConnectError::Unsupported {
                endpoint: config.endpoints.to_string(),
                fix: "the Redis half of the servers is not in it; use embedded://FOLDER",
            }),
        }
    }

    #[cfg(feature = "embedded")]
    async fn open(folder: &std::path::Path, shards: Option<Shards>) -> Result<Self, ConnectError> {
        use crate::embedded::{Options, Role, open_or_connect};
        let options = Options {
            shards,
            ..Options::default()
        };
        let embedded = open_or_connect(folder, options).await?;
        Ok(Self {
            ports: embedded.ports.clone(),
            is_owner: embedded.role == Role::Owner,
            embedded: std::sync::Arc::new(parking_lot::Mutex::new(Some(embedded))),
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
    /// again to others.
    ///
    /// # Errors
    /// When the embedded store's disk does not take what is left.
    #[expect(
        clippy::unused_async,
        reason = "closing connections to servers waits for them"
    )]
    pub async fn close(&self) -> Result<(), longshore_core::port::Error> {
        #[cfg(feature = "embedded")]
        if let Some(embedded) = self.embedded.lock().take() {
            return embedded.close();
        }
        Ok(())
    }
}
