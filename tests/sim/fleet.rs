//! The fleet: real clients, workers and schedulers on an embedded store, as tasks of one runtime for which time stands
//! still unless everybody waits; and the faults that come over them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use longshore::{Client, JobError};
use longshore_backend::embedded::{Options, Store, Sync};
use longshore_core::port::Ports;
use longshore_core::shard::Shards;
use longshore_core::spec::{Dependency, EdgePolicy, Start};
use longshore_core::{Clock as _, FunctionName, JobId, JobSpec, JobStatus, Timestamp, WorkerId, value};
use longshore_scheduler::Scheduler;
use longshore_testkit::factory::SeededRandom;
use longshore_testkit::history::{Event, Verdict};
use longshore_worker::{JobContext, Worker};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::faulty::{Gate, Weather};
use crate::world::World;

/// How long faults come.
const STORM: Duration = Duration::from_secs(2 * 3_600);
/// How long everything may take to come to rest after them.
const REST_MAX: Duration = Duration::from_secs(6 * 3_600);
/// The cron entry fires every five minutes.
const TICK: u64 = 300_000;
const PRODUCERS: usize = 3;
const WORKERS: usize = 4;
const SCHEDULERS: usize = 3;
/// Calls of healthy actors take up to so many milliseconds.
const CALM: u64 = 5;

/// What a simulation leaves behind.
pub(crate) struct Ran {
    pub(crate) verdict: Verdict,
    pub(crate) story: String,
    pub(crate) faults: u64,
    pub(crate) ticks: usize,
    pub(crate) simulated: Duration,
}

struct Actor {
    gate: Gate,
    alive: CancellationToken,
    task: JoinHandle<()>,
}

struct Fleet {
    world: Arc<World>,
    ports: Ports,
    seed: u64,
    lives: std::cell::Cell<u64>,
}

/// Runs the fleet from a seed until everything has come to rest.
pub(crate) async fn run(seed: u64) -> Ran {
    let world = World::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        shards: Some(Shards::new(3).unwrap()),
        sync: Sync::Process,
        clock: world.clock.clone(),
        random: Arc::new(SeededRandom::new(seed ^ 0x5109)),
    };
    let store = Store::open(folder.path(), options).unwrap();
    world.is_kept_in(store.ports());
    let fleet = Rc::new(Fleet {
        ports: store.ports(),
        world: Arc::clone(&world),
        seed,
        lives: std::cell::Cell::new(0),
    });
    fleet.put_cron().await;
    let until = Instant::now() + STORM;
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|_| spawn_local(Rc::clone(&fleet).produce(until)))
        .collect();
    let mut actors: Vec<_> = (0..WORKERS).map(|_| fleet.worker()).collect();
    actors.extend((0..SCHEDULERS).map(|_| fleet.scheduler()));
    fleet.storm(&mut actors, until).await;
    for producer in producers {
        producer.await.unwrap();
    }
    world.tell("the storm is over");
    fleet.heal(&mut actors);
    fleet.rest().await;
    let verdict = fleet.judge().await;
    for actor in actors {
        actor.alive.cancel();
        actor.task.abort();
    }
    Ran {
        verdict,
        story: world.story(),
        faults: world.faults(),
        ticks: world.ticks(),
        simulated: world.passed(),
    }
}

impl Fleet {
    fn gate(&self, late: u64) -> Gate {
        let weather = Arc::new(Weather::default());
        weather.set(0, 0, late);
        Gate {
            world: Arc::clone(&self.world),
            weather,
        }
    }

    fn random(&self) -> Arc<SeededRandom> {
        self.lives.set(self.lives.get() + 1);
        Arc::new(SeededRandom::new(self.seed.wrapping_add(self.lives.get() << 20)))
    }

    fn client(&self, gate: &Gate) -> Client {
        Client::from_ports(
            gate.around(self.ports.clone()),
            self.world.clock.clone(),
            self.random(),
        )
    }

    async fn put_cron(&self) {
        let client = self.client(&self.gate(0));
        client
            .cron()
            .add_spec("cron", "*/5 * * * *", spec("tick"))
            .await
            .unwrap();
    }

