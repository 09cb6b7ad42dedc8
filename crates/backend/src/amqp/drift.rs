//! A broker whose topology differs from ours.

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};

/// Something in the broker was made with other arguments than ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {argument} is {found} in RabbitMQ and {wanted} here; {fix}")]
pub struct Drift {
    /// The queue or exchange.
    pub name: String,
    /// The argument that differs.
    pub argument: String,
    /// Its value in the broker.
    pub found: String,
    /// Our value.
    pub wanted: String,
    /// What to do.
    pub fix: String,
}

impl Drift {
    /// What a refused declaration says, if it was refused for its arguments. RabbitMQ's text is `PRECONDITION_FAILED -
    /// inequivalent arg 'A' for queue 'Q' in vhost '/': received 'W' but current is 'F'`, with words such as `none`,
    /// or `the value 'W' of type 'longstr'`, in place of the quoted values.
    pub(super) fn of(name: &str, error: &lapin::Error) -> Option<Self> {
        let ErrorKind::ProtocolError(error) = error.kind() else {
            return None;
        };
        if !matches!(
            error.kind(),
            AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
        ) {
            return None;
        }
        Some(Self::parse(name, error.get_message().as_str()))
    }

    fn parse(name: &str, message: &str) -> Self {
        let argument = after(message, "inequivalent arg ").map_or_else(
            || "an argument".to_owned(),
            |rest| quoted(rest).unwrap_or_default().to_owned(),
        );
        let wanted = after(message, ": received ").and_then(|rest| rest.split(" but current is ").next());
        let found = after(message, " but current is ");
        Self {
            fix: fix(name, &argument),
            name: name.to_owned(),
            argument,
            found: found.map_or_else(|| format!("another ({message})"), value),
            wanted: wanted.map_or_else(|| "ours".to_owned(), value),
        }
    }
}

fn fix(name: &str, argument: &str) -> String {
    let delete = format!("drain the queue and delete it (rabbitmqctl delete_queue {name})");
    match argument {
        "x-queue-type" => format!("set the profile it was made with, or {delete}"),
        _ if name.starts_with("longshore.") && !name.contains("dead") && !name.contains("inbox") => {
            "use another virtual host, or delete the exchange if nothing else uses it".to_owned()
        }
        _ => format!("{delete}; it is made anew at the next start"),
    }
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, rest)| rest)
}

fn quoted(text: &str) -> Option<&str> {
    text.split('\'').nth(1)
}

/// The quoted value, or the word that stands in its place.
fn value(text: &str) -> String {
    quoted(text).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_and_both_values_are_named() {
        let drift = Drift::parse(
            "jobs.default.low",
            "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'jobs.default.low' in vhost '/': received the value 'quorum' of type 'longstr' but current is the value 'classic' of type 'longstr'",
        );
        assert_eq!(
            drift.to_string(),
            "jobs.default.low: x-queue-type is classic in RabbitMQ and quorum here; set the profile it was made with, or drain the queue and delete it (rabbitmqctl delete_queue jobs.default.low)"
        );
        let drift = Drift::parse(
            "jobs.default.low",
            "PRECONDITION_FAILED - inequivalent arg 'x-overflow' for queue 'jobs.default.low' in vhost '/': received 'reject-publish' but current is none",
        );
        assert_eq!(
            (drift.found.as_str(), drift.wanted.as_str()),
            ("none", "reject-publish")
        );
    }
}
