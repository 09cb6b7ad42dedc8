//! One seed: a storm, healing, rest, and the judgement.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use longshore_core::record::Index;
use longshore_core::{JobId, JobStatus, QueueName};
use longshore_testkit::history::Verdict;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use crate::fleet::{Fleet, spec};
use crate::weaker::Without;
use crate::world::World;
use crate::{producer, storm};

/// How long everything may take to come to rest after the faults.
const REST_MAX: Duration = Duration::from_secs(8 * 3_600);
/// A weaker fleet needs no such patience: whole ones rest within half an hour, but for what is looked at seldom.
const WEAKER_REST_MAX: Duration = Duration::from_secs(3_600);
const PRODUCERS: usize = 3;

/// What a simulation leaves behind.
pub(crate) struct Lived {
    pub(crate) verdict: Verdict,
    /// Laws that were broken besides: what has not come to rest, what disagrees.
    broken: Vec<String>,
    pub(crate) story: String,
    pub(crate) faults: u64,
    pub(crate) ticks: usize,
    pub(crate) simulated: Duration,
}

impl Lived {
    /// Every promise and law that was broken.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let promises = self.verdict.violations.iter();
        let promises =
            promises.map(|broken| format!("{:?}: {}: {}", broken.invariant, broken.job, broken.what));
        promises.chain(self.broken.iter().cloned()).collect()
    }
}

/// Lives a seed until everything has come to rest.
pub(crate) async fn live(seed: u64, without: Option<Without>, stormy: Duration) -> Lived {
    let world = World::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let fleet = Fleet::start(std::sync::Arc::clone(&world), seed, without, path);
    let operator = fleet.client(&fleet.gate());
    let entry = operator.cron().add_spec("cron", "*/5 * * * *", spec("tick"));
    entry.await.unwrap();
    let until = Instant::now() + stormy;
    let mut people: Vec<_> = (0..PRODUCERS)
        .map(|_| spawn_local(producer::produce(Rc::clone(&fleet), until)))
        .collect();
    people.push(spawn_local(storm::operate(Rc::clone(&fleet), until)));
    storm::rage(&fleet, until).await;
    for person in people {
        person.await.unwrap();
    }
    world.tell("the storm is over");
    fleet.heal();
    storm::resume(&fleet).await;
    end_cron(&fleet).await;
    rest(
        &fleet,
        if without.is_some() {
            WEAKER_REST_MAX
        } else {
            REST_MAX
        },
    )
    .await;
    compare(&fleet).await;
    let ends = ends(&world).await;
    fleet.end();
    Lived {
        verdict: world.judge(&ends),
        broken: world.broken(),
        story: world.story(),
        faults: world.faults(),
        ticks: world.ticks(),
        simulated: world.passed(),
    }
}

/// No more ticks, or nothing ever comes to rest.
async fn end_cron(fleet: &Fleet) {
    while fleet.client(&fleet.gate()).cron().remove("cron").await.is_err() {
        sleep(Duration::from_secs(1)).await;
    }
}

async fn rest(fleet: &Fleet, within: Duration) {
    let until = Instant::now() + within;
    let mut left = Vec::new();
    while Instant::now() < until {
        sleep(Duration::from_secs(60)).await;
        fleet.replace_the_dead();
        left = restless(fleet).await;
        if left.is_empty() {
            return;
        }
    }
    for what in left {
        fleet.world.breaks(format!("at rest: {what}"));
    }
}

/// What has not come to rest: jobs that neither ended nor wait for a person, rows of daemons, messages.
async fn restless(fleet: &Fleet) -> Vec<String> {
    let ports = fleet.world.ports();
    let ends = ends(&fleet.world).await;
    let waiting = ends
        .keys()
        .filter(|job| fleet.world.waits_for_a_person(**job, &ends));
    let mut left = Vec::new();
    let mut open: BTreeMap<JobStatus, u64> = BTreeMap::new();
    for view in ports.inspect.queues().await.unwrap_or_default().into_values() {
        for (status, count) in view.counts {
            *open.entry(status).or_default() += count;
        }
    }
    let blocked = open.entry(JobStatus::Blocked).or_default();
    *blocked = blocked.saturating_sub(waiting.count() as u64);
    open.retain(|status, count| !status.is_terminal() && *count > 0);
    left.extend(
        open.into_iter()
            .map(|(status, count)| format!("{count} jobs are {status}")),
    );
    for shard in ports.enqueue.shards().all() {
        let Ok(state) = ports.checkup.shard_state(shard).await else {
            left.push(format!("shard {shard} does not answer"));
            continue;
        };
        // Rows of jobs that have not ended are counted with them.
        let rows = state
            .heads
            .iter()
            .filter(|head| matches!(head.index, Index::Rel | Index::Dead));
        left.extend(rows.map(|head| format!("shard {shard}: {} rows in {}", head.rows, head.index.as_str())));
    }
    let depths = ports
        .consume
        .depths(vec![QueueName::default()])
        .await
        .unwrap_or_default();
    let ready: u64 = depths.iter().map(|depth| depth.ready).sum();
    if ready > 0 {
        left.push(format!("{ready} messages in the broker"));
    }
    left
}

/// Every row of every index against the records.
async fn compare(fleet: &Fleet) {
    let ports = fleet.world.ports();
    for shard in ports.enqueue.shards().all() {
        let mut from = None;
        loop {
            let look = ports
                .checkup
                .compare_index(shard, from, 1_000, false)
                .await
                .unwrap();
            for fault in look.faults {
                fleet.world.breaks(format!("an index disagrees: {fault:?}"));
            }
            from = look.next;
            if from.is_none() {
                break;
            }
        }
    }
}

async fn ends(world: &World) -> BTreeMap<JobId, Option<JobStatus>> {
    let mut ends = BTreeMap::new();
    for job in world.jobs() {
        ends.insert(job, world.status(job).await);
    }
    ends
}
