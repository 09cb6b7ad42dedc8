//! An error as a page.

use axum::response::Html;

use crate::error::Error;
use crate::state::AppState;

/// The page that tells an error. Nobody may be signed in. Its text comes from requests and jobs: escape it.
pub(crate) fn render(_state: &AppState, error: &Error, request_id: &str) -> Html<String> {
    Html(format!("{} ({request_id})", error.code.title()))
}
