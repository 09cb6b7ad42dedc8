//! Private Redis servers with stores on them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use longshore_backend::SecretUrl;
use longshore_backend::embedded::{Options, Store as Folder};
use longshore_backend::redis::{Config, Store};
use longshore_core::clock::Timestamp;
use longshore_core::outcome::Outcome;
use longshore_core::port::Ports;
use longshore_core::port::attempt::{Claim, Finish};
use longshore_core::port::enqueue::NewJob;
use longshore_core::random::SystemRandom;
use longshore_core::shard::Shards;
use longshore_core::{JobId, Nonce, QueueName, WorkerId};
use longshore_testkit::clock::{ManualClock, ServerClock};
use longshore_testkit::conformance::{Area, Harness, Rig, Sabotage, Stage};
use longshore_testkit::factory::Factory;
use longshore_testkit::servers::{Redis, RedisCluster, RedisOptions};
use parking_lot::Mutex;

/// A configuration for a URL.
pub(crate) fn config(url: &str) -> Config {
    Config::new(SecretUrl::parse(url).unwrap())
}

/// A store on a server of its own.
pub(crate) async fn store() -> (Redis, Store) {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let store = Store::connect(&config(&redis.url())).await.unwrap();
    (redis, store)
}

/// The servers under the contract: their clock is ours.
pub(crate) struct Servers {
    clock: ServerClock,
    databases: Databases,
    /// Host and port that stores go to instead, if any.
    detour: Mutex<Option<String>>,
}

enum Databases {
    One(Box<Redis>),
    Cluster(RedisCluster),
}

impl Databases {
    fn url(&self) -> String {
        match self {
            Self::One(redis) => redis.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    async fn wipe(&self) {
        match self {
            Self::One(redis) => redis.flushall().await.unwrap(),
            Self::Cluster(cluster) => cluster.flushall().await.unwrap(),
        }
    }
}

impl Servers {
    /// One server.
    pub(crate) async fn one() -> Arc<Self> {
        let clock = ServerClock::new().await.unwrap();
        let options = RedisOptions::default().environment(clock.environment());
        let redis = Redis::start(options).await.unwrap();
        clock.freeze().unwrap();
        Arc::new(Self {
            clock,
            databases: Databases::One(Box::new(redis)),
            detour: Mutex::new(None),
        })
    }

    /// Where they are.
    pub(crate) fn url(&self) -> String {
        match &*self.detour.lock() {
            Some(address) => self.databases.url().replace(&self.address(), address),
            None => self.databases.url(),
        }
    }

    /// Host and port of the server.
    pub(crate) fn address(&self) -> String {
        let url = self.databases.url();
        let from = url
            .rfind('@')
            .or_else(|| url.rfind("//").map(|at| at + 1))
            .unwrap()
            + 1;
        url[from..].split('/').next().unwrap().to_owned()
    }

    /// Sends stores another way from now on.
    pub(crate) fn go_through(&self, address: Option<String>) {
        *self.detour.lock() = address;
    }

    /// Their clock.
    pub(crate) fn clock(&self) -> ManualClock {
        self.clock.clock()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, by: Duration) {
        self.clock.advance(by).unwrap();
    }

    /// Deletes everything.
    pub(crate) async fn wipe(&self) {
        self.databases.wipe().await;
    }

    /// Three masters.
    pub(crate) async fn cluster() -> Arc<Self> {
        let clock = ServerClock::new().await.unwrap();
        let options = RedisOptions::default().environment(clock.environment());
        let cluster = RedisCluster::start_with(&options).await.unwrap();
        for node in cluster.nodes() {
            // A clock that jumps must not make the nodes give each other up.
            node.config_set("cluster-node-timeout", "1000000000000")
                .await
                .unwrap();
        }
        clock.freeze().unwrap();
        Arc::new(Self {
            clock,
            databases: Databases::Cluster(cluster),
            detour: Mutex::new(None),
        })
    }
}

/// The store on Redis, under the contract. The broker's part of it is tried elsewhere: here it is the embedded one.
pub(crate) struct OnRedis(pub(crate) Arc<Servers>);

impl Harness for OnRedis {
    fn name(&self) -> &'static str {
        match self.0.databases {
            Databases::One(_) => "Redis",
            Databases::Cluster(_) => "Redis Cluster",
        }
    }

    fn rig(&self, _area: Area) -> BoxFuture<'_, Rig> {
        Box::pin(async {
            let servers = Arc::clone(&self.0);
            servers.databases.wipe().await;
            let mut config = config(&servers.url());
            config.shards = Some(Shards::new(6).unwrap());
            let store = Store::connect(&config).await.unwrap();
            let folder = tempfile::tempdir().unwrap();
            let broker = Folder::open(folder.path(), Options::default()).unwrap();
            let ports = Ports {
                enqueue: store.enqueue_port(),
                attempt: store.attempt_port(),
                schedule: store.schedule_port(),
                inspect: store.inspect_port(),
                checkup: store.checkup_port(),
                cron: store.cron_port(),
                notify: store.notify_port(),
                access: store.access_port(),
                ..broker.ports()
            };
            let factory = Factory::new(Arc::new(servers.clock.clock()), rand::random());
            let stage = Arc::new(OpenStage {
                store,
                servers,
                broker: Mutex::new(Some(broker)),
                _folder: folder,
            });
            Rig::new(ports, factory, stage.clone(), Some(stage))
        })
    }
}

struct OpenStage {
    store: Store,
    servers: Arc<Servers>,
    // Until it is closed.
    broker: Mutex<Option<Folder>>,
    _folder: tempfile::TempDir,
}

impl Stage for OpenStage {
    fn now(&self) -> Timestamp {
        self.servers.clock.now()
    }

    fn pass(&self, by: Duration) -> BoxFuture<'_, ()> {
        self.servers.clock.advance(by).unwrap();
        Box::pin(ready(()))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.store.close();
        if let Some(broker) = self.broker.lock().take() {
            broker.close().unwrap();
        }
        Box::pin(ready(()))
    }
}

impl Sabotage for OpenStage {
    fn wipe(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.servers.databases.wipe())
    }

    fn inject(&self, _queue: &QueueName, _body: &'static [u8]) -> BoxFuture<'_, ()> {
        panic!("the broker's cases are not run here")
    }

    fn give_up(&self, _queue: &QueueName) -> BoxFuture<'_, ()> {
        panic!("the broker's cases are not run here")
    }

    fn spoil_rows(&self, shard: u16, id: JobId, stray: bool) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let control = match &self.servers.databases {
                Databases::One(redis) => redis.control(),
                Databases::Cluster(cluster) => cluster.nodes()[0].control(),
            };
            control.spoil_rows(shard, id, stray).await.unwrap();
        })
    }

    fn delete_queue(&self, _queue: &QueueName) -> BoxFuture<'_, ()> {
        panic!("the broker's cases are not run here")
    }
}

/// A claim of a job's first dispatch.
pub(crate) fn claim(job: &NewJob) -> Claim {
    Claim {
        id: job.id,
        gen_: 1,
        nonce: Nonce::generate(&SystemRandom),
        worker: WorkerId("worker-host-4711-9f3a".to_owned()),
    }
}

/// Its completion.
pub(crate) fn complete(claim: &Claim) -> Finish {
    Finish {
        id: claim.id,
        nonce: claim.nonce,
        outcome: Outcome::Completed {
            result: Bytes::from_static(&[42]),
        },
        progress: None,
    }
}
