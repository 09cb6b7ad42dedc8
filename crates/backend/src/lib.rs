//! RabbitMQ + Redis and the embedded store, behind the ports of longshore-core.
//!
//! The only crate that knows lapin and redis. A URL chooses the backend.
