//! The HTTP API, below `/api/v1`.

use axum::Router;

use crate::state::AppState;

/// Routes that answer at once.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
}

/// Routes that may keep a caller waiting.
pub(crate) fn slow_routes() -> Router<AppState> {
    Router::new()
}
