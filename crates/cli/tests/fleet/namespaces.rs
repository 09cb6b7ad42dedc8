//! A worker and a scheduler in a network namespace of their own, and the servers outside: the kernels' own partitions, where
//! nobody acknowledges what does not arrive. As root; where namespaces cannot be made, these fail and say what is missing.

use std::time::Duration;

use longshore_testkit::namespace::Namespace;
use longshore_testkit::process::{PortLease, Proc};
use longshore_testkit::servers::shared::vhost;
use longshore_testkit::servers::{Redis, RedisOptions, Vhost};
use longshore_testkit::wait::eventually;
use tokio::time::{Instant, sleep};

use crate::scene::{REST, Scene, family, jobs};

/// Longer than a lease, so that others take over what those inside have.
const CUT: Duration = Duration::from_secs(40);
const PASSWORD: &str = "for-the-cable";

/// The servers, listening on the cable as well.
struct Servers {
    cable: Namespace,
    redis: Redis,
    vhost: Vhost,
    user: String,
    port: PortLease,
}

impl Servers {
    async fn start() -> Self {
        let cable = Namespace::new()
            .await
            .unwrap_or_else(|error| panic!("a network namespace is needed, as root: {error}"));
        let bind = format!("bind 127.0.0.1 {}", cable.host());
        let redis = RedisOptions::default().password(PASSWORD).line(bind);
        let redis = Redis::start(redis).await.unwrap();
        let (vhost, port) = (vhost().await.unwrap(), PortLease::take().unwrap());
        // `guest` is for loopback alone.
        let user = format!("cable-{}", vhost.name());
        vhost.add_user(&user, PASSWORD, [".*", ".*", ".*"]).await.unwrap();
        let servers = Self {
            cable,
            redis,
            vhost,
            user,
            port,
        };
        servers.broker("start_tcp_listener", ", 2").await;
        servers
    }

    /// The broker, which others use as well, listens on the cable, or does so no more.
    async fn broker(&self, what: &str, more: &str) {
        let listener = format!("{{\"{}\", {}, inet}}", self.cable.host(), self.port.port());
        let call = format!("rabbit_networking:{what}({listener}{more})");
        self.vhost.control().eval(&call).await.unwrap();
    }

    /// URLs at an address of the servers.
    fn urls(&self, host: &str, amqp: u16) -> (String, String) {
        let name = self.vhost.name();
        let amqp = format!("amqp://{}:{PASSWORD}@{host}:{amqp}/{name}", self.user);
        (amqp, format!("redis://:{PASSWORD}@{host}:{}", self.redis.port()))
    }

    fn scene(&self) -> Scene {
        let (amqp, redis) = self.urls("127.0.0.1", self.vhost.addr().port());
        let mut scene = Scene::on(amqp, redis);
        scene.fleet.ask(self.vhost.control(), self.vhost.name());
        scene
    }

    /// Starts a process inside.
    fn start_inside(&self, scene: &Scene, args: &[&str]) -> Proc {
        let (amqp, redis) = self.urls(&self.cable.host().to_string(), self.port.port());
        let mut command = scene.fleet.command(args);
        command
            .env("LONGSHORE_AMQP_URL", amqp)
            .env("LONGSHORE_REDIS_URL", redis);
        let log = scene.fleet.folder().join(format!("{}-inside.log", args[0]));
        Proc::spawn(self.cable.command(&command), log).unwrap()
    }
}

/// Lets the fleet work, cuts, lets work come in, heals and decides.
async fn partition(cut: impl AsyncFn(&Namespace)) {
    let servers = Servers::start().await;
    let scene = servers.scene();
    let outside = [scene.worker(), scene.scheduler()];
    let inside = [
        servers.start_inside(&scene, &["worker", "--max-workers", "3"]),
        servers.start_inside(&scene, &["scheduler"]),
    ];
    let (first, ties) = family(12);
    scene.enqueue(&jobs(12, "mark", 1 + scene.below(3))).await;
    scene.enqueue(&first).await;
    scene.started(6).await;
    for process in &inside {
        assert!(process.try_wait().is_none(), "{}", process.log_tail());
    }
    cut(&servers.cable).await;
    let began = Instant::now();
    while began.elapsed() < CUT {
        scene.enqueue(&jobs(4, "mark", 0.5)).await;
        sleep(Duration::from_secs(5)).await;
    }
    // How jobs ended with others is seen before those inside have a say again.
    eventually(REST, "others have taken over", || scene.at_rest())
        .await
        .unwrap();
    servers.cable.heal().await.unwrap();
    let healed = Instant::now();
    scene.enqueue(&jobs(10, "mark", 0.1)).await;
    scene.judge(healed, &ties).await;
    for process in &inside {
        let log = process.log_text();
        assert!(process.try_wait().is_none(), "it ended: {log}");
        assert!(log.contains("trying"), "it has noticed nothing: {log}");
    }
    scene.end(outside.into_iter().chain(inside), &ties).await;
    servers.broker("stop_tcp_listener", "").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_namespace_whose_cable_is_pulled_doubles_nothing() {
    partition(async |cable| cable.pull().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_namespace_that_is_not_heard_loses_nothing() {
    partition(async |cable| cable.mute().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_namespace_that_hears_nothing_doubles_nothing() {
    partition(async |cable| cable.deafen().await.unwrap()).await;
}
