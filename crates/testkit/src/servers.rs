//! Private RabbitMQ and Redis servers: own ports, own folders, ended by pid.
//!
//! A test that hurts a server starts its own. A test that only uses servers takes [`SharedServers`], which share
//! one boot of RabbitMQ and keep the tests apart by virtual host and database.

pub mod mail;
pub mod rabbitmq;
pub mod receiver;
pub mod redis;
pub mod redis_cluster;
pub mod sentinel;
pub mod shared;
pub mod tls;

pub use mail::{Mail, MailOptions, MailServer, MailTls};
pub use rabbitmq::{BrokerControl, QueueDepth, RabbitMq, RabbitMqOptions, Vhost};
pub use receiver::{Answer, Received, Receiver};
pub use redis::{Redis, RedisControl, RedisDatabase, RedisOptions};
pub use redis_cluster::RedisCluster;
pub use sentinel::Sentinel;
pub use shared::{SharedCluster, SharedServers};
pub use tls::TlsFiles;
