//! Messages, confirms and connections that go away under a fleet of processes, and messages that are none.

use std::time::Duration;

use longshore::{Acceptance, Client};
use longshore_core::{FunctionName, JobSpec, value};
use longshore_testkit::history::Ties;
use longshore_testkit::process::Proc;
use longshore_testkit::proxy::Proxy;
use longshore_testkit::servers::Vhost;
use longshore_testkit::wait::eventually;
use serde_json::Value;
use tokio::time::Instant;

use crate::scene::{REST, Scene, addr_of, id_of, jobs};

/// The queue of jobs that say nothing else.
const QUEUE: &str = "jobs.default.normal";
/// What is published and lost is found by the audit, which waits for nothing else here.
const SOON: &str = "\n[scheduler]\nhold_limit = \"10s\"\nintervals = { audit_published = \"1s\" }\n";

/// Jobs are published, and their messages are taken away before anybody takes them.
async fn messages_are_taken(take: impl AsyncFnOnce(&Vhost)) {
    let scene = Scene::shared().await;
    scene.configure(SOON);
    let vhost = scene.fleet.servers().vhost();
    let lost = jobs(30, "mark", 0.1);
    scene.enqueue(&lost).await;
    eventually(REST, "the broker has messages", || async {
        scene.fleet.messages().await.is_ok_and(|seen| seen > 0)
    })
    .await
    .unwrap();
    take(vhost).await;
    let healed = Instant::now();
    let processes = [scene.worker(), scene.scheduler()];
    scene.judge(healed, &Ties::default()).await;
    ran_once(&scene, lost.len()).await;
    scene.end(processes, &Ties::default()).await;
}

/// Does this with the queue `Q`, inside the node: `rabbitmqctl` takes its time on a busy machine.
async fn of_queue(vhost: &Vhost, what: &str) {
    let of = format!(
        "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"{}\">>, queue, <<\"{QUEUE}\">>)), {what}",
        vhost.name()
    );
    vhost.control().eval(&of).await.unwrap();
}

