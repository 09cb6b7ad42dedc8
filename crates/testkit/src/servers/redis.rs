//! A private Redis server.

mod control;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use parking_lot::Mutex;

pub use control::{RedisControl, RedisDatabase};

use super::tls::TlsFiles;
use crate::process::{Error, PortLease, Proc, ServerDir, find_program};
use crate::wait::eventually;

const READY: Duration = Duration::from_secs(20);

/// How a [`Redis`] is configured. The default is what the system asks for: append-only file, `noeviction`.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    lines: Vec<String>,
    password: Option<String>,
    tls: bool,
    environment: Vec<(String, String)>,
}

impl RedisOptions {
    /// Adds a line to the configuration file; it wins over the defaults, as in `maxmemory-policy allkeys-lru`.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Adds variables to the server's environment.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// Asks clients for a password.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Opens a TLS port beside the plain one, with a private authority.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }
}

/// A running Redis, or one that a test has just killed.
#[derive(Debug)]
pub struct Redis {
    // Before the folder, so that the process ends before its data goes.
    proc: Mutex<Option<Proc>>,
    control: RedisControl,
    port: PortLease,
    tls: Option<(PortLease, TlsFiles)>,
    environment: Vec<(String, String)>,
    dir: ServerDir,
    // Keeps the bus port of a cluster node reserved.
    _bus: PortLease,
}

impl Redis {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    ///
    /// `redis-server`, `redis-cli` or `openssl` is missing, or the server does not come up.
    pub async fn start(options: RedisOptions) -> Result<Self, Error> {
        let dir = ServerDir::new("redis")?;
        let (port, bus) = (PortLease::take()?, PortLease::take()?);
        let tls = if options.tls {
            Some((PortLease::take()?, TlsFiles::make(dir.path()).await?))
        } else {
            None
        };
        let text = config(&options, &dir, &port, &bus, tls.as_ref())?;
        dir.file("redis.conf", &text)?;
        let control = RedisControl::new(port.addr(), options.password)?;
        let this = Self {
            proc: Mutex::new(None),
            control,
            port,
            tls,
            environment: options.environment,
            dir,
            _bus: bus,
        };
        this.boot().await?;
        Ok(this)
    }

    /// The plain port.
    pub fn port(&self) -> u16 {
        self.port.port()
    }

    /// The plain address.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// `redis://[:password@]127.0.0.1:port`.
    pub fn url(&self) -> String {
        self.control.url()
    }

    /// The same URL for another address, such as a proxy's.
    pub fn url_at(&self, addr: SocketAddr) -> String {
        self.control.url_at(addr)
    }

    /// `rediss://[:password@]localhost:port`, if started with TLS.
    pub fn tls_url(&self) -> Option<String> {
        let (port, _) = self.tls.as_ref()?;
        Some(format!(
            "rediss://{}localhost:{}",
            self.control.userinfo(),
            port.port()
        ))
    }

    /// The authority's certificate, if started with TLS.
    pub fn ca_file(&self) -> Option<&Path> {
        self.tls.as_ref().map(|(_, files)| files.ca.as_path())
    }

    /// What talks to the server besides the system under test.
    pub fn control(&self) -> &RedisControl {
        &self.control
    }

    /// Runs `redis-cli` with these arguments.
    ///
    /// # Errors
    ///
    /// The server is away, or answers with an error.
    pub async fn cli(&self, args: &[&str]) -> Result<String, Error> {
        self.control.cli(args).await
    }

    /// Removes all keys of all databases.
    ///
    /// # Errors
    ///
    /// As [`Redis::cli`].
    pub async fn flushall(&self) -> Result<(), Error> {
        self.cli(&["FLUSHALL"]).await.map(drop)
    }

    /// Changes a configuration value of the running server; a restart forgets it.
    ///
    /// # Errors
    ///
    /// As [`Redis::cli`].
    pub async fn config_set(&self, name: &str, value: &str) -> Result<(), Error> {
        self.cli(&["CONFIG", "SET", name, value]).await.map(drop)
    }

    /// The server's process, unless it was killed.
    pub fn pid(&self) -> Option<u32> {
        self.proc.lock().as_ref().map(Proc::pid)
    }

    /// Kills the server with SIGKILL.
    pub fn kill9(&self) {
        drop(self.proc.lock().take());
    }

