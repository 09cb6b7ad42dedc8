//! The instruments, and which event counts where.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::telemetry::{Event, Repair};
use longshore_core::{FunctionName, Priority, QueueName};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};
use tokio::time::Instant;

use super::bounded::{Bounded, OTHER};
use super::exemplars::Exemplars;
use super::names::{self, Kind, Metric};

/// When each daemon last ended a pass.
type Passes = Arc<Mutex<HashMap<&'static str, Instant>>>;

/// Everything that events count by.
#[derive(Debug)]
pub(crate) struct Instruments {
    queues: Bounded,
    functions: Bounded,
    routes: Bounded,
    exemplars: Exemplars,
    jobs_enqueued: Counter<u64>,
    messages_published: Counter<u64>,
    publish_duration: Histogram<f64>,
    attempts_started: Counter<u64>,
    attempts_ended: Counter<u64>,
    job_wait: Histogram<f64>,
    job_run: Histogram<f64>,
    handler_panics: Counter<u64>,
    worker_slots: Gauge<u64>,
    worker_slots_busy: Gauge<u64>,
    worker_jobs_waiting: Gauge<u64>,
    worker_handlers_stuck: Gauge<u64>,
    worker_jobs_given_back: Counter<u64>,
    scheduler_passes: Counter<u64>,
    scheduler_rows: Counter<u64>,
    scheduler_pass_duration: Histogram<f64>,
    passes: Passes,
    leases_expired: Counter<u64>,
    http_request_duration: Histogram<f64>,
    gateway_streams: Gauge<u64>,
    protocol_repairs: Counter<u64>,
    server_call: Histogram<f64>,
    server_connections: Counter<u64>,
    server_connected: Gauge<u64>,
    broker_blocked: Gauge<u64>,
}

fn counter(meter: &Meter, metric: &Metric) -> Counter<u64> {
    meter
        .u64_counter(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.meaning)
        .build()
}

fn gauge(meter: &Meter, metric: &Metric) -> Gauge<u64> {
    meter
        .u64_gauge(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.meaning)
        .build()
}

fn histogram(meter: &Meter, metric: &Metric) -> Histogram<f64> {
    let bounds = match metric.kind {
        Kind::Histogram(bounds) => bounds.to_vec(),
        Kind::Counter | Kind::Gauge => Vec::new(),
    };
    meter
        .f64_histogram(metric.name)
        .with_unit(metric.unit)
        .with_description(metric.meaning)
        .with_boundaries(bounds)
        .build()
}

impl Instruments {
    pub(crate) fn new(meter: &Meter) -> Self {
        let passes = Passes::default();
        lag(meter, &passes);
        let protocol_repairs = counter(meter, &names::PROTOCOL_REPAIRS);
        // From 0 on, so that the first one is a rise.
        for repair in Repair::ALL {
            protocol_repairs.add(0, &repaired(repair));
        }
        Self {
            queues: Bounded::default(),
            functions: Bounded::default(),
            routes: Bounded::default(),
            exemplars: Exemplars::default(),
            jobs_enqueued: counter(meter, &names::JOBS_ENQUEUED),
            messages_published: counter(meter, &names::MESSAGES_PUBLISHED),
            publish_duration: histogram(meter, &names::PUBLISH_DURATION),
            attempts_started: counter(meter, &names::ATTEMPTS_STARTED),
            attempts_ended: counter(meter, &names::ATTEMPTS_ENDED),
            job_wait: histogram(meter, &names::JOB_WAIT),
            job_run: histogram(meter, &names::JOB_RUN),
            handler_panics: counter(meter, &names::HANDLER_PANICS),
            worker_slots: gauge(meter, &names::WORKER_SLOTS),
            worker_slots_busy: gauge(meter, &names::WORKER_SLOTS_BUSY),
            worker_jobs_waiting: gauge(meter, &names::WORKER_JOBS_WAITING),
            worker_handlers_stuck: gauge(meter, &names::WORKER_HANDLERS_STUCK),
            worker_jobs_given_back: counter(meter, &names::WORKER_JOBS_GIVEN_BACK),
            scheduler_passes: counter(meter, &names::SCHEDULER_PASSES),
            scheduler_rows: counter(meter, &names::SCHEDULER_ROWS),
            scheduler_pass_duration: histogram(meter, &names::SCHEDULER_PASS_DURATION),
            passes,
            leases_expired: counter(meter, &names::LEASES_EXPIRED),
            http_request_duration: histogram(meter, &names::HTTP_REQUEST_DURATION),
            gateway_streams: gauge(meter, &names::GATEWAY_STREAMS),
            protocol_repairs,
            server_call: histogram(meter, &names::SERVER_CALL),
            server_connections: counter(meter, &names::SERVER_CONNECTIONS),
            server_connected: gauge(meter, &names::SERVER_CONNECTED),
            broker_blocked: gauge(meter, &names::BROKER_BLOCKED),
        }
    }

