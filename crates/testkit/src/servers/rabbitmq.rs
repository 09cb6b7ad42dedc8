//! A private RabbitMQ node: Debian's package, with a node name, ports, folders, cookie and epmd of its own.

mod control;
mod vhost;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub use control::{BrokerControl, QueueDepth};
pub use vhost::Vhost;

use super::tls::TlsFiles;
use crate::process::{Error, PortLease, Proc, ServerDir, find_program};
use crate::wait::eventually;

/// A boot takes about 4 s alone on two cores; several at once take their turns.
const READY: Duration = Duration::from_secs(90);
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const PACKAGE: &str = "rabbitmq-server";

/// How a [`RabbitMq`] is configured. The default has no plugins and no TLS.
#[derive(Debug, Clone, Default)]
pub struct RabbitMqOptions {
    lines: Vec<String>,
    management: bool,
    tls: bool,
}

impl RabbitMqOptions {
    /// Adds a line to `rabbitmq.conf`.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Enables the management plugin and its HTTP port.
    #[must_use]
    pub fn management(mut self) -> Self {
        self.management = true;
        self
    }

    /// Opens a TLS port beside the plain one, with a private authority.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }
}

/// A running RabbitMQ node, or one that a test has just killed. Dropping it ends the node and its epmd.
///
/// Commands, users and queues: [`RabbitMq::control`].
#[derive(Debug)]
pub struct RabbitMq {
    // The processes come before the folder, so that they end before their data goes.
    node: Mutex<Option<Proc>>,
    _epmd: Proc,
    control: BrokerControl,
    ports: Ports,
    tls: Option<TlsFiles>,
    dir: ServerDir,
}

#[derive(Debug)]
struct Ports {
    amqp: PortLease,
    dist: PortLease,
    epmd: PortLease,
    amqps: Option<PortLease>,
    http: Option<PortLease>,
}

impl Ports {
    fn take(options: &RabbitMqOptions) -> Result<Self, Error> {
        Ok(Self {
            amqp: PortLease::take()?,
            dist: PortLease::take()?,
            epmd: PortLease::take()?,
            amqps: options.tls.then(PortLease::take).transpose()?,
            http: options.management.then(PortLease::take).transpose()?,
        })
    }
}

impl RabbitMq {
    /// Starts a node with the default options and waits until it speaks AMQP.
    ///
    /// # Errors
    ///
    /// RabbitMQ is missing or does not come up.
    pub async fn start() -> Result<Self, Error> {
        Self::start_with(RabbitMqOptions::default()).await
    }

    /// Starts a node and waits until it speaks AMQP.
    ///
    /// # Errors
    ///
    /// RabbitMQ, or `openssl` for TLS, is missing, or the node does not come up.
    pub async fn start_with(options: RabbitMqOptions) -> Result<Self, Error> {
        if !Path::new(SERVER).is_file() {
            return Err(Error::MissingProgram {
                program: SERVER,
                package: PACKAGE,
            });
        }
        let dir = ServerDir::new("rabbitmq")?;
        let ports = Ports::take(&options)?;
        let tls = if options.tls {
            Some(TlsFiles::make(dir.path()).await?)
        } else {
            None
        };
        dir.file("rabbitmq.conf", &config(&options, &ports, tls.as_ref()))?;
        dir.file(
            "plugins",
            if options.management {
                "[rabbitmq_management].\n"
            } else {
                "[].\n"
            },
        )?;
        let control = BrokerControl::create(&dir, ports.amqp.addr(), ports.epmd.port())?;
        let epmd = start_epmd(&dir, &ports.epmd)?;
        let this = Self {
            node: Mutex::new(None),
            _epmd: epmd,
            control,
            ports,
            tls,
            dir,
        };
        this.boot().await?;
        Ok(this)
    }

    /// The plain AMQP port.
    pub fn port(&self) -> u16 {
        self.ports.amqp.port()
    }

    /// The plain AMQP address.
    pub fn addr(&self) -> SocketAddr {
        self.ports.amqp.addr()
    }

    /// `amqp://guest:guest@127.0.0.1:port`, the default virtual host.
    pub fn amqp_url(&self) -> String {
        format!("amqp://guest:guest@{}", self.addr())
    }

    /// `amqps://guest:guest@localhost:port`, if started with TLS.
    pub fn amqps_url(&self) -> Option<String> {
        let port = self.ports.amqps.as_ref()?.port();
        Some(format!("amqps://guest:guest@localhost:{port}"))
    }

