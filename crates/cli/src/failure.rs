//! Why a command ends without success, and with which exit code.

use longshore_service::exit::ExitCode;

/// What a command reports on stderr before it ends.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: ExitCode,
    /// A sentence for people; empty when everything was said already.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: ExitCode, message: impl std::fmt::Display) -> Self {
        Self {
            code,
            message: message.to_string(),
        }
    }

    /// What the caller asked for cannot be done as it was asked.
    pub(crate) fn usage(message: impl std::fmt::Display) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// An error with its causes.
    pub(crate) fn from_error(code: ExitCode, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = error.to_string();
        for cause in longshore_core::classify::chain(error).skip(1) {
            let cause = cause.to_string();
            if !message.contains(&cause) {
                message = format!("{message}: {cause}");
            }
        }
        Self { code, message }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::from_error(ExitCode::Failure, &error)
    }
}

impl From<longshore::ClientError> for Failure {
    fn from(error: longshore::ClientError) -> Self {
        Self::from_error(ExitCode::Unavailable, &error)
    }
}

impl From<longshore::EnqueueError> for Failure {
    fn from(error: longshore::EnqueueError) -> Self {
        let code = if error.is_retryable() {
            ExitCode::Unavailable
        } else {
            ExitCode::Usage
        };
        Self::from_error(code, &error)
    }
}
