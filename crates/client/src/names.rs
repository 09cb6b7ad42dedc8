//! Names of spans and of their attributes, in one place. Attributes are those of OpenTelemetry's conventions for messaging
//! where there is one, and `longshore.…` otherwise.

/// The span around one enqueue, or around one batch.
pub const SPAN_ENQUEUE: &str = "enqueue";
/// `rabbitmq`, also for the embedded store, which stands in for it.
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// `create`.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// `enqueue`.
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
/// The logical queue; absent for a batch.
pub const MESSAGING_DESTINATION: &str = "messaging.destination.name";
/// Jobs of a batch.
pub const MESSAGING_BATCH_COUNT: &str = "messaging.batch.message_count";
/// The job.
pub const JOB_ID: &str = "longshore.job.id";
/// The function.
pub const JOB_FUNCTION: &str = "longshore.job.function";
/// The priority.
pub const JOB_PRIORITY: &str = "longshore.job.priority";
/// How the enqueue ended.
pub const OUTCOME: &str = "longshore.outcome";
