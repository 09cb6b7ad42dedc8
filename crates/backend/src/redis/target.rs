//! Where Redis is, and how a connection is opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore_core::port::Error;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind,
    RedisResult, TlsCertificates, Value,
};

use super::fault::{of_dialing, refused, unavailable};
use super::{Config, ConnectError};

mod url;

use self::url::Kind;

/// How long opening a connection may take.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the cluster client tries a command again by itself, after a redirection or while a node is replaced.
const CLUSTER_RETRIES: u32 = 4;

/// Whether the URL has the shape that its scheme asks for.
pub(super) fn check(url: &crate::secret::SecretUrl) -> Result<(), ConnectError> {
    Kind::parse(url).map(drop)
}

/// Where Redis is. Cheap to clone.
#[derive(Clone)]
pub(super) struct Target(Arc<Inner>);

struct Inner {
    kind: Kind,
    hosts: String,
    /// Whom the server knows us as.
    user: String,
    tls: Option<TlsCertificates>,
    name: String,
    response_timeout: Duration,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The parsed addresses would show the password.
        f.debug_struct("Target")
            .field("hosts", &self.0.hosts)
            .finish_non_exhaustive()
    }
}

/// An open connection. Cheap to clone: all clones share one socket.
#[derive(Clone)]
pub(super) struct Conn {
    /// What commands go through.
    pub(super) pipe: Pipe,
    /// The socket is known to be closed: nothing that is sent now would arrive.
    broken: Arc<AtomicBool>,
}

/// One server or a cluster.
#[derive(Clone)]
pub(super) enum Pipe {
    /// One server.
    One(MultiplexedConnection),
    /// Many.
    Cluster(ClusterConnection),
}

impl Conn {
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.broken, &other.broken)
    }
}