    /// Counts an event.
    pub(crate) fn observe(&self, event: &Event<'_>) {
        match *event {
            Event::Enqueued { .. } | Event::Published { .. } => self.produced(event),
            Event::Started { .. } | Event::Ended { .. } | Event::Panicked { .. } => self.attempted(event),
            Event::GivenBack { jobs } => self.worker_jobs_given_back.add(jobs, &[]),
            Event::Slots {
                total,
                busy,
                waiting,
                stuck,
            } => {
                self.worker_slots.record(total, &[]);
                self.worker_slots_busy.record(busy, &[]);
                self.worker_jobs_waiting.record(waiting, &[]);
                self.worker_handlers_stuck.record(stuck, &[]);
            }
            Event::Pass {
                daemon,
                ok,
                rows,
                took,
            } => self.passed(daemon, ok, rows, took),
            Event::LeasesExpired {
                requeued,
                failed,
                cancelled,
            } => {
                for (count, outcome) in [
                    (requeued, "requeued"),
                    (failed, "failed"),
                    (cancelled, "cancelled"),
                ] {
                    if count > 0 {
                        self.leases_expired
                            .add(count, &[KeyValue::new(names::OUTCOME, outcome)]);
                    }
                }
            }
            Event::Requested { .. } => self.requested(event),
            Event::Streams { open } => self.gateway_streams.record(open, &[]),
            Event::Repaired { repair, count } => self.protocol_repairs.add(count, &repaired(repair)),
            Event::Called { .. } | Event::Connection { .. } | Event::Blocked { .. } => self.served(event),
            _ => {}
        }
    }

    fn produced(&self, event: &Event<'_>) {
        match *event {
            Event::Enqueued {
                queue,
                function,
                priority,
                outcome,
            } => self.jobs_enqueued.add(
                1,
                &[
                    self.queue(queue),
                    self.function(function),
                    level(priority),
                    KeyValue::new(names::OUTCOME, outcome),
                ],
            ),
            Event::Published {
                queue,
                priority,
                outcome,
                took,
            } => {
                let outcome = KeyValue::new(names::OUTCOME, outcome);
                self.publish_duration
                    .record(took.as_secs_f64(), std::slice::from_ref(&outcome));
                self.messages_published
                    .add(1, &[self.queue(queue), level(priority), outcome]);
            }
            _ => {}
        }
    }

    fn attempted(&self, event: &Event<'_>) {
        match *event {
            Event::Started {
                queue,
                function,
                priority,
                waited,
                traceparent,
            } => {
                let (queue, priority) = (self.queue(queue), level(priority));
                let attributes = [queue.clone(), priority.clone()];
                self.job_wait.record(waited.as_secs_f64(), &attributes);
                self.exemplars
                    .keep(&names::JOB_WAIT, &attributes, waited, traceparent);
                self.attempts_started
                    .add(1, &[queue, self.function(function), priority]);
            }
            Event::Ended {
                queue,
                function,
                outcome,
                ran,
                traceparent,
            } => {
                let attributes = [
                    self.queue(queue),
                    self.function(function),
                    KeyValue::new(names::OUTCOME, outcome),
                ];
                self.attempts_ended.add(1, &attributes);
                self.job_run.record(ran.as_secs_f64(), &attributes);
                self.exemplars
                    .keep(&names::JOB_RUN, &attributes, ran, traceparent);
            }
            Event::Panicked { queue, function } => self
                .handler_panics
                .add(1, &[self.queue(queue), self.function(function)]),
            _ => {}
        }
    }

