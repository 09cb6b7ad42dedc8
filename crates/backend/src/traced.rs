//! Publishing, seen by whoever observes: a `publish` span a message, in the trace of its job.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use longshore_core::message::Message;
use longshore_core::port::PublishPort;
use longshore_core::port::broker::Published;
use longshore_core::port::schedule::DeadLetter;
use longshore_core::telemetry::{Begin, Event, Telemetry, context};
use longshore_core::{Priority, QueueName};
use tokio::time::Instant;
use tracing::{Span, field};

/// Jobs of a message whose traces its span is linked to.
const LINKS_MAX: usize = 32;

/// The same port, told of to whoever observes.
pub(crate) fn publish(port: Arc<dyn PublishPort>, telemetry: &Telemetry) -> Arc<dyn PublishPort> {
    if !telemetry.is_on() {
        return port;
    }
    let telemetry = telemetry.clone();
    Arc::new(Traced { port, telemetry })
}

struct Traced {
    port: Arc<dyn PublishPort>,
    telemetry: Telemetry,
}

/// What is told of a message when the broker has answered.
struct Told {
    span: Span,
    queue: QueueName,
    priority: Priority,
}

impl Traced {
    fn begin(&self, message: &mut Message) -> Told {
        let span = span(message);
        let mut jobs = message
            .jobs
            .iter()
            .map(|job| (job.id, context::of_envelope(&job.envelope)));
        let first = jobs.next();
        let links = jobs.take(LINKS_MAX).filter_map(|(_, parent)| parent);
        // A job without a trace of its own has one that is made of its id.
        let trace_id = first.as_ref().map(|(id, _)| context::trace_id(*id));
        let pass = self.telemetry.traceparent(&Span::current());
        let begin = Begin {
            parent: first.as_ref().and_then(|(_, parent)| parent.as_deref()),
            trace_id,
            span_id: None,
            links: links.chain(pass).collect(),
        };
        self.telemetry.begin(&span, &begin);
        message.traceparent = self.telemetry.traceparent(&span);
        Told {
            span,
            queue: message.queue.clone(),
            priority: message.priority,
        }
    }

    fn end(&self, told: &Told, published: &Published, began: Instant) {
        let outcome = outcome(published);
        told.span.record(crate::names::OUTCOME, outcome);
        if !published.is_confirmed() {
            told.span.record("otel.status_code", "error");
        }
        self.telemetry.observe(&Event::Published {
            queue: &told.queue,
            priority: told.priority,
            outcome,
            took: began.elapsed(),
        });
    }
}

fn span(message: &Message) -> Span {
    let span = tracing::debug_span!(
        target: "longshore::trace",
        parent: None,
        "publish",
        otel.kind = "producer",
        otel.status_code = field::Empty,
        messaging.system = "rabbitmq",
        messaging.operation.type = "send",
        messaging.operation.name = "publish",
        messaging.destination.name = %message.queue,
        messaging.message.id = %message.id,
        messaging.batch.message_count = i64::try_from(message.jobs.len()).unwrap_or(i64::MAX),
        longshore.job.priority = %message.priority,
        longshore.job.id = field::Empty,
        longshore.outcome = field::Empty,
    );
    if let [job] = message.jobs.as_slice() {
        span.record(crate::names::JOB_ID, field::display(job.id));
    }
    span
}

const fn outcome(published: &Published) -> &'static str {
    match published {
        Published::Confirmed => "confirmed",
        Published::Refused(_) => "refused",
        Published::Unknown => "unknown",
    }
}

impl PublishPort for Traced {
    fn publish(
        &self,
        mut messages: Vec<Message>,
    ) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        let told: Vec<Told> = messages.iter_mut().map(|message| self.begin(message)).collect();
        Box::pin(async move {
            let began = Instant::now();
            let answers = self.port.publish(messages).await;
            for (told, published) in told.iter().zip(&answers) {
                self.end(told, published, began);
            }
            answers
        })
    }

    fn is_ready(&self) -> bool {
        self.port.is_ready()
    }

    fn archive(&self, letters: Vec<DeadLetter>) -> Pin<Box<dyn Future<Output = Vec<Published>> + Send + '_>> {
        self.port.archive(letters)
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::Timestamp;
    use longshore_core::port::broker::message_id;

    use super::*;
    use crate::names;

    #[test]
    fn the_span_has_the_name_and_fields_that_are_written_down() {
        let message = Message {
            id: message_id(),
            queue: QueueName::default(),
            priority: Priority::Normal,
            shard: 0,
            epoch: 1,
            published_at: Timestamp(1),
            norecord: false,
            jobs: Vec::new(),
            traceparent: None,
        };
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let span = span(&message);
            let metadata = span.metadata().unwrap();
            assert_eq!(metadata.name(), names::SPAN_PUBLISH);
            for name in [
                names::MESSAGING_SYSTEM,
                names::MESSAGING_OPERATION_TYPE,
                names::MESSAGING_OPERATION_NAME,
                names::MESSAGING_DESTINATION,
                names::MESSAGING_MESSAGE_ID,
                names::MESSAGING_BATCH_COUNT,
                names::PRIORITY,
                names::JOB_ID,
                names::OUTCOME,
            ] {
                assert!(metadata.fields().field(name).is_some(), "{name}");
            }
        });
    }
}
