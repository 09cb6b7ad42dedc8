//! Names of spans, fields, attributes and events, in one place. Attributes are those of OpenTelemetry's conventions for
//! messaging where there is one, and `longshore.…` otherwise.

/// The span around one attempt. The macro needs the literal; this constant is what tests and documents refer to.
pub const SPAN_PROCESS: &str = "process";
/// The span from the end of a handler until the store has accepted it; a child of [`SPAN_PROCESS`].
pub const SPAN_FINISH: &str = "finish";
/// Field: the job's id.
pub const FIELD_ID: &str = "id";
/// Field: the handler's name.
pub const FIELD_FUNCTION: &str = "function";
/// Field: the attempt's number, from 1.
pub const FIELD_ATTEMPT: &str = "attempt";
/// Field: the logical queue.
pub const FIELD_QUEUE: &str = "queue";
/// Field: the priority.
pub const FIELD_PRIORITY: &str = "priority";
/// Field: the caller's W3C trace context, when the job carries one.
pub const FIELD_TRACEPARENT: &str = "traceparent";
/// Attribute: `rabbitmq`, also for the embedded store, which stands in for it.
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// Attribute: `process`.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// Attribute: `process`.
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
/// Attribute: the logical queue.
pub const MESSAGING_DESTINATION: &str = "messaging.destination.name";
/// Attribute: the worker.
pub const MESSAGING_CLIENT_ID: &str = "messaging.client.id";
/// Attribute: the job.
pub const JOB_ID: &str = "longshore.job.id";
/// Attribute: the handler's name.
pub const JOB_FUNCTION: &str = "longshore.job.function";
/// Attribute: the attempt's number, from 1.
pub const JOB_ATTEMPT: &str = "longshore.job.attempt";
/// Attribute: the priority.
pub const JOB_PRIORITY: &str = "longshore.job.priority";
/// Attribute: seconds from the publish to the start of the attempt.
pub const JOB_WAIT: &str = "longshore.job.wait";
/// Attribute: how the attempt ended.
pub const OUTCOME: &str = "longshore.outcome";
/// Target of what handlers say with [`crate::JobContext::log`].
pub const TARGET_JOB_LOG: &str = "longshore::job_log";
