//! The private servers do what the tests of the system rely on.
#![cfg(test)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use longshore_testkit::process::{Proc, ServerDir, run};
use longshore_testkit::servers::{
    RabbitMq, RabbitMqOptions, Redis, RedisCluster, RedisControl, RedisOptions, Sentinel, SharedCluster,
    SharedServers,
};
use longshore_testkit::wait::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const SOON: Duration = Duration::from_secs(10);

/// Declares a durable classic queue inside the node, as no AMQP client is at hand here.
async fn declare(rabbitmq: &RabbitMq, vhost: &str, queue: &str) -> Outcome {
    let name = format!("rabbit_misc:r(<<\"{vhost}\">>, queue, <<\"{queue}\">>)");
    rabbitmq
        .control()
        .eval(&format!(
            "{{new, _}} = rabbit_amqqueue:declare({name}, true, false, [], none, <<\"test\">>)"
        ))
        .await?;
    Ok(())
}

async fn greeted(addr: SocketAddr) -> Result<(), String> {
    let talk = async {
        let mut socket = TcpStream::connect(addr).await?;
        socket.write_all(b"AMQP\x00\x00\x09\x01").await?;
        socket.read_u8().await
    };
    match tokio::time::timeout(Duration::from_millis(300), talk).await {
        Ok(Ok(1)) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// A TLS handshake with a chain that the authority vouches for.
async fn tls_works(port: &str, ca: &Path) -> Outcome {
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-connect",
        port,
        "-verify_return_error",
        "-verify_hostname",
        "localhost",
    ]);
    command.arg("-CAfile").arg(ca);
    let text = run(command, SOON).await?;
    assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
    Ok(())
}

