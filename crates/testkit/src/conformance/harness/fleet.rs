//! RabbitMQ and Redis, real ones. The wall clock of Redis is ours ([`ServerClock`]); the broker's is its own, because
//! nothing in it depends on the time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use longshore_backend::{Backend, BackendConfig, Endpoints, Profile};
use longshore_core::clock::Timestamp;
use longshore_core::shard::Shards;
use longshore_core::{JobId, QueueName};

use crate::clock::ServerClock;
use crate::conformance::{Area, Harness, Rig, Sabotage, Stage};
use crate::factory::Factory;
use crate::servers::shared::vhost;
use crate::servers::{Redis, RedisCluster, RedisOptions, Vhost};

/// Which Redis a fleet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// One server.
    Standalone,
    /// Three masters.
    Cluster,
}

/// RabbitMQ, shared with other tests and kept apart by virtual host, and a Redis of its own.
#[derive(Debug)]
pub struct Fleet {
    name: &'static str,
    profile: Profile,
    servers: Arc<Servers>,
    // For areas that publish nothing: a virtual host for each of their cases would only take time.
    quiet: Arc<Vhost>,
}

#[derive(Debug)]
struct Servers {
    clock: ServerClock,
    redis: Databases,
}

#[derive(Debug)]
enum Databases {
    Standalone(Box<Redis>),
    Cluster(RedisCluster),
}

impl Databases {
    fn url(&self) -> String {
        match self {
            Self::Standalone(redis) => redis.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    async fn wipe(&self) {
        match self {
            Self::Standalone(redis) => redis.flushall().await.unwrap(),
            Self::Cluster(cluster) => cluster.flushall().await.unwrap(),
        }
    }
}

impl Fleet {
    /// Cases that cannot be expressed on servers, each with the reason.
    pub const CANNOT: &'static [(&'static str, &'static str)] = &[];

    /// Starts what the other tests do not share.
    ///
    /// # Panics
    ///
    /// When a server is missing or does not start.
    pub async fn start(profile: Profile, store: Store) -> Self {
        let clock = ServerClock::new().await.unwrap();
        let options = RedisOptions::default().environment(clock.environment());
        let redis = match store {
            Store::Standalone => Databases::Standalone(Box::new(Redis::start(options).await.unwrap())),
            Store::Cluster => {
                // A frozen clock that jumps must not make the nodes give each other up.
                let cluster = RedisCluster::start_with(&options).await.unwrap();
                for node in cluster.nodes() {
                    node.config_set("cluster-node-timeout", "1000000000000")
                        .await
                        .unwrap();
                }
                Databases::Cluster(cluster)
            }
        };
        clock.freeze().unwrap();
        let name = match (profile, store) {
            (Profile::Quorum, Store::Standalone) => "RabbitMQ (quorum) + Redis",
            (Profile::Classic, Store::Standalone) => "RabbitMQ (classic) + Redis",
            (Profile::Quorum, Store::Cluster) => "RabbitMQ (quorum) + Redis Cluster",
            (Profile::Classic, Store::Cluster) => "RabbitMQ (classic) + Redis Cluster",
        };
        Self {
            name,
            profile,
            servers: Arc::new(Servers { clock, redis }),
            quiet: Arc::new(vhost().await.unwrap()),
        }
    }

    async fn connect(&self, area: Area) -> Rig {
        self.servers.redis.wipe().await;
        let vhost = match area {
            Area::Broker => Arc::new(vhost().await.unwrap()),
            _ => Arc::clone(&self.quiet),
        };
        let endpoints = Endpoints::servers(vhost.amqp_url(), &self.servers.redis.url()).unwrap();
        let mut config = BackendConfig::new(endpoints);
        config.profile = self.profile;
        config.shards = Some(Shards::new(6).unwrap());
        let backend = Backend::connect(&config).await.unwrap();
        let ports = backend.ports().clone();
        let stage = Arc::new(FleetStage {
            backend,
            servers: Arc::clone(&self.servers),
            vhost,
        });
        let factory = Factory::new(Arc::new(self.servers.clock.clock()), rand::random());
        Rig::new(ports, factory, stage.clone(), Some(stage))
    }
}

impl Harness for Fleet {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cannot(&self) -> &'static [(&'static str, &'static str)] {
        Self::CANNOT
    }

    fn rig(&self, area: Area) -> BoxFuture<'_, Rig> {
        Box::pin(self.connect(area))
    }
}

/// One case's connections.
struct FleetStage {
    backend: Backend,
    servers: Arc<Servers>,
    vhost: Arc<Vhost>,
}

impl Stage for FleetStage {
    fn now(&self) -> Timestamp {
        self.servers.clock.now()
    }

    fn pass(&self, by: Duration) -> BoxFuture<'_, ()> {
        self.servers.clock.advance(by).unwrap();
        Box::pin(std::future::ready(()))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.backend.close())
    }
}

impl FleetStage {
    /// The broker's queues of a logical queue.
    async fn broker_queues(&self, queue: &QueueName) -> Vec<String> {
        let prefix = format!("jobs.{queue}");
        let all = self
            .vhost
            .list_queues()
            .await
            .unwrap()
            .into_iter()
            .map(|queue| queue.name);
        let ours = all.filter(|name| name == &prefix || name.starts_with(&format!("{prefix}.")));
        ours.collect()
    }

    async fn inject_into(&self, queue: &QueueName, body: &[u8]) {
        let queues = self.broker_queues(queue).await;
        let target = queues.first().expect("a broker queue");
        let bytes: Vec<_> = body.iter().map(u8::to_string).collect();
        let publish = format!(
            "rabbit_basic:publish({{resource, <<\"{vhost}\">>, exchange, <<>>}}, <<\"{target}\">>, [], <<{body}>>)",
            vhost = self.vhost.name(),
            body = bytes.join(","),
        );
        self.vhost.control().eval(&publish).await.unwrap();
    }
}

impl Sabotage for FleetStage {
    fn wipe(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.servers.redis.wipe())
    }

    fn inject(&self, queue: &QueueName, body: &'static [u8]) -> BoxFuture<'_, ()> {
        let queue = queue.clone();
        Box::pin(async move { self.inject_into(&queue, body).await })
    }

    fn give_up(&self, queue: &QueueName) -> BoxFuture<'_, ()> {
        // A time-out for messages that we did not ask for; the queues' dead-letter exchange is their own.
        let pattern = format!("^jobs\\.{queue}(\\.|$)");
        Box::pin(async move {
            let policy = ["set_policy", "-p", self.vhost.name(), "give-up", &pattern];
            let what = [r#"{"message-ttl":1}"#, "--apply-to", "queues"];
            self.vhost
                .control()
                .ctl(&[policy.as_slice(), what.as_slice()].concat())
                .await
                .unwrap();
        })
    }

    fn spoil_rows(&self, shard: u16, id: JobId, stray: bool) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let control = match &self.servers.redis {
                Databases::Standalone(redis) => redis.control(),
                Databases::Cluster(cluster) => cluster.nodes()[0].control(),
            };
            control.spoil_rows(shard, id, stray).await.unwrap();
        })
    }

    fn delete_queue(&self, queue: &QueueName) -> BoxFuture<'_, ()> {
        let queue = queue.clone();
        Box::pin(async move {
            for name in self.broker_queues(&queue).await {
                self.vhost.delete_queue(&name).await.unwrap();
            }
        })
    }
}
