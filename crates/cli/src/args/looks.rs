//! Which commands only look.

use super::access::Token;
use super::dlq::{Dlq, Quarantine};
use super::queue::Queue;
use super::{Command, Cron, Job};

impl Command {
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
                Job::Ls(_) | Job::Show { .. } | Job::Why { .. } | Job::Watch { .. }
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
