//! Why a command ends without success, and with which exit code.

use longshore_service::exit::ExitCode;

/// What a command reports on stderr before it ends.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: ExitCode,
    /// A sentence for people; empty when everything was said already.
    pub(crate) message: String,
    /// What a gateway calls it; empty when none was asked.
    pub(crate) said: String,
}

impl Failure {
    pub(crate) fn new(code: ExitCode, message: impl std::fmt::Display) -> Self {
        Self {
            code,
            message: message.to_string(),
            said: String::new(),
        }
    }

    /// Whether asking again may help.
    pub(crate) fn may_pass(&self) -> bool {
        self.code == ExitCode::Unavailable
    }

    /// What the caller asked for cannot be done as it was asked.
    pub(crate) fn usage(message: impl std::fmt::Display) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// The user of a server lacks a right: who has it is told.
    fn denied(error: &(dyn std::error::Error + 'static), refusal: &longshore_core::port::Error) -> Self {
        let mut failure = Self::from_error(ExitCode::Denied, error);
        if let longshore_core::port::Error::Forbidden { server, what, .. } = refusal {
            failure.message = format!("{}; {}", failure.message, who_may(server, what));
        }
        failure
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
        Self::new(code, message)
    }
}

/// Which users of deploy/ have the right that was missing: `what` has the key of a refusal of Redis.
fn who_may(server: &str, what: &str) -> &'static str {
    if server != "Redis" {
        return "of the users of deploy/, the scheduler's may read and write every queue";
    }
    let is_fleets = what.contains("{longshore}") || what.contains("longshore:quarantine");
    if is_fleets {
        "of the users of deploy/, gateway, scheduler and worker may"
    } else if what.contains("longshore:") {
        "of the users of deploy/, gateway and scheduler may"
    } else {
        "the file deploy/redis/users.acl.in has what each user needs"
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::from_error(ExitCode::Failure, &error)
    }
}

impl From<longshore::ClientError> for Failure {
    fn from(error: longshore::ClientError) -> Self {
        use longshore::ClientError;
        if let ClientError::Store(refusal @ longshore_core::port::Error::Forbidden { .. }) = &error {
            return Self::denied(&error, refusal);
        }
        let code = match error {
            ClientError::Invalid { .. } | ClientError::Name(_) => ExitCode::Usage,
            ClientError::NotFound(_) => ExitCode::NotFound,
            _ => ExitCode::Unavailable,
        };
        Self::from_error(code, &error)
    }
}

impl From<longshore::cron::CronError> for Failure {
    fn from(error: longshore::cron::CronError) -> Self {
        use longshore::cron::CronError;
        match error {
            CronError::Client(error) => error.into(),
            CronError::NotFound(name) => Self::new(
                ExitCode::NotFound,
                format!("no cron entry has the name {name}; list entries with `longshore cron ls`"),
            ),
            CronError::Exists(name) => Self::usage(format!(
                "name: the cron entry {name} says something else; use --replace, or another name"
            )),
            other => Self::from_error(ExitCode::Usage, &other),
        }
    }
}

impl From<longshore_backend::ConnectError> for Failure {
    fn from(error: longshore_backend::ConnectError) -> Self {
        use longshore_backend::{ConnectError, amqp, redis};
        use longshore_core::port::Error;
        // What trying again cannot help is for whoever wrote the configuration.
        let may_pass = match &error {
            ConnectError::Broker(error) => error.may_pass(),
            ConnectError::Store(redis::ConnectError::Server(error)) => {
                !matches!(error, Error::Refused { .. } | Error::Forbidden { .. })
            }
            ConnectError::Store(_) => false,
            _ => true,
        };
        let is_denied = matches!(
            &error,
            ConnectError::Broker(amqp::Error::Forbidden { .. })
                | ConnectError::Store(redis::ConnectError::Server(Error::Forbidden { .. }))
        );
        let code = match (is_denied, may_pass) {
            (true, _) => ExitCode::Denied,
            (false, true) => ExitCode::Unavailable,
            (false, false) => ExitCode::Config,
        };
        let mut failure = match &error {
            ConnectError::Store(redis::ConnectError::Server(refusal @ Error::Forbidden { .. })) => {
                Self::denied(&error, refusal)
            }
            _ => Self::from_error(code, &error),
        };
        // The store's own errors name the server; who reads this looks for the key.
        if matches!(error, ConnectError::Store(redis::ConnectError::Server(_))) {
            failure.message = format!("redis_url: {}", failure.message);
        }
        failure
    }
}

impl From<longshore_worker::Error> for Failure {
    fn from(error: longshore_worker::Error) -> Self {
        use longshore_worker::Error;
        let code = match &error {
            Error::Invalid { .. } => ExitCode::Config,
            Error::Connect(source) => match source.downcast_ref::<longshore_backend::ConnectError>() {
                Some(source) => return source.clone().into(),
                None => ExitCode::Unavailable,
            },
            _ => ExitCode::Failure,
        };
        Self::from_error(code, &error)
    }
}

impl From<longshore::EnqueueError> for Failure {
    fn from(error: longshore::EnqueueError) -> Self {
        use longshore::EnqueueError;
        if let EnqueueError::Store { source, .. } | EnqueueError::Lookup { source, .. } = &error
            && matches!(source, longshore_core::port::Error::Forbidden { .. })
        {
            return Self::denied(&error, source);
        }
        let code = if error.is_retryable() {
            ExitCode::Unavailable
        } else {
            ExitCode::Usage
        };
        Self::from_error(code, &error)
    }
}
