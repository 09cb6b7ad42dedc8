//! A private Redis master with two replicas, watched by three sentinels.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::redis::{Redis, RedisControl, RedisOptions};
use crate::process::{Error, PortLease, Proc, ServerDir, find_program};
use crate::wait::eventually;

const MASTER_NAME: &str = "longshore";
const READY: Duration = Duration::from_secs(30);
const REPLICAS: usize = 2;
const SENTINELS: usize = 3;

/// One master, two replicas, three sentinels with a quorum of two. Dropping it ends them all.
#[derive(Debug)]
pub struct Sentinel {
    sentinels: Vec<Watcher>,
    nodes: Vec<Redis>,
}

/// One sentinel process.
#[derive(Debug)]
struct Watcher {
    _proc: Proc,
    control: RedisControl,
    _port: PortLease,
    _dir: ServerDir,
}

impl Sentinel {
    /// Starts all six processes and waits until the sentinels know the replicas and each other.
    ///
    /// # Errors
    ///
    /// A program is missing, or the set does not come up.
    pub async fn start() -> Result<Self, Error> {
        let master = Redis::start(RedisOptions::default()).await?;
        let mut nodes = vec![];
        for _ in 0..REPLICAS {
            let line = format!("replicaof 127.0.0.1 {}", master.port());
            nodes.push(Redis::start(RedisOptions::default().line(line)).await?);
        }
        let mut sentinels = Vec::with_capacity(SENTINELS);
        for _ in 0..SENTINELS {
            sentinels.push(Watcher::start(master.addr())?);
        }
        nodes.insert(0, master);
        let this = Self { sentinels, nodes };
        this.watchful().await?;
        Ok(this)
    }

    /// `redis-sentinel://h:p,h:p,h:p/longshore`, with the sentinels' addresses.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.addrs().iter().map(SocketAddr::to_string).collect();
        format!("redis-sentinel://{}/{MASTER_NAME}", hosts.join(","))
    }

    /// The sentinels' addresses.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.sentinels
            .iter()
            .map(|sentinel| sentinel.control.addr())
            .collect()
    }

    /// The name under which the sentinels know the master.
    pub fn master_name(&self) -> &'static str {
        MASTER_NAME
    }

    /// The data servers, in the order they were started: the first was the master at the start.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The master that all three sentinels name and that agrees.
    ///
    /// # Errors
    ///
    /// They do not agree within 30 seconds.
    pub async fn master(&self) -> Result<&Redis, Error> {
        let agreed = eventually(READY, "the sentinels to agree on a master", || {
            self.agreed_master(None)
        });
        Ok(agreed.await?)
    }

    /// Kills the master and waits until the sentinels have made another one; returns that.
    ///
    /// The killed server can be started again by [`Redis::restart`]; it then becomes a replica.
    ///
    /// # Errors
    ///
    /// No new master within 30 seconds.
    pub async fn failover(&self) -> Result<&Redis, Error> {
        let old = self.master().await?;
        old.kill9();
        let not = Some(old.addr());
        Ok(eventually(READY, "the sentinels to promote a replica", || {
            self.agreed_master(not)
        })
        .await?)
    }

    /// Waits until every sentinel sees two replicas and two others.
    async fn watchful(&self) -> Result<(), Error> {
        for sentinel in &self.sentinels {
            eventually(READY, "a sentinel to see the replicas and its peers", || async {
                let text = sentinel.control.cli(&["SENTINEL", "MASTER", MASTER_NAME]).await;
                let text = text.map_err(|error| error.to_string())?;
                let seen = (field(&text, "num-slaves"), field(&text, "num-other-sentinels"));
                if seen == (Some("2"), Some("2")) {
                    Ok(())
                } else {
                    Err(format!("{seen:?}"))
                }
            })
            .await?;
        }
        for replica in self.nodes.iter().skip(1) {
            eventually(READY, "the replicas to follow the master", || async {
                let info = replica
                    .cli(&["INFO", "replication"])
                    .await
                    .map_err(|error| error.to_string())?;
                if info.contains("master_link_status:up") {
                    Ok(())
                } else {
                    Err(info)
                }
            })
            .await?;
        }
        Ok(())
    }

    async fn agreed_master(&self, not: Option<SocketAddr>) -> Result<&Redis, String> {
        let mut named = Vec::with_capacity(SENTINELS);
        for sentinel in &self.sentinels {
            let answer = sentinel
                .control
                .cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME])
                .await;
            named.push(answer.map_err(|error| error.to_string())?.replace('\n', ":"));
        }
        let first = named.first().cloned().unwrap_or_default();
        let addr: SocketAddr = first.parse().map_err(|_| format!("{named:?}"))?;
        if not == Some(addr) || named.iter().any(|other| *other != first) {
            return Err(format!("{named:?}"));
        }
        let node = self.nodes.iter().find(|node| node.addr() == addr);
        let node = node.ok_or_else(|| format!("{addr} is none of ours"))?;
        let role = node.cli(&["ROLE"]).await.map_err(|error| error.to_string())?;
        if role.starts_with("master") {
            Ok(node)
        } else {
            Err(role)
        }
    }
}

impl Watcher {
    fn start(master: SocketAddr) -> Result<Self, Error> {
        let dir = ServerDir::new("sentinel")?;
        let port = PortLease::take()?;
        let config = dir.file(
            "sentinel.conf",
            &format!(
                "bind 127.0.0.1\nport {port}\ndir {dir}\nlogfile \"\"\n\
                 sentinel monitor {MASTER_NAME} {host} {master_port} 2\n\
                 sentinel down-after-milliseconds {MASTER_NAME} 1000\n\
                 sentinel failover-timeout {MASTER_NAME} 5000\n",
                port = port.port(),
                dir = dir.path().display(),
                host = master.ip(),
                master_port = master.port(),
            ),
        )?;
        let mut command = Command::new(find_program("redis-server", "redis-server")?);
        command.arg(config).arg("--sentinel").current_dir(dir.path());
        let proc = Proc::spawn(command, dir.path().join("sentinel.log"))?;
        let control = RedisControl::new(port.addr(), None)?;
        Ok(Self {
            _proc: proc,
            control,
            _port: port,
            _dir: dir,
        })
    }
}

/// The value on the line after `name`, as `redis-cli` prints a flat list of pairs.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    lines.find(|line| *line == name)?;
    lines.next()
}
