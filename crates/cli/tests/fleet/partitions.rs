//! Workers and schedulers that are cut off from one server, both ways or one way, for longer than a lease. The proxy
//! swallows what may not pass and keeps the connections open, as a network that drops packets does.

use std::time::Duration;

use longshore_testkit::process::Proc;
use longshore_testkit::proxy::Proxy;
use longshore_testkit::wait::eventually;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::scene::{REST, Scene, addr_of, family, jobs};

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
    process: Proc,
    proxy: Proxy,
    works: bool,
    from: From,
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
        process,
        proxy,
        works: role.contains(&"worker"),
        from,
    }
}

const WORKER: [&str; 3] = ["worker", "--max-workers", "3"];

/// Waits until this worker has a job in hand, by the registry.
async fn works(scene: &Scene, worker: &Proc) {
    eventually(REST, "the one behind the proxy works", || async {
        let workers = scene.fleet.run(&["worker", "ls", "-o", "json"]).await.ok()?;
        let workers: Vec<Value> = serde_json::from_str(&workers).unwrap();
        let has = |seen: &Value| seen["pid"] == worker.pid() && seen["busy"].as_u64() > Some(0);
        workers.iter().any(has).then_some(())
    })
    .await
    .unwrap();
}

/// Lets the fleet work, cuts, lets work come in, heals and decides.
async fn cut(scene: &Scene, others: [Proc; 2], members: Vec<Behind>, cut: impl Fn(&Proxy)) {
    let (first, ties) = family(12);
    // Longer than it takes to see who has them.
    scene.enqueue(&jobs(12, "mark", 15 + scene.below(3))).await;
    for member in members.iter().filter(|member| member.works) {
        works(scene, &member.process).await;
    }
    for member in &members {
        cut(&member.proxy);
    }
    let began = Instant::now();
    scene.enqueue(&first).await;
    while began.elapsed() < CUT {
        scene.enqueue(&jobs(4, "mark", 0.5)).await;
        sleep(Duration::from_secs(5)).await;
    }
    // How jobs ended with others is seen before those that were cut off have a say again: nothing waits for these, neither
    // what they hold nor what lies in the outbox of their shards.
    eventually(REST, "others have done everything", || scene.at_rest())
        .await
        .unwrap();
    scene.looked().await;
    for member in &members {
        member.proxy.heal().await.unwrap();
    }
    let healed = Instant::now();
    scene.enqueue(&jobs(10, "mark", 0.1)).await;
    scene.judge(healed, &ties).await;
    let mut processes: Vec<_> = others.into();
    let taken_over = members
        .iter()
        .any(|member| member.works && member.from == From::Redis);
    let mut lines = Vec::new();
    for Behind {
        process, proxy, from, ..
    } in members
    {
        let log = process.log_text();
        assert!(process.try_wait().is_none(), "it ended: {log}");
        let noticed = ["trying", "lost the connection", "cannot renew"]
            .iter()
            .any(|word| log.contains(word));
        assert!(noticed, "cut off from {from:?}, it has noticed nothing: {log}");
        processes.push(process);
        lines.push(proxy);
    }
    if taken_over {
        let stats = scene.fleet.run(&["stats", "-o", "json"]).await.unwrap();
        let stats: Value = serde_json::from_str(&stats).unwrap();
        assert!(
            stats["total"]["lost"].as_u64() > Some(0),
            "nothing was taken over: {stats}"
        );
    }
    scene.end(processes, &ties).await;
    // A line that goes away with its proxy would be a fault of its own.
    drop(lines);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_workers_cut_off_from_redis_double_nothing() {
    let scene = Scene::shared().await;
    let others = [scene.worker(), scene.scheduler()];
    let members = vec![
        behind(&scene, &WORKER, From::Redis).await,
        behind(&scene, &["scheduler"], From::Redis).await,
    ];
    cut(&scene, others, members, Proxy::half_open).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_workers_cut_off_from_the_broker_lose_nothing() {
    let scene = Scene::shared().await;
    let others = [scene.worker(), scene.scheduler()];
    let members = vec![
        behind(&scene, &WORKER, From::Broker).await,
        behind(&scene, &["scheduler"], From::Broker).await,
    ];
    cut(&scene, others, members, Proxy::half_open).await;
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
    let others = [scene.worker(), scene.scheduler()];
    let members = vec![
        behind(&scene, &WORKER, From::Redis).await,
        behind(&scene, &WORKER, From::Broker).await,
        behind(&scene, &["scheduler"], From::Redis).await,
        behind(&scene, &["scheduler"], From::Broker).await,
    ];
    cut(&scene, others, members, drop).await;
}
