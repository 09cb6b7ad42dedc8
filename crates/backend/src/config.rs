//! What a backend needs to know before it connects.

use std::path::PathBuf;
use std::time::Duration;

use longshore_core::shard::Shards;
use longshore_core::telemetry::Telemetry;

use crate::secret::{InvalidUrl, SecretUrl};

/// Everything about a connection. Made by [`BackendConfig::new`]; every field may then be changed.
#[derive(Clone, Debug)]
pub struct BackendConfig {
    /// Where the servers or the folder are.
    pub endpoints: Endpoints,
    /// How logical queues are laid out in RabbitMQ. Default: quorum.
    pub profile: Profile,
    /// How many shards a *new* installation gets; `None` takes 4 on one Redis, 64 on a cluster. An existing one keeps
    /// its number, and another one here is an error.
    pub shards: Option<Shards>,
    /// Start although Redis is set up so that it may lose jobs (eviction, no append-only file). Default: false.
    pub allow_degraded: bool,
    /// How much a write to Redis waits for. Default: as Redis is configured.
    pub durability: Durability,
    /// How many replicas of Redis must have a strict write before it is acknowledged; every master must have as many
    /// connected at the start. Counts only with [`Durability::Strict`]. Default: 0, the disk alone.
    pub redis_replicas: u16,
    /// PEM file with the certificate authority of an `amqps://` server; `None` takes the system's authorities.
    pub amqp_ca_file: Option<PathBuf>,
    /// PEM file with the certificate authority of a `rediss://` server; `None` takes the system's authorities.
    pub redis_ca_file: Option<PathBuf>,
    /// The broker's own consumer time-out: deliveries are acknowledged well before it. Default: 30 minutes, as
    /// RabbitMQ's.
    pub consumer_timeout: Duration,
    /// Name under which the connections appear in RabbitMQ's management and in `CLIENT LIST`. Default: `longshore`.
    pub connection_name: String,
    /// Connect although the broker cannot be reached now, and go on trying. A wrong password, virtual host or
    /// topology is an error all the same. Default: false, every failure is an error.
    pub wait_for_broker: bool,
    /// Who is told of calls, connections and publishes. Default: nobody.
    pub telemetry: Telemetry,
}

impl BackendConfig {
    /// The defaults for these endpoints.
    pub fn new(endpoints: Endpoints) -> Self {
        Self {
            endpoints,
            profile: Profile::default(),
            shards: None,
            allow_degraded: false,
            durability: Durability::default(),
            redis_replicas: 0,
            amqp_ca_file: None,
            redis_ca_file: None,
            consumer_timeout: Duration::from_secs(30 * 60),
            connection_name: "longshore".to_owned(),
            wait_for_broker: false,
            telemetry: Telemetry::off(),
        }
    }
}

/// How logical queues are laid out in RabbitMQ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// A quorum queue per priority: replicated, on disk before the confirm, depth visible per priority.
    #[default]
    Quorum,
    /// One classic queue with `x-max-priority`: strict order, one node; a host's power loss may lose messages.
    Classic,
}

/// How much a write to Redis waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// As Redis is configured: with `appendfsync everysec`, power loss may cost about the last second.
    #[default]
    Default,
    /// On disk, and on [`BackendConfig::redis_replicas`] replicas, before an enqueue, finish or requeue is
    /// acknowledged.
    Strict,
}

/// Where a backend is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// RabbitMQ and Redis.
    Servers {
        /// `amqp://` or `amqps://`.
        amqp: SecretUrl,
        /// `redis://`, `rediss://`, or a cluster's or Sentinel's URL.
        redis: SecretUrl,
    },
    /// The embedded store in a folder.
    Embedded {
        /// The folder; it is made when missing.
        folder: PathBuf,
    },
}

