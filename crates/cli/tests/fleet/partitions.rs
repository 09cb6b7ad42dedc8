//! Workers and schedulers that are cut off from one server, both ways or one way, for longer than a lease. The proxy
//! swallows what may not pass and keeps the connections open, as a network that drops packets does.

use std::net::SocketAddr;
use std::time::Duration;

use longshore_testkit::process::Proc;
use longshore_testkit::proxy::Proxy;
use tokio::time::{Instant, sleep};

use crate::scene::{Scene, family, jobs};

/// Longer than a lease, so that others take over what the cut-off ones have.
const CUT: Duration = Duration::from_secs(40);

/// Which server a process is cut off from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Redis,
    Broker,
}

/// A process that reaches one of its servers through a proxy alone.
struct Behind {
    _process: Proc,
    proxy: Proxy,
}

fn addr_of(url: &str) -> SocketAddr {
    let host = url.rsplit('@').next().unwrap();
    let host = host.rsplit("://").next().unwrap();
    host.split('/').next().unwrap().parse().unwrap()
}

async fn behind(scene: &Scene, role: &[&str], from: From) -> Behind {
    let servers = scene.fleet.servers();
    let (flag, url) = match from {
        From::Redis => ("--redis-url", servers.redis_url()),
        From::Broker => ("--amqp-url", servers.amqp_url().to_owned()),
    };
    let addr = addr_of(&url);
    let proxy = Proxy::start(addr).await.unwrap();
    let url = url.replace(&addr.to_string(), &proxy.addr().to_string());
    let process = scene.fleet.start(&[role, &[flag, &url]].concat());
    Behind {
        _process: process,
        proxy,
    }
}

const WORKER: [&str; 3] = ["worker", "--max-workers", "3"];

/// Lets the fleet work, cuts, lets work come in, heals and decides.
async fn cut(scene: &Scene, members: &[Behind], cut: impl Fn(&Proxy)) {
    let (first, ties) = family(12);
    scene.enqueue(&jobs(12, "mark", 1 + scene.below(3))).await;
    scene.enqueue(&first).await;
    scene.started(6).await;
    for member in members {
        cut(&member.proxy);
    }
    let began = Instant::now();
    while began.elapsed() < CUT {
        scene.enqueue(&jobs(4, "mark", 0.5)).await;
        sleep(Duration::from_secs(5)).await;
    }
    for member in members {
        member.proxy.heal().await.unwrap();
    }
    let healed = Instant::now();
    scene.enqueue(&jobs(10, "mark", 0.1)).await;
    scene.judge(healed, &ties).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_workers_cut_off_from_redis_double_nothing() {
    let scene = Scene::shared().await;
    let _others = [scene.worker(), scene.scheduler()];
    let members = [
        behind(&scene, &WORKER, From::Redis).await,
        behind(&scene, &["scheduler"], From::Redis).await,
    ];
    cut(&scene, &members, Proxy::half_open).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_workers_cut_off_from_the_broker_lose_nothing() {
    let scene = Scene::shared().await;
    let _others = [scene.worker(), scene.scheduler()];
    let members = [
        behind(&scene, &WORKER, From::Broker).await,
        behind(&scene, &["scheduler"], From::Broker).await,
    ];
    cut(&scene, &members, Proxy::half_open).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_processes_that_are_heard_and_hear_nothing_double_nothing() {
    one_way(Proxy::drop_replies).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_processes_that_hear_and_are_not_heard_lose_nothing() {
    one_way(Proxy::drop_requests).await;
}

async fn one_way(drop: impl Fn(&Proxy)) {
    let scene = Scene::shared().await;
    let _others = [scene.worker(), scene.scheduler()];
    let members = [
        behind(&scene, &WORKER, From::Redis).await,
        behind(&scene, &WORKER, From::Broker).await,
        behind(&scene, &["scheduler"], From::Redis).await,
        behind(&scene, &["scheduler"], From::Broker).await,
    ];
    cut(&scene, &members, drop).await;
}
