//! Where jobs are kept, and how.

use super::{BUNDLE, DAY, Key, Kind, SECOND, key};

pub(super) const KEYS: &[Key] = &[
    key(
        "amqp_url",
        Kind::Server("URL (amqp, amqps)"),
        "",
        "RabbitMQ, for example `amqps://user:password@host:5671/vhost`. Needs `redis_url`.",
    ),
    key(
        "redis_url",
        Kind::Server("URL"),
        "",
        "Redis, for example `rediss://user:password@host:6379`; `redis-cluster://host:port,host:port` and `redis-sentinel://host:port,host:port/master` work too. Needs `amqp_url`.",
    ),
    key(
        "embedded",
        Kind::Path,
        ".longshore",
        "Folder of the embedded store, which is used instead of the two servers.",
    ),
    key(
        "profile",
        Kind::Choice(&["quorum", "classic"]),
        "quorum",
        "How queues are laid out in RabbitMQ: a quorum queue per priority, or one classic queue with priorities (a single node; a host's power loss may lose messages).",
    ),
    key(
        "shards",
        Kind::Count(1, 4096),
        "",
        "Shards of a new installation; 4 on one Redis and embedded, 64 on a cluster unless set. An existing one keeps its number.",
    ),
    key(
        "bundle_max",
        Kind::Count(1, BUNDLE),
        "",
        "Most jobs that `enqueue`, the API and `dev` put into one message; as many as take at most 100 ms of a worker by their measured run times unless set.",
    ),
    key(
        "allow_degraded",
        Kind::Switch,
        "false",
        "Start although Redis is set up so that it may lose jobs (eviction, no append-only file).",
    ),
    key(
        "durability",
        Kind::Choice(&["default", "strict"]),
        "default",
        "`strict`: an enqueue, finish or requeue is on disk, and on `redis_replicas` replicas, before it is acknowledged.",
    ),
    key(
        "redis_replicas",
        Kind::Count(0, 16),
        "0",
        "How many replicas of Redis must have a strict write; every master must have as many connected at the start. Counts only with `durability = strict`.",
    ),
    key(
        "amqp_ca_file",
        Kind::Path,
        "",
        "PEM file with the certificate authority of an `amqps://` server, instead of the system's.",
    ),
    key(
        "redis_ca_file",
        Kind::Path,
        "",
        "PEM file with the certificate authority of a `rediss://` server, instead of the system's.",
    ),
    key(
        "consumer_timeout",
        Kind::Time(60 * SECOND, 7 * DAY),
        "30m",
        "RabbitMQ's own `consumer_timeout`: deliveries are acknowledged well before it.",
    ),
];
