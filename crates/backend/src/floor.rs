//! The floor: the least that the same durable work costs with the clients of the two servers alone.
//!
//! A record in Redis, a persistent message with a confirm, a delivery, the start and the end written to the record, an
//! acknowledgement: nothing of ours between. Writes are gathered, publishes pipelined, acknowledgements sent in runs,
//! because a system that did less would be measured against a floor that nobody has to stand on. No leases, no retries,
//! no priorities in force, no recovery: it exists to be compared with, in the same run on the same servers.
//!
//! What it makes carries names of its own (`longshore.floor…`) and is deleted by [`Floor::clean`].

mod drain;
mod fill;

use std::time::Duration;

use bytes::Bytes;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, Connection};
use longshore_core::shard::Shards;
use redis::aio::MultiplexedConnection;

use crate::config::{BackendConfig, Endpoints, Profile};
use crate::{amqp, redis as store};

/// Queues of the quorum profile: as many as a logical queue has priorities. The messages take turns.
const QUORUM_QUEUES: usize = 4;
/// Records in one call of a script, and deliveries that are worked on together.
const GATHER: usize = 64;
/// Deliveries ahead of their acknowledgement, for each queue.
const PREFETCH: u16 = 256;
/// Prefix of the records' keys; one hash tag, so that one script may write many.
const KEY: &str = "{longshore.floor}:";
/// Bytes of a record's payload.
const PAYLOAD: &[u8] = b"a string of some length and a number";

