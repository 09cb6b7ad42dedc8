//! Whether a text is a URL of its kind. No message repeats the text: it may hold a password.

/// Checks scheme, hosts and ports. One URL may name several hosts, as those of clusters do.
///
/// # Errors
/// What is wrong, and what a right one looks like.
pub(super) fn check(text: &str, schemes: &[&str]) -> Result<(), String> {
    let example = example(schemes);
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(format!("is not a URL; use {example}"));
    };
    if !schemes.contains(&scheme) {
        let scheme: String = scheme
            .chars()
            .filter(|char| char.is_ascii_alphanumeric() || "+-.".contains(*char))
            .take(32)
            .collect();
        return Err(format!("has the scheme \"{scheme}\"; use {example}"));
    }
    if text.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return Err("has a blank or control character in it; percent-encode it".to_owned());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !authority.contains('@')
        && rest.contains('@')
        && !rest.split(['?', '#']).next().unwrap_or_default().starts_with('/')
    {
        return Err("has a user or password with a character that must be percent-encoded ('/' as %2F, '?' as %3F, '#' as %23)".to_owned());
    }
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    if hosts.is_empty()
        || hosts
            .split(',')
            .any(|host| host.is_empty() || host.starts_with(':'))
    {
        return Err(format!("names no host; use {example}"));
    }
    if hosts.split(',').all(has_port) {
        Ok(())
    } else {
        Err("has a port that is not a number from 1 to 65535".to_owned())
    }
}

/// Whether the port, where there is one, is a number.
fn has_port(host: &str) -> bool {
    // An IPv6 address has colons of its own, inside brackets.
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    after
        .rsplit_once(':')
        .is_none_or(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn example(schemes: &[&str]) -> &'static str {
    match schemes.first() {
        Some(&"amqp") => "amqp://user:password@host:5672/vhost, or amqps:// for TLS",
        Some(&"redis") => {
            "redis://user:password@host:6379, rediss:// for TLS, redis-cluster://host:port,host:port, or redis-sentinel://host:port,host:port/master"
        }
        _ => "https://host/path",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::{AMQP, REDIS};

    #[test]
    fn urls_of_every_kind_pass() {
        for url in [
            "amqp://h",
            "amqps://u:p@h:5671/v",
            "amqp://[::1]:5672",
            "amqp://h/v?heartbeat=10",
        ] {
            assert_eq!(check(url, AMQP), Ok(()), "{url}");
        }
        for url in [
            "redis://h",
            "rediss://:p@h:6379/0",
            "redis-cluster://a:7000,b:7001",
            "redis-sentinel://a:1,b:2/m",
        ] {
            assert_eq!(check(url, REDIS), Ok(()), "{url}");
        }
    }

    #[test]
    fn bad_urls_are_told_without_their_password() {
        let cases = [
            ("host:5672", "is not a URL"),
            ("http://u:s3cret@h", "has the scheme \"http\""),
            ("amqp://", "names no host"),
            ("amqp://u:s3cret@:5672", "names no host"),
            ("amqp://u:s3cret@h:port", "has a port"),
            ("amqp://u:s3cret@h:0", "has a port"),
            ("amqp://u:s3/cret@h", "must be percent-encoded"),
            ("amqp://u:s3 cret@h", "has a blank"),
        ];
        for (url, start) in cases {
            let message = check(url, AMQP).unwrap_err();
            assert!(message.contains(start), "{url}: {message}");
            assert!(!message.contains("s3"), "{message}");
        }
    }
}
