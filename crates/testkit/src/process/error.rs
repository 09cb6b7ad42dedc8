//! What can go wrong around servers and child processes.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use crate::wait::WaitError;

/// A server or a child process that did not do what the test needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program that the tests need is not installed. Tests never skip for this.
    #[error("find `{program}`: install the Debian package {package} (scripts/test does so as root)")]
    MissingProgram {
        /// The program that was looked for.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// The operating system refused something.
    #[error("{action} {subject}")]
    Io {
        /// The verb.
        action: &'static str,
        /// A path, an address or a program.
        subject: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A command ended with a failure.
    #[error("run {name} ({status}): {output}")]
    Command {
        /// The program.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its stdout and stderr.
        output: String,
    },
    /// A command did not end in time and was killed.
    #[error("run {name}: no end within {deadline:?}")]
    CommandTimeout {
        /// The program.
        name: String,
        /// The time it had.
        deadline: Duration,
    },
    /// A process was expected to end and did not.
    #[error("see {name} end within {deadline:?}; its log ends with:\n{log}")]
    StillRunning {
        /// The program.
        name: String,
        /// The time it had.
        deadline: Duration,
        /// The end of its log.
        log: String,
    },
    /// A server ended, or did not answer, while it was being started.
    #[error("start {name}: {reason}; its log ends with:\n{log}")]
    NotReady {
        /// The server.
        name: &'static str,
        /// What was seen instead of an answer.
        reason: String,
        /// The end of its log.
        log: String,
    },
    /// A server answered something that was not expected.
    #[error("{action}: unexpected answer: {answer}")]
    Answer {
        /// What was asked.
        action: String,
        /// What came back.
        answer: String,
    },
    /// A condition did not hold in time.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// No free loopback port was found.
    #[error("find a free loopback port")]
    NoFreePort,
    /// Only for a server that this process started itself.
    #[error("use {0}: it belongs to the runner of the tests and has no such handle")]
    NotOurs(&'static str),
}

impl Error {
    /// For `map_err`: an I/O error with its verb and subject.
    pub(crate) fn io<S>(action: &'static str, subject: &S) -> impl FnOnce(io::Error) -> Self + use<S>
    where
        S: AsRef<OsStr> + ?Sized,
    {
        let subject = subject.as_ref().to_string_lossy().into_owned();
        move |source| Self::Io {
            action,
            subject,
            source,
        }
    }

    pub(crate) fn answer(action: impl Display, answer: impl Display) -> Self {
        Self::Answer {
            action: action.to_string(),
            answer: answer.to_string(),
        }
    }
}