/// Why the floor could not be measured. Never shows credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are no servers to measure.
    #[error("the floor is measured on RabbitMQ and Redis; give amqp_url and redis_url")]
    Embedded,
    /// The floor writes many records with one script, which a cluster would have to split.
    #[error("the floor is measured on one Redis, not on a cluster")]
    Cluster,
    /// RabbitMQ cannot be reached.
    #[error(transparent)]
    Broker(#[from] amqp::Error),
    /// Redis cannot be reached.
    #[error(transparent)]
    Store(#[from] store::ConnectError),
    /// RabbitMQ failed meanwhile.
    #[error("RabbitMQ: {0}")]
    Amqp(#[from] lapin::Error),
    /// Redis failed meanwhile.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// The broker refused or returned a message.
    #[error("RabbitMQ did not take a message of the floor")]
    Refused,
    /// Deliveries ended before every job was seen.
    #[error("RabbitMQ ended the deliveries after {0} jobs")]
    Ended(usize),
}

/// The floor on connected servers.
#[derive(Debug)]
pub struct Floor {
    connection: Connection,
    redis: MultiplexedConnection,
    queues: Vec<String>,
}

impl Floor {
    /// Connects, and makes the floor's queues as the profile lays them out, empty.
    ///
    /// # Errors
    /// When a server cannot be reached or refuses, and on the embedded store or a cluster.
    pub async fn connect(config: &BackendConfig) -> Result<Self, Error> {
        let Endpoints::Servers {
            amqp: broker,
            redis: url,
        } = &config.endpoints
        else {
            return Err(Error::Embedded);
        };
        let redis = store::Config {
            ca_file: config.redis_ca_file.clone(),
            ..store::Config::new(url.clone())
        };
        let redis = store::dial_one(&redis).await?.ok_or(Error::Cluster)?;
        let broker = amqp::Config {
            url: broker.clone(),
            profile: config.profile,
            // Says nothing here: the floor declares no topology of ours.
            shards: Shards::STANDALONE,
            ca_file: config.amqp_ca_file.clone(),
            consumer_timeout: config.consumer_timeout,
            connection_name: format!("{} floor", config.connection_name),
            wait_for_broker: false,
            only_look: false,
            telemetry: config.telemetry.clone(),
        };
        let connection = Box::pin(amqp::dial(&broker)).await?;
        let floor = Self {
            connection,
            redis,
            queues: names(config.profile),
        };
        floor.clean().await?;
        floor.declare(config.profile).await?;
        Ok(floor)
    }

    async fn declare(&self, profile: Profile) -> Result<(), Error> {
        let channel = self.connection.create_channel().await?;
        for queue in &self.queues {
            let options = QueueDeclareOptions {
                durable: true,
                ..QueueDeclareOptions::default()
            };
            let declared = channel.queue_declare(queue.as_str().into(), options, arguments(profile));
            declared.await?;
        }
        channel.close(200, "declared".into()).await?;
        Ok(())
    }

    /// Hands `jobs` jobs over, `bundle` in a message: record, publish, confirm.
    ///
    /// # Errors
    /// When a server fails or the broker refuses a message.
    pub async fn enqueue(&self, jobs: usize, bundle: usize) -> Result<(), Error> {
        let channel = self.connection.create_channel().await?;
        fill::run(&channel, &self.redis, &self.queues, jobs, bundle.max(1)).await
    }

    /// Works `jobs` jobs off: start, nothing, end, acknowledge.
    ///
    /// # Errors
    /// When a server fails.
    pub async fn drain(&self, jobs: usize) -> Result<(), Error> {
        drain::run(self.channels().await?, &self.redis, &self.queues, jobs, |_| {}).await
    }

    /// Both at once.
    ///
    /// # Errors
    /// Those of both.
    pub async fn end_to_end(&self, jobs: usize, bundle: usize) -> Result<(), Error> {
        tokio::try_join!(self.enqueue(jobs, bundle), self.drain(jobs))?;
        Ok(())
    }

    /// Hands `jobs` jobs over one by one, `every` so often, and answers how long each took from its enqueue to its
    /// start.
    ///
    /// # Errors
    /// When a server fails or the broker refuses a message.
    pub async fn latency(&self, jobs: usize, every: Duration) -> Result<Vec<Duration>, Error> {
        let channel = self.connection.create_channel().await?;
        let called = fill::Called::default();
        let mut waits = Vec::with_capacity(jobs);
        let work = drain::run(
            self.channels().await?,
            &self.redis,
            &self.queues,
            jobs,
            |number| {
                waits.extend(called.since(number));
            },
        );
        let calls = fill::at_a_rate(&channel, &self.redis, &self.queues, jobs, every, &called);
        tokio::try_join!(calls, work)?;
        Ok(waits)
    }

    /// Deletes everything that the floor has made.
    ///
    /// # Errors
    /// When a server fails.
    pub async fn clean(&self) -> Result<(), Error> {
        let channel = self.connection.create_channel().await?;
        for queue in &self.queues {
            let deleted = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default());
            deleted.await?;
        }
        channel.close(200, "deleted".into()).await?;
        self.forget_records().await
    }

    /// In steps: one command that names a hundred thousand keys would hold everybody else up.
    async fn forget_records(&self) -> Result<(), Error> {
        let mut redis = self.redis.clone();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(format!("{KEY}*"))
                .arg("COUNT")
                .arg(1_000);
            let (next, keys): (u64, Vec<Bytes>) = scan.query_async(&mut redis).await?;
            if !keys.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                for key in &keys {
                    unlink.arg(key.as_ref());
                }
                let _: u64 = unlink.query_async(&mut redis).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn channels(&self) -> Result<Vec<Channel>, Error> {
        let mut channels = Vec::with_capacity(self.queues.len());
        for _ in &self.queues {
            channels.push(self.connection.create_channel().await?);
        }
        Ok(channels)
    }
}

fn names(profile: Profile) -> Vec<String> {
    match profile {
        Profile::Quorum => (0..QUORUM_QUEUES)
            .map(|number| format!("longshore.floor.{number}"))
            .collect(),
        Profile::Classic => vec!["longshore.floor.classic".to_owned()],
    }
}

fn arguments(profile: Profile) -> FieldTable {
    let (name, value) = match profile {
        Profile::Quorum => ("x-queue-type", AMQPValue::LongString(LongString::from("quorum"))),
        Profile::Classic => ("x-max-priority", AMQPValue::ShortShortUInt(4)),
    };
    let mut table = FieldTable::default();
    table.insert(name.into(), value);
    table
}

/// A record's key.
fn key(number: u64) -> String {
    format!("{KEY}{number}")
}
