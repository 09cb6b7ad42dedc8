//! Server-sent events: one stream a page.

pub(crate) mod hub;
pub(crate) mod open;
pub(crate) mod shared;
pub(crate) mod stream;

use tokio_util::sync::CancellationToken;

/// Ends streams and long polls, so that a stop does not wait for them.
#[derive(Clone, Debug)]
pub(crate) struct Draining(pub(crate) CancellationToken);
