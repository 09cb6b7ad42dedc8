//! Names of spans, fields and events, in one place.

/// The span around one attempt. The macro needs the literal; this constant is what tests and documents refer to.
pub const SPAN_PROCESS: &str = "process";
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
/// Target of what handlers say with [`crate::JobContext::log`].
pub const TARGET_JOB_LOG: &str = "longshore::job_log";
