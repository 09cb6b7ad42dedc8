//! Conformance suite, private servers and fault injection for the tests.

pub mod bundles;
pub mod clock;
pub mod conformance;
pub mod factory;
pub mod history;
pub mod namespace;
pub mod process;
pub mod proxy;
pub mod servers;
pub mod wait;
