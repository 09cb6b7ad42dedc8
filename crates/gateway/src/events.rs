//! Server-sent events: one stream a page.

use axum::Router;
use tokio_util::sync::CancellationToken;

use crate::state::AppState;

/// Ends streams and long polls, so that a stop does not wait for them.
#[derive(Clone, Debug)]
pub(crate) struct Draining(pub(crate) CancellationToken);

/// Routes below `/api/v1`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
}
