//! The table of keys: what can be configured, its kind, default and meaning. Reading, checking, dumping and the
//! reference all work from it.

use std::sync::LazyLock;

use longshore_core::limits::{BUNDLE_JOBS_MAX, DURATION_MAX, TIMEOUT_DEFAULT};

mod api;
mod cron;
mod gateway;
mod log;
mod notify;
mod scheduler;
mod servers;
mod telemetry;
mod worker;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The URL of a server; its user, password and query are secret. The text tells the schemes.
    Server(&'static str),
    /// The URL of an HTTP endpoint; everything but scheme and host is secret.
    Endpoint,
    /// Text that is never shown.
    Secret,
    /// A file or folder.
    Path,
    /// A log filter.
    Filter,
    /// A text that somebody else reads; this is what they call it.
    Text(&'static str),
    /// `true` or `false`.
    Switch,
    /// A whole number from the first to the second.
    Count(u64, u64),
    /// A duration from the first to the second, in milliseconds.
    Time(u64, u64),
    /// A number from 0 to 1.
    Ratio,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of queue names.
    Queues,
    /// A list of texts that somebody else reads; this is what they call them.
    Texts(&'static str),
    /// A list of arguments of a program; only the names of options are shown.
    Arguments,
    /// A table of texts that are never shown.
    SecretTable,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its path; `*` stands for a name that the user gives.
    pub path: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Its default as text; empty when there is none.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn key(path: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key {
        path,
        kind,
        default,
        meaning,
    }
}

const SECOND: u64 = 1_000;
const DAY: u64 = 86_400 * SECOND;
const LONGEST: u64 = DURATION_MAX.as_secs() * SECOND;
const BUNDLE: u64 = BUNDLE_JOBS_MAX as u64;
const INTERVAL: Kind = Kind::Time(10, 3_600 * SECOND);
const RETENTION: Kind = Kind::Time(60 * SECOND, LONGEST);
// The text of a default below must say the same.
const _: () = assert!(TIMEOUT_DEFAULT.as_secs() == 3_600);

/// Every key, in the order of the reference.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    [
        servers::KEYS,
        worker::KEYS,
        scheduler::KEYS,
        cron::KEYS,
        notify::KEYS,
        gateway::KEYS,
        api::KEYS,
        log::KEYS,
        telemetry::KEYS,
    ]
    .concat()
});

impl Key {
    /// The key of this path, with the name that stands for its `*`.
    pub(crate) fn find(path: &[String]) -> Option<(&'static Self, Option<String>)> {
        let whole = path.join(".");
        KEYS.iter().find_map(|key| match key.path.split_once('*') {
            // A name may have dots of its own.
            Some((before, after)) => {
                let name = whole.strip_prefix(before)?.strip_suffix(after)?;
                (!name.is_empty()).then(|| (key, Some(name.to_owned())))
            }
            None => (whole == key.path).then_some((key, None)),
        })
    }

    /// Whether paths below this key belong to it.
    pub(crate) const fn is_table(&self) -> bool {
        matches!(self.kind, Kind::SecretTable)
    }

    /// Its environment variable.
    pub fn env_name(&self) -> String {
        format!(
            "LONGSHORE_{}",
            self.path.replace('.', "__").replace('*', "NAME").to_uppercase()
        )
    }

    /// What it holds, for people.
    pub fn type_name(&self) -> String {
        match self.kind {
            Kind::Server(name) | Kind::Text(name) => name.to_owned(),
            Kind::Endpoint => "URL (http, https)".to_owned(),
            Kind::Secret => "secret".to_owned(),
            Kind::Path => "path".to_owned(),
            Kind::Filter => "log filter".to_owned(),
            Kind::Switch => "true or false".to_owned(),
            Kind::Count(min, u64::MAX) => format!("{min} or more"),
            Kind::Count(min, max) => format!("{min} to {max}"),
            Kind::Time(min, max) => format!("duration, {} to {}", shown(min), shown(max)),
            Kind::Ratio => "number from 0 to 1".to_owned(),
            Kind::Choice(words) => words.join(" or "),
            Kind::Queues => "list of queue names".to_owned(),
            Kind::Texts(name) => format!("list of {name}"),
            Kind::Arguments => "list of texts".to_owned(),
            Kind::SecretTable => "table of texts".to_owned(),
        }
    }
}

/// A bound of a duration, for people.
pub(crate) fn shown(millis: u64) -> String {
    crate::duration::format(std::time::Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &[&str]) -> Vec<String> {
        text.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_may_have_dots() {
        let (key, name) = Key::find(&path(&["worker", "commands", "sample.hash", "program"])).unwrap();
        assert_eq!(
            (key.path, name.as_deref()),
            ("worker.commands.*.program", Some("sample.hash"))
        );
        assert!(Key::find(&path(&["worker", "commands", "program"])).is_none());
        assert!(Key::find(&path(&["worker", "max_worker"])).is_none());
    }

    #[test]
    fn keys_are_unique_and_lower_case() {
        for (at, key) in KEYS.iter().enumerate() {
            assert_eq!(key.path, key.path.to_lowercase());
            assert!(
                KEYS[at + 1..].iter().all(|other| other.path != key.path),
                "{}",
                key.path
            );
        }
    }
}
