//! Where a worker's ports come from.

use longshore_backend::{Backend, BackendConfig, Endpoints, InvalidEndpoint};
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
    /// URLs that cannot be used; [`Builder::build`](crate::Builder::build) says why.
    Invalid(InvalidEndpoint),
}

/// By URLs: the defaults for them.
impl From<Endpoints> for BackendSource {
    fn from(endpoints: Endpoints) -> Self {
        BackendConfig::new(endpoints).into()
    }
}

/// `("amqp://…", "redis://…")`.
impl From<(&str, &str)> for BackendSource {
    fn from(urls: (&str, &str)) -> Self {
        Self::of(urls)
    }
}

/// The URLs of RabbitMQ and Redis, in this order.
impl From<(String, String)> for BackendSource {
    fn from(urls: (String, String)) -> Self {
        Self::of(urls)
    }
}

/// `"embedded://FOLDER"`.
impl From<&str> for BackendSource {
    fn from(url: &str) -> Self {
        Self::of(url)
    }
}

/// `embedded://FOLDER`.
impl From<String> for BackendSource {
    fn from(url: String) -> Self {
        Self::of(url)
    }
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
    fn of(urls: impl TryInto<Endpoints, Error = InvalidEndpoint>) -> Self {
        urls.try_into().map_or_else(Self::Invalid, Self::from)
    }

    /// What is wrong with it, if anything can be told yet.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            Self::Invalid(problem) => Some(problem.to_string()),
            Self::Connect(_) | Self::Connected(_) | Self::Ports(_) => None,
        }
    }

    /// The ports, and the backend if it is to be closed at the end.
    pub(crate) async fn open(self) -> Result<(Ports, Option<Backend>), Error> {
        match self {
            Self::Invalid(problem) => Err(Error::Connect(Box::new(problem))),
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
