//! An error as a page.

use askama::Template;
use axum::response::Html;

use super::frame::{Frame, bare};
use crate::error::{Error, ErrorCode};
use crate::state::AppState;

#[derive(Debug, Template)]
#[template(path = "problem.html")]
struct Problem<'a> {
    frame: Frame,
    status: u16,
    /// Whether signing in would help.
    sign_in: bool,
    title: &'static str,
    detail: String,
    problems: &'a [String],
    request_id: &'a str,
}

/// The page that tells an error. Nobody may be signed in. Its text comes from requests and jobs: escape it.
pub(crate) fn render(state: &AppState, error: &Error, request_id: &str) -> Html<String> {
    let page = Problem {
        frame: bare(state, error.code.title()),
        status: error.code.status().as_u16(),
        sign_in: error.code == ErrorCode::Unauthenticated,
        title: error.code.title(),
        detail: sentence(&error.detail),
        problems: &error.problems,
        request_id,
    };
    // A template of ours renders; should it not, the title alone says enough.
    Html(page.render().unwrap_or_else(|_| error.code.title().to_owned()))
}

/// A detail begins small, so that it fits after other words; alone it is a sentence.
fn sentence(detail: &str) -> String {
    let mut letters = detail.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
