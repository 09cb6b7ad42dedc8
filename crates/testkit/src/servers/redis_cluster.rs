//! A private Redis Cluster of three masters.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::redis::{Redis, RedisControl, RedisOptions};
use crate::process::{Error, find_program, run};
use crate::wait::eventually;

const NODES: usize = 3;
const READY: Duration = Duration::from_secs(30);

/// Three masters, no replicas. Dropping it ends them.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts the nodes, joins them and waits until every one of them calls the cluster ok.
    ///
    /// # Errors
    ///
    /// A program is missing, or the cluster does not come up.
    pub async fn start() -> Result<Self, Error> {
        Self::start_with(&RedisOptions::default()).await
    }

    /// As [`RedisCluster::start`], every node with these options besides those of a cluster.
    ///
    /// # Errors
    ///
    /// As [`RedisCluster::start`].
    pub async fn start_with(options: &RedisOptions) -> Result<Self, Error> {
        let mut nodes = Vec::with_capacity(NODES);
        for _ in 0..NODES {
            let options = options
                .clone()
                .line("cluster-enabled yes")
                .line("cluster-config-file nodes.conf")
                .line("cluster-node-timeout 2000");
            nodes.push(Redis::start(options).await?);
        }
        let this = Self { nodes };
        let mut create = Command::new(find_program("redis-cli", "redis-tools")?);
        create.args(["--cluster", "create"]);
        create.args(this.addrs().iter().map(SocketAddr::to_string));
        create.args(["--cluster-replicas", "0", "--cluster-yes"]);
        run(create, READY).await?;
        this.healthy().await?;
        Ok(this)
    }

    /// Waits until every node sees all three and all slots.
    ///
    /// # Errors
    ///
    /// It does not happen within 30 seconds.
    pub async fn healthy(&self) -> Result<(), Error> {
        for node in &self.nodes {
            eventually(READY, "every cluster node to see the cluster ok", || async {
                let info = node
                    .cli(&["CLUSTER", "INFO"])
                    .await
                    .map_err(|error| error.to_string())?;
                let lines = [
                    "cluster_state:ok",
                    "cluster_slots_ok:16384",
                    "cluster_known_nodes:3",
                ];
                if lines.iter().all(|line| info.contains(line)) {
                    Ok(())
                } else {
                    Err(info)
                }
            })
            .await?;
        }
        Ok(())
    }

    /// The nodes, to be killed, frozen and restarted one by one.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The nodes' addresses.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Redis::addr).collect()
    }

    /// `redis-cluster://a:p,b:p,c:p`.
    pub fn url(&self) -> String {
        cluster_url(&self.addrs())
    }

    /// Removes all keys of all nodes.
    ///
    /// # Errors
    ///
    /// A node is away.
    pub async fn flushall(&self) -> Result<(), Error> {
        flush(self.nodes.iter().map(Redis::control)).await
    }
}

/// `redis-cluster://a:p,b:p,c:p`.
pub(super) fn cluster_url(addrs: &[SocketAddr]) -> String {
    let hosts: Vec<_> = addrs.iter().map(SocketAddr::to_string).collect();
    format!("redis-cluster://{}", hosts.join(","))
}

/// Removes all keys of `nodes`.
pub(super) async fn flush(nodes: impl Iterator<Item = &RedisControl>) -> Result<(), Error> {
    for node in nodes {
        node.cli(&["FLUSHALL"]).await?;
    }
    Ok(())
}
