//! TLS to both servers: a private authority that is given is believed, and nothing else is: no other authority, no
//! other host's certificate, none that is over.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use longshore_backend::{Backend, BackendConfig, Endpoints};
use longshore_testkit::process::{Proc, run};
use longshore_testkit::servers::{RabbitMq, RabbitMqOptions, Redis, RedisOptions};
use longshore_testkit::wait::eventually;
use tokio::net::{TcpListener, TcpStream};

const PASSWORD: &str = "pl4nted-in-a-url";

/// Both servers, with an authority each.
struct Servers {
    amqp: RabbitMq,
    redis: Redis,
}

impl Servers {
    async fn start() -> Self {
        let redis = RedisOptions::default().tls().password(PASSWORD);
        Self {
            amqp: RabbitMq::start_with(RabbitMqOptions::default().tls())
                .await
                .unwrap(),
            redis: Redis::start(redis).await.unwrap(),
        }
    }

    /// What connects to both.
    fn good(&self) -> BackendConfig {
        config(
            &self.amqp.amqps_url().unwrap(),
            &self.redis.tls_url().unwrap(),
            self.amqp.ca_file(),
            self.redis.ca_file(),
        )
    }
}

fn config(amqp: &str, redis: &str, amqp_ca: Option<&Path>, redis_ca: Option<&Path>) -> BackendConfig {
    let mut config = BackendConfig::new(Endpoints::servers(amqp, redis).unwrap());
    config.amqp_ca_file = amqp_ca.map(Into::into);
    config.redis_ca_file = redis_ca.map(Into::into);
    config
}

async fn connects(config: BackendConfig) {
    let backend = Backend::connect(&config).await.unwrap();
    backend.ports().inspect.ping().await.unwrap();
    backend.close().await;
}

async fn is_refused(why: &str, config: BackendConfig) {
    let limit = Duration::from_secs(60);
    let ended = tokio::time::timeout(limit, Backend::connect(&config)).await;
    let Ok(Err(error)) = ended else {
        panic!("{why}: it was not refused");
    };
    let told = format!("{error}\n{error:?}\n{config:?}");
    println!("{why}: {error}");
    assert!(!told.contains(PASSWORD), "{why}: {told}");
}

/// Passes bytes on from another address of this machine.
async fn forward(from: &str, to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((from, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(to).await {
                    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
                }
            });
        }
    });
    address
}

/// The address in a URL whose host is `localhost`.
fn address(url: &str) -> SocketAddr {
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
    format!("127.0.0.1:{port}").parse().unwrap()
}

/// The URL with another place.
fn moved(url: &str, to: SocketAddr) -> String {
    let from = format!("localhost:{}", address(url).port());
    assert!(url.contains(&from), "{from} is not in the URL");
    url.replace(&from, &to.to_string())
}

async fn openssl(folder: &Path, line: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(line.split_whitespace());
    run(command, Duration::from_secs(20)).await.unwrap();
}

/// A server for localhost whose certificate ended yesterday or is good until tomorrow; its authority, its address.
async fn endpoint(folder: &Path, days: i8) -> (PathBuf, SocketAddr, Proc) {
    let extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n";
    std::fs::write(folder.join("names"), extensions).unwrap();
    openssl(
        folder,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=a-test -addext \
         basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem",
    )
    .await;
    openssl(
        folder,
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout s.key -out s.csr",
    )
    .await;
    let sign = format!(
        "x509 -req -days {days} -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out s.pem"
    );
    openssl(folder, &sign).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let mut command = Command::new("openssl");
    command
        .current_dir(folder)
        .args([
            "s_server",
            "-accept",
            &address.to_string(),
            "-cert",
            "s.pem",
            "-key",
            "s.key",
            "-quiet",
        ])
        .stdin(Stdio::null());
    let server = Proc::spawn(command, folder.join("s_server.log")).unwrap();
    eventually(Duration::from_secs(20), "the TLS server to listen", || async {
        let connected = TcpStream::connect(address).await;
        connected.map(drop).map_err(|error| error.to_string())
    })
    .await
    .unwrap();
    (folder.join("ca.pem"), address, server)
}

#[tokio::test]
async fn only_the_given_authority_for_this_host_is_believed() {
    let servers = Servers::start().await;
    connects(servers.good()).await;

    let mut unknown = servers.good();
    unknown.amqp_ca_file = servers.redis.ca_file().map(Into::into);
    is_refused("RabbitMQ has another authority", unknown).await;
    let mut unknown = servers.good();
    unknown.redis_ca_file = servers.amqp.ca_file().map(Into::into);
    is_refused("Redis has another authority", unknown).await;

    let (amqp, redis) = (
        servers.amqp.amqps_url().unwrap(),
        servers.redis.tls_url().unwrap(),
    );
    let (amqp_ca, redis_ca) = (servers.amqp.ca_file(), servers.redis.ca_file());
    // The certificates name 127.0.0.1 and no other address.
    for (from, is_named) in [("127.0.0.1", true), ("127.0.0.2", false)] {
        let other_amqp = moved(&amqp, forward(from, address(&amqp)).await);
        let other_redis = moved(&redis, forward(from, address(&redis)).await);
        let for_amqp = config(&other_amqp, &redis, amqp_ca, redis_ca);
        let for_redis = config(&amqp, &other_redis, amqp_ca, redis_ca);
        if is_named {
            connects(for_amqp).await;
            connects(for_redis).await;
        } else {
            is_refused("RabbitMQ's certificate is of another host", for_amqp).await;
            is_refused("Redis' certificate is of another host", for_redis).await;
        }
    }

    let folder = tempfile::tempdir().unwrap();
    let (ca, over, _server) = endpoint(folder.path(), -1).await;
    let place = format!("localhost:{}", over.port());
    let for_amqp = config(
        &format!("amqps://guest:{PASSWORD}@{place}"),
        &redis,
        Some(&ca),
        redis_ca,
    );
    is_refused("RabbitMQ's certificate is over", for_amqp).await;
    let for_redis = config(
        &amqp,
        &format!("rediss://:{PASSWORD}@{place}"),
        amqp_ca,
        Some(&ca),
    );
    is_refused("Redis' certificate is over", for_redis).await;
}