    fn worker(&self) -> Actor {
        let gate = self.gate(CALM);
        let alive = CancellationToken::new();
        let random = self.random();
        let id = WorkerId(format!("w-{}", self.lives.get()));
        self.world.tell(&format!("worker {} starts", id.0));
        let mut builder = Worker::builder(gate.around(self.ports.clone()))
            .id(id)
            .max_workers(4)
            .clock(self.world.clock.clone())
            .random(random);
        for name in ["work", "tick"] {
            let (gate, alive) = (gate.clone(), alive.clone());
            builder = builder.register_named(name, move |_: serde_json::Value, ctx: JobContext| {
                let (gate, alive) = (gate.clone(), alive.clone());
                async move {
                    let ended = alive.run_until_cancelled(handle(&gate, &ctx)).await;
                    // Whoever was killed tells nobody how it ended.
                    ended.unwrap_or_else(|| Err(JobError::transient("killed")))
                }
            });
        }
        let worker = builder.build().unwrap();
        let task = spawn_local(async move {
            drop(worker.run_in_place().await);
        });
        Actor { gate, alive, task }
    }

    fn scheduler(&self) -> Actor {
        let gate = self.gate(CALM);
        let random = self.random();
        let scheduler = Scheduler::builder(gate.around(self.ports.clone()))
            .holder(format!("s-{}", self.lives.get()))
            .clock(self.world.clock.clone())
            .random(random)
            .build();
        let alive = CancellationToken::new();
        let task = spawn_local(async move {
            drop(scheduler.run().await);
        });
        Actor { gate, alive, task }
    }

    /// Faults, one after the other, until the time is over.
    async fn storm(&self, actors: &mut [Actor], until: Instant) {
        while Instant::now() < until {
            sleep(Duration::from_secs(5 + self.world.below(55))).await;
            let number = usize::try_from(self.world.below(actors.len() as u64)).unwrap();
            self.world.count_fault();
            let kind = self.world.below(8);
            match kind {
                0..=2 => self.kill(actors, number),
                3 | 4 => {
                    let by = self.world.below(90_000);
                    let now = u64::try_from(self.world.passed().as_millis()).unwrap();
                    self.world.tell(&format!("actor {number} freezes for {by} ms"));
                    actors[number].gate.weather.freeze_until(now + by);
                }
                5 => {
                    self.world.tell(&format!("actor {number} has bad weather"));
                    actors[number].gate.weather.set(100, 100, 2_000);
                }
                6 => {
                    self.world.tell("the weather is fine");
                    for actor in actors.iter() {
                        actor.gate.weather.set(5, 5, CALM);
                    }
                }
                _ => {
                    let by = Duration::from_secs(self.world.below(4_000));
                    self.world.tell(&format!("the clock jumps by {by:?}"));
                    self.world.clock.jump(by);
                }
            }
        }
    }

    /// Ends an actor as a kill does, and starts another in its place.
    fn kill(&self, actors: &mut [Actor], number: usize) {
        self.world.tell(&format!("actor {number} is killed"));
        let next = if number < WORKERS {
            self.worker()
        } else {
            self.scheduler()
        };
        let old = std::mem::replace(&mut actors[number], next);
        old.alive.cancel();
        old.task.abort();
    }

    fn heal(&self, actors: &mut [Actor]) {
        for number in 0..actors.len() {
            actors[number].gate.weather.set(0, 0, CALM);
            actors[number].gate.weather.freeze_until(0);
            // One that gave up in the storm is started by whoever supervises it.
            if actors[number].task.is_finished() {
                self.kill(actors, number);
            }
        }
    }

