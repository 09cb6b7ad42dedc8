//! What a process learns of what its parts do, without them knowing who asks: [`Telemetry`] travels in
//! [`crate::port::Ports`], and is off unless the process hands an [`Observer`] in.
//!
//! Spans are `tracing`'s. Which trace a span belongs to is the observer's business: `tracing` knows parents in this process
//! alone. Off, nothing is asked, counted or built.

use std::sync::Arc;

use tracing::Span;

pub mod context;
mod event;

pub use context::{Begin, Value};
pub use event::{Event, Repair};

/// Looks at what happens. It is called on hot paths and from the control loop: it must neither wait nor fail.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn observe(&self, event: &Event<'_>);

    /// Puts a span that has just been made into its trace.
    fn begin(&self, span: &Span, begin: &Begin<'_>) {
        let _ = (span, begin);
    }

    /// The span's W3C `traceparent`, to hand to another process; `None` when it is in no trace.
    fn traceparent(&self, span: &Span) -> Option<String> {
        let _ = span;
        None
    }

    /// Sets an attribute of a span.
    fn set(&self, span: &Span, name: &'static str, value: Value<'_>) {
        let _ = (span, name, value);
    }

    /// What a span is around has failed: with an error of this type.
    fn failed(&self, span: &Span, error_type: &str) {
        let _ = (span, error_type);
    }

    /// Ties a span to another one, which is given as a W3C `traceparent`.
    fn link(&self, span: &Span, traceparent: &str) {
        let _ = (span, traceparent);
    }
}

/// Whoever observes, if anybody does. Cheap to clone.
#[derive(Clone, Default)]
pub struct Telemetry(Option<Arc<dyn Observer>>);

impl Telemetry {
    /// Told to this observer.
    pub fn new(observer: Arc<dyn Observer>) -> Self {
        Self(Some(observer))
    }

    /// Told to nobody.
    pub const fn off() -> Self {
        Self(None)
    }

    /// Whether anybody observes.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Something happened.
    pub fn observe(&self, event: &Event<'_>) {
        if let Some(observer) = &self.0 {
            observer.observe(event);
        }
    }

    /// The protocol held an invariant, so often.
    pub fn repaired(&self, repair: Repair, count: usize) {
        if count > 0 {
            let count = count as u64;
            self.observe(&Event::Repaired { repair, count });
        }
    }

    /// Puts a span that has just been made into its trace.
    pub fn begin(&self, span: &Span, begin: &Begin<'_>) {
        if let Some(observer) = &self.0 {
            observer.begin(span, begin);
        }
    }

    /// The span's W3C `traceparent`, to hand to another process.
    pub fn traceparent(&self, span: &Span) -> Option<String> {
        self.0.as_ref()?.traceparent(span)
    }

    /// Sets an attribute of a span.
    pub fn set(&self, span: &Span, name: &'static str, value: Value<'_>) {
        if let Some(observer) = &self.0 {
            observer.set(span, name, value);
        }
    }

    /// What a span is around has failed: with an error of this type.
    pub fn failed(&self, span: &Span, error_type: &str) {
        if let Some(observer) = &self.0 {
            observer.failed(span, error_type);
        }
    }

    /// Ties a span to another one.
    pub fn link(&self, span: &Span, traceparent: &str) {
        if let Some(observer) = &self.0 {
            observer.link(span, traceparent);
        }
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_on() {
            "Telemetry(on)"
        } else {
            "Telemetry(off)"
        })
    }
}