    /// The authority's certificate, if started with TLS.
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls.as_ref().map(|files| files.ca.as_path())
    }

    /// `http://guest:guest@127.0.0.1:port`, if started with the management plugin.
    pub fn management_url(&self) -> Option<String> {
        let addr = self.ports.http.as_ref()?.addr();
        Some(format!("http://guest:guest@{addr}"))
    }

    /// The node's folder; [`BrokerControl::attach`] takes it in another process.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// What commands the node besides the system under test.
    pub fn control(&self) -> &BrokerControl {
        &self.control
    }

    /// Makes a fresh virtual host, see [`BrokerControl::vhost`].
    ///
    /// # Errors
    ///
    /// The node does not answer.
    pub async fn vhost(&self, name: &str) -> Result<Vhost, Error> {
        self.control.vhost(name).await
    }

    /// The node's process, unless it was killed.
    pub fn pid(&self) -> Option<u32> {
        self.node.lock().as_ref().map(Proc::pid)
    }

    /// Kills the node with SIGKILL.
    pub fn kill9(&self) {
        drop(self.node.lock().take());
    }

    /// Freezes the node: connections stay open, nothing answers.
    pub fn freeze(&self) {
        self.node.lock().as_ref().inspect(|node| node.stop());
    }

    /// Lets a frozen node go on.
    pub fn thaw(&self) {
        self.node.lock().as_ref().inspect(|node| node.cont());
    }

    /// Starts the node again on the same port with the data it had; one that still runs is killed first.
    ///
    /// # Errors
    ///
    /// The node does not come up.
    pub async fn restart(&self) -> Result<(), Error> {
        self.kill9();
        self.boot().await
    }

    /// Closes the broker but keeps its Erlang node: the AMQP port is refused.
    ///
    /// # Errors
    ///
    /// The command fails.
    pub async fn stop_app(&self) -> Result<(), Error> {
        self.control.ctl(&["stop_app"]).await.map(drop)
    }

    /// Opens the broker after [`RabbitMq::stop_app`] and waits until it speaks AMQP.
    ///
    /// # Errors
    ///
    /// The command fails, or the broker does not come up.
    pub async fn start_app(&self) -> Result<(), Error> {
        self.control.ctl(&["start_app"]).await?;
        Ok(eventually(READY, "RabbitMQ to speak AMQP", || greet(self.addr())).await?)
    }

    /// Everything the node has logged.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("node.log")).unwrap_or_default()
    }

    async fn boot(&self) -> Result<(), Error> {
        let mut command = Command::new(SERVER);
        // With "allow input" the script becomes the Erlang machine, so that the child's pid is the node's.
        self.control.environment(&mut command);
        command
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .env("RABBITMQ_NODE_PORT", self.port().to_string())
            .env("RABBITMQ_DIST_PORT", self.ports.dist.port().to_string())
            .env("RABBITMQ_MNESIA_BASE", self.dir.folder("mnesia")?)
            .env("RABBITMQ_LOG_BASE", self.dir.folder("log")?)
            .env("RABBITMQ_CONFIG_FILE", self.dir.path().join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.dir.path().join("plugins"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG_ARGS)
            .arg("-noinput")
            .current_dir(self.dir.path());
        let node = Proc::spawn(command, self.dir.path().join("node.log"))?;
        let ready = eventually(READY, "RabbitMQ to speak AMQP", || async {
            match node.try_wait() {
                Some(status) => Ok(Err(format!("it ended with {status}"))),
                None => greet(self.addr()).await.map(Ok),
            }
        });
        let reason = match ready.await {
            Ok(Ok(())) => {
                *self.node.lock() = Some(node);
                return Ok(());
            }
            Ok(Err(reason)) => reason,
            Err(timeout) => timeout.to_string(),
        };
        Err(Error::NotReady {
            name: PACKAGE,
            reason,
            log: node.log_tail(),
        })
    }
}

/// Two schedulers that do not spin, loopback only, epmd is ours to start, and queue counts that are at most half
/// a second old (the default is five).
const ERLANG_ARGS: &str = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -start_epmd false \
    -kernel inet_dist_use_interface {127,0,0,1} -rabbit quorum_tick_interval 500";

fn config(options: &RabbitMqOptions, ports: &Ports, tls: Option<&TlsFiles>) -> String {
    let mut lines = vec![
        format!("listeners.tcp.default = {}", ports.amqp.addr()),
        "log.console = true\nlog.console.level = info\nlog.file = false".to_owned(),
    ];
    if let (Some(files), Some(port)) = (tls, &ports.amqps) {
        lines.push(format!("listeners.ssl.default = {}", port.addr()));
        lines.push(format!("ssl_options.cacertfile = {}", files.ca.display()));
        lines.push(format!("ssl_options.certfile = {}", files.cert.display()));
        lines.push(format!("ssl_options.keyfile = {}", files.key.display()));
        lines.push("ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false".to_owned());
    }
    if let Some(port) = &ports.http {
        lines.push(format!(
            "management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}",
            port.port()
        ));
    }
    lines.extend_from_slice(&options.lines);
    lines.join("\n") + "\n"
}

fn start_epmd(dir: &ServerDir, port: &PortLease) -> Result<Proc, Error> {
    let mut command = Command::new(find_program("epmd", "erlang-base")?);
    command
        .args(["-address", "127.0.0.1", "-port", &port.port().to_string()])
        .current_dir(dir.path());
    Proc::spawn(command, dir.path().join("epmd.log"))
}

/// Opens a connection and reads up to the broker's `connection.start`: the broker itself has answered.
async fn greet(addr: SocketAddr) -> Result<(), String> {
    /// Frame type 1 (method) on channel 0; class 10 (connection), method 10 (start) follow the frame's size.
    const METHOD_FRAME: [u8; 3] = [1, 0, 0];
    const CONNECTION_START: [u8; 4] = [0, 10, 0, 10];
    let answer = async {
        let mut socket = TcpStream::connect(addr).await?;
        socket.write_all(b"AMQP\x00\x00\x09\x01").await?;
        let mut head = [0; 11];
        socket.read_exact(&mut head).await?;
        Ok::<_, std::io::Error>(head)
    };
    let head = tokio::time::timeout(Duration::from_secs(5), answer)
        .await
        .map_err(|_| "no answer to the AMQP greeting".to_owned())?
        .map_err(|error| error.to_string())?;
    if head.starts_with(&METHOD_FRAME) && head.ends_with(&CONNECTION_START) {
        Ok(())
    } else {
        Err(format!("not an AMQP greeting: {head:?}"))
    }
}
