//! Ids of traces and spans: drawn, unless the span that begins now has one that others can work out.

use std::cell::Cell;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

thread_local! {
    /// The ids of the span that this thread begins now.
    static NEXT: Cell<(Option<TraceId>, Option<SpanId>)> = const { Cell::new((None, None)) };
}

/// Begins a span with these ids: `begin` must begin it on this thread.
pub(super) fn with<T>(trace: Option<TraceId>, span: Option<SpanId>, begin: impl FnOnce() -> T) -> T {
    NEXT.set((trace, span));
    let begun = begin();
    NEXT.set((None, None));
    begun
}

/// Where the exporter's spans get their ids.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let (trace, span) = NEXT.get();
        NEXT.set((None, span));
        trace.unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        let (trace, span) = NEXT.get();
        NEXT.set((trace, None));
        span.unwrap_or_else(|| self.0.new_span_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_ids_are_for_one_span() {
        let ids = Ids::default();
        let (trace, span) = (TraceId::from(7_u128), SpanId::from(9_u64));
        let given = with(Some(trace), Some(span), || {
            (ids.new_span_id(), ids.new_trace_id())
        });
        assert_eq!(given, (span, trace));
        assert_ne!(ids.new_span_id(), span);
        with(None, Some(span), || ());
        assert_ne!(ids.new_span_id(), span);
    }
}
