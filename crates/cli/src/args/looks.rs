//! Which commands only look, and which need the servers themselves.

use super::access::Token;
use super::dlq::{Dlq, Quarantine};
use super::queue::Queue;
use super::{Command, Cron, Job};

impl Command {
    /// What it is called, if no gateway can do it.
    pub(crate) fn needs_servers(&self) -> Option<&'static str> {
        match self {
            Self::Dev(_) => Some("`longshore dev`"),
            Self::Worker(worker) if worker.command.is_none() => Some("`longshore worker`"),
            Self::Scheduler => Some("`longshore scheduler`"),
            Self::Gateway(_) => Some("`longshore gateway`"),
            Self::Doctor(_) => Some("`longshore doctor`"),
            Self::Bench(_) => Some("`longshore bench`"),
            Self::Notify(_) => Some("`longshore notify`"),
            Self::Token(Token::RotateKey { .. }) => Some("`longshore token rotate-key`"),
            _ => None,
        }
    }

    /// Whether it changes nothing: then it goes on where a server is unfit to keep jobs, and only says so.
    pub(crate) const fn only_looks(&self) -> bool {
        match self {
            Self::Worker(_)
            | Self::Doctor(_)
            | Self::Stats(_)
            | Self::Top(_)
            | Self::Audit(_)
            | Self::Notify(_) => true,
            Self::Token(command) => matches!(command, Token::Ls),
            Self::Job(command) => matches!(
                command,
                Job::Ls(_) | Job::Show { .. } | Job::Logs { .. } | Job::Why { .. } | Job::Watch { .. }
            ),
            Self::Dlq(command) => matches!(command, Dlq::Ls(_) | Dlq::Show { .. } | Dlq::Ops),
            Self::Quarantine(command) => matches!(command, Quarantine::Ls | Quarantine::Show { .. }),
            Self::Queue(command) => matches!(command, Queue::Ls | Queue::Peek(_)),
            Self::Cron(command) => {
                matches!(
                    command,
                    Cron::Ls | Cron::Show { .. } | Cron::Rm { dry_run: true, .. }
                )
            }
            _ => false,
        }
    }
}
