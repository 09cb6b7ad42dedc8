//! A progress update under construction.

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

    /// Adds a field such as `items_processed`. At most 16 are kept; a value that is no JSON is left out.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "the update is recorded when it is dropped"
    )]
    pub fn field(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        if self.fields.len() < longshore_core::limits::PROGRESS_FIELDS_MAX
            && let Ok(value) = serde_json::to_value(value)
        {
            self.fields.push((name.into(), value));
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
