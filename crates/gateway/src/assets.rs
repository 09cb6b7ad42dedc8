//! Style, scripts and the `<job-progress>` element.

use axum::Router;

use crate::state::AppState;

/// Routes below `/assets`.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
}
