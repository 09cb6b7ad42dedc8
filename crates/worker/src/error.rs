//! Why a worker could not start or go on.

/// Why a worker could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The worker is not set up well; every problem that was found.
    #[error("the worker is not set up well: {}", problems.join("; "))]
    Invalid {
        /// Each names what is wrong and the fix.
        problems: Vec<String>,
    },
    /// The backend could not be reached or refused at the start.
    #[error("connect to the backend")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The thread of the control loop could not be started.
    #[error("start the control thread")]
    Thread(#[source] std::io::Error),
    /// The control loop ended without a report: its thread died.
    #[error("the control loop ended without a report")]
    ControlLost,
    /// `run` was called outside a tokio runtime; handlers need one.
    #[error("no tokio runtime: call run() inside one, for example in #[tokio::main]")]
    NoRuntime,
}
