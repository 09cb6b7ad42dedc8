//! A progress update under construction.

use longshore_core::{limits, value};
use serde::Serialize;

use super::JobContext;

/// One progress update; recorded when it is dropped.
#[derive(Debug)]
pub struct ProgressUpdate<'a> {
    ctx: &'a JobContext,
    fraction: Option<f64>,
    message: String,
    fields: Vec<(String, serde_json::Value)>,
}

impl<'a> ProgressUpdate<'a> {
    pub(super) const fn new(ctx: &'a JobContext, fraction: Option<f64>, message: String) -> Self {
        Self {
            ctx,
            fraction,
            message,
            fields: Vec::new(),
        }
    }

    /// Adds a field such as `items_processed`. At most 16 are kept. Left out is a value that is no JSON, nests deeper than
    /// 32 levels, or is longer than 4 KiB as JSON, its name included.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "the update is recorded when it is dropped"
    )]
    pub fn field(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let name = name.into();
        if self.fields.len() < limits::PROGRESS_FIELDS_MAX
            && let Ok(value) = serde_json::to_value(value)
            && !value::nests_deeper(&value, limits::PROGRESS_FIELD_DEPTH_MAX)
            && name.len() + value.to_string().len() <= limits::PROGRESS_FIELD_BYTES_MAX
        {
            self.fields.push((name, value));
        }
        self
    }
}

impl Drop for ProgressUpdate<'_> {
    fn drop(&mut self) {
        let inner = self.ctx.inner();
        let message = std::mem::take(&mut self.message);
        let fields = std::mem::take(&mut self.fields);
        if inner.progress.say(self.fraction, message, fields) {
            inner.inbox.progress(inner.key);
        }
    }
}
