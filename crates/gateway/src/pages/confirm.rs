//! The question before something is changed for good: a page of its own, which scripts show as a dialog.

use askama::Template;
use axum::response::Response;

use super::frame::Frame;
use super::html;
use crate::error::Error;

/// The question.
#[derive(Debug, Template)]
#[template(path = "confirm.html")]
pub(super) struct Confirm {
    pub(super) frame: Frame,
    /// The question itself.
    pub(super) question: String,
    /// What the answer means.
    pub(super) meaning: String,
    /// What it is about, as name and value.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Where the answer is posted.
    pub(super) action: String,
    pub(super) fields: Vec<(String, String)>,
    /// Whether a reason is asked for.
    pub(super) asks_reason: bool,
    /// What the button says; empty when there is nothing to do.
    pub(super) button: String,
    pub(super) destroys: bool,
    /// Where to go without doing it.
    pub(super) back: String,
}

impl Confirm {
    pub(super) fn answer(self) -> Result<Response, Error> {
        html(&self)
    }
}