/// An endpoint that cannot be used. Never repeats a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// Not a URL.
    #[error("{field}: the URL {problem}; use {example}")]
    Url {
        /// `amqp_url`, `redis_url` or `url`.
        field: &'static str,
        /// What is wrong with it.
        problem: InvalidUrl,
        /// What a right one looks like.
        example: &'static str,
    },
    /// A URL of another kind.
    #[error("{field}: the scheme \"{scheme}\" is not known here; use {example}")]
    Scheme {
        /// `amqp_url`, `redis_url` or `url`.
        field: &'static str,
        /// The scheme that was found.
        scheme: String,
        /// What a right one looks like.
        example: &'static str,
    },
    /// A URL of the right scheme that cannot be connected to all the same: a cluster's hosts with a plain scheme,
    /// sentinels without a master, a database that is no number.
    #[error("{field}: the URL {problem}; use {example}")]
    Shape {
        /// `amqp_url` or `redis_url`.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What a right one looks like.
        example: &'static str,
    },
    /// `embedded://` and no folder.
    #[error(
        "url: embedded:// names no folder; use embedded://FOLDER, for example embedded:///var/lib/longshore"
    )]
    NoFolder,
    /// One URL where two are needed.
    #[error("{missing}: is missing; RabbitMQ and Redis are used together, or embedded://FOLDER alone")]
    Missing {
        /// `amqp_url` or `redis_url`.
        missing: &'static str,
    },
}

const AMQP_EXAMPLE: &str = "amqp://user:password@host:5672/vhost, or amqps:// for TLS";
const REDIS_EXAMPLE: &str = "redis://user:password@host:6379, rediss:// for TLS, redis-cluster://host:port,host:port, or redis-sentinel://host:port,host:port/master";
const REDIS_SCHEMES: [&str; 10] = [
    "redis",
    "rediss",
    "redis-cluster",
    "rediss-cluster",
    "redis+cluster",
    "rediss+cluster",
    "redis-sentinel",
    "rediss-sentinel",
    "redis+sentinel",
    "rediss+sentinel",
];

impl Endpoints {
    /// RabbitMQ and Redis by their URLs.
    ///
    /// # Errors
    /// When one is not a URL of its kind; the error names `amqp_url` or `redis_url` and never repeats the URL.
    pub fn servers(amqp: &str, redis: &str) -> Result<Self, InvalidEndpoint> {
        Ok(Self::Servers {
            amqp: Self::amqp(amqp)?,
            redis: Self::redis(redis)?,
        })
    }

    /// RabbitMQ's URL alone, checked as [`Endpoints::servers`] does.
    ///
    /// # Errors
    /// As there, naming `amqp_url`.
    pub fn amqp(text: &str) -> Result<SecretUrl, InvalidEndpoint> {
        let url = checked("amqp_url", text, &["amqp", "amqps"], AMQP_EXAMPLE)?;
        shaped("amqp_url", crate::amqp::check_url(&url), AMQP_EXAMPLE)?;
        Ok(url)
    }

    /// Redis's URL alone, checked as [`Endpoints::servers`] does.
    ///
    /// # Errors
    /// As there, naming `redis_url`.
    pub fn redis(text: &str) -> Result<SecretUrl, InvalidEndpoint> {
        let url = checked("redis_url", text, &REDIS_SCHEMES, REDIS_EXAMPLE)?;
        shaped("redis_url", crate::redis::check_url(&url), REDIS_EXAMPLE)?;
        Ok(url)
    }

    /// The embedded store, by `embedded://FOLDER`. A relative folder is the process's.
    ///
    /// # Errors
    /// When it is another URL or names no folder. For a server's URL the error names the one that is missing.
    pub fn parse(url: &str) -> Result<Self, InvalidEndpoint> {
        let url = url.trim();
        if let Some(folder) = url.strip_prefix("embedded://") {
            if folder.is_empty() {
                return Err(InvalidEndpoint::NoFolder);
            }
            return Ok(Self::Embedded {
                folder: folder.into(),
            });
        }
        let example = "embedded://FOLDER, or amqp_url and redis_url together";
        let parsed = SecretUrl::parse(url).map_err(|problem| InvalidEndpoint::Url {
            field: "url",
            problem,
            example,
        })?;
        match parsed.scheme() {
            "amqp" | "amqps" => Err(InvalidEndpoint::Missing { missing: "redis_url" }),
            scheme if REDIS_SCHEMES.contains(&scheme) => {
                Err(InvalidEndpoint::Missing { missing: "amqp_url" })
            }
            scheme => Err(InvalidEndpoint::Scheme {
                field: "url",
                scheme: scheme.to_owned(),
                example,
            }),
        }
    }