/// So many jobs have completed, and nothing ran twice.
async fn ran_once(scene: &Scene, count: usize) {
    let known = scene.looked().await;
    assert_eq!(known.len(), count);
    for job in &known {
        assert_eq!(job["status"], "completed", "{job}");
    }
    scene.nothing_started_twice().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_queue_that_is_purged_costs_nothing() {
    messages_are_taken(async |vhost: &Vhost| of_queue(vhost, "{ok, _} = rabbit_amqqueue:purge(Q)").await)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_queue_that_is_deleted_costs_nothing() {
    messages_are_taken(async |vhost: &Vhost| {
        of_queue(
            vhost,
            "{ok, _} = rabbit_amqqueue:delete(Q, false, false, <<\"test\">>)",
        )
        .await;
    })
    .await;
}

/// The same jobs, for a producer in this process.
fn specs(jobs: &[Value]) -> Vec<JobSpec> {
    let spec = |job: &Value| {
        let args = value::encode("args", &job["args"]).unwrap();
        let mut spec = JobSpec::new(
            job["function_name"]
                .as_str()
                .unwrap()
                .parse::<FunctionName>()
                .unwrap(),
            args,
        );
        spec.id = Some(id_of(job));
        spec.max_retries = 20;
        spec
    };
    jobs.iter().map(spec).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_producer_whose_confirms_are_lost_defers_and_doubles_nothing() {
    let scene = Scene::shared().await;
    let servers = scene.fleet.servers();
    let proxy = Proxy::start(servers.vhost().addr()).await.unwrap();
    let amqp = servers.vhost().amqp_url_at(proxy.addr());
    let client = Client::connect((amqp.as_str(), servers.redis_url().as_str()))
        .await
        .unwrap();
    let (first, lost) = (jobs(5, "mark", 0.1), jobs(30, "mark", 0.1));
    for spec in specs(&first) {
        let handle = client.enqueue_spec(spec).await.unwrap();
        assert_eq!(handle.acceptance(), Some(Acceptance::Published));
    }
    scene.are_acknowledged(&first);
    // What is published arrives, and nobody hears of it.
    proxy.drop_replies();
    let asked = specs(&lost)
        .into_iter()
        .map(|spec| client.enqueue_spec(spec).into_future());
    for handle in futures_util::future::join_all(asked).await {
        assert_eq!(handle.unwrap().acceptance(), Some(Acceptance::Deferred));
    }
    scene.are_acknowledged(&lost);
    eventually(REST, "they have their messages", || async {
        let seen = scene.fleet.messages().await.map_err(|error| error.to_string())?;
        if seen > 5 {
            Ok(())
        } else {
            Err(format!("{seen} messages"))
        }
    })
    .await
    .unwrap();
    proxy.heal().await.unwrap();
    let healed = Instant::now();
    let processes = [scene.worker(), scene.scheduler()];
    scene.judge(healed, &Ties::default()).await;
    ran_once(&scene, first.len() + lost.len()).await;
    client.close().await;
    scene.end(processes, &Ties::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_connections_that_are_closed_in_mid_job_cost_nothing() {
    let scene = Scene::shared().await;
    let processes = [scene.worker(), scene.worker(), scene.scheduler()];
    scene.enqueue(&jobs(8, "mark", 6 + scene.below(4))).await;
    scene.started(8).await;
    scene.enqueue(&jobs(20, "mark", 0.1)).await;
    let vhost = scene.fleet.servers().vhost();
    for _ in 0..3 {
        // One that is on its way out meanwhile is no mistake.
        let close = format!(
            "[(catch rabbit_networking:close_connection(Pid, \"closed by a test\")) || \
             Pid <- rabbit_networking:connections(), \
             [{{vhost, <<\"{}\">>}}] =:= (catch rabbit_networking:connection_info(Pid, [vhost]))]",
            vhost.name()
        );
        vhost.control().eval(&close).await.unwrap();
        scene.enqueue(&jobs(5, "mark", 0.1)).await;
    }
    let healed = Instant::now();
    scene.judge(healed, &Ties::default()).await;
    // Who ran was cut off from the broker and not from the store: nothing runs a second time.
    ran_once(&scene, 43).await;
    for process in &processes {
        let log = process.log_text();
        assert!(
            log.contains("lost the connection"),
            "it has noticed nothing: {log}"
        );
    }
    scene.end(processes, &Ties::default()).await;
}

/// Publishes bytes of nobody's making into the queue, with this content type.
async fn inject(vhost: &Vhost, content_type: &str, body: &str) {
    let publish = format!(
        "rabbit_basic:publish(rabbit_misc:r(<<\"{}\">>, exchange, <<\"\">>), <<\"{QUEUE}\">>, \
         [{{content_type, <<\"{content_type}\">>}}], {body})",
        vhost.name()
    );
    vhost.control().eval(&publish).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_bytes_that_are_no_message_go_into_quarantine_under_a_running_worker() {
    let scene = Scene::shared().await;
    let processes = [scene.worker(), scene.scheduler()];
    scene.enqueue(&jobs(8, "mark", 2)).await;
    scene.started(4).await;
    let vhost = scene.fleet.servers().vhost();
    let noise: Vec<_> = (0..300).map(|_| scene.below(256).to_string()).collect();
    let noise = format!("<<{}>>", noise.join(","));
    // An array in an array, two thousand times.
    let deep = "<<(binary:copy(<<16#91>>, 2000))/binary, 16#c0>>";
    let types = [
        "application/vnd.longshore+msgpack",
        "application/vnd.longshore.dead+msgpack",
        "text/plain",
    ];
    for content_type in types {
        for body in [deep, &noise, "<<>>"] {
            inject(vhost, content_type, body).await;
        }
    }
    scene.enqueue(&jobs(20, "mark", 0.1)).await;
    eventually(REST, "they are put aside", || async {
        let aside = scene.fleet.run(&["quarantine", "ls", "-o", "json"]).await;
        let aside: Vec<Value> = serde_json::from_str(&aside.map_err(|error| error.to_string())?).unwrap();
        // Bytes that came before are known by them.
        if aside.len() == 3 {
            Ok(())
        } else {
            Err(format!("{aside:?}"))
        }
    })
    .await
    .unwrap();
    scene.judge(Instant::now(), &Ties::default()).await;
    ran_once(&scene, 28).await;
    scene.end(processes, &Ties::default()).await;
}

/// A worker that reaches both servers over bad lines: late by 200 ms each way, and cut again and again in the middle of a
/// request.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a row of the fault table; `scripts/faults` runs it"]
async fn real_servers_soak_a_worker_on_bad_lines_loses_and_doubles_nothing() {
    const LATE: Duration = Duration::from_millis(200);
    let scene = Scene::shared().await;
    let servers = scene.fleet.servers();
    let redis_url = servers.redis_url();
    let redis_addr = addr_of(&redis_url);
    let (amqp, redis) = (
        Proxy::start(servers.vhost().addr()).await.unwrap(),
        Proxy::start(redis_addr).await.unwrap(),
    );
    let redis_url = redis_url.replace(&redis_addr.to_string(), &redis.addr().to_string());
    for line in [&amqp, &redis] {
        line.latency(LATE);
    }
    let amqp_url = servers.vhost().amqp_url_at(amqp.addr());
    let far: Proc = scene.fleet.start(&[
        "worker",
        "--max-workers",
        "4",
        "--amqp-url",
        &amqp_url,
        "--redis-url",
        &redis_url,
    ]);
    let scheduler = scene.scheduler();
    scene.enqueue(&jobs(4, "mark", 0.5)).await;
    scene.started(4).await;
    for _ in 0..12 {
        scene.enqueue(&jobs(5, "mark", 0.2)).await;
        let line = if scene.below(2) == 0 { &amqp } else { &redis };
        let before = line.connections();
        // An idle line carries little: heartbeats and a few acks.
        line.cut_after(1 + scene.random_below(200));
        eventually(REST, "the line is cut, and taken up again", || async {
            line.connections() > before
        })
        .await
        .unwrap();
        scene.looked().await;
    }
    let healed = Instant::now();
    scene.judge(healed, &Ties::default()).await;
    assert!(far.try_wait().is_none(), "it ended: {}", far.log_tail());
    scene.end([far, scheduler], &Ties::default()).await;
}
