//! Who asks, and what they may.

mod cookie;
pub(crate) mod hide;
pub(crate) mod login;
pub(crate) mod oidc;
pub(crate) mod posted;
pub(crate) mod rate;
pub(crate) mod session;
pub(crate) mod signer;
pub(crate) mod site;
pub(crate) mod streams;
pub(crate) mod tokens;
pub(crate) mod watch;

pub(crate) use posted::Posted;
pub(crate) use session::Session;
