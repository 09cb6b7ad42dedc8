//! An attempt as whoever observes sees it: its span, where that belongs, how it ended.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::outcome::Outcome;
use longshore_core::port::attempt::Grant;
use longshore_core::telemetry::{Begin, Event, Repair, Value, context};
use longshore_core::view::Detail;
use longshore_core::{Envelope, JobId, JobStatus};
use tokio::time::Instant;
use tracing::Span;

use super::Control;
use super::arrive::Held;
use super::flights::Answer;
use super::running::{Attempt, Doing};
use crate::names;

/// Parents whose spans an attempt is linked to.
const LINKS_MAX: usize = 32;
/// What reading them may take.
const LOOK: Duration = Duration::from_secs(5);

impl Control {
    /// The `process` span of an attempt: in the trace of its enqueue, linked to its publish, and, from the second
    /// attempt on, to the job's first run. Counts the start.
    pub(super) fn trace_start(&self, held: &Held, grant: &Grant) -> Span {
        let envelope = &held.envelope;
        let span = span(envelope, grant.attempt);
        let telemetry = &self.ports.telemetry;
        if !telemetry.is_on() {
            return span;
        }
        let published = self.deliveries.origin(held.delivery);
        let waited = published.map_or(Duration::ZERO, |origin| {
            self.clock.now().since(origin.published_at)
        });
        let parent = envelope.traceparent.as_deref();
        let first = (grant.attempt > 1).then(|| context::run(parent, envelope.id, 1, 0));
        let publisher = self.deliveries.publisher(held.delivery);
        telemetry.begin(
            &span,
            &Begin {
                parent,
                trace_id: Some(context::trace_id(envelope.id)),
                span_id: Some(context::run_span_id(envelope.id, grant.gen_, grant.losts)),
                links: publisher.map(str::to_owned).into_iter().chain(first).collect(),
            },
        );
        let attributes = [
            (names::MESSAGING_SYSTEM, Value::Text("rabbitmq")),
            (names::MESSAGING_OPERATION_TYPE, Value::Text("process")),
            (names::MESSAGING_OPERATION_NAME, Value::Text("process")),
            (names::MESSAGING_DESTINATION, Value::Text(envelope.queue.as_str())),
            (names::MESSAGING_CLIENT_ID, Value::Text(&self.me.0)),
            (names::JOB_ID, Value::Text(&envelope.id.to_string())),
            (names::JOB_FUNCTION, Value::Text(envelope.function_name.as_str())),
            (names::JOB_ATTEMPT, Value::Count(u64::from(grant.attempt))),
            (names::JOB_PRIORITY, Value::Text(envelope.priority.as_str())),
            (names::JOB_WAIT, Value::Seconds(waited.as_secs_f64())),
        ];
        for (name, value) in attributes {
            telemetry.set(&span, name, value);
        }
        telemetry.observe(&Event::Started {
            queue: &envelope.queue,
            function: &envelope.function_name,
            priority: envelope.priority,
            waited,
            traceparent: telemetry.traceparent(&span).as_deref(),
        });
        telemetry.repaired(Repair::FenceRaised, usize::from(is_raised(grant)));
        span
    }

    /// Links the span of an attempt to the last runs of its job's parents. They are read beside the attempt.
    pub(super) fn trace_parents(&mut self, envelope: &Envelope, span: &Span) {
        if !self.ports.telemetry.is_on() || envelope.depends_on.is_empty() || span.is_disabled() {
            return;
        }
        let shards = self.ports.enqueue.shards();
        let mut by_shard: BTreeMap<u16, Vec<JobId>> = BTreeMap::new();
        for parent in envelope.depends_on.iter().take(LINKS_MAX) {
            by_shard.entry(shards.of(&parent.id)).or_default().push(parent.id);
        }
        let (port, telemetry, span) = (
            self.ports.inspect.clone(),
            self.ports.telemetry.clone(),
            span.clone(),
        );
        self.calls.push(Box::pin(async move {
            for (shard, ids) in by_shard {
                // A parent that cannot be read has no link, and nothing else is the worse for it.
                let Ok(Ok(parents)) = tokio::time::timeout(LOOK, port.jobs(shard, ids, Detail::Full)).await
                else {
                    continue;
                };
                for parent in parents.into_iter().flatten() {
                    let envelope = parent.full.as_ref().map(|full| &full.envelope);
                    let trace = envelope.and_then(|envelope| context::of_envelope(envelope));
                    let run = context::run(trace.as_deref(), parent.id, parent.gen_, parent.losts);
                    telemetry.link(&span, &run);
                }
            }
            Answer::Linked
        }));
    }

    /// The store accepted the end of an attempt, or refused it.
    pub(super) fn trace_end(&self, attempt: &Attempt, outcome: &'static str) {
        let telemetry = &self.ports.telemetry;
        if !telemetry.is_on() {
            return;
        }
        let span = &attempt.ctx.inner().span;
        telemetry.set(span, names::OUTCOME, Value::Text(outcome));
        if let Doing::Finish(finish) = &attempt.doing
            && let Outcome::Failed { error } | Outcome::Retry { error, .. } = &finish.outcome
        {
            telemetry.failed(span, &error.error_type);
        }
        let envelope = attempt.envelope();
        telemetry.observe(&Event::Ended {
            queue: &envelope.queue,
            function: &envelope.function_name,
            outcome,
            ran: attempt.ran.unwrap_or_else(|| attempt.began.elapsed()),
            traceparent: telemetry.traceparent(span).as_deref(),
        });
    }

