//! What can go wrong, one type per way in.

use std::convert::Infallible;

use longshore_backend::InvalidEndpoint;
use longshore_core::JobId;
use longshore_core::name::InvalidName;
use longshore_core::outcome::ErrorInfo;
use longshore_core::port;
use longshore_core::spec::InvalidSpec;
use longshore_core::status::JobStatus;
use longshore_core::{limits, value};

use crate::batch::Batch;

/// Why a client could not be made. Never shows credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A URL cannot be used.
    #[error("the endpoint cannot be used")]
    Endpoint(#[from] InvalidEndpoint),
    /// A server or folder cannot be used.
    #[error("the backend cannot be used")]
    Backend(#[from] longshore_backend::ConnectError),
    /// A setting is out of range.
    #[error("{field}: {problem}")]
    Setting {
        /// The builder's method.
        field: &'static str,
        /// What is wrong, and the fix.
        problem: String,
    },
}

impl From<Infallible> for ConnectError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Why a job or batch was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// Fields are wrong; nothing was written. The error has every problem, each with its field and the fix.
    #[error(transparent)]
    Invalid(#[from] InvalidSpec),
    /// The id (or idempotency key) belongs to a job with other arguments, function, queue, priority, retries or
    /// parents. That job is as it was.
    #[error("id: {id} is taken by a different job; use another id or idempotency key for {job}")]
    Conflict {
        /// The id.
        id: JobId,
        /// The job that was to get it.
        job: String,
    },
    /// A parent does not exist. The job was not recorded, or was taken back; when the store goes away before that, the
    /// scheduler fails it, unless the parent comes after all. A job that an earlier enqueue of its id was acknowledged is
    /// as it was.
    #[error("depends_on: {job} names the parent {parent}, which does not exist; enqueue the parent first")]
    UnknownParent {
        /// The job that names it.
        job: String,
        /// The parent.
        parent: JobId,
    },
    /// A parent has as many children as it may. The job was not recorded, as for [`Self::UnknownParent`].
    #[error(
        "depends_on: {job} names the parent {parent}, which has {} children already; put a job in between that \
         waits for the parent, and let {job} wait for that one",
        limits::CHILDREN_MAX
    )]
    FullParent {
        /// The job that names it.
        job: String,
        /// The parent.
        parent: JobId,
    },
    /// Jobs wait for each other; nothing was written.
    #[error("depends_on: the jobs wait for each other: {}; remove one of the edges", jobs.join(" -> "))]
    Cycle {
        /// The jobs along the cycle; the last is the first.
        jobs: Vec<String>,
    },
    /// Two jobs of a batch have one id; nothing was written.
    #[error("id: {first} and {second} of the batch have the same id {id}; give each its own")]
    Duplicate {
        /// The id.
        id: JobId,
        /// A job that has it.
        first: String,
        /// Another that has it.
        second: String,
    },
    /// A batch has too many jobs; nothing was written.
    #[error(
        "batch: {jobs} jobs are over the limit of {}; split it",
        limits::BATCH_JOBS_MAX
    )]
    TooMany {
        /// How many it has.
        jobs: usize,
    },
    /// The store did not take the job, or did not say so. Enqueue again with [`id`](crate::Enqueue::id) set to this
    /// id: it cannot become two jobs.
    #[error("the store did not acknowledge job {id}; to be safe, enqueue it again under this id")]
    Store {
        /// The id that the job has or would have had.
        id: JobId,
        /// What the store said.
        source: port::Error,
    },
    /// The enqueue's time was over before the job was sent; nothing was written.
    #[error("the job could not be sent within {limit:?}; nothing was written")]
    TimedOut {
        /// [`enqueue_timeout`](crate::ClientBuilder::enqueue_timeout).
        limit: std::time::Duration,
    },
    /// Parents could not be looked up; nothing was written.
    #[error("the parents of {job} could not be looked up")]
    Lookup {
        /// The job.
        job: String,
        /// What the store said.
        source: port::Error,
    },
    /// A batch was written in part. [`enqueue_many`](crate::Client::enqueue_many) with `batch` completes it: its jobs
    /// carry their ids.
    #[error(
        "{accepted} of {of} jobs of the batch were accepted; enqueue the error's batch again to complete it"
    )]
    Incomplete {
        /// How many were accepted.
        accepted: usize,
        /// How many it has.
        of: usize,
        /// The batch, with ids.
        batch: Box<Batch>,
        /// What stopped it.
        source: Box<EnqueueError>,
    },
    /// The runtime that carried the request ended before the answer came; whether the job was recorded is unknown.
    #[error("the runtime that carried the request ended; enqueue again, under an id of your own to be safe")]
    Interrupted,
    /// Not called within a tokio runtime; nothing was written.
    #[error("no tokio runtime is running here; call it from one")]
    NoRuntime,
}

