//! Where a worker's ports come from.

use longshore_backend::{Backend, BackendConfig};
use longshore_core::port::Ports;

use crate::error::Error;

/// Where a worker's ports come from.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackendSource {
    /// A configuration: the worker connects by itself, on the runtime of its control loop, where no handler can
    /// silence the connections. The right choice for a program that is a worker.
    Connect(Box<BackendConfig>),
    /// A backend that is connected already. Its connections live on the runtime that made them: a handler that blocks
    /// that runtime silences them. The worker does not close it.
    Connected(Backend),
    /// Ports of any other making.
    Ports(Ports),
}

impl From<BackendConfig> for BackendSource {
    fn from(config: BackendConfig) -> Self {
        Self::Connect(Box::new(config))
    }
}

impl From<Backend> for BackendSource {
    fn from(backend: Backend) -> Self {
        Self::Connected(backend)
    }
}

impl From<Ports> for BackendSource {
    fn from(ports: Ports) -> Self {
        Self::Ports(ports)
    }
}

impl BackendSource {
    /// The ports, and the backend if it is to be closed at the end.
    pub(crate) async fn open(self) -> Result<(Ports, Option<Backend>), Error> {
        match self {
            Self::Ports(ports) => Ok((ports, None)),
            Self::Connected(backend) => Ok((backend.ports().clone(), None)),
            Self::Connect(config) => {
                let connected = Box::pin(Backend::connect(&config)).await;
                let backend = connected.map_err(|error| Error::Connect(Box::new(error)))?;
                Ok((backend.ports().clone(), Some(backend)))
            }
        }
    }
}
