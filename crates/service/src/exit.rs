//! How the command `longshore` ends.

/// Exit codes. Part of the command's interface: numbers never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Ok = 0,
    /// Something failed that no other code names.
    Failure = 1,
    /// The command line or its input is wrong.
    Usage = 2,
    /// The configuration is wrong.
    Config = 3,
    /// RabbitMQ, Redis, the embedded store or the gateway cannot be used now.
    Unavailable = 4,
    /// A job that was waited for did not complete.
    JobFailed = 5,
    /// What was asked for does not exist.
    NotFound = 6,
    /// A second signal ended the process before its jobs were given back.
    Forced = 7,
    /// A worker ended, and some of its jobs could not be given back; they run again when their leases end.
    WorkLeft = 8,
    /// `longshore doctor` found errors that it has not repaired.
    Unhealthy = 9,
    /// The user or the token may not do that.
    Denied = 10,
}

impl ExitCode {
    /// Every code.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::Config,
        Self::Unavailable,
        Self::JobFailed,
        Self::NotFound,
        Self::Forced,
        Self::WorkLeft,
        Self::Unhealthy,
        Self::Denied,
    ];

    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// What it means, for help texts.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failure => "something failed that no other code names",
            Self::Usage => "the command line or its input is wrong",
            Self::Config => "the configuration is wrong; `longshore config check` lists every problem",
            Self::Unavailable => "RabbitMQ, Redis, the embedded store or the gateway cannot be used now",
            Self::JobFailed => "a job that was waited for did not complete",
            Self::NotFound => "what was asked for does not exist",
            Self::Forced => "a second signal ended the process before its jobs were given back",
            Self::WorkLeft => {
                "the worker ended with jobs that it could not give back; they run again when their leases end"
            }
            Self::Unhealthy => "`longshore doctor` found errors that it has not repaired",
            Self::Denied => "the user or the token may not do that",
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

/// The table of exit codes, for the end of a help text.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  something failed that no other code names
  2  the command line or its input is wrong
  3  the configuration is wrong; `longshore config check` lists every problem
  4  RabbitMQ, Redis, the embedded store or the gateway cannot be used now
  5  a job that was waited for did not complete
  6  what was asked for does not exist
  7  a second signal ended the process before its jobs were given back
  8  the worker ended with jobs that it could not give back; they run again when their leases end
  9  `longshore doctor` found errors that it has not repaired
  10  the user or the token may not do that";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_code_with_its_meaning() {
        let lines: Vec<_> = ExitCode::ALL
            .iter()
            .map(|code| format!("  {}  {}", code.code(), code.meaning()))
            .collect();
        assert_eq!(HELP, format!("Exit codes:\n{}", lines.join("\n")));
    }

    #[test]
    fn codes_count_from_zero() {
        for (number, code) in ExitCode::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(code.code()), number);
        }
    }
}
