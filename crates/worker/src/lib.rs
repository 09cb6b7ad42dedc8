//! Runs Longshore jobs: registry, extractors, slots, progress, drain.
//!
//! A worker is set up with [`Worker::builder`] and run with [`Worker::run`]. Handlers are plain functions: the job
//! first, then what they take [from the context](FromContext).
//!
//! Inside, one control loop in a thread of its own consumes, claims, beats, finishes and acknowledges;
//! handlers run on the caller's runtime and talk to it through one channel.

mod builder;
mod context;
mod control;
mod error;
mod execute;
mod extract;
mod handler;
mod health;
pub mod names;
mod panic;
mod registry;
mod report;
mod settings;
mod source;
mod state;
mod stats;
mod worker;

pub use longshore_backend::{Backend, BackendConfig, Durability, Endpoints, InvalidEndpoint, Profile};
pub use longshore_core::{FunctionName, Job, JobError, JobId, QueueName, WorkerId, telemetry};
pub use tokio_util::sync::CancellationToken;

pub use builder::Builder;
pub use context::{JobContext, ProgressUpdate};
pub use error::Error;
pub use extract::{FromContext, MissingState};
pub use handler::{BlockingHandler, Handler};
pub use health::{Attachment, HealthView, WorkerHealth};
pub use panic::{PANIC, install_panic_hook};
pub use report::{RunReport, StopCause};
pub use source::BackendSource;
pub use state::{State, StateMap};
pub use stats::{Snapshot, WorkerStats};
pub use worker::Worker;