impl EnqueueError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store { source, .. } | Self::Lookup { source, .. } => source.is_retryable(),
            Self::Incomplete { source, .. } => source.is_retryable(),
            Self::Interrupted | Self::TimedOut { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn problem(text: impl Into<String>) -> Self {
        Self::Invalid(InvalidSpec {
            problems: vec![text.into()],
        })
    }
}

/// Why a question or command was not answered.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No such job: it never was, or its retention is over.
    #[error("job {0} is unknown; it never was, or its retention is over")]
    NotFound(JobId),
    /// An argument is wrong.
    #[error("{field}: {problem}")]
    Invalid {
        /// The argument.
        field: &'static str,
        /// What is wrong, and the fix.
        problem: String,
    },
    /// A name is wrong.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The store did not answer, or refused.
    #[error("{}", refusal_or_silence(.0))]
    Store(#[from] port::Error),
    /// The runtime that carried the request ended before the answer came.
    #[error("the runtime that carried the request ended")]
    Interrupted,
    /// Not called within a tokio runtime.
    #[error("no tokio runtime is running here; call it from one")]
    NoRuntime,
}

/// A server that refuses has answered.
fn refusal_or_silence(error: &port::Error) -> &'static str {
    match error {
        port::Error::Forbidden { .. } => "this is not allowed",
        port::Error::Refused { .. } => "the store refuses",
        _ => "the store did not answer",
    }
}

impl ClientError {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Interrupted => true,
            _ => false,
        }
    }
}

/// Why waiting for a job gave no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The job was given up: a dead letter.
    #[error("job {id} failed: {}", error.message)]
    Failed {
        /// The job.
        id: JobId,
        /// Its last error, with causes and traceback.
        error: Box<ErrorInfo>,
    },
    /// The job was cancelled.
    #[error("job {id} was cancelled: {reason}")]
    Cancelled {
        /// The job.
        id: JobId,
        /// Why, and by whom.
        reason: String,
        /// Its last error, when an attempt had one.
        error: Option<Box<ErrorInfo>>,
    },
    /// The job's expiry or deadline passed first.
    #[error("job {id} expired before it completed")]
    Expired {
        /// The job.
        id: JobId,
        /// Its last error, when an attempt had one.
        error: Option<Box<ErrorInfo>>,
    },
    /// The job has not ended in the given time. It goes on.
    #[error(
        "job {id} has not ended within the given time; {}",
        status.map_or_else(|| "it was not seen".to_owned(), |status| format!("it was last seen {status}"))
    )]
    TimedOut {
        /// The job.
        id: JobId,
        /// Where it stood when it was last seen; `None` when the store did not say.
        status: Option<JobStatus>,
    },
    /// The job completed with a result of another type, or one too large to be kept.
    #[error("the result of job {id} cannot be read")]
    Result {
        /// The job.
        id: JobId,
        /// What is wrong with it.
        source: value::Error,
    },
    /// The job could not be followed.
    #[error("the job could not be followed")]
    Client(#[from] ClientError),
}

impl WaitError {
    /// Whether waiting again may succeed.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Client(error) => error.is_retryable(),
            Self::TimedOut { .. } => true,
            _ => false,
        }
    }
}
