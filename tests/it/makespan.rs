//! A message of many jobs delays nothing that an idle worker could do: what one holds and cannot start, the other gets.

use std::sync::Arc;
use std::time::Duration;

use longshore::{Batch, Client, Priority, QueueName};
use longshore_backend::Profile;
use longshore_scheduler::Intervals;
use longshore_testkit::servers::SharedServers;
use longshore_testkit::wait::eventually;
use longshore_worker::WorkerStats;
use tokio::time::Instant;

use crate::rig::{LONG, Pace, Rig, Step};

/// Jobs of a full message.
const BUNDLE: u64 = 64;
/// A worker tells its free slots within a second of a change, and another that has held jobs for one asks for them once a
/// second; the rest is for calls and the publish. In the long run, which has the machine for itself. `tests/sim/idle.rs` has
/// the exact bound.
const HELD_MAX: Duration = Duration::from_secs(10);
/// Beside other tests: that it happens at all, and does not wait for the end of a lease or of the jobs.
const FILLED_MAX: Duration = Duration::from_secs(30);

// One message, two workers.

/// A worker with two slots holds a message of 64 jobs that do not end. Another comes, and must fill its slots from it.
async fn an_idle_worker_gets_what_another_holds(mut rig: Rig) {
    const SLOTS: usize = 2;
    rig.scheduler(Intervals::default()).await;
    let client = rig.bundling(Some(64));
    let one = rig.worker(SLOTS).await;
    // A queue that was just made may refuse a publish, and the scheduler would send each of the jobs alone: one goes before.
    enqueue(&rig.client, 900..901, |_| Pace::Quick).await;
    rig.all_completed(1).await;
    enqueue(&client, 0..BUNDLE, |_| Pace::Gated).await;
    rig.book.started(1 + SLOTS).await;
    eventually(LONG, "the first worker has the whole message", || async {
        let seen = one.snapshot().waiting;
        if seen + 2 == BUNDLE { Ok(()) } else { Err(seen) }
    })
    .await
    .unwrap();

    let other = rig.worker(SLOTS).await;
    let come = Instant::now();
    rig.book.started(1 + 2 * SLOTS).await;
    let filled = come.elapsed();
    eprintln!("the idle worker had its slots full after {filled:?}");
    assert!(filled < FILLED_MAX, "{filled:?}");
    let started = [&one, &other].map(|stats| stats.snapshot().started);
    assert_eq!(started, [3, 2], "nothing of the message has ended yet");

    rig.book.open(64);
    assert_eq!(rig.all_completed(1 + BUNDLE).await, 1 + BUNDLE);
    assert_eq!(rig.book.runs(), (65, 65));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_gets_what_another_holds_from_real_servers() {
    let servers = SharedServers::get().await.unwrap();
    let rig = Rig::servers(servers.amqp_url(), &servers.redis_url(), Profile::Quorum).await;
    an_idle_worker_gets_what_another_holds(rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_gets_what_another_holds_from_the_embedded_store() {
    let folder = tempfile::tempdir().unwrap();
    an_idle_worker_gets_what_another_holds(Rig::embedded(folder.path()).await).await;
}

// Many messages, mixed run times.

/// Slots of each of the two workers.
const SLOTS: usize = 4;
/// Odd, so that one worker gets more of them than the other.
const BUNDLES: u64 = 15;
/// How long jobs take, in milliseconds, in turns: together 40 s of eight slots, which a busy machine changes little.
const TIMES: [u64; 7] = [20, 50, 100, 200, 400, 700, 1_000];

/// How the same work went.
#[derive(Debug)]
struct Went {
    makespan: Duration,
    /// The longest time for which one worker held jobs that it could not start while the other had free slots.
    held_beside_idle: Duration,
}

/// Mixed jobs on two workers. `None` bundles by what is known of the function: that it was quick until now.
async fn went(mut rig: Rig, bundle: Option<usize>) -> Went {
    rig.scheduler(Intervals::default()).await;
    let workers = [rig.worker(SLOTS).await, rig.worker(SLOTS).await];
    let mut done = 0;
    let client = if bundle.is_some() {
        rig.bundling(bundle)
    } else {
        enqueue(&rig.client, 0..100, |_| Pace::Quick).await;
        done += rig.all_completed(100).await;
        knows_the_function(&rig).await
    };
    let jobs = 1_000..1_000 + BUNDLES * BUNDLE;
    let expected = done + BUNDLES * BUNDLE;
    let start = Instant::now();
    enqueue(&client, jobs, |number| {
        Pace::Takes(TIMES[usize::try_from(number).unwrap() % TIMES.len()])
    })
    .await;
    let ended = || rig.book.ends().len() as u64 >= expected;
    let held_beside_idle = longest_held_beside_idle(&workers, ended).await;
    let makespan = start.elapsed();
    rig.stop().await;
    let went = Went {
        makespan,
        held_beside_idle,
    };
    eprintln!("bundles of {bundle:?}: {went:?}");
    went
}

/// A client that puts jobs of the function `step` together, since the store has counted quick ones of it.
async fn knows_the_function(rig: &Rig) -> Client {
    let client = rig.bundling(None);
    let mut numbers = 0..u64::MAX;
    eventually(LONG, "the client knows the function", || {
        let first = numbers.next().unwrap();
        let client = &client;
        async move {
            // Nobody works for this queue.
            let queue = format!("probe-{first}");
            let mut batch = Batch::new();
            for number in 0..2 {
                let pace = Pace::Quick;
                batch.add(Step { number, pace }).queue(&queue);
            }
            client.enqueue_many(batch).await.unwrap();
            if messages(rig, &queue).await == 1 {
                Ok(())
            } else {
                Err("two messages")
            }
        }
    })
    .await
    .unwrap();
    client
}

/// Looks at both workers until the work is done.
async fn longest_held_beside_idle(workers: &[Arc<WorkerStats>; 2], done: impl Fn() -> bool) -> Duration {
    let mut longest = Duration::ZERO;
    let mut since = [None; 2];
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let started = Instant::now();
    while !done() {
        ticks.tick().await;
        let now = Instant::now();
        assert!(now - started < LONG, "the work is not done after {LONG:?}");
        let loads = workers.each_ref().map(|stats| stats.snapshot());
        for (one, other) in [(0, 1), (1, 0)] {
            let holds = loads[one].waiting > 0;
            let is_idle = loads[other].busy < SLOTS as u64 && loads[other].waiting == 0;
            since[one] = (holds && is_idle).then(|| since[one].unwrap_or(now));
            longest = longest.max(since[one].map_or(Duration::ZERO, |since| now - since));
        }
    }
    longest
}

/// The same work in single messages, in messages of 64, and by run time, at the same time, so that the machine is as busy
/// for each.
async fn bundles_are_as_quick_as_single_messages(rigs: [Rig; 3]) {
    let [single, full, adaptive] = rigs;
    let (single, full, adaptive) = tokio::join!(
        Box::pin(went(single, Some(1))),
        Box::pin(went(full, Some(64))),
        Box::pin(went(adaptive, None))
    );
    for bundled in [&full, &adaptive] {
        let ratio = bundled.makespan.as_secs_f64() / single.makespan.as_secs_f64();
        assert!(ratio <= 1.1, "{ratio:.3}: {bundled:?} against {single:?}");
        assert!(bundled.held_beside_idle < HELD_MAX, "{bundled:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute; `scripts/test soak` runs it"]
async fn real_servers_soak_bundles_are_as_quick_as_single_messages() {
    let mut servers = Vec::new();
    let mut rigs = Vec::new();
    for _ in 0..3 {
        let own = SharedServers::get().await.unwrap();
        rigs.push(Rig::servers(own.amqp_url(), &own.redis_url(), Profile::Quorum).await);
        servers.push(own);
    }
    Box::pin(bundles_are_as_quick_as_single_messages(
        rigs.try_into().ok().unwrap(),
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute; `scripts/test soak` runs it"]
async fn soak_bundles_are_as_quick_as_single_messages_with_the_embedded_store() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let mut rigs = Vec::new();
    for folder in &folders {
        rigs.push(Rig::embedded(folder.path()).await);
    }
    Box::pin(bundles_are_as_quick_as_single_messages(
        rigs.try_into().ok().unwrap(),
    ))
    .await;
}

// Means.

async fn enqueue(client: &Client, numbers: std::ops::Range<u64>, pace: impl Fn(u64) -> Pace) {
    let mut batch = Batch::new();
    for number in numbers {
        let pace = pace(number);
        batch.add(Step { number, pace }).priority(Priority::Normal);
    }
    client.enqueue_many(batch).await.unwrap();
}

/// Messages that wait in the broker for a queue.
async fn messages(rig: &Rig, queue: &str) -> u64 {
    let queue = QueueName::new(queue).unwrap();
    let depths = rig.client_ports().consume.depths(vec![queue]).await.unwrap();
    depths.iter().map(|depth| depth.ready).sum()
}
