//! URLs with credentials in them, which must never be seen.

use std::fmt;
use std::sync::Arc;

/// A URL whose user and password never show: [`Display`](fmt::Display) and [`Debug`] print scheme, hosts, ports and
/// path alone. One URL may name several hosts (`redis-cluster://a:7000,b:7000`).
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Arc<Parts>);

#[derive(PartialEq, Eq)]
struct Parts {
    raw: String,
    scheme: String,
    hosts: String,
    path: String,
}

/// Why a text is no usable URL. Never repeats the text: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// No `scheme://` at its start.
    #[error("has no scheme such as {example}")]
    NoScheme {
        /// What a right one looks like.
        example: &'static str,
    },
    /// Nothing between the slashes.
    #[error("names no host")]
    NoHost,
    /// A character that must be percent-encoded stands in the user or password.
    #[error(
        "has a user or password with a character that must be percent-encoded ('/' as %2F, '@' as %40, '#' as %23, '?' as %3F)"
    )]
    Unescaped,
    /// A port that is no number from 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// Blanks or control characters.
    #[error("has a blank or a control character in it")]
    Blank,
}

impl SecretUrl {
    /// Takes a URL apart far enough to show it without its secrets.
    ///
    /// # Errors
    /// When it has no scheme, no host, a bad port, or credentials that are not percent-encoded.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let text = text.trim();
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(InvalidUrl::Blank);
        }
        let no_scheme = InvalidUrl::NoScheme {
            example: "amqp://host:5672 or redis://host:6379",
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| no_scheme.clone())?;
        let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '+';
        if scheme.is_empty() || !scheme.chars().all(word) {
            return Err(no_scheme);
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if tail.contains('@') {
            return Err(InvalidUrl::Unescaped);
        }
        let hosts = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains('@') => return Err(InvalidUrl::Unescaped),
            Some((_, hosts)) => hosts,
            None => authority,
        };
        check_hosts(hosts)?;
        let path = tail.split(['?', '#']).next().unwrap_or_default();
        Ok(Self(Arc::new(Parts {
            raw: text.to_owned(),
            scheme: scheme.to_ascii_lowercase(),
            hosts: hosts.to_owned(),
            path: path.to_owned(),
        })))
    }

    /// The whole URL, credentials included. For connecting; never for showing.
    pub fn expose(&self) -> &str {
        &self.0.raw
    }

    /// The user, as it stands in the URL; empty when it names none. For errors that speak of rights.
    pub fn user(&self) -> &str {
        let rest = self.0.raw.split_once("://").map_or("", |(_, rest)| rest);
        let info = rest
            .split(['/', '?', '#'])
            .next()
            .unwrap_or_default()
            .rsplit_once('@');
        info.map_or("", |(info, _)| info.split(':').next().unwrap_or_default())
    }

    /// What stands before `://`, in lower case.
    pub fn scheme(&self) -> &str {
        &self.0.scheme
    }

    /// Host and port, or several with commas between, without credentials.
    pub fn hosts(&self) -> &str {
        &self.0.hosts
    }

    /// What follows the hosts, from its slash on; empty when there is none.
    pub fn path(&self) -> &str {
        &self.0.path
    }
}

fn check_hosts(hosts: &str) -> Result<(), InvalidUrl> {
    if hosts.is_empty() {
        return Err(InvalidUrl::NoHost);
    }
    for host in hosts.split(',') {
        // The colons of an IPv6 address stand inside brackets.
        let after_address = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
        let (name, port) = match after_address.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (after_address, None),
        };
        if name.is_empty() && !host.contains(']') {
            return Err(InvalidUrl::NoHost);
        }
        if name.contains(':') || port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..))) {
            return Err(InvalidUrl::Port);
        }
    }
    Ok(())
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.0.scheme, self.0.hosts, self.0.path)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl(\"{self}\")")
    }
}

impl std::str::FromStr for SecretUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_queries_never_show() {
        let url = SecretUrl::parse("AMQPS://alice:s3cret@mq.example:5671/jobs?auth=s3cret").unwrap();
        assert_eq!(url.to_string(), "amqps://mq.example:5671/jobs");
        assert_eq!(format!("{url:?}"), "SecretUrl(\"amqps://mq.example:5671/jobs\")");
        assert!(url.expose().contains("s3cret"));
    }

    #[test]
    fn several_hosts_and_addresses_are_taken() {
        let url = SecretUrl::parse("redis-cluster://:pw@10.0.0.1:7000,[::1]:7001,c").unwrap();
        assert_eq!(url.hosts(), "10.0.0.1:7000,[::1]:7001,c");
    }

    #[test]
    fn errors_never_repeat_the_text() {
        for text in [
            "s3cret",
            "amqp://",
            "amqp://u:s3cret@",
            "amqp://u:s3/cret@host",
            "amqp://u:s3#cret@host",
            "amqp://u:s3@cret@host",
            "amqp://u:s3cret@host:no",
            "amqp://u:s3 cret@host",
            "amqp://u:s3cret@host:0",
        ] {
            let error = SecretUrl::parse(text).unwrap_err().to_string();
            assert!(
                !error.contains("s3") && !error.contains("cret"),
                "{text}: {error}"
            );
        }
    }
}
