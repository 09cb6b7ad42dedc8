//! `[notify]`: who is told of what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use longshore_core::QueueName;
use longshore_core::notice::Kind;

use super::problem::{Origin, Problem};
use super::read::Values;
use super::secret::Secret;

/// Longest name of a channel, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// `[notify]`
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Notify {
    /// How long the first notification of a group collects.
    pub group_wait: Duration,
    /// Shortest time between two of a group.
    pub group_interval: Duration,
    /// Notifications of a channel: so many at once, and then so many an hour.
    pub letters_per_hour: u32,
    /// When a queue that stays over its limit is told of again.
    pub repeat_after: Duration,
    /// When one that cannot be sent is given up.
    pub give_up_after: Duration,
    /// How long one try may take.
    pub send_timeout: Duration,
    /// Longest queue that is fine; `None` for any.
    pub queue_length: Option<u64>,
    /// Oldest waiting job that is fine; `None` for any.
    pub queue_age: Option<Duration>,
    /// The same for single queues.
    pub queues: BTreeMap<QueueName, QueueLimit>,
    /// E-mail channels.
    pub email: BTreeMap<String, EmailChannel>,
    /// Webhooks.
    pub webhook: BTreeMap<String, WebhookChannel>,
}

/// `[notify.queues.NAME]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueLimit {
    /// Longest that is fine; that of all queues when `None`.
    pub length: Option<u64>,
    /// Oldest that is fine; that of all queues when `None`.
    pub age: Option<Duration>,
}

/// `[notify.email.NAME]`
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EmailChannel {
    /// Host of the mail server.
    pub host: String,
    /// Its port; the usual one when `None`.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub tls: MailTls,
    /// Unencrypted also to other machines.
    pub allow_plain: bool,
    /// Certificate authority of the server.
    pub ca_file: Option<PathBuf>,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// Who sends.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// What is told.
    pub events: BTreeSet<Kind>,
}

/// How the connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailTls {
    /// After a plain beginning.
    #[default]
    StartTls,
    /// From the first byte.
    Implicit,
    /// Not at all.
    None,
}

/// `[notify.webhook.NAME]`
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WebhookChannel {
    /// Where to post.
    pub url: Secret,
    /// A text for Slack rather than every fact.
    pub slack: bool,
    /// Key of the signature; unsigned when `None`.
    pub secret: Option<Secret>,
    /// Addresses that are not public and are meant.
    pub allow_addresses: Vec<String>,
    /// What is told.
    pub events: BTreeSet<Kind>,
}

/// Makes the section out of its values.
pub(super) fn section(values: &Values, problems: &mut Vec<Problem>) -> Notify {
    let time = |key: &str| values.time(&format!("notify.{key}")).unwrap_or_default();
    let mut reader = Reader { values, problems };
    let email = reader.channels("notify.email.", Reader::email);
    let webhook = reader.channels("notify.webhook.", Reader::webhook);
    for name in webhook.keys().filter(|name| email.contains_key(*name)) {
        let message = format!("notify.email.{name} has the same name; give every channel one of its own");
        reader.tell(&format!("notify.webhook.{name}"), &message);
    }
    Notify {
        group_wait: time("group_wait"),
        group_interval: time("group_interval"),
        letters_per_hour: values.count("notify.letters_per_hour").unwrap_or(60),
        repeat_after: time("repeat_after"),
        give_up_after: time("give_up_after"),
        send_timeout: time("send_timeout"),
        queue_length: values.count("notify.queue_length").filter(|length| *length > 0),
        queue_age: Some(time("queue_age")).filter(|age| !age.is_zero()),
        queues: reader.queues(),
        email,
        webhook,
    }
}

