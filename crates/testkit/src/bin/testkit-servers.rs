//! Starts the servers that a test run shares, prints their addresses as shell exports, and ends them when stdin
//! closes or on SIGTERM or SIGINT.
//!
//! Arguments: any of `amqp`, `redis`, `redis-cluster`.

use std::error::Error;
use std::io::{self, Read as _, Write as _};

use longshore_testkit::servers::shared::{ENV_AMQP, ENV_AMQP_DIR, ENV_REDIS, ENV_REDIS_CLUSTER};
use longshore_testkit::servers::{RabbitMq, Redis, RedisCluster, RedisOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let known = ["amqp", "redis", "redis-cluster"];
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("no such server: {unknown}; there are {}", known.join(", ")).into());
    }
    let wants = |name: &str| wanted.iter().any(|wanted| wanted == name);
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let starting = async {
        tokio::try_join!(
            async {
                if wants("amqp") {
                    RabbitMq::start().await.map(Some)
                } else {
                    Ok(None)
                }
            },
            async {
                if wants("redis") {
                    Redis::start(RedisOptions::default()).await.map(Some)
                } else {
                    Ok(None)
                }
            },
            async {
                if wants("redis-cluster") {
                    RedisCluster::start().await.map(Some)
                } else {
                    Ok(None)
                }
            },
        )
    };
    let servers = tokio::select! {
        servers = starting => servers?,
        _ = term.recv() => return Ok(()),
        _ = int.recv() => return Ok(()),
    };
    announce(&servers)?;
    tokio::select! {
        _ = stdin_closed() => {}
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    drop(servers);
    Ok(())
}

/// One `export` a line, then `ready`. No value needs quotes.
fn announce(servers: &(Option<RabbitMq>, Option<Redis>, Option<RedisCluster>)) -> io::Result<()> {
    let (rabbitmq, redis, cluster) = servers;
    let mut out = io::stdout().lock();
    if let Some(rabbitmq) = rabbitmq {
        writeln!(out, "export {ENV_AMQP}={}", rabbitmq.amqp_url())?;
        writeln!(out, "export {ENV_AMQP_DIR}={}", rabbitmq.folder().display())?;
    }
    if let Some(redis) = redis {
        writeln!(out, "export {ENV_REDIS}={}", redis.url())?;
    }
    if let Some(cluster) = cluster {
        writeln!(out, "export {ENV_REDIS_CLUSTER}={}", cluster.url())?;
    }
    writeln!(out, "ready")?;
    out.flush()
}

/// Resolves at the end of stdin. On a thread of its own, which a runtime that shuts down does not wait for.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (closed, wait) = oneshot::channel();
    std::thread::spawn(move || {
        drop(io::stdin().lock().read_to_end(&mut Vec::new()));
        closed.send(())
    });
    wait
}