impl Target {
    pub(super) fn new(config: &Config) -> Result<Self, ConnectError> {
        let tls = match &config.ca_file {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|error| ConnectError::CaFile {
                path: path.clone(),
                reason: error.to_string(),
            })?),
        };
        if config.url.scheme().starts_with("rediss") {
            // Fails when one is installed already, which is as good.
            rustls::crypto::ring::default_provider().install_default().ok();
        }
        Ok(Self(Arc::new(Inner {
            kind: Kind::parse(&config.url)?,
            hosts: config.url.hosts().to_owned(),
            user: match config.url.user() {
                "" => "default".to_owned(),
                user => user.to_owned(),
            },
            tls: tls.map(|pem| TlsCertificates {
                client_tls: None,
                root_cert: Some(pem),
            }),
            name: config.connection_name.clone(),
            response_timeout: config.response_timeout,
        })))
    }

    /// Hosts and ports, for errors.
    pub(super) fn hosts(&self) -> &str {
        &self.0.hosts
    }

    /// The user of the URL, for errors; `default` when it names none, as Redis has it.
    pub(super) fn user(&self) -> &str {
        &self.0.user
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.0.kind, Kind::Cluster(_))
    }

    /// Opens a connection on the current runtime.
    pub(super) async fn dial(&self) -> Result<Conn, Error> {
        self.in_time(Box::pin(self.dial_slowly())).await
    }

    /// Opens a connection for subscriptions on the current runtime.
    pub(super) async fn listen(&self) -> Result<PubSub, Error> {
        self.in_time(Box::pin(self.listen_slowly())).await
    }

    async fn in_time<T>(&self, dial: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match tokio::time::timeout(DIAL_TIMEOUT, dial).await {
            Ok(dialled) => dialled,
            Err(_) => Err(unavailable(
                self.hosts(),
                format_args!("no answer within {} s", DIAL_TIMEOUT.as_secs()),
            )),
        }
    }

    async fn dial_slowly(&self) -> Result<Conn, Error> {
        let broken = Arc::new(AtomicBool::new(false));
        let pipe = match &self.0.kind {
            Kind::One(info) => Pipe::One(self.open(info, &broken).await?),
            Kind::Sentinel(_) => Pipe::One(self.open(&self.master().await?, &broken).await?),
            Kind::Cluster(nodes) => {
                let client = self.cluster(nodes).map_err(|error| self.explain(&error))?;
                let connected = client.get_async_connection().await;
                Pipe::Cluster(connected.map_err(|error| self.explain(&error))?)
            }
        };
        Ok(Conn { pipe, broken })
    }

    async fn listen_slowly(&self) -> Result<PubSub, Error> {
        let mut refusal = None;
        for info in match &self.0.kind {
            Kind::One(info) => vec![info.clone()],
            Kind::Sentinel(_) => vec![self.master().await?],
            // A cluster passes every message on to all of its nodes.
            Kind::Cluster(nodes) => nodes.clone(),
        } {
            let info = prepared(info, ProtocolVersion::RESP2);
            let listening = async { self.client(&info)?.get_async_pubsub().await };
            match listening.await {
                Ok(listening) => return Ok(listening),
                Err(error) => refusal = Some(self.explain(&error)),
            }
        }
        Err(refusal.unwrap_or_else(|| unavailable(self.hosts(), "no address")))
    }

    async fn open(
        &self,
        info: &ConnectionInfo,
        broken: &Arc<AtomicBool>,
    ) -> Result<MultiplexedConnection, Error> {
        // The third version of the protocol tells when the socket closes.
        let info = prepared(info.clone(), ProtocolVersion::RESP3);
        let mark = Arc::clone(broken);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DIAL_TIMEOUT))
            .set_response_timeout(Some(self.0.response_timeout))
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    mark.store(true, Ordering::Release);
                }
                Ok::<(), std::convert::Infallible>(())
            });
        let opening = async {
            let client = self.client(&info)?;
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            let named = redis::cmd("CLIENT")
                .arg("SETNAME")
                .arg(&self.0.name)
                .query_async::<Value>(&mut connection)
                .await;
            // A name is a comfort; who may not give one connects without.
            if let Err(error) = named {
                tracing::debug!(%error, "the connection has no name");
            }
            Ok(connection)
        };
        let opened: RedisResult<_> = opening.await;
        opened.map_err(|error| of_dialing(&error, &info.addr().to_string()))
    }

    fn client(&self, info: &ConnectionInfo) -> RedisResult<Client> {
        match &self.0.tls {
            Some(tls) => Client::build_with_tls(info.clone(), tls.clone()),
            None => Client::open(info.clone()),
        }
    }

    fn cluster(&self, nodes: &[ConnectionInfo]) -> RedisResult<ClusterClient> {
        let builder = ClusterClient::builder(nodes.to_vec())
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(20)
            .max_retry_wait(500)
            .connection_timeout(DIAL_TIMEOUT)
            .tcp_settings(at_once())
            .response_timeout(self.0.response_timeout)
            .overall_response_timeout(Some(self.0.response_timeout * 2));
        match &self.0.tls {
            Some(tls) => builder.certs(tls.clone()),
            None => builder,
        }
        .build()
    }

    fn explain(&self, error: &redis::RedisError) -> Error {
        of_dialing(error, self.hosts())
    }

    /// Asks the sentinels for the master, one after the other.
    async fn master(&self) -> Result<ConnectionInfo, Error> {
        let Kind::Sentinel(sentinels) = &self.0.kind else {
            return Err(refused("no sentinels are known"));
        };
        let mut refusal = None;
        for sentinel in &sentinels.addresses {
            match self.ask(sentinel, &sentinels.master).await {
                Ok(Some((host, port))) => match sentinels.server(&host, port).into_connection_info() {
                    Ok(info) => return Ok(info),
                    Err(error) => refusal = Some(self.explain(&error)),
                },
                Ok(None) => {
                    refusal = Some(refused(format!(
                        "the sentinels know no master \"{}\"",
                        sentinels.master
                    )));
                }
                Err(error) => refusal = Some(self.explain(&error)),
            }
        }
        Err(refusal.unwrap_or_else(|| unavailable(self.hosts(), "no sentinel answered")))
    }

    async fn ask(&self, sentinel: &url::Sentinel, master: &str) -> RedisResult<Option<(String, u16)>> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(Duration::from_secs(1)));
        let connect = async |info: &ConnectionInfo| {
            let client = self.client(info)?;
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            redis::cmd("SENTINEL")
                .arg("GET-MASTER-ADDR-BY-NAME")
                .arg(master)
                .query_async(&mut connection)
                .await
        };
        match connect(&sentinel.bare).await {
            // Some sentinels ask for a password of their own.
            Err(error) if !matches!(error.kind(), redis::ErrorKind::Io) && sentinel.guarded.is_some() => {
                match &sentinel.guarded {
                    Some(info) => connect(info).await,
                    None => Err(error),
                }
            }
            other => other,
        }
    }
}

fn prepared(info: ConnectionInfo, version: ProtocolVersion) -> ConnectionInfo {
    let settings = info.redis_settings().clone().set_protocol(version);
    info.set_redis_settings(settings).set_tcp_settings(at_once())
}

/// All callers share a socket: with Nagle's algorithm, the client's default, a command would wait in the kernel until the
/// server has acknowledged the one before, which it does with its answer.
fn at_once() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}
