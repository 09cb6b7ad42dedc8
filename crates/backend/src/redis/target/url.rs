//! The kinds of URLs.

use redis::{ConnectionInfo, IntoConnectionInfo};

use crate::redis::ConnectError;
use crate::secret::SecretUrl;

/// What a URL leads to.
pub(super) enum Kind {
    /// One server.
    One(ConnectionInfo),
    /// The master that sentinels name.
    Sentinel(Sentinels),
    /// A cluster, by some of its nodes.
    Cluster(Vec<ConnectionInfo>),
}

/// Sentinels, and what they are asked for.
pub(super) struct Sentinels {
    pub(super) addresses: Vec<Sentinel>,
    pub(super) master: String,
    scheme: &'static str,
    user: String,
    database: String,
}

/// One sentinel.
pub(super) struct Sentinel {
    /// Without credentials.
    pub(super) bare: ConnectionInfo,
    /// With those of the URL.
    pub(super) guarded: Option<ConnectionInfo>,
}

impl Sentinels {
    /// The URL of a server that a sentinel has named.
    pub(super) fn server(&self, host: &str, port: u16) -> String {
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        format!("{}://{}{host}:{port}/{}", self.scheme, self.user, self.database)
    }
}

impl Kind {
    pub(super) fn parse(url: &SecretUrl) -> Result<Self, ConnectError> {
        let wrong = |problem: String| ConnectError::Url {
            url: url.clone(),
            problem,
        };
        // Never the parser's own words: they may repeat the text.
        let info = |text: String| {
            text.into_connection_info()
                .map_err(|_| wrong("is not a usable Redis URL".to_owned()))
        };
        let (kind, scheme) = split_scheme(url.scheme());
        let user = user_info(url.expose());
        match kind {
            "cluster" => {
                let nodes = url.hosts().split(',');
                let nodes = nodes.map(|host| info(format!("{scheme}://{user}{}", with_port(host, 6379))));
                Ok(Self::Cluster(nodes.collect::<Result<_, _>>()?))
            }
            "sentinel" => {
                let mut path = url.path().trim_matches('/').splitn(2, '/');
                let master = path.next().filter(|name| !name.is_empty());
                let master = master.ok_or_else(|| {
                    wrong("names no master; use redis-sentinel://host:port/master".to_owned())
                })?;
                let database = path.next().unwrap_or_default();
                if !database.is_empty() && database.parse::<u16>().is_err() {
                    return Err(wrong("has a database that is not a number".to_owned()));
                }
                let addresses = url.hosts().split(',').map(|host| {
                    let host = with_port(host, 26_379);
                    Ok::<_, ConnectError>(Sentinel {
                        bare: info(format!("{scheme}://{host}"))?,
                        guarded: if user.is_empty() {
                            None
                        } else {
                            Some(info(format!("{scheme}://{user}{host}"))?)
                        },
                    })
                });
                Ok(Self::Sentinel(Sentinels {
                    addresses: addresses.collect::<Result<_, _>>()?,
                    master: master.to_owned(),
                    scheme,
                    user,
                    database: database.to_owned(),
                }))
            }
            _ if url.hosts().contains(',') => Err(wrong(
                "names several hosts; use redis-cluster:// or redis-sentinel://".to_owned(),
            )),
            _ => Ok(Self::One(info(format!(
                "{scheme}://{user}{}{}",
                with_port(url.hosts(), 6379),
                url.path()
            ))?)),
        }
    }
}

/// `rediss+cluster` is a `cluster` of `rediss` servers.
fn split_scheme(scheme: &str) -> (&str, &'static str) {
    let (servers, kind) = scheme.split_once(['-', '+']).unwrap_or((scheme, ""));
    let servers = if servers == "rediss" { "rediss" } else { "redis" };
    (kind, servers)
}

/// User and password with their `@`, as they stand in the URL.
fn user_info(url: &str) -> String {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
    let authority = authority.get(..end).unwrap_or_default();
    authority
        .rsplit_once('@')
        .map(|(user, _)| format!("{user}@"))
        .unwrap_or_default()
}

fn with_port(host: &str, port: u16) -> String {
    let after_address = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    if after_address.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(url: &str) -> Result<Kind, ConnectError> {
        Kind::parse(&SecretUrl::parse(url).unwrap())
    }

    #[test]
    fn every_kind_of_url_is_taken() {
        assert!(matches!(kind("redis://h"), Ok(Kind::One(_))));
        assert!(matches!(kind("rediss://u:p%40w@h:1/3"), Ok(Kind::One(_))));
        assert!(matches!(kind("redis-cluster://:pw@a:1,b:2"), Ok(Kind::Cluster(nodes)) if nodes.len() == 2));
        assert!(matches!(kind("rediss+cluster://a,[::1]:2"), Ok(Kind::Cluster(_))));
        let Ok(Kind::Sentinel(sentinels)) = kind("redis-sentinel://u:pw@a:1,b/main/5") else {
            panic!("sentinels");
        };
        assert_eq!(
            (sentinels.addresses.len(), sentinels.master.as_str()),
            (2, "main")
        );
        assert_eq!(sentinels.server("10.0.0.1", 7), "redis://u:pw@10.0.0.1:7/5");
    }

    #[test]
    fn a_wrong_url_is_told_without_its_password() {
        for url in [
            "redis-sentinel://u:s3cret@a:1",
            "redis-sentinel://u:s3cret@a:1/main/x",
            "redis://u:s3cret@a:1,b:2",
            "redis://u:s3cret@a:1/nodb",
        ] {
            let error = kind(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(
                error.starts_with("redis_url: ") && !error.contains("s3cret"),
                "{url}: {error}"
            );
        }
    }
}
