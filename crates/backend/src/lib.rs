//! RabbitMQ + Redis and the embedded store, behind the ports of longshore-core.
//!
//! The only crate that knows lapin, redis and fjall. A URL chooses the backend: [`Endpoints`] says where it is,
//! [`BackendConfig`] how to use it, and [`Backend::connect`] makes the ports.

mod able;
pub mod amqp;
pub mod checkup;
pub mod config;
mod connect;
#[cfg(feature = "testing")]
pub mod decode;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "bench")]
pub mod floor;
#[cfg(feature = "bench")]
pub mod gauge;
pub mod names;
pub mod redis;
pub mod secret;
mod traced;
mod wire;

pub use config::{BackendConfig, Durability, Endpoints, InvalidEndpoint, Profile};
pub use connect::{Backend, ConnectError};
pub use secret::SecretUrl;