    /// The embedded store in this folder.
    pub fn embedded(folder: impl Into<PathBuf>) -> Self {
        Self::Embedded {
            folder: folder.into(),
        }
    }
}

impl TryFrom<(&str, &str)> for Endpoints {
    type Error = InvalidEndpoint;

    fn try_from((amqp, redis): (&str, &str)) -> Result<Self, InvalidEndpoint> {
        Self::servers(amqp, redis)
    }
}

impl TryFrom<(String, String)> for Endpoints {
    type Error = InvalidEndpoint;

    fn try_from((amqp, redis): (String, String)) -> Result<Self, InvalidEndpoint> {
        Self::servers(&amqp, &redis)
    }
}

impl TryFrom<String> for Endpoints {
    type Error = InvalidEndpoint;

    fn try_from(url: String) -> Result<Self, InvalidEndpoint> {
        Self::parse(&url)
    }
}

impl TryFrom<&str> for Endpoints {
    type Error = InvalidEndpoint;

    fn try_from(url: &str) -> Result<Self, InvalidEndpoint> {
        Self::parse(url)
    }
}

impl std::fmt::Display for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Servers { amqp, redis } => write!(f, "{amqp} and {redis}"),
            Self::Embedded { folder } => write!(f, "embedded://{}", folder.display()),
        }
    }
}

fn checked(
    field: &'static str,
    text: &str,
    schemes: &[&str],
    example: &'static str,
) -> Result<SecretUrl, InvalidEndpoint> {
    let url = SecretUrl::parse(text).map_err(|problem| InvalidEndpoint::Url {
        field,
        problem,
        example,
    })?;
    if schemes.contains(&url.scheme()) {
        Ok(url)
    } else {
        Err(InvalidEndpoint::Scheme {
            field,
            scheme: url.scheme().chars().take(32).collect(),
            example,
        })
    }
}

fn shaped(
    field: &'static str,
    found: Result<(), String>,
    example: &'static str,
) -> Result<(), InvalidEndpoint> {
    found.map_err(|problem| InvalidEndpoint::Shape {
        field,
        // The parsers give a fix of their own; the example stands for it.
        problem: problem.split(';').next().unwrap_or_default().to_owned(),
        example,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_field_and_the_fix_and_no_password() {
        let error = Endpoints::servers("http://u:s3cret@h", "redis://h")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("amqp_url: ") && error.contains("amqp://user:password@host"));
        assert!(!error.contains("s3cret"), "{error}");
        let error = Endpoints::servers("amqp://h", "u:s3cret@h")
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("redis_url: ") && !error.contains("s3cret"),
            "{error}"
        );
    }

    #[test]
    fn a_url_that_nothing_could_connect_to_is_told_before_anything_does() {
        for url in [
            "redis-sentinel://h",
            "redis://u:s3cret@h/abc",
            "redis://a,b",
            "redis-sentinel://h/m/x",
        ] {
            let error = Endpoints::servers("amqp://h", url).unwrap_err().to_string();
            assert!(
                error.starts_with("redis_url: ") && !error.contains("s3cret"),
                "{url}: {error}"
            );
        }
        assert!(
            Endpoints::servers(
                "amqps://u:p@[::1]:5671/v?heartbeat=10",
                "rediss-sentinel://:p@a,b:1/m/3"
            )
            .is_ok()
        );
    }

    #[test]
    fn one_server_alone_names_the_other() {
        assert_eq!(
            Endpoints::parse("amqp://h"),
            Err(InvalidEndpoint::Missing { missing: "redis_url" })
        );
        assert_eq!(
            Endpoints::parse("redis://h"),
            Err(InvalidEndpoint::Missing { missing: "amqp_url" })
        );
    }

    #[test]
    fn an_embedded_folder_is_taken_as_it_stands() {
        assert_eq!(
            Endpoints::parse("embedded:///srv/jobs"),
            Ok(Endpoints::embedded("/srv/jobs"))
        );
        assert_eq!(
            Endpoints::parse("embedded://jobs"),
            Ok(Endpoints::embedded("jobs"))
        );
        assert_eq!(Endpoints::parse("embedded://"), Err(InvalidEndpoint::NoFolder));
    }
}
