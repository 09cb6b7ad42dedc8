//! The backends that the suite runs against.

mod fleet;

pub use fleet::{Fleet, Store};