struct Reader<'a> {
    values: &'a Values,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn tell(&mut self, key: &str, message: &str) {
        self.problems.push(Problem {
            key: key.to_owned(),
            origin: self.values.origin(key),
            message: message.to_owned(),
        });
    }

    /// Every channel under a prefix that is whole.
    fn channels<T>(
        &mut self,
        prefix: &str,
        one: impl Fn(&mut Self, &str) -> Option<T>,
    ) -> BTreeMap<String, T> {
        let mut found = BTreeMap::new();
        for (name, origin) in self.values.names(prefix) {
            let at = format!("{prefix}{name}");
            let channel = one(self, &at);
            let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.len() <= NAME_BYTES_MAX && name.chars().all(is_fine) {
                found.extend(channel.map(|channel| (name, channel)));
            } else {
                self.problems.push(bad_name(at, origin));
            }
        }
        found
    }

    fn email(&mut self, at: &str) -> Option<EmailChannel> {
        let key = |field: &str| format!("{at}.{field}");
        let host = self.text(&key("host"));
        let from = self.text(&key("from"));
        let to = self.values.list(&key("to"));
        if to.is_empty() {
            self.missing(&key("to"));
        }
        let events = self.events(&key("events"));
        let (user, password) = (
            self.values.text(&key("user")),
            self.values.secret(&key("password")),
        );
        let login = match (user.is_empty(), password) {
            (true, None) => None,
            (false, Some(password)) => Some((user, password)),
            (true, Some(_)) => {
                self.tell(
                    &key("user"),
                    "is missing, and password is set; they are used together",
                );
                None
            }
            (false, None) => {
                self.tell(
                    &key("password"),
                    "is missing, and user is set; they are used together",
                );
                None
            }
        };
        Some(EmailChannel {
            host: host?,
            port: self.values.count(&key("port")),
            tls: match self.values.text(&key("tls")).as_str() {
                "implicit" => MailTls::Implicit,
                "none" => MailTls::None,
                _ => MailTls::StartTls,
            },
            allow_plain: self.values.switch(&key("allow_plain")),
            ca_file: self.values.path(&key("ca_file")),
            login,
            from: from?,
            to,
            events,
        })
    }

    fn webhook(&mut self, at: &str) -> Option<WebhookChannel> {
        let key = |field: &str| format!("{at}.{field}");
        let url = self.values.secret(&key("url"));
        if url.is_none() {
            self.missing(&key("url"));
        }
        let events = self.events(&key("events"));
        Some(WebhookChannel {
            url: url?,
            slack: self.values.text(&key("body")) == "slack",
            secret: self.values.secret(&key("secret")),
            allow_addresses: self.values.list(&key("allow_addresses")),
            events,
        })
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let text = Some(self.values.text(key)).filter(|text| !text.is_empty());
        if text.is_none() {
            self.missing(key);
        }
        text
    }

    /// One that was given and is wrong was told already.
    fn missing(&mut self, key: &str) {
        if !self.problems.iter().any(|problem| problem.key == key) {
            self.tell(key, "is missing; the channel cannot send without it");
        }
    }

    fn events(&mut self, key: &str) -> BTreeSet<Kind> {
        let names = self.values.list(key);
        if names.is_empty() {
            return Kind::ALL.into();
        }
        let mut kinds = BTreeSet::new();
        for name in names {
            if let Some(kind) = Kind::ALL.iter().find(|kind| kind.as_str() == name) {
                kinds.insert(*kind);
            } else {
                self.tell(key, &no_event(&name));
            }
        }
        kinds
    }

    fn queues(&mut self) -> BTreeMap<QueueName, QueueLimit> {
        let prefix = "notify.queues.";
        let mut found = BTreeMap::new();
        for (name, origin) in self.values.names(prefix) {
            let at = format!("{prefix}{name}");
            let limit = QueueLimit {
                length: self.values.count(&format!("{at}.length")),
                age: self.values.time(&format!("{at}.age")),
            };
            match QueueName::new(&name) {
                Ok(queue) => {
                    found.insert(queue, limit);
                }
                Err(error) => self.problems.push(Problem {
                    key: at,
                    origin,
                    message: error.to_string().trim_start_matches("queue: ").to_owned(),
                }),
            }
        }
        found
    }
}

fn no_event(name: &str) -> String {
    let known = Kind::ALL.map(Kind::as_str);
    let near = super::suggest::nearest(name, known.into_iter());
    let near = near
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    let shown: String = name.chars().take(64).collect();
    format!(
        "\"{}\" is no event; use {}{near}",
        shown.escape_debug(),
        known.join(", ")
    )
}

fn bad_name(key: String, origin: Origin) -> Problem {
    let message =
        format!("is no name of a channel; use 1 to {NAME_BYTES_MAX} letters, digits, '-', '_' and '.'");
    Problem { key, origin, message }
}