    /// Freezes the server: connections stay open, nothing answers.
    pub fn freeze(&self) {
        self.proc.lock().as_ref().inspect(|proc| proc.stop());
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.proc.lock().as_ref().inspect(|proc| proc.cont());
    }

    /// Starts the server again on the same port with the data it had; one that still runs is killed first.
    ///
    /// # Errors
    ///
    /// The server does not come up.
    pub async fn restart(&self) -> Result<(), Error> {
        self.kill9();
        self.boot().await
    }

    /// How long the append-only file is, in bytes: a moment of its past for [`Redis::restart_at`].
    ///
    /// # Errors
    ///
    /// The file cannot be found; a rewrite began another one.
    pub fn written(&self) -> Result<u64, Error> {
        let path = self.append_only_file()?;
        let file = std::fs::metadata(&path).map_err(Error::io("look at", &path))?;
        Ok(file.len())
    }

    /// Kills the server and starts it with what it had written at that moment: whatever came later is lost, as by a
    /// power failure between two writes to the disk.
    ///
    /// # Errors
    ///
    /// The file cannot be cut, or the server does not come up.
    pub async fn restart_at(&self, written: u64) -> Result<(), Error> {
        self.kill9();
        let path = self.append_only_file()?;
        let file = std::fs::File::options()
            .write(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        file.set_len(written).map_err(Error::io("cut", &path))?;
        self.boot().await
    }

    /// The only file of commands; there is a second one after a rewrite, which our servers are too small for.
    fn append_only_file(&self) -> Result<std::path::PathBuf, Error> {
        let folder = self.dir.path().join("data/appendonlydir");
        let entries = std::fs::read_dir(&folder).map_err(Error::io("list", &folder))?;
        let mut files: Vec<_> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.to_string_lossy().ends_with(".incr.aof"))
            .collect();
        match (files.pop(), files.is_empty()) {
            (Some(path), true) => Ok(path),
            (found, _) => Err(Error::answer("find the append-only file", format!("{found:?}"))),
        }
    }

    /// Everything the server has logged.
    pub fn log_text(&self) -> String {
        self.proc.lock().as_ref().map(Proc::log_text).unwrap_or_default()
    }

    async fn boot(&self) -> Result<(), Error> {
        let mut command = Command::new(find_program("redis-server", "redis-server")?);
        command
            .arg(self.dir.path().join("redis.conf"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path());
        let proc = Proc::spawn(command, self.dir.path().join("redis.log"))?;
        let ready = eventually(READY, "redis-server to answer PING", || async {
            match proc.try_wait() {
                Some(status) => Ok(Err(format!("it ended with {status}"))),
                None => self.cli(&["PING"]).await.map(Ok),
            }
        });
        let reason = match ready.await {
            Ok(Ok(_)) => {
                *self.proc.lock() = Some(proc);
                return Ok(());
            }
            Ok(Err(reason)) => reason,
            Err(timeout) => timeout.to_string(),
        };
        Err(Error::NotReady {
            name: "redis-server",
            reason,
            log: proc.log_tail(),
        })
    }
}

fn config(
    options: &RedisOptions,
    dir: &ServerDir,
    port: &PortLease,
    bus: &PortLease,
    tls: Option<&(PortLease, TlsFiles)>,
) -> Result<String, Error> {
    let mut lines = vec![format!(
        "bind 127.0.0.1\nport {port}\ncluster-port {bus}\ndir {data}\ndaemonize no\nlogfile \"\"\nsave \"\"\n\
         appendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\ndatabases {databases}",
        port = port.port(),
        bus = bus.port(),
        data = dir.folder("data")?.display(),
        databases = control::DATABASES,
    )];
    if let Some((port, files)) = tls {
        lines.push(format!("tls-port {}\ntls-auth-clients no", port.port()));
        lines.push(format!("tls-ca-cert-file {}", files.ca.display()));
        lines.push(format!(
            "tls-cert-file {}\ntls-key-file {}",
            files.cert.display(),
            files.key.display()
        ));
    }
    if let Some(password) = &options.password {
        lines.push(format!("requirepass {password}\nmasterauth {password}"));
    }
    lines.extend_from_slice(&options.lines);
    Ok(lines.join("\n") + "\n")
}
