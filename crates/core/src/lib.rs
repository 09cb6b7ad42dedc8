//! Domain and ports of Longshore: what a job is, how it moves between statuses, and what the outside world must
//! offer (store, broker, clock, randomness) so that it can. No sockets, no tasks, no global state.
//!
//! Read in this order: [`spec`] (what a caller asks for), [`envelope`] (how it travels), [`record`] and
//! [`transition`] (what is remembered and how it changes), [`port`] (who must do the work).

pub mod access;
pub mod classify;
pub mod clock;
#[cfg(feature = "cron")]
pub mod cron;
pub mod dead;
pub mod envelope;
pub mod gather;
pub mod id;
pub mod job;
pub mod limits;
pub mod log;
pub mod message;
pub mod name;
pub mod notice;
pub mod outcome;
pub mod pace;
pub mod port;
pub mod priority;
pub mod random;
pub mod record;
pub mod retry;
pub mod shard;
pub mod spec;
pub mod stats;
pub mod status;
pub mod telemetry;
pub mod transition;
pub mod value;
pub mod view;
pub mod why;

pub use clock::{Clock, SystemClock, Timestamp};
pub use envelope::Envelope;
pub use id::{JobId, Nonce, WorkerId};
pub use job::Job;
pub use name::{FunctionName, QueueName};
pub use outcome::{JobError, JobResult};
pub use priority::Priority;
pub use spec::JobSpec;
pub use status::JobStatus;
