//! What the user that looks may not do. It says nothing of the broker: nobody is to delete a queue for it.

use std::collections::BTreeSet;

use crate::checkup::{Finding, ServerReport, Severity};

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    /// To take a message, which shows that a queue answers.
    Read,
    /// To publish.
    Write,
    /// To declare and bind, which shows whether arguments differ.
    Declare,
}

impl Right {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write to",
            Self::Declare => "declare",
        }
    }
}

/// The rights that were found missing, each with its queue or exchange.
#[derive(Debug, Default)]
pub(super) struct Rights(BTreeSet<(Right, String)>);

impl Rights {
    /// The broker refused this.
    pub(super) fn lacks(&mut self, right: Right, name: &str) {
        self.0.insert((right, name.to_owned()));
    }

    /// One finding for all of them.
    pub(super) fn tell(self, user: &str, report: &mut ServerReport) {
        if self.0.is_empty() {
            return;
        }
        // Who is not named logs in as this one.
        let user = if user.is_empty() { "guest" } else { user };
        let mut lacking = Vec::new();
        for right in [Right::Read, Right::Write, Right::Declare] {
            let names: Vec<&str> = self
                .0
                .iter()
                .filter(|(of, _)| *of == right)
                .map(|(_, name)| name.as_str())
                .collect();
            if !names.is_empty() {
                lacking.push(format!("{} {}", right.as_str(), names.join(", ")));
            }
        }
        report.findings.push(Finding::new(
            Severity::Notice,
            "RabbitMQ",
            format!("the user {user} may not {}", lacking.join("; nor ")),
            "what needs these rights was not looked at; it says nothing of the queues",
            "run `longshore doctor` as the scheduler's user, which has them (`scheduler` of deploy/)",
        ));
        report.forbidden = lacking;
    }
}