    fn requested(&self, event: &Event<'_>) {
        let Event::Requested {
            method,
            route,
            status,
            took,
            traceparent,
        } = *event
        else {
            return;
        };
        let route = route.map_or_else(|| OTHER.into(), |route| self.routes.value(route));
        let attributes = [
            KeyValue::new(names::HTTP_METHOD, method),
            KeyValue::new(names::HTTP_ROUTE, route),
            KeyValue::new(names::HTTP_STATUS, i64::from(status)),
        ];
        self.http_request_duration.record(took.as_secs_f64(), &attributes);
        self.exemplars
            .keep(&names::HTTP_REQUEST_DURATION, &attributes, took, traceparent);
    }

    /// The traces that buckets of histograms point to.
    pub(crate) const fn exemplars(&self) -> &Exemplars {
        &self.exemplars
    }

    fn passed(&self, daemon: &'static str, ok: bool, rows: u64, took: Duration) {
        let name = KeyValue::new(names::DAEMON, daemon);
        self.scheduler_pass_duration
            .record(took.as_secs_f64(), std::slice::from_ref(&name));
        self.scheduler_rows.add(rows, std::slice::from_ref(&name));
        self.scheduler_passes.add(1, &[name, ended(ok)]);
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        passes.insert(daemon, Instant::now());
    }

    fn served(&self, event: &Event<'_>) {
        match *event {
            Event::Called {
                server,
                operation,
                took,
                ok,
            } => self.server_call.record(
                took.as_secs_f64(),
                &[
                    KeyValue::new(names::SERVER, server),
                    KeyValue::new(names::OPERATION, operation),
                    ended(ok),
                ],
            ),
            Event::Connection {
                server,
                connection,
                connected,
            } => {
                let which = [
                    KeyValue::new(names::SERVER, server),
                    KeyValue::new(names::CONNECTION, connection),
                ];
                self.server_connected.record(u64::from(connected), &which);
                let [server, connection] = which;
                let change = KeyValue::new(names::CHANGE, if connected { "opened" } else { "lost" });
                self.server_connections.add(1, &[server, connection, change]);
            }
            Event::Blocked { connection, blocked } => self.broker_blocked.record(
                u64::from(blocked),
                &[KeyValue::new(names::CONNECTION, connection)],
            ),
            _ => {}
        }
    }

    fn queue(&self, queue: &QueueName) -> KeyValue {
        KeyValue::new(names::QUEUE, self.queues.value(queue.as_str()))
    }

    fn function(&self, function: &FunctionName) -> KeyValue {
        KeyValue::new(names::FUNCTION, self.functions.value(function.as_str()))
    }
}

fn repaired(repair: Repair) -> [KeyValue; 2] {
    [
        KeyValue::new(names::INVARIANT, repair.invariant()),
        KeyValue::new(names::REPAIR, repair.name()),
    ]
}

fn level(priority: Priority) -> KeyValue {
    KeyValue::new(names::PRIORITY, priority.as_str())
}

fn ended(ok: bool) -> KeyValue {
    KeyValue::new(names::OUTCOME, if ok { "ok" } else { "error" })
}

/// Since when each daemon has ended no pass, asked when somebody reads.
fn lag(meter: &Meter, passes: &Passes) {
    let passes = Arc::clone(passes);
    meter
        .f64_observable_gauge(names::SCHEDULER_LAG.name)
        .with_unit(names::SCHEDULER_LAG.unit)
        .with_description(names::SCHEDULER_LAG.meaning)
        .with_callback(move |observer| {
            let passes = passes.lock().unwrap_or_else(PoisonError::into_inner);
            for (daemon, ended) in passes.iter() {
                observer.observe(
                    ended.elapsed().as_secs_f64(),
                    &[KeyValue::new(names::DAEMON, *daemon)],
                );
            }
        })
        .build();
}