/// An authenticated request, written by hand.
async fn management_answers(url: &str) -> Outcome {
    let host = url.rsplit_once('@').unwrap().1;
    let mut socket = TcpStream::connect(host).await?;
    let credentials = "Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=";
    let request = format!("GET /api/whoami HTTP/1.0\r\nHost: {host}\r\n{credentials}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    assert!(answer.lines().next().unwrap().contains(" 200 "), "{answer}");
    Ok(())
}

#[tokio::test]
async fn rabbitmq_comes_back_with_its_queues_after_a_kill_and_freezes_in_between() -> Outcome {
    let rabbitmq = RabbitMq::start_with(RabbitMqOptions::default().tls().management()).await?;
    let vhost = rabbitmq.vhost("shop").await?;
    declare(&rabbitmq, vhost.name(), "orders").await?;
    let names = |queues: Vec<longshore_testkit::servers::QueueDepth>| {
        queues.into_iter().map(|queue| queue.name).collect::<Vec<_>>()
    };
    assert_eq!(names(vhost.list_queues().await?), ["orders"]);
    let url = rabbitmq.amqps_url().unwrap();
    tls_works(url.rsplit_once('@').unwrap().1, rabbitmq.ca_file().unwrap()).await?;
    management_answers(&rabbitmq.management_url().unwrap()).await?;

    rabbitmq.freeze();
    greeted(rabbitmq.addr()).await.unwrap_err();
    rabbitmq.thaw();
    eventually(SOON, "the thawed node to answer", || greeted(rabbitmq.addr())).await?;

    rabbitmq.control().write_buffered().await?;
    rabbitmq.kill9();
    TcpStream::connect(rabbitmq.addr()).await.unwrap_err();
    rabbitmq.restart().await?;
    assert_eq!(names(vhost.list_queues().await?), ["orders"]);

    rabbitmq.stop_app().await?;
    TcpStream::connect(rabbitmq.addr()).await.unwrap_err();
    rabbitmq.start_app().await?;

    let url = vhost.add_user("clerk", "secret", ["", ".*", ""]).await?;
    assert_eq!(
        url,
        format!("amqp://clerk:secret@{}/{}", rabbitmq.addr(), vhost.name())
    );
    rabbitmq.control().set_vm_memory_high_watermark(0.0).await?;
    let alarms = rabbitmq
        .control()
        .eval("io:format(\"~p\", [rabbit_alarm:get_alarms()])")
        .await?;
    assert!(alarms.contains("memory"), "{alarms}");
    vhost.close_all_connections().await?;
    vhost.purge_queue("orders").await?;
    vhost.delete_queue("orders").await?;
    assert_eq!(names(vhost.list_queues().await?), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn redis_keeps_its_keys_over_a_kill_and_is_deaf_while_frozen() -> Outcome {
    let redis = Redis::start(RedisOptions::default().password("secret").tls()).await?;
    redis.cli(&["SET", "key", "value"]).await?;
    redis.cli(&["SET", "key"]).await.unwrap_err();
    let url = redis.tls_url().unwrap();
    tls_works(url.rsplit_once('@').unwrap().1, redis.ca_file().unwrap()).await?;

    redis.freeze();
    tokio::time::timeout(Duration::from_millis(300), redis.cli(&["PING"]))
        .await
        .unwrap_err();
    redis.thaw();
    assert_eq!(redis.cli(&["PING"]).await?, "PONG");

    redis.config_set("appendfsync", "always").await?;
    redis.cli(&["SET", "key", "newer"]).await?;
    redis.kill9();
    redis.cli(&["PING"]).await.unwrap_err();
    redis.restart().await?;
    assert_eq!(redis.cli(&["GET", "key"]).await?, "newer");

    redis.flushall().await?;
    assert_eq!(redis.cli(&["DBSIZE"]).await?, "0");
    Ok(())
}

#[tokio::test]
async fn redis_forgets_what_it_wrote_after_a_moment() -> Outcome {
    let redis = Redis::start(RedisOptions::default()).await?;
    redis.cli(&["SET", "key", "before"]).await?;
    let moment = redis.written()?;
    redis.cli(&["SET", "key", "after"]).await?;
    redis.cli(&["SET", "other", "after"]).await?;
    assert!(redis.written()? > moment);
    redis.restart_at(moment).await?;
    assert_eq!(redis.cli(&["GET", "key"]).await?, "before");
    assert_eq!(redis.cli(&["DBSIZE"]).await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_cluster_has_three_masters_and_survives_the_restart_of_one() -> Outcome {
    let cluster = RedisCluster::start().await?;
    let [_, second, _] = cluster.nodes() else {
        panic!("not three nodes")
    };
    second.restart().await?;
    cluster.healthy().await?;
    cluster.flushall().await?;
    assert_eq!(cluster.url().matches("127.0.0.1:").count(), 3);
    Ok(())
}

#[tokio::test]
async fn sentinels_promote_a_replica_that_has_the_data() -> Outcome {
    let set = Sentinel::start().await?;
    let old = set.master().await?;
    old.cli(&["SET", "key", "value"]).await?;
    assert_eq!(old.cli(&["WAIT", "2", "5000"]).await?, "2");
    let new = set.failover().await?;
    assert_ne!(new.port(), old.port());
    assert_eq!(new.cli(&["GET", "key"]).await?, "value");
    assert!(set.url().ends_with("/longshore"));
    Ok(())
}

#[tokio::test]
async fn real_servers_are_shared_without_two_tests_seeing_each_other() -> Outcome {
    let (first, second) = (SharedServers::get().await?, SharedServers::get().await?);
    assert_ne!(first.amqp_url(), second.amqp_url());
    assert_ne!(first.redis_url(), second.redis_url());
    first.redis().cli(&["SET", "key", "value"]).await?;
    assert_eq!(second.redis().cli(&["DBSIZE"]).await?, "0");
    let looks = std::iter::repeat_with(|| first.vhost().list_queues()).take(20);
    for queues in join_all(looks).await {
        assert_eq!(queues?, []);
    }

    let cluster = SharedCluster::get().await?;
    let waiting = tokio::time::timeout(Duration::from_millis(300), SharedCluster::get());
    waiting.await.unwrap_err();
    drop(cluster);

    let (control, name) = (first.vhost().control().clone(), first.vhost().name().to_owned());
    drop(first);
    eventually(SOON, "the virtual host to be deleted", || async {
        control.list_queues(&name).await.is_err()
    })
    .await?;
    assert_eq!(SharedCluster::get().await?.addrs().len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_stopped_process_stands_at_once_however_often() -> Outcome {
    let dir = ServerDir::new("stop")?;
    let mut command = Command::new("sh");
    command.args(["-c", "while :; do :; done"]);
    let child = Proc::spawn(command, dir.path().join("log"))?;
    for _ in 0..50 {
        child.stop();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid()))?;
        let state = stat.rsplit_once(") ").unwrap().1;
        assert!(state.starts_with('T'), "{stat}");
        child.cont();
    }
    child.kill9();
    child.stop();
    Ok(())
}

#[tokio::test]
async fn a_child_ends_with_its_whole_group() -> Outcome {
    let dir = ServerDir::new("group")?;
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 1000 & echo $!; wait"]);
    let child = Proc::spawn(command, dir.path().join("log"))?;
    let grandchild = eventually(SOON, "the grandchild's pid", || async {
        child
            .log_text()
            .trim()
            .parse::<u32>()
            .map_err(|error| error.to_string())
    })
    .await?;
    drop(child);
    gone(grandchild).await
}

#[tokio::test]
async fn servers_and_folders_go_when_the_process_that_started_them_is_killed() -> Outcome {
    let dir = ServerDir::new("launcher")?;
    let mut launcher = Command::new("sh");
    launcher.args([
        "-c",
        "sleep 1000 | \"$1\" redis",
        "sh",
        env!("CARGO_BIN_EXE_testkit-servers"),
    ]);
    launcher.env("TMPDIR", dir.path());
    let launcher = Proc::spawn(launcher, dir.path().join("log"))?;
    let log = eventually(SOON, "the launcher to be ready", || async {
        let log = launcher.log_text();
        if log.contains("ready") { Ok(log) } else { Err(log) }
    })
    .await?;
    let url = log
        .lines()
        .find_map(|line| line.strip_prefix("export LONGSHORE_TEST_REDIS="))
        .unwrap();
    let redis = RedisControl::from_url(url)?;
    let info = redis.cli(&["INFO", "server"]).await?;
    let server = info
        .lines()
        .find_map(|line| line.strip_prefix("process_id:"))
        .unwrap()
        .trim()
        .parse()?;
    let data = redis.cli(&["CONFIG", "GET", "dir"]).await?;
    let data = Path::new(data.lines().last().unwrap());
    assert!(data.exists());

    launcher.kill9();
    gone(server).await?;
    eventually(SOON, "the folder to be removed", || async { !data.exists() }).await?;
    Ok(())
}

async fn gone(pid: u32) -> Outcome {
    let process = format!("/proc/{pid}/stat");
    eventually(SOON, "the process to end", || async {
        // A zombie that its new parent has not reaped yet has ended too.
        std::fs::read_to_string(&process).map_or(true, |stat| stat.contains(") Z "))
    })
    .await?;
    Ok(())
}