    /// Enqueues and cancels until the time is over.
    async fn produce(self: Rc<Self>, until: Instant) {
        let gate = self.gate(CALM);
        gate.weather.set(20, 20, 50);
        let mut client = self.client(&gate);
        let mut known: Vec<JobId> = Vec::new();
        let ids = self.random();
        while Instant::now() < until {
            sleep(Duration::from_millis(self.world.below(30_000))).await;
            let id = self.new_id(&ids);
            let mut spec = spec("work");
            spec.max_retries = 2;
            if self.world.below(4) == 0 {
                spec.start = Start::After(Duration::from_secs(self.world.below(1_200)));
            }
            let parent = (!known.is_empty() && self.world.below(3) == 0)
                .then(|| known[usize::try_from(self.world.below(known.len() as u64)).unwrap()]);
            if let Some(id) = parent {
                let policy = EdgePolicy::from_code(u8::try_from(4 + self.world.below(2)).unwrap()).unwrap();
                spec.depends_on = vec![Dependency { id, policy }];
            }
            if let Some(parent) = parent {
                self.world.depends(id, parent);
            }
            let enqueue = client.enqueue_spec(spec).id(id);
            // Some producers die on the way.
            let patience = if self.world.below(5) == 0 {
                self.world.below(60)
            } else {
                120_000
            };
            match timeout(Duration::from_millis(patience), enqueue).await {
                Ok(Ok(_)) => {
                    self.world.saw(id, Event::Acknowledged);
                    known.push(id);
                }
                Ok(Err(_)) => {}
                Err(_) => client = self.client(&gate),
            }
            if self.world.below(12) == 0
                && let Some(id) = known.last()
                && client.cancel(*id, "enough").await.is_ok()
            {
                self.world.saw(*id, Event::CancelTold);
            }
        }
    }

    fn new_id(&self, random: &SeededRandom) -> JobId {
        let shard = u16::try_from(self.world.below(3)).unwrap();
        JobId::generate(self.world.clock.now(), shard, random)
    }

    async fn rest(&self) {
        let until = Instant::now() + REST_MAX;
        while Instant::now() < until {
            sleep(Duration::from_secs(60)).await;
            let mut open = 0;
            for id in self.world.jobs() {
                open += usize::from(!self.world.status(id).await.is_none_or(JobStatus::is_terminal));
            }
            if open == 0 {
                return;
            }
        }
        self.world.tell("it did not come to rest");
    }

    async fn judge(&self) -> Verdict {
        let mut ends = std::collections::BTreeMap::new();
        for id in self.world.jobs() {
            ends.insert(id, self.world.status(id).await);
        }
        self.world.judge(|job| ends.get(&job).copied().flatten())
    }
}

/// The tick that a job was made for, by its id; 0 for one that no tick explains.
fn tick_of(ctx: &JobContext) -> u64 {
    let made = ctx.envelope().created_at.millis();
    let shard = ctx.id().carried_shard().unwrap_or(0);
    let ticks = (0..50).map(|back| (made / TICK - back) * TICK);
    let mut mine = ticks.filter(|tick| JobId::from_cron_tick("cron", Timestamp(*tick), shard) == ctx.id());
    mine.next().unwrap_or(0)
}

fn spec(function: &str) -> JobSpec {
    let args = value::encode("args", &7_u8).unwrap();
    JobSpec::new(FunctionName::new(function).unwrap(), args)
}

/// A handler that takes a while, and fails now and then.
async fn handle(gate: &Gate, ctx: &JobContext) -> Result<u8, JobError> {
    let world = &gate.world;
    let (attempt, fence) = (ctx.attempt(), ctx.fence());
    world.look_at_parents(ctx.id()).await;
    world.starts(ctx.id(), attempt, fence);
    if ctx.envelope().function_name.as_str() == "tick" {
        world.ticked(tick_of(ctx), ctx.id());
    }
    let takes = if world.below(20) == 0 { 120_000 } else { 3_000 };
    tokio::select! {
        () = sleep(Duration::from_millis(world.below(takes))) => {}
        () = ctx.cancelled() => return Err(JobError::cancelled()),
    }
    gate.thawed().await;
    let dice = world.below(20);
    if dice == 0 {
        return Err(JobError::permanent("no"));
    }
    if dice < 4 {
        return Err(JobError::transient("later"));
    }
    world.saw(ctx.id(), Event::Ended { attempt });
    Ok(1)
}
