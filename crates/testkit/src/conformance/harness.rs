//! The backends that the suite runs against.

mod embedded;
mod fleet;

pub use embedded::Embedded;
pub use fleet::{Fleet, Store};
