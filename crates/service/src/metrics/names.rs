//! Names of metrics and of their attributes, in one place. The reference, the instruments and `/metrics` work from it.

/// The queue of a job or message.
pub const QUEUE: &str = "queue";
/// The priority of a job or message; `all` where one broker queue holds every priority.
pub const PRIORITY: &str = "priority";
/// The function that a job calls.
pub const FUNCTION: &str = "function";
/// How it ended.
pub const OUTCOME: &str = "outcome";
/// A job's status.
pub const STATUS: &str = "status";
/// `redis`, `rabbitmq` or `embedded`.
pub const SERVER: &str = "server";
/// Which connection to a server.
pub const CONNECTION: &str = "connection";
/// What was asked of a server.
pub const OPERATION: &str = "operation";
/// What became of a connection.
pub const CHANGE: &str = "change";
/// A daemon of the scheduler.
pub const DAEMON: &str = "daemon";
/// An invariant of the protocol.
pub const INVARIANT: &str = "invariant";
/// What held an invariant.
pub const REPAIR: &str = "repair";
/// The method of an HTTP request, by OpenTelemetry's conventions.
pub const HTTP_METHOD: &str = "http.request.method";
/// The route that took an HTTP request; `_other` when none did.
pub const HTTP_ROUTE: &str = "http.route";
/// The status of an HTTP answer.
pub const HTTP_STATUS: &str = "http.response.status_code";
/// A question that the platform asks of a process.
pub const PROBE: &str = "probe";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Seconds, counted by these upper bounds.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name in OpenTelemetry.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its unit as UCUM has it: `s`, or what is counted in braces.
    pub unit: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Its attributes.
    pub attributes: &'static [&'static str],
    /// Which processes have it.
    pub from: From,
}

/// Which processes have a metric. `longshore dev` is all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Whoever enqueues: the gateway, and programs that hand in an observer of their own.
    Producers,
    /// Workers.
    Workers,
    /// Schedulers.
    Schedulers,
    /// Gateways.
    Gateways,
    /// Every service.
    All,
}

impl Metric {
    /// Its name in Prometheus: dots become underscores; then the unit, and `_total` where it only rises.
    pub fn prometheus(&self) -> String {
        let unit = if self.unit == "s" { "_seconds" } else { "" };
        let total = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{unit}{total}", self.name.replace('.', "_"))
    }
}

/// From a call to a server to an answer.
const CALLS: Kind = Kind::Histogram(&[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
]);
/// From a job's publish to its start, and from its start to its end.
const JOBS: Kind = Kind::Histogram(&[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0,
    14_400.0,
]);

