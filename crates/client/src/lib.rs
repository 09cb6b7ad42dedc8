//! Background jobs on RabbitMQ and Redis: hand work over with one call, and get a handle.
//!
//! ```no_run
//! use longshore::{Client, Job, Priority, secs};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct CalculateReport {
//!     user_id: String,
//! }
//!
//! impl Job for CalculateReport {
//!     const FUNCTION_NAME: &'static str = "calculate_report";
//!     type Output = u64;
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(("amqp://127.0.0.1", "redis://127.0.0.1")).await?;
//! let handle = client
//!     .enqueue(CalculateReport { user_id: "user123".into() })
//!     .priority(Priority::High)
//!     .max_retries(5)
//!     .retry_delay(secs(2))
//!     .tag("user:123")
//!     .await?;
//! println!("{:?}", handle.poll().await?.progress.fraction);
//! let pages: u64 = handle.wait().await?;
//! # Ok(()) }
//! ```
//!
//! Features: `client` (default) is the producer; `cron` adds recurring jobs (`Client::cron`); `worker` brings the worker's half as
//! `longshore::worker`; `embedded` the durable store for one process, `embedded://FOLDER`, which needs no servers; `testing` a
//! bench for tests, `longshore::testing`.

#[cfg(feature = "client")]
mod batch;
#[cfg(feature = "client")]
mod builder;
#[cfg(feature = "client")]
mod cleanup;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "cron")]
pub mod cron;
#[cfg(feature = "client")]
mod dead_letters;
#[cfg(feature = "client")]
mod enqueue;
#[cfg(feature = "client")]
mod error;
#[cfg(all(doctest, feature = "client", feature = "worker"))]
mod guide;
#[cfg(feature = "client")]
mod handle;
#[cfg(feature = "client")]
mod list;
#[cfg(feature = "client")]
pub mod names;
mod next_in_line;
#[cfg(feature = "client")]
mod options;
#[cfg(feature = "client")]
mod parent;
#[cfg(feature = "client")]
mod pipeline;
#[cfg(feature = "client")]
mod quarantine;
#[cfg(feature = "client")]
mod read;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "client")]
mod trace;
#[cfg(feature = "client")]
mod why;

#[cfg(feature = "client")]
pub use batch::{Batch, BatchHandles, BatchJob, BatchParent, BatchProgress, BatchRef, EnqueueMany};
#[cfg(feature = "client")]
pub use builder::{ClientBuilder, RedisAway};
#[cfg(feature = "client")]
pub use cleanup::{Cleaned, Cleanup};
#[cfg(feature = "client")]
pub use client::Client;
#[cfg(feature = "client")]
pub use dead_letters::{Bulk, DeadGroup, DeadLetters};
#[cfg(feature = "client")]
pub use enqueue::Enqueue;
#[cfg(feature = "client")]
pub use error::{ClientError, ConnectError, EnqueueError, WaitError};
#[cfg(feature = "client")]
pub use handle::{Acceptance, JobHandle, ProgressEvent, ProgressStream};
#[cfg(feature = "client")]
pub use list::{JobStream, List};
#[cfg(feature = "client")]
pub use parent::Parent;
#[cfg(feature = "client")]
pub use quarantine::Quarantine;
#[cfg(feature = "client")]
pub use why::AskWhy;

#[cfg(feature = "client")]
pub use longshore_backend::{Backend, BackendConfig, Durability, Endpoints, Profile};
pub use longshore_core::dead::{CancelWhich, DeadFilter, Fingerprint, Operation, OperationId, OperationKind};
pub use longshore_core::log::LogLine;
pub use longshore_core::name::InvalidName;
pub use longshore_core::outcome::{ErrorInfo, JobError, JobResult, Progress};
pub use longshore_core::port::attempt::Quarantined;
pub use longshore_core::port::enqueue::CancelReply;
pub use longshore_core::port::inspect::QuarantineEntry;
pub use longshore_core::port::schedule::DeadLetterChange;
pub use longshore_core::spec::{
    Dependency, EdgePolicy, Fencing, InvalidSpec, OnCancelled, OnFailed, OnLostRecord, Start,
};
pub use longshore_core::stats::{
    FunctionRow, Histogram, Point, QueueRow, Statistics, StatisticsQuery, Tally,
};
pub use longshore_core::view::{
    AttemptView, Cursor, FullView, JobFilter, JobPage, JobView, QueueView, WorkerView,
};
pub use longshore_core::why::{Obstacle, Reason, Why};
pub use longshore_core::{
    Clock, FunctionName, Job, JobId, JobSpec, JobStatus, Priority, QueueName, SystemClock, Timestamp,
    WorkerId,
};
pub use longshore_core::{telemetry, value};
#[cfg(feature = "worker")]
pub use longshore_worker as worker;

/// A duration of whole seconds, as in `.retry_delay(secs(2))`.
pub const fn secs(seconds: u64) -> std::time::Duration {
    std::time::Duration::from_secs(seconds)
}

/// The program on the page about recurring jobs compiles as it stands.
#[cfg(all(doctest, feature = "cron"))]
#[doc = include_str!("../../../docs/reference/cron.md")]
struct RecurringJobs;

/// The programs of the README compile as they stand.
#[cfg(all(doctest, feature = "client", feature = "worker"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
