//! What must exist in the broker, as data. Every argument is accepted by RabbitMQ 3.10 and 4.x.

use lapin::types::{AMQPValue, FieldTable, LongString};
use longshore_core::name::QueueName;
use longshore_core::priority::Priority;
use longshore_core::shard::Shards;

use crate::config::Profile;

/// Where jobs are published. Without an alternate exchange: one would turn a return into a plain confirm.
pub(super) const JOBS: &str = "longshore.jobs";
/// Where dead letters go.
pub(super) const DLX: &str = "longshore.dlx";
/// Remembers for how many shards the installation was made. RabbitMQ compares the `alternate-exchange` argument of an
/// exchange when it is declared again, and no argument of our own; nothing is ever published here.
pub(super) const SHARDS: &str = "longshore.shards";
/// Our archive of failed jobs.
pub(super) const DEAD: &str = "longshore.dead";
/// What the broker itself gives up.
pub(super) const GIVEN_UP: &str = "longshore.dlx.inbox";
/// Routing keys of the dead-letter exchange.
const DEAD_KEY: &str = "dead";
const GIVEN_UP_KEY: &str = "inbox";

/// After so many deliveries the broker itself gives a message of jobs up. High, because a worker that crashes charges
/// its innocent neighbours too; our own counts decide long before.
const DELIVERY_LIMIT: i32 = 10_000;
/// "No limit" where a version's default is 20; RabbitMQ 3.10 refuses the -1 that newer ones have for it.
const NO_DELIVERY_LIMIT: i32 = 2_000_000_000;

/// The value of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    Text(String),
    Number(i32),
}

/// Arguments by name.
pub(super) type Arguments = Vec<(&'static str, Argument)>;

/// An exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) name: &'static str,
    pub(super) arguments: Arguments,
}

/// A durable queue and the binding that feeds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) exchange: &'static str,
    pub(super) key: String,
    /// Whose jobs it holds; `None` for all priorities together and for dead letters.
    pub(super) priority: Option<Priority>,
    pub(super) arguments: Arguments,
}

/// The exchanges of an installation.
pub(super) fn exchanges(shards: Shards) -> [Exchange; 3] {
    let plain = |name| Exchange {
        name,
        arguments: Vec::new(),
    };
    [
        plain(JOBS),
        plain(DLX),
        Exchange {
            name: SHARDS,
            arguments: vec![("alternate-exchange", text(&shards_mark(shards)))],
        },
    ]
}

/// What [`SHARDS`] carries as its argument.
fn shards_mark(shards: Shards) -> String {
    format!("{SHARDS}.{}", shards.count())
}

/// The number in a mark that [`exchanges`] wrote.
pub(super) fn shards_of_mark(mark: &str) -> Option<u16> {
    mark.strip_prefix(SHARDS)?.strip_prefix('.')?.parse().ok()
}

/// The queues for dead letters.
pub(super) fn dead_letter_queues(profile: Profile) -> [Queue; 2] {
    let queue = |name: &str, key: &str| Queue {
        name: name.to_owned(),
        exchange: DLX,
        key: key.to_owned(),
        priority: None,
        arguments: match profile {
            Profile::Quorum => vec![
                ("x-queue-type", text("quorum")),
                ("x-delivery-limit", Argument::Number(NO_DELIVERY_LIMIT)),
            ],
            Profile::Classic => vec![("x-queue-type", text("classic"))],
        },
    };
    [queue(GIVEN_UP, GIVEN_UP_KEY), queue(DEAD, DEAD_KEY)]
}

/// The broker's queues of a logical queue, the most urgent first.
pub(super) fn queues(profile: Profile, logical: &QueueName) -> Vec<Queue> {
    match profile {
        Profile::Quorum => Priority::DESCENDING
            .map(|priority| quorum(logical, priority))
            .to_vec(),
        Profile::Classic => vec![classic(logical)],
    }
}

/// The routing key of jobs.
fn key(profile: Profile, logical: &QueueName, priority: Priority) -> String {
    match profile {
        Profile::Quorum => format!("{logical}.{priority}"),
        Profile::Classic => logical.to_string(),
    }
}

/// The broker's queue for jobs of this priority.
pub(super) fn queue(profile: Profile, logical: &QueueName, priority: Priority) -> Queue {
    match profile {
        Profile::Quorum => quorum(logical, priority),
        Profile::Classic => classic(logical),
    }
}

fn quorum(logical: &QueueName, priority: Priority) -> Queue {
    Queue {
        name: format!("jobs.{logical}.{priority}"),
        exchange: JOBS,
        key: key(Profile::Quorum, logical, priority),
        priority: Some(priority),
        arguments: vec![
            ("x-queue-type", text("quorum")),
            ("x-dead-letter-exchange", text(DLX)),
            ("x-dead-letter-routing-key", text(GIVEN_UP_KEY)),
            // At-least-once needs an overflow that drops nothing.
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
            ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
        ],
    }
}

fn classic(logical: &QueueName) -> Queue {
    Queue {
        name: format!("jobs.{logical}"),
        exchange: JOBS,
        key: key(Profile::Classic, logical, Priority::default()),
        priority: None,
        arguments: vec![
            ("x-queue-type", text("classic")),
            (
                "x-max-priority",
                Argument::Number(i32::from(Priority::Critical.level())),
            ),
            ("x-dead-letter-exchange", text(DLX)),
            ("x-dead-letter-routing-key", text(GIVEN_UP_KEY)),
        ],
    }
}

fn text(value: &str) -> Argument {
    Argument::Text(value.to_owned())
}

/// Arguments as lapin takes them.
pub(super) fn table(arguments: &Arguments) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(LongString::from(text.as_str())),
            Argument::Number(number) => AMQPValue::LongInt(*number),
        };
        table.insert((*name).into(), value);
    }
    table
}

#[cfg(test)]
mod tests;
