//! Conformance suite, private servers and fault injection for the tests.

pub mod process;
pub mod proxy;
pub mod servers;
pub mod wait;