    /// Tells the slots when a number has changed.
    pub(super) fn tell_slots(&mut self) {
        let stats = self.stats.snapshot();
        let now = (stats.busy, stats.waiting, stats.stuck);
        if self.ports.telemetry.is_on() && self.told_slots != Some(now) {
            self.told_slots = Some(now);
            let (busy, waiting, stuck) = now;
            let total = self.settings.slots as u64;
            self.ports.telemetry.observe(&Event::Slots {
                total,
                busy,
                waiting,
                stuck,
            });
        }
    }
}

/// Whether a fence is ahead of the clock that made it. A fence is that clock's microseconds, unless the job has had one as
/// high before: then the clock has gone back, and one more than the last is given.
fn is_raised(grant: &Grant) -> bool {
    // The start is told in whole milliseconds.
    grant.fence >= grant.started_at.millis().saturating_add(1).saturating_mul(1_000)
}

/// The span of an attempt; its fields are what log lines show.
fn span(envelope: &Envelope, attempt: u32) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "process",
        otel.kind = "consumer",
        id = %envelope.id,
        function = %envelope.function_name,
        attempt,
        queue = %envelope.queue,
        priority = %envelope.priority,
        traceparent = tracing::field::Empty,
    );
    if let Some(traceparent) = &envelope.traceparent {
        span.record(names::FIELD_TRACEPARENT, traceparent.as_str());
    }
    span
}

/// The span from a handler's end to the store's answer.
pub(super) fn finish_span(attempt: &Attempt) -> Span {
    tracing::debug_span!(
        target: "longshore::trace",
        parent: &attempt.ctx.inner().span,
        "finish",
    )
}

/// How an attempt ended that the store accepted.
pub(super) fn name(status: JobStatus, outcome: Option<&Outcome>) -> &'static str {
    match (status, outcome) {
        (JobStatus::Completed, _) => "completed",
        (JobStatus::Failed, _) => "failed",
        (JobStatus::Cancelled, _) => "cancelled",
        (JobStatus::Expired, _) => "expired",
        (_, Some(Outcome::Released)) => "released",
        (_, Some(Outcome::Snooze { .. })) => "snoozed",
        _ => "retried",
    }
}

/// The mean run time of each queue's jobs here, recent ones counting more.
#[derive(Debug, Default)]
pub(super) struct RunTimes(BTreeMap<longshore_core::QueueName, longshore_core::view::RunTime>);

/// What a new run time counts beside those before it.
const NEW: f64 = 1.0 / 20.0;
/// Mean run time, in seconds, below which handlers count as short: a slot that waits a millisecond more matters little.
const SHORT: f64 = 0.002;

impl RunTimes {
    /// A handler ran so long.
    pub(super) fn took(&mut self, queue: &longshore_core::QueueName, ran: Duration) {
        let mean = self.0.entry(queue.clone()).or_default();
        mean.count = mean.count.saturating_add(1);
        // The first ones are averaged plainly.
        #[expect(clippy::cast_precision_loss, reason = "a weight of a mean")]
        let weight = NEW.max(1.0 / mean.count as f64);
        mean.seconds += (ran.as_secs_f64() - mean.seconds) * weight;
    }

    /// Whether the handlers of every queue that this worker has run jobs of are over so soon, by a mean in which recent
    /// ones count more, that what comes next is worth waiting for. Not before the first has ended.
    pub(super) fn are_short(&self) -> bool {
        !self.0.is_empty() && self.0.values().all(|mean| mean.seconds < SHORT)
    }

    /// The mean of a queue's jobs; not before the first has ended.
    pub(super) fn of(&self, queue: &longshore_core::QueueName) -> Option<longshore_core::view::RunTime> {
        self.0.get(queue).copied()
    }

    /// What a beat tells.
    pub(super) fn tell(&self) -> Vec<(longshore_core::QueueName, longshore_core::view::RunTime)> {
        self.0
            .iter()
            .map(|(queue, mean)| (queue.clone(), *mean))
            .collect()
    }
}

/// When a handler has run; `began` is the start of its attempt.
pub(super) fn ran(attempt: &mut Attempt, now: Instant) -> Duration {
    let ran = now.duration_since(attempt.began);
    *attempt.ran.get_or_insert(ran)
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::{QueueName, Timestamp};

    #[test]
    fn a_fence_ahead_of_its_clock_was_raised() {
        let grant = |fence| Grant {
            attempt: 1,
            retries: 0,
            losts: 0,
            fence,
            gen_: 1,
            cancel_requested: false,
            started_at: Timestamp(5),
        };
        assert!(!is_raised(&grant(5_000)) && !is_raised(&grant(5_999)));
        assert!(is_raised(&grant(6_000)));
    }

    #[test]
    fn the_mean_follows_what_jobs_take_now() {
        let mut times = RunTimes::default();
        let queue = QueueName::default();
        for _ in 0..4 {
            times.took(&queue, Duration::from_secs(2));
        }
        times.took(&queue, Duration::from_secs(12));
        let [(_, mean)] = times.tell()[..] else {
            panic!("one queue")
        };
        assert!((mean.seconds - 4.0).abs() < 1e-9 && mean.count == 5, "{mean:?}");
        for _ in 0..200 {
            times.took(&queue, Duration::from_secs(1));
        }
        let [(_, mean)] = times.tell()[..] else {
            panic!("one queue")
        };
        assert!((mean.seconds - 1.0).abs() < 0.01, "{mean:?}");
    }

    #[test]
    fn handlers_are_short_as_long_as_those_of_every_queue_are() {
        let (mut times, other) = (RunTimes::default(), QueueName::new("other").unwrap());
        assert!(!times.are_short(), "nothing is known");
        times.took(&QueueName::default(), Duration::from_micros(200));
        assert!(times.are_short());
        times.took(&other, Duration::from_millis(20));
        assert!(!times.are_short());
    }
}