macro_rules! metrics {
    ($($constant:ident = $name:literal, $kind:expr, $unit:literal, $from:ident, [$($attribute:ident),*], $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: $kind,
                unit: $unit,
                meaning: $meaning,
                attributes: &[$($attribute),*],
                from: From::$from,
            };
        )*
        /// Every metric, in the order of the reference.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    JOBS_ENQUEUED = "longshore.jobs.enqueued", Kind::Counter, "{job}", Producers, [QUEUE, FUNCTION, PRIORITY, OUTCOME],
        "Enqueues by how they ended: `created`, `existing` (known before), `deferred` (recorded, published later), `unrecorded` (published without a record), `failed`.";
    MESSAGES_PUBLISHED = "longshore.messages.published", Kind::Counter, "{message}", All, [QUEUE, PRIORITY, OUTCOME],
        "Messages handed to the broker by its answer: `confirmed`, `refused`, `unknown` (no confirm in time).";
    PUBLISH_DURATION = "longshore.publish.duration", CALLS, "s", All, [OUTCOME],
        "From handing a message to the broker to its answer.";
    ATTEMPTS_STARTED = "longshore.attempts.started", Kind::Counter, "{attempt}", Workers, [QUEUE, FUNCTION, PRIORITY],
        "Attempts started.";
    ATTEMPTS_ENDED = "longshore.attempts.ended", Kind::Counter, "{attempt}", Workers, [QUEUE, FUNCTION, OUTCOME],
        "Attempts ended, as the store accepted them: `completed`, `failed` (dead letter), `cancelled`, `expired` end the job; `retried`, `snoozed`, `released` (handed back by the worker) do not; `lost`: another owner had the job, and the result was discarded.";
    JOB_WAIT = "longshore.job.wait.duration", JOBS, "s", Workers, [QUEUE, PRIORITY],
        "From a dispatch's publish to the start of its attempt.";
    JOB_RUN = "longshore.job.run.duration", JOBS, "s", Workers, [QUEUE, FUNCTION, OUTCOME],
        "From an attempt's start to the end of its handler. Outcomes are those of `longshore_attempts_ended_total`.";
    HANDLER_PANICS = "longshore.handler.panics", Kind::Counter, "{panic}", Workers, [QUEUE, FUNCTION],
        "Panics of handlers, caught.";
    WORKER_SLOTS = "longshore.worker.slots", Kind::Gauge, "{slot}", Workers, [],
        "Slots of this worker.";
    WORKER_SLOTS_BUSY = "longshore.worker.slots.busy", Kind::Gauge, "{slot}", Workers, [],
        "Slots in use.";
    WORKER_JOBS_WAITING = "longshore.worker.jobs.waiting", Kind::Gauge, "{job}", Workers, [],
        "Jobs that were delivered to this worker and have not started.";
    WORKER_HANDLERS_STUCK = "longshore.worker.handlers.stuck", Kind::Gauge, "{handler}", Workers, [],
        "Handlers that were told to stop, were aborted, and still hold their slots.";
    WORKER_JOBS_GIVEN_BACK = "longshore.worker.jobs.given_back", Kind::Counter, "{job}", Workers, [],
        "Jobs given back without a start.";
    QUEUE_JOBS = "longshore.queue.jobs", Kind::Gauge, "{job}", Schedulers, [QUEUE, STATUS],
        "Jobs in the store. Every scheduler tells the whole fleet: take `max`, not `sum`, over instances.";
    QUEUE_MESSAGES = "longshore.queue.messages", Kind::Gauge, "{message}", Schedulers, [QUEUE, PRIORITY],
        "Messages that are ready for delivery in the broker: the backlog. Against `longshore_queue_jobs{status=\"queued\"}` it shows amplification (I9).";
    QUEUE_OLDEST = "longshore.queue.oldest.age", Kind::Gauge, "s", Schedulers, [QUEUE],
        "How long the oldest job that waits to be run now could have run: the age that statistics and alarms tell; 0 when none waits.";
    QUEUE_JOBS_PARKED = "longshore.queue.jobs.parked", Kind::Gauge, "{job}", Schedulers, [QUEUE],
        "Jobs among the queued ones that are put aside, because no live worker has their function: they start once one does. Where a function's jobs are in several queues, each has its share.";
    QUEUE_BACKLOG = "longshore.queue.backlog", Kind::Gauge, "s", Schedulers, [QUEUE],
        "How long the queue's slots need for what is queued and not parked: (jobs queued − jobs parked) × mean run time ÷ slots, with at least one slot.";
    QUEUE_RUN_MEAN = "longshore.queue.run.mean", Kind::Gauge, "s", Schedulers, [QUEUE],
        "Mean run time of a job of this queue, as its live workers have measured it; 1 s until one has.";
    QUEUE_SLOTS = "longshore.queue.slots", Kind::Gauge, "{slot}", Schedulers, [QUEUE],
        "Slots of live workers that consume this queue and do not drain.";
    QUEUE_SLOTS_BUSY = "longshore.queue.slots.busy", Kind::Gauge, "{slot}", Schedulers, [QUEUE],
        "How many of them are in use, for whichever queue.";
    QUEUE_WORKERS = "longshore.queue.workers", Kind::Gauge, "{worker}", Schedulers, [QUEUE],
        "Live workers that consume this queue and do not drain.";
    QUEUE_PAUSED = "longshore.queue.paused", Kind::Gauge, "", Schedulers, [QUEUE],
        "1 while no job of the queue may start.";
    SCHEDULER_PASSES = "longshore.scheduler.passes", Kind::Counter, "{pass}", Schedulers, [DAEMON, OUTCOME],
        "Passes of daemons: `ok` or `error`.";
    SCHEDULER_ROWS = "longshore.scheduler.rows", Kind::Counter, "{row}", Schedulers, [DAEMON],
        "Rows that daemons moved: jobs published, leases expired, children told.";
    SCHEDULER_PASS_DURATION = "longshore.scheduler.pass.duration", CALLS, "s", Schedulers, [DAEMON],
        "How long a pass took.";
    SCHEDULER_LAG = "longshore.scheduler.daemon.lag", Kind::Gauge, "s", Schedulers, [DAEMON],
        "Since when the daemon has ended no pass.";
    LEASES_EXPIRED = "longshore.leases.expired", Kind::Counter, "{lease}", Schedulers, [OUTCOME],
        "Leases of lost workers, by what became of the job: `requeued`, `failed` (lost too often), `cancelled`.";
    HTTP_REQUEST_DURATION = "http.server.request.duration", CALLS, "s", Gateways, [HTTP_METHOD, HTTP_ROUTE, HTTP_STATUS],
        "From a request to the head of its answer. The route is as the code has it (`/api/v1/jobs/{id}`), `_other` when there is none.";
    GATEWAY_STREAMS = "longshore.gateway.streams", Kind::Gauge, "{stream}", Gateways, [],
        "Event streams (SSE) that are open: pages that watch.";
    PROTOCOL_REPAIRS = "longshore.protocol.repairs", Kind::Counter, "{repair}", All, [INVARIANT, REPAIR],
        "Times that the protocol had to hold an invariant; the table below.";
    SERVER_CALL = "longshore.server.call.duration", CALLS, "s", All, [SERVER, OPERATION, OUTCOME],
        "From a call to Redis to its answer, by script or command; outcome `ok` or `error`.";
    SERVER_CONNECTIONS = "longshore.server.connections", Kind::Counter, "{connection}", All, [SERVER, CONNECTION, CHANGE],
        "Connections to a server that were `opened` and `lost`.";
    SERVER_CONNECTED = "longshore.server.connected", Kind::Gauge, "", All, [SERVER, CONNECTION],
        "1 while there is a connection.";
    BROKER_BLOCKED = "longshore.broker.blocked", Kind::Gauge, "", All, [CONNECTION],
        "1 while RabbitMQ holds publishers back (memory or disk alarm).";
    HEALTH = "longshore.health", Kind::Gauge, "", All, [PROBE],
        "1 while the probe `startup`, `live` or `ready` answers yes.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_of_one_family() {
        for (at, metric) in METRICS.iter().enumerate() {
            let is_ours = metric.name.starts_with("longshore.");
            // Those of HTTP have the names that everybody's have.
            assert!(
                is_ours || metric.name.starts_with("http.server."),
                "{}",
                metric.name
            );
            assert!(metric.meaning.ends_with(['.', ')']), "{}", metric.name);
            let others = &METRICS[at + 1..];
            assert!(
                others
                    .iter()
                    .all(|other| other.prometheus() != metric.prometheus()),
                "{}",
                metric.name
            );
        }
    }

    #[test]
    fn a_histogram_counts_seconds_by_rising_bounds() {
        for metric in METRICS {
            if let Kind::Histogram(bounds) = metric.kind {
                assert_eq!(metric.unit, "s", "{}", metric.name);
                assert!(bounds.is_sorted() && !bounds.is_empty(), "{}", metric.name);
            }
        }
    }

    #[test]
    fn prometheus_sees_units_and_totals() {
        assert_eq!(ATTEMPTS_ENDED.prometheus(), "longshore_attempts_ended_total");
        assert_eq!(QUEUE_BACKLOG.prometheus(), "longshore_queue_backlog_seconds");
        assert_eq!(WORKER_SLOTS.prometheus(), "longshore_worker_slots");
    }
}
