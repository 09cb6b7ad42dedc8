//! Keeps passes in which nothing happened out of the traces: a scheduler makes hundreds of them a minute.

use std::time::Duration;

use opentelemetry::trace::Status;
use opentelemetry::{Context, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

/// The rows that a pass moved, as the scheduler's spans name them.
const ROWS: &str = "longshore.scheduler.rows";

/// A processor that drops passes without rows and without an error.
#[derive(Debug)]
pub(super) struct Busy<P>(pub(super) P);

impl<P: SpanProcessor> SpanProcessor for Busy<P> {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.0.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        if !is_idle(&span) {
            self.0.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

fn is_idle(span: &SpanData) -> bool {
    let rows = span
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == ROWS);
    matches!(rows.map(|rows| &rows.value), Some(Value::I64(0)))
        && !matches!(span.status, Status::Error { .. })
}
