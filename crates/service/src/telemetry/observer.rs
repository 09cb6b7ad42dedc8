//! Who the parts tell: events become numbers, spans get their places in traces.

use std::sync::Arc;

use longshore_core::telemetry::{Begin, Event, Value};
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::ids;
use crate::metrics::Instruments;

/// Why a span failed, as OpenTelemetry calls it.
const ERROR_TYPE: &str = "error.type";

/// Told by the parts.
#[derive(Debug)]
pub(super) struct Observer {
    instruments: Arc<Instruments>,
    traces: bool,
}

impl Observer {
    pub(super) const fn new(instruments: Arc<Instruments>, traces: bool) -> Self {
        Self { instruments, traces }
    }
}

impl longshore_core::telemetry::Observer for Observer {
    fn observe(&self, event: &Event<'_>) {
        self.instruments.observe(event);
    }

    fn begin(&self, span: &Span, begin: &Begin<'_>) {
        if !self.traces || span.is_disabled() {
            return;
        }
        let parent = begin.parent.and_then(parse);
        let trace = begin
            .trace_id
            .map(TraceId::from_bytes)
            .filter(|_| parent.is_none());
        let cx = parent.map_or_else(Context::new, |parent| {
            Context::new().with_remote_span_context(parent)
        });
        // An error means that the span was begun before, or is not exported; both keep it as it is.
        span.set_parent(cx).ok();
        for link in begin.links.iter().filter_map(|link| parse(link)) {
            span.add_link(link);
        }
        // Asking for its context is what begins it.
        drop(ids::with(trace, begin.span_id.map(SpanId::from_bytes), || {
            span.context()
        }));
    }

    fn traceparent(&self, span: &Span) -> Option<String> {
        if !self.traces || span.is_disabled() {
            return None;
        }
        let context = span.context();
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| {
            format!(
                "00-{}-{}-{:02x}",
                ids.trace_id(),
                ids.span_id(),
                ids.trace_flags().to_u8() & 1
            )
        })
    }

    fn set(&self, span: &Span, name: &'static str, value: Value<'_>) {
        if !self.traces {
            return;
        }
        match value {
            Value::Text(text) => span.set_attribute(name, text.to_owned()),
            Value::Count(count) => span.set_attribute(name, i64::try_from(count).unwrap_or(i64::MAX)),
            Value::Seconds(seconds) => span.set_attribute(name, seconds),
        }
    }

    fn failed(&self, span: &Span, error_type: &str) {
        if self.traces {
            span.set_attribute(ERROR_TYPE, error_type.to_owned());
            span.set_status(Status::error(error_type.to_owned()));
        }
    }

    fn link(&self, span: &Span, traceparent: &str) {
        if self.traces
            && let Some(link) = parse(traceparent)
        {
            span.add_link(link);
        }
    }
}

/// Reads a W3C `traceparent`; `None` for anything else, and for ids of zeros.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let shape = (version.len(), trace.len(), span.len(), flags.len()) == (2, 32, 16, 2);
    if !shape || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(flags & 1),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use longshore_core::telemetry::Observer as _;
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// The `traceparent` of a span that begins so, where this share of traces is kept.
    fn begun(ratio: f64, begin: &Begin<'_>) -> String {
        let tracer = SdkTracerProvider::builder()
            .with_id_generator(super::super::ids::Ids::default())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .build();
        let meter = SdkMeterProvider::builder().build().meter("test");
        let observer = Observer::new(Arc::new(Instruments::new(&meter)), true);
        let spans = tracing_opentelemetry::layer().with_tracer(tracer.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(spans), || {
            let span = tracing::info_span!("work");
            observer.begin(&span, begin);
            observer.traceparent(&span).unwrap()
        })
    }

    #[test]
    fn a_span_has_the_ids_that_it_is_given() {
        let begin = Begin {
            trace_id: Some([0x11; 16]),
            span_id: Some([0x22; 8]),
            ..Begin::default()
        };
        let expected = format!("00-{}-{}-01", "11".repeat(16), "22".repeat(8));
        assert_eq!(begun(1.0, &begin), expected);
    }

    #[test]
    fn the_ratio_decides_unless_a_caller_has() {
        let own = Begin {
            trace_id: Some([0x11; 16]),
            ..Begin::default()
        };
        assert!(begun(0.0, &own).ends_with("-00"), "nobody keeps it");
        let called = Begin {
            parent: Some(PARENT),
            ..own.clone()
        };
        let kept = begun(0.0, &called);
        assert!(kept.starts_with(&PARENT[..35]) && kept.ends_with("-01"), "{kept}");
        let dropped = PARENT.replace("-01", "-00");
        let called = Begin {
            parent: Some(&dropped),
            ..own
        };
        assert!(
            begun(1.0, &called).ends_with("-00"),
            "its caller does not keep it"
        );
    }

    #[test]
    fn a_traceparent_is_read_as_the_standard_has_it() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let read = parse(&format!("00-{trace}-b7ad6b7169203331-01")).unwrap();
        assert_eq!(read.trace_id().to_string(), trace);
        assert!(read.is_sampled() && read.is_remote());
        assert!(
            !parse(&format!("00-{trace}-b7ad6b7169203331-00"))
                .unwrap()
                .is_sampled()
        );
        assert!(parse(&format!("01-{trace}-b7ad6b7169203331-01-more")).is_some());
        for bad in [
            String::new(),
            "nonsense".to_owned(),
            format!("ff-{trace}-b7ad6b7169203331-01"),
            format!("00-{trace}-b7ad6b7169203331-01-more"),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
        ] {
            assert!(parse(&bad).is_none(), "{bad}");
        }
    }
}
