//! Servers that many tests share, kept apart by virtual host, database and lock.
//!
//! The runner of the tests exports the addresses of the servers it has started; without them every test process
//! starts its own at the first use and ends them when it ends.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::rabbitmq::{BrokerControl, RabbitMq, Vhost};
use super::redis::{Redis, RedisControl, RedisDatabase, RedisOptions};
use super::redis_cluster::{RedisCluster, cluster_url, flush};
use crate::process::{Error, lock_folder};
use crate::wait::eventually;

/// The AMQP URL of the runner's RabbitMQ.
pub const ENV_AMQP: &str = "LONGSHORE_TEST_AMQP";
/// The folder of the runner's RabbitMQ, from which its virtual hosts can be made.
pub const ENV_AMQP_DIR: &str = "LONGSHORE_TEST_AMQP_DIR";
/// The URL of the runner's Redis.
pub const ENV_REDIS: &str = "LONGSHORE_TEST_REDIS";
/// The URL of the runner's Redis Cluster, `redis-cluster://a:p,b:p,c:p`.
pub const ENV_REDIS_CLUSTER: &str = "LONGSHORE_TEST_REDIS_CLUSTER";

/// How long a test waits for its turn on the shared cluster.
const TURN: Duration = Duration::from_secs(300);

// Never dropped: the guard process of `process` ends what they started.
static BROKER: OnceCell<RabbitMq> = OnceCell::const_new();
static REDIS: OnceCell<Redis> = OnceCell::const_new();
static CLUSTER: OnceCell<RedisCluster> = OnceCell::const_new();

/// A fresh virtual host of a shared RabbitMQ and an empty database of a shared Redis.
///
/// Only for tests that leave the servers alone: others start their own [`RabbitMq`] and [`Redis`].
#[derive(Debug)]
pub struct SharedServers {
    vhost: Vhost,
    redis: RedisDatabase,
}

impl SharedServers {
    /// Takes a virtual host and a database, of the runner's servers if there are any.
    ///
    /// # Errors
    ///
    /// A program is missing, or a server does not answer or start.
    pub async fn get() -> Result<Self, Error> {
        Ok(Self {
            vhost: vhost().await?,
            redis: redis().await?,
        })
    }

    /// The AMQP URL of the virtual host.
    pub fn amqp_url(&self) -> &str {
        self.vhost.amqp_url()
    }

    /// The URL of the database.
    pub fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// The virtual host: its queues, users and connections.
    pub fn vhost(&self) -> &Vhost {
        &self.vhost
    }

    /// The database.
    pub fn redis(&self) -> &RedisDatabase {
        &self.redis
    }
}

/// A fresh virtual host of the shared RabbitMQ alone.
///
/// # Errors
///
/// RabbitMQ is missing, or does not answer or start.
pub async fn vhost() -> Result<Vhost, Error> {
    match env(ENV_AMQP) {
        Some(url) => {
            let folder = env(ENV_AMQP_DIR)
                .ok_or_else(|| Error::answer(format!("find {ENV_AMQP_DIR} beside {ENV_AMQP}"), url))?;
            BrokerControl::attach(Path::new(&folder))?.vhost("test").await
        }
        None => BROKER.get_or_try_init(RabbitMq::start).await?.vhost("test").await,
    }
}

/// An empty database of the shared Redis alone.
///
/// # Errors
///
/// Redis is missing, or does not answer or start.
pub async fn redis() -> Result<RedisDatabase, Error> {
    if let Some(url) = env(ENV_REDIS) {
        return RedisControl::from_url(&url)?.database().await;
    }
    let redis = REDIS
        .get_or_try_init(|| Redis::start(RedisOptions::default()))
        .await?;
    redis.control().database().await
}

/// The shared Redis Cluster, emptied, for one test at a time: a cluster has no databases.
#[derive(Debug)]
pub struct SharedCluster {
    addrs: Vec<SocketAddr>,
    // Unlocked when dropped, or when the process ends.
    _turn: File,
}

impl SharedCluster {
    /// Waits for its turn on the runner's cluster, or on one that this process starts, and removes all keys.
    ///
    /// # Errors
    ///
    /// The cluster does not answer or start, or others keep it for five minutes.
    pub async fn get() -> Result<Self, Error> {
        let addrs = match env(ENV_REDIS_CLUSTER) {
            Some(url) => parse_cluster(&url)?,
            None => CLUSTER.get_or_try_init(RedisCluster::start).await?.addrs(),
        };
        let first = addrs.first().map(SocketAddr::port).unwrap_or_default();
        let path = lock_folder()?.join(format!("cluster-{first}"));
        let turn = File::create(&path).map_err(Error::io("open", &path))?;
        eventually(TURN, "a turn on the shared Redis Cluster", || {
            let locked = turn.try_lock();
            async move { locked }
        })
        .await?;
        let nodes = addrs.iter().map(|addr| RedisControl::new(*addr, None));
        flush(nodes.collect::<Result<Vec<_>, _>>()?.iter()).await?;
        Ok(Self { addrs, _turn: turn })
    }

    /// `redis-cluster://a:p,b:p,c:p`.
    pub fn url(&self) -> String {
        cluster_url(&self.addrs)
    }

    /// The nodes' addresses.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }
}

fn parse_cluster(url: &str) -> Result<Vec<SocketAddr>, Error> {
    let bad = || Error::answer(format!("read {ENV_REDIS_CLUSTER}"), url);
    let hosts = url.strip_prefix("redis-cluster://").ok_or_else(bad)?;
    hosts
        .split(',')
        .map(|host| host.parse().map_err(|_| bad()))
        .collect()
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
