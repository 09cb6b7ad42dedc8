//! Jobs as far as whoever looks may see them. Whatever a page shows or searches of a job comes through here.

use longshore::{JobView, value};
use serde_json::Value;

use super::frame::Page;
use crate::dto::job::{JobError, JobProgress};

/// The job without what the role may not see of its progress, its error and its history.
pub(super) fn seen(page: &Page, mut job: JobView) -> JobView {
    let (role, hide) = (page.session.role, page.state.hide());
    let progress = JobProgress::of(&job.progress, role, hide);
    job.progress.message = progress.message;
    job.progress.fields = progress.fields;
    if let Some(error) = &mut job.error {
        let told = JobError::of(error, role, hide);
        error.error_type = told.error_type;
        error.message = told.message;
        error.causes = told.causes;
        error.traceback = told.traceback;
    }
    if let Some(full) = &mut job.full {
        for attempt in &mut full.history {
            attempt.error = hide.text(role, "history", "error", std::mem::take(&mut attempt.error));
        }
    }
    job
}

/// Arguments, a result or metadata as JSON, without what the role may not see; `None` when they cannot be read.
pub(super) fn json(page: &Page, place: &'static str, bytes: &[u8]) -> Option<String> {
    shown(page, place, value::to_json(place, bytes).ok()?)
}

/// The same of a value.
pub(super) fn shown(page: &Page, place: &'static str, mut value: Value) -> Option<String> {
    page.state.hide().apply(page.session.role, place, &mut value);
    serde_json::to_string_pretty(&value).ok()
}

/// Arguments as JSON for a form, and whether anything of them is hidden; `None` when they cannot be read.
pub(super) fn editable(page: &Page, bytes: &[u8]) -> Option<(String, bool)> {
    let mut args = value::to_json("args", bytes).ok()?;
    let covered = page.state.hide().apply(page.session.role, "args", &mut args);
    Some((serde_json::to_string_pretty(&args).ok()?, covered))
}
