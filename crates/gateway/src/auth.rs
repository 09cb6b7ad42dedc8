//! Who asks, and what they may.

pub(crate) mod csrf;
pub(crate) mod posted;
pub(crate) mod session;
pub(crate) mod site;

pub(crate) use posted::Posted;
pub(crate) use session::Session;
