//! Brings letters to people: by e-mail and by webhook.
//!
//! What goes into a letter, when it goes and how often it is tried is the scheduler's affair
//! ([`longshore_core::notice`]); this crate makes texts of letters and hands them to the other side, within bounds of
//! time and size. A webhook never goes to an address that is not public unless the configuration allows it
//! ([`guard`]).

pub mod email;
pub mod guard;
pub mod signature;
mod smtp;
pub mod text;
pub mod webhook;

pub use email::{Email, EmailSettings, Encryption};
pub use guard::{Allowed, Forbidden};
pub use webhook::{Body, Webhook, WebhookSettings};

use longshore_core::port::notify::{NotSent, Retry};

/// A channel that cannot be made as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// The key of the channel's table.
    pub field: &'static str,
    /// What is wrong and the fix, without secrets.
    pub problem: String,
}

impl Invalid {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { field, problem }
    }
}

fn later(reason: impl Into<String>) -> NotSent {
    let (reason, retry) = (reason.into(), Retry::Later);
    NotSent { reason, retry }
}

fn never(reason: impl Into<String>) -> NotSent {
    let (reason, retry) = (reason.into(), Retry::Never);
    NotSent { reason, retry }
}

/// One line of at most `chars` characters, without control characters: fit for a log.
fn one_line(text: &str, chars: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(chars).collect()
}
