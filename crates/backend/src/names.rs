//! Names of spans and of their fields, in one place. They are those of OpenTelemetry's conventions for messaging where
//! there is one. The macros of `tracing` need literals; a test holds them equal.

/// The span around one message's way to the broker.
pub const SPAN_PUBLISH: &str = "publish";
/// `rabbitmq`, also for the embedded store, which stands in for it.
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// `send`.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// `publish`.
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
/// The logical queue.
pub const MESSAGING_DESTINATION: &str = "messaging.destination.name";
/// The message's own id.
pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
/// Jobs in the message.
pub const MESSAGING_BATCH_COUNT: &str = "messaging.batch.message_count";
/// The priority.
pub const PRIORITY: &str = "longshore.job.priority";
/// The job, when the message carries one.
pub const JOB_ID: &str = "longshore.job.id";
/// `confirmed`, `refused` or `unknown`.
pub const OUTCOME: &str = "longshore.outcome";
