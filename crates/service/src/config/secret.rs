//! Texts that are never shown.

use std::fmt;

/// A text that is never shown: `Display` and `Debug` print what [`Secret::shown`] gives.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    shown: String,
}

/// What stands for a secret in output.
const REDACTED: &str = "***";

impl Secret {
    /// A secret of which nothing may be shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            shown: REDACTED.to_owned(),
        }
    }

    /// A URL, of which everything but user, password and query may be shown.
    pub fn url(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            shown: redact(&text),
            text,
        }
    }

    /// The URL of an endpoint, of which only scheme, host and port may be shown: with many hooks the path is the secret.
    pub fn endpoint(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            shown: redact_endpoint(&text),
            text,
        }
    }

    /// The text itself: for whoever connects or signs with it, and nobody else.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What may be shown of it.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.shown)
    }
}

/// A URL without user, password, query and fragment. What is no URL shows nothing at all: it may be all password.
fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return REDACTED.to_owned();
    };
    let known = scheme
        .chars()
        .all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char));
    if !known || scheme.is_empty() {
        return REDACTED.to_owned();
    }
    // A password may hold any of "/?#" unescaped in a wrong URL: the last '@' counts.
    let (user, hosts) = rest
        .rsplit_once('@')
        .map_or((false, rest), |(_, hosts)| (true, hosts));
    let end = hosts.find(['?', '#']).unwrap_or(hosts.len());
    let (hosts, query) = hosts.split_at(end);
    if !names_hosts(hosts) {
        return format!("{scheme}://{REDACTED}");
    }
    let user = if user { "***@" } else { "" };
    let query = if query.is_empty() { "" } else { "?***" };
    format!("{scheme}://{user}{hosts}{query}")
}

/// Whether what stands before the path is hosts with their ports: where a port is no number it may be a password whose
/// host was forgotten.
fn names_hosts(hosts: &str) -> bool {
    let authority = hosts.split('/').next().unwrap_or_default();
    authority.split(',').all(|host| {
        let after_address = host.rsplit_once(']').map_or(host, |(_, port)| port);
        let port = after_address.rsplit_once(':').map_or("", |(_, port)| port);
        port.is_empty() || port.parse::<u16>().is_ok()
    })
}

/// Scheme, host and port of a URL.
fn redact_endpoint(url: &str) -> String {
    let shown = redact(url);
    let Some((scheme, rest)) = shown.split_once("://") else {
        return shown;
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let path = if matches!(path, "" | "/") { path } else { "/***" };
    format!("{scheme}://{host}{path}")
}

/// An argument of a program: the name of an option, and nothing that may be its value.
pub(super) fn redact_argument(text: &str) -> String {
    let is_name = |name: &str| {
        name.trim_start_matches('-')
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "-_.".contains(char))
    };
    if let Some((name, _)) = text.split_once('=')
        && name.starts_with("--")
        && is_name(name)
    {
        return format!("{name}={REDACTED}");
    }
    // A value may follow a short option without a blank: -ps3cret.
    let is_option = text.starts_with("--") || (text.starts_with('-') && text.chars().count() == 2);
    if is_option && is_name(text) {
        text.to_owned()
    } else {
        REDACTED.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_neither_user_nor_password_nor_query() {
        let cases = [
            ("amqp://user:s3cret@host:5672/vhost", "amqp://***@host:5672/vhost"),
            ("redis://:s3cret@host", "redis://***@host"),
            ("redis://host:6379/0", "redis://host:6379/0"),
            (
                "redis-cluster://a:s3cret@h:7000,h:7001",
                "redis-cluster://***@h:7000,h:7001",
            ),
            ("amqp://u:s3/cr@et@host", "amqp://***@host"),
            ("https://host/hook?token=s3cret", "https://host/hook?***"),
            ("u:s3cret@host", "***"),
            ("amqp://user:s3cret", "amqp://***"),
            ("amqp://user:s3cret#host", "amqp://***"),
            ("redis://[::1]:6379", "redis://[::1]:6379"),
        ];
        for (url, shown) in cases {
            assert_eq!(Secret::url(url).shown(), shown);
            assert!(!format!("{:?} {}", Secret::url(url), Secret::url(url)).contains("s3cret"));
        }
    }

    #[test]
    fn an_endpoint_shows_its_host_alone() {
        let cases = [
            (
                "https://hooks.example.com/T0/s3cret",
                "https://hooks.example.com/***",
            ),
            ("http://u:s3cret@h:8080/", "http://***@h:8080/"),
            ("https://h?token=s3cret", "https://h/***"),
            ("http://h", "http://h"),
        ];
        for (url, shown) in cases {
            assert_eq!(Secret::endpoint(url).shown(), shown);
        }
    }

    #[test]
    fn an_argument_shows_the_name_of_its_option() {
        let cases = [
            ("--json", "--json"),
            ("-q", "-q"),
            ("--token=s3cret", "--token=***"),
            ("-ps3cret", "***"),
            ("s3cret", "***"),
            ("s3cret=x", "***"),
            ("", "***"),
        ];
        for (argument, shown) in cases {
            assert_eq!(redact_argument(argument), shown, "{argument}");
        }
    }

    #[test]
    fn a_secret_shows_nothing() {
        let secret = Secret::new("whsec_abc");
        assert_eq!(
            (secret.to_string(), secret.expose()),
            ("***".to_owned(), "whsec_abc")
        );
    }
}
