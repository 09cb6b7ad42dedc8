//! Opening one connection, and saying plainly why it failed.

use std::path::PathBuf;
use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties, ErrorKind};
use longshore_core::telemetry::{Event as Told, Telemetry};

use super::link::Error;
use super::{Config, RPC_TIMEOUT};
use crate::secret::SecretUrl;

/// Seconds between heartbeats, in both directions; two missed ones end the connection.
const HEARTBEAT_SECS: u16 = 10;
/// Bytes of a frame, unless the URL says otherwise. The client keeps two buffers of 32 frames for each connection, as rings
/// of which every page is touched in time: with RabbitMQ's own 128 KiB those are 8 MiB of a process. Headers of the largest
/// message take less than a frame; a larger body takes several. With a quarter of this, bodies of 100 KB cost the broker up
/// to three times as much.
const FRAME_MAX: u32 = 32 * 1024;
/// How long a connection may take, from the socket to the open virtual host.
const DIAL_TIMEOUT: Duration = RPC_TIMEOUT;

/// Everything that opening a connection takes.
#[derive(Clone)]
pub(super) struct Dialer {
    url: SecretUrl,
    uri: AMQPUri,
    tls: OwnedTLSConfig,
    name: String,
    role: &'static str,
    telemetry: Telemetry,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The parsed URI and lapin's own types would show the password.
        f.debug_struct("Dialer")
            .field("url", &self.url)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Dialer {
    pub(super) fn new(config: &Config, role: &'static str) -> Result<Self, Error> {
        let tls = match &config.ca_file {
            None => OwnedTLSConfig::default(),
            Some(path) => OwnedTLSConfig {
                identity: None,
                cert_chain: Some(read_pem(path)?),
            },
        };
        Ok(Self {
            uri: uri(&config.url)?,
            url: config.url.clone(),
            tls,
            name: format!("{} {role}", config.connection_name),
            role,
            telemetry: config.telemetry.clone(),
        })
    }

    /// The connection's name, as RabbitMQ's management shows it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Tells whoever observes that the connection is there, or lost.
    pub(super) fn tell_connected(&self, connected: bool) {
        self.telemetry.observe(&Told::Connection {
            server: "rabbitmq",
            connection: self.role,
            connected,
        });
    }

    /// Tells whoever observes that the broker holds publishers back, or does so no more.
    pub(super) fn tell_blocked(&self, blocked: bool) {
        self.telemetry.observe(&Told::Blocked {
            connection: self.role,
            blocked,
        });
    }

    /// The broker, without credentials.
    pub(super) fn url(&self) -> &SecretUrl {
        &self.url
    }

    /// Opens a connection on the current runtime.
    pub(super) async fn dial(&self) -> Result<Connection, Error> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let runtime = lapin::runtime::default_runtime().map_err(|error| self.explain(&error))?;
        let connect =
            Connection::connect_uri_with_config(self.uri.clone(), properties, self.tls.clone(), runtime);
        match tokio::time::timeout(DIAL_TIMEOUT, Box::pin(connect)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.explain(&error)),
            Err(_) => Err(self.unreachable(format!("no answer within {} s", DIAL_TIMEOUT.as_secs()))),
        }
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable {
            url: self.url.clone(),
            reason,
        }
    }

    /// What lapin's error means to whoever wrote the URL.
    fn explain(&self, error: &lapin::Error) -> Error {
        let url = self.url.clone();
        match error.kind() {
            ErrorKind::ProtocolError(refusal) => match refusal.kind() {
                AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => Error::Credentials {
                    url,
                    user: self.uri.authority.userinfo.username.clone(),
                },
                AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => Error::VirtualHost {
                    url,
                    vhost: self.uri.vhost.clone(),
                    user: self.uri.authority.userinfo.username.clone(),
                },
                _ => self.unreachable(refusal.get_message().to_string()),
            },
            ErrorKind::IOError(io) if is_tls(io) => Error::Tls {
                url,
                reason: io.to_string(),
            },
            ErrorKind::IOError(io) => self.unreachable(io.to_string()),
            ErrorKind::AuthProviderError(_) => Error::Credentials {
                url,
                user: self.uri.authority.userinfo.username.clone(),
            },
            _ => self.unreachable(error.to_string()),
        }
    }
}

fn is_tls(error: &std::io::Error) -> bool {
    let mut source = error
        .get_ref()
        .map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(inner) = source {
        if inner.is::<rustls::Error>() {
            return true;
        }
        source = inner.source();
    }
    let text = error.to_string();
    text.contains("certificate") || text.contains("TLS") || text.contains("corrupt message")
}

fn read_pem(path: &PathBuf) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::CaFile {
        path: path.clone(),
        reason: error.to_string(),
    })
}

/// lapin's form of the URL, with our heartbeat. Its own parser takes `host/` for the virtual host with the empty name
/// and an IPv6 address for no host at all.
pub(super) fn uri(url: &SecretUrl) -> Result<AMQPUri, Error> {
    let mut uri: AMQPUri = url
        .expose()
        .parse()
        .map_err(|_| Error::Url { url: url.clone() })?;
    if uri.vhost.is_empty() {
        "/".clone_into(&mut uri.vhost);
    }
    if let Some((address, _)) = url
        .hosts()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        address.clone_into(&mut uri.authority.host);
    }
    uri.query.heartbeat = Some(HEARTBEAT_SECS);
    uri.query.frame_max.get_or_insert(FRAME_MAX);
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> AMQPUri {
        uri(&SecretUrl::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn a_bare_slash_is_the_default_virtual_host() {
        assert_eq!(parsed("amqp://h/").vhost, "/");
        assert_eq!(parsed("amqp://h").vhost, "/");
        assert_eq!(parsed("amqp://h/%2f").vhost, "/");
        assert_eq!(parsed("amqp://h/jobs").vhost, "jobs");
    }

    #[test]
    fn frames_are_small_unless_the_url_says_otherwise() {
        assert_eq!(parsed("amqp://h").query.frame_max, Some(FRAME_MAX));
        assert_eq!(parsed("amqp://h?frame_max=131072").query.frame_max, Some(131_072));
    }

    #[test]
    fn an_ipv6_address_is_not_localhost() {
        let uri = parsed("amqp://u:p@[2001:db8::7]:5673/v");
        assert_eq!(
            (uri.authority.host.as_str(), uri.authority.port),
            ("2001:db8::7", 5673)
        );
        assert_eq!(uri.query.heartbeat, Some(HEARTBEAT_SECS));
    }
}
