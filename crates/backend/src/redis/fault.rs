//! What an error of Redis means for whoever asked.

use longshore_core::port::Error;
use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::SERVER;

/// What a cluster says while a slot is on its way.
const MOVING: &str = "the cluster moves this shard to another node; nothing was done";

/// Why a command failed, for the connection's own use.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server does not know the script: send its text. Nothing was done.
    NoScript,
    /// Anything else.
    Port(Error),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NoScript => refused("it forgot a script that it has just been sent"),
            Fault::Port(error) => error,
        }
    }
}

pub(super) fn refused(reason: impl Into<String>) -> Error {
    Error::Refused {
        server: SERVER,
        reason: reason.into(),
    }
}

pub(super) fn unavailable(hosts: &str, reason: impl std::fmt::Display) -> Error {
    Error::Unavailable {
        server: SERVER,
        reason: format!("{hosts}: {reason}"),
    }
}

/// The user of the connection lacks a right.
fn forbidden(reason: String) -> Error {
    Error::Forbidden {
        server: SERVER,
        user: String::new(),
        what: String::new(),
        reason,
    }
}

/// The same fault; one for want of rights with who asked, and for what.
pub(super) fn asked_by(fault: Fault, who: &str, asked: impl FnOnce() -> String) -> Fault {
    match fault {
        Fault::Port(Error::Forbidden { server, reason, .. }) => Fault::Port(Error::Forbidden {
            server,
            user: who.to_owned(),
            what: asked(),
            reason,
        }),
        other => other,
    }
}

/// What the server says when the user may not do what a script does. The script has begun by then.
const IN_A_SCRIPT: &str = "The user executing the script can't";

pub(super) const fn unknown() -> Error {
    Error::OutcomeUnknown { server: SERVER }
}

/// What the failure of a command that was sent means.
pub(super) fn of_command(error: &RedisError, hosts: &str) -> Fault {
    Fault::Port(match error.kind() {
        ErrorKind::Server(ServerErrorKind::NoScript) => return Fault::NoScript,
        // A connection to the right node could not be made: the command was not sent.
        ErrorKind::ClusterConnectionNotFound => unavailable(hosts, "the cluster's node is away"),
        _ if error.is_connection_refusal() => unavailable(hosts, "connection refused"),
        ErrorKind::Io | ErrorKind::Parse => unknown(),
        // The probe of a script, before it wrote anything: the slot is on its way to another node.
        ErrorKind::Server(ServerErrorKind::TryAgain) => unavailable(hosts, MOVING),
        // It starts, follows another master, or its part of the cluster has none: it will answer by and by, and did nothing.
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::ReadOnly,
        ) => unavailable(hosts, text(error)),
        _ if text(error).contains("non local key") => unavailable(hosts, MOVING),
        _ if text(error).contains(IN_A_SCRIPT) => {
            forbidden(format!("{}; a part of it may have been done", text(error)))
        }
        _ if text(error).starts_with("NOPERM") => forbidden(text(error)),
        // A script that breaks off has met data that nobody of ours has written.
        ErrorKind::Server(ServerErrorKind::ResponseError) if text(error).contains("user_script") => {
            Error::Corrupt(text(error))
        }
        _ => refused(text(error)),
    })
}

/// Why a connection could not be opened.
pub(super) fn of_dialing(error: &RedisError, hosts: &str) -> Error {
    match error.kind() {
        ErrorKind::Io => unavailable(hosts, error),
        ErrorKind::AuthenticationFailed => refused(format!("{hosts}: the user or password is wrong")),
        _ if text(error).starts_with("WRONGPASS") => {
            refused(format!("{hosts}: the user or password is wrong"))
        }
        _ if text(error).starts_with("NOAUTH") => {
            refused(format!("{hosts}: it asks for a user and password"))
        }
        // Before 6.0 Redis does not know how to say hello.
        _ if text(error).to_lowercase().contains("unknown command") => {
            refused(format!("{hosts}: it is too old; Redis 7.0 or newer is needed"))
        }
        _ => refused(format!("{hosts}: {}", text(error))),
    }
}

/// Whether the connection is of no use any more: broken, silent, or to a server that is not the master (any more).
pub(super) fn ends_connection(error: &RedisError) -> bool {
    error.is_timeout()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Io
                | ErrorKind::Parse
                | ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        )
}

/// The server's own words. They never repeat what was sent at the login.
fn text(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, Some(detail)) => detail.to_owned(),
        (None, None) => error.category().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Error {
        let error = redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
            .and_then(redis::Value::extract_error)
            .unwrap_err();
        of_command(&error, "redis:6379").into()
    }

    #[test]
    fn a_server_that_is_not_ready_yet_is_away_and_one_that_refuses_is_not() {
        for line in [
            "LOADING Redis is loading the dataset in memory",
            "MASTERDOWN Link with MASTER is down",
            "CLUSTERDOWN The cluster is down",
            "READONLY You can't write against a read only replica.",
        ] {
            let error = said(line);
            assert!(matches!(error, Error::Unavailable { .. }), "{line}: {error:?}");
        }
        let error = said("MISCONF Redis is configured to save RDB snapshots");
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    }
}
