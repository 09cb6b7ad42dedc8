//! An enqueue as whoever observes sees it.

use longshore_core::telemetry::{Begin, Event, Telemetry, Value};
use longshore_core::{FunctionName, JobId, JobSpec, Priority, QueueName};
use tracing::Span;

use crate::error::EnqueueError;
use crate::names;
use crate::pipeline::stages::Accepted;

/// One enqueue under way.
pub(crate) struct Seen {
    telemetry: Telemetry,
    pub(crate) span: Span,
    queue: QueueName,
    function: FunctionName,
    priority: Priority,
}

impl Seen {
    /// Begins the span of an enqueue; `None` when nobody observes. The job gets the span's `traceparent`, so that what
    /// becomes of the job is in the trace of who asked for it.
    pub(crate) fn begin(telemetry: &Telemetry, spec: &mut JobSpec) -> Option<Self> {
        if !telemetry.is_on() {
            return None;
        }
        let span = span(telemetry, spec.traceparent.as_deref());
        let attributes = [
            (names::MESSAGING_DESTINATION, spec.queue.as_str()),
            (names::JOB_FUNCTION, spec.function_name.as_str()),
            (names::JOB_PRIORITY, spec.priority.as_str()),
        ];
        for (name, value) in attributes {
            telemetry.set(&span, name, Value::Text(value));
        }
        if let Some(traceparent) = telemetry.traceparent(&span) {
            spec.traceparent = Some(traceparent);
        }
        Some(Self {
            telemetry: telemetry.clone(),
            span,
            queue: spec.queue.clone(),
            function: spec.function_name.clone(),
            priority: spec.priority,
        })
    }

    /// The enqueue ended.
    pub(crate) fn end(&self, ended: &Result<(JobId, Accepted), EnqueueError>) {
        let outcome = if let Ok((id, accepted)) = ended {
            let id = id.to_string();
            self.telemetry.set(&self.span, names::JOB_ID, Value::Text(&id));
            outcome(*accepted)
        } else {
            self.telemetry.failed(&self.span, "enqueue");
            "failed"
        };
        self.telemetry
            .set(&self.span, names::OUTCOME, Value::Text(outcome));
        self.telemetry.observe(&Event::Enqueued {
            queue: &self.queue,
            function: &self.function,
            priority: self.priority,
            outcome,
        });
    }
}

/// The span of a batch.
pub(crate) fn begin_batch(telemetry: &Telemetry, jobs: usize) -> Span {
    let span = span(telemetry, None);
    telemetry.set(&span, names::MESSAGING_BATCH_COUNT, Value::Count(jobs as u64));
    span
}

fn span(telemetry: &Telemetry, parent: Option<&str>) -> Span {
    if !telemetry.is_on() {
        return Span::none();
    }
    let span = tracing::debug_span!(target: "longshore::trace", "enqueue", otel.kind = "producer");
    if parent.is_some() {
        telemetry.begin(
            &span,
            &Begin {
                parent,
                ..Begin::default()
            },
        );
    }
    let attributes = [
        (names::MESSAGING_SYSTEM, "rabbitmq"),
        (names::MESSAGING_OPERATION_TYPE, "create"),
        (names::MESSAGING_OPERATION_NAME, "enqueue"),
    ];
    for (name, value) in attributes {
        telemetry.set(&span, name, Value::Text(value));
    }
    span
}

/// The jobs of a batch were accepted.
pub(crate) fn end_batch(telemetry: &Telemetry, batch: &[JobSpec], accepted: &[(JobId, Accepted)]) {
    for (spec, (_, accepted)) in batch.iter().zip(accepted) {
        telemetry.observe(&Event::Enqueued {
            queue: &spec.queue,
            function: &spec.function_name,
            priority: spec.priority,
            outcome: outcome(*accepted),
        });
    }
}

/// How an accepted enqueue ended, in a word.
const fn outcome(accepted: Accepted) -> &'static str {
    match accepted {
        Accepted { existing: true, .. } => "existing",
        Accepted { unrecorded: true, .. } => "unrecorded",
        Accepted { deferred: true, .. } => "deferred",
        Accepted { .. } => "created",
    }
}
