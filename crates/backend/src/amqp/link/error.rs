//! Why there is no connection.

use std::path::PathBuf;

use crate::amqp::drift::Drift;
use crate::secret::SecretUrl;

/// The broker's name in the ports' errors.
pub(in crate::amqp) const SERVER: &str = "RabbitMQ";

/// Why the broker cannot be used. Never shows credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a URL that AMQP knows.
    #[error(
        "amqp_url: {url} is not an AMQP URL; use amqp://user:password@host:5672/vhost with special characters percent-encoded"
    )]
    Url {
        /// The broker.
        url: SecretUrl,
    },
    /// No connection.
    #[error("amqp_url: RabbitMQ at {url} cannot be reached: {reason}")]
    Unreachable {
        /// The broker.
        url: SecretUrl,
        /// What the system or the broker said.
        reason: String,
    },
    /// User or password refused.
    #[error(
        "amqp_url: RabbitMQ at {url} refuses user \"{user}\": check user and password; the user guest may log in from the broker's own host alone"
    )]
    Credentials {
        /// The broker.
        url: SecretUrl,
        /// The user.
        user: String,
    },
    /// The virtual host does not exist or is closed to the user.
    #[error(
        "amqp_url: RabbitMQ at {url} has no virtual host \"{vhost}\" for user \"{user}\": make it (rabbitmqctl add_vhost) and give the user its permissions (rabbitmqctl set_permissions)"
    )]
    VirtualHost {
        /// The broker.
        url: SecretUrl,
        /// The virtual host.
        vhost: String,
        /// The user.
        user: String,
    },
    /// No TLS session.
    #[error(
        "amqp_url: no TLS session with RabbitMQ at {url}: {reason}; check that the port speaks TLS and that its authority is known (amqp_ca_file)"
    )]
    Tls {
        /// The broker.
        url: SecretUrl,
        /// What TLS said.
        reason: String,
    },
    /// The file with the certificate authority.
    #[error("amqp_ca_file: {} cannot be read: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something exists with other arguments than ours.
    #[error(transparent)]
    Drift(#[from] Drift),
    /// The installation has another number of shards.
    #[error(
        "shards: RabbitMQ was set up for {found} shards, Redis for {wanted}; both must belong to the same installation, so use the virtual host that belongs to this Redis"
    )]
    Shards {
        /// What the broker remembers.
        found: u16,
        /// What the store says.
        wanted: u16,
    },
    /// The broker refused a declaration.
    #[error("RabbitMQ refused to set up {name}: {reason}")]
    Declare {
        /// The queue or exchange.
        name: String,
        /// What the broker said.
        reason: String,
    },
    /// The user lacks a right.
    #[error("RabbitMQ does not let this user do that with {name}: {reason}")]
    Forbidden {
        /// The queue or exchange.
        name: String,
        /// What the broker said; it names the user and the right.
        reason: String,
    },
    /// The connection ended in between.
    #[error("the connection to RabbitMQ ended: {reason}")]
    Lost {
        /// Why.
        reason: String,
    },
}

impl Error {
    /// Whether trying again may help without anybody changing the configuration.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Lost { .. })
    }
}

impl From<Error> for longshore_core::port::Error {
    fn from(error: Error) -> Self {
        if let Error::Forbidden { name, reason } = error {
            return Self::Forbidden {
                server: SERVER,
                user: user_in(&reason).to_owned(),
                what: name,
                reason,
            };
        }
        let reason = error.to_string();
        if error.may_pass() {
            Self::Unavailable {
                server: SERVER,
                reason,
            }
        } else {
            Self::Refused {
                server: SERVER,
                reason,
            }
        }
    }
}

/// Whom a refusal names: `… refused for user 'gateway'`; empty when it names nobody.
fn user_in(refusal: &str) -> &str {
    let named = refusal.split_once("for user '").map(|(_, rest)| rest);
    named.and_then(|rest| rest.split('\'').next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_that_a_refusal_names_is_found() {
        let said =
            "ACCESS_REFUSED - read access to queue 'longshore.dead' in vhost '/' refused for user 'gateway'";
        assert_eq!(user_in(said), "gateway");
        assert_eq!(user_in("NOT_FOUND - no queue 'q' in vhost '/'"), "");
    }
}
