//! The fleet: real clients, workers and schedulers on an embedded store, as tasks of one runtime for which time stands
//! still unless everybody waits.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use longshore::{Client, JobError};
use longshore_backend::embedded::{Options, Store, Sync};
use longshore_core::shard::Shards;
use longshore_core::{FunctionName, JobSpec, WorkerId, value};
use longshore_scheduler::{Intervals, Scheduler};
use longshore_testkit::factory::SeededRandom;
use longshore_worker::{JobContext, Worker};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, Weather};
use crate::handler::handle;
use crate::weaker::Without;
use crate::world::World;

pub(crate) const SHARDS: u64 = 3;
pub(crate) const WORKERS: usize = 4;
const SCHEDULERS: usize = 3;
/// Calls of healthy actors take up to so many milliseconds.
const CALM: u64 = 20;
/// What every worker runs, and what the first alone does.
pub(crate) const EVERYWHERE: [&str; 2] = ["work", "tick"];
pub(crate) const RARE: &str = "rare";

/// A worker or a scheduler.
pub(crate) struct Actor {
    pub(crate) gate: Gate,
    alive: CancellationToken,
    /// Tells it to end by itself.
    stop: CancellationToken,
    task: JoinHandle<()>,
}

pub(crate) struct Fleet {
    pub(crate) world: Arc<World>,
    seed: u64,
    without: Option<Without>,
    /// Processes so far, each with randomness of its own.
    lives: Cell<u64>,
    folder: PathBuf,
    pub(crate) store: RefCell<Option<Store>>,
    /// Workers, then schedulers.
    pub(crate) actors: RefCell<Vec<Actor>>,
}

impl Fleet {
    pub(crate) fn start(world: Arc<World>, seed: u64, without: Option<Without>, folder: PathBuf) -> Rc<Self> {
        let fleet = Rc::new(Self {
            world,
            seed,
            without,
            lives: Cell::new(0),
            folder,
            store: RefCell::default(),
            actors: RefCell::default(),
        });
        fleet.begin();
        fleet
    }

    /// One process opens the folder and has everybody in it.
    fn begin(&self) {
        let options = Options {
            shards: Some(Shards::new(SHARDS).unwrap()),
            sync: Sync::Process,
            clock: self.world.clock.clone(),
            random: self.random(),
        };
        let store = Store::open(&self.folder, options).unwrap();
        self.world.is_kept_in(store.ports());
        *self.store.borrow_mut() = Some(store);
        let mut actors: Vec<_> = (0..WORKERS).map(|number| self.worker(number)).collect();
        actors.extend((0..SCHEDULERS).map(|_| self.scheduler()));
        *self.actors.borrow_mut() = actors;
    }

    pub(crate) fn gate(&self) -> Gate {
        let weather = Arc::new(Weather::default());
        weather.set(0, 0, CALM);
        Gate {
            world: Arc::clone(&self.world),
            weather,
            without: self.without,
        }
    }

    pub(crate) fn random(&self) -> Arc<SeededRandom> {
        self.lives.set(self.lives.get() + 1);
        Arc::new(SeededRandom::new(self.seed.wrapping_add(self.lives.get() << 20)))
    }

    /// A client of the store as it is open now.
    pub(crate) fn client(&self, gate: &Gate) -> Client {
        let ports = gate.around(self.world.ports());
        Client::from_ports(ports, self.world.clock.clone(), self.random())
    }

    /// The worker in this place.
    fn worker(&self, number: usize) -> Actor {
        let (gate, alive, random) = (self.gate(), CancellationToken::new(), self.random());
        let stop = CancellationToken::new();
        let id = WorkerId(format!("w-{}", self.lives.get()));
        self.world.tell(&format!("worker {} starts", id.0));
        let mut builder = Worker::builder(gate.around(self.world.ports()))
            .id(id)
            .max_workers(4)
            .shutdown(stop.clone())
            .clock(self.world.clock.clone())
            .random(random);
        for name in EVERYWHERE.into_iter().chain((number == 0).then_some(RARE)) {
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
        Actor {
            gate,
            alive,
            stop,
            task,
        }
    }

    fn scheduler(&self) -> Actor {
        let (gate, random) = (self.gate(), self.random());
        let (stop, bundle) = (CancellationToken::new(), 1 + self.world.below(8));
        let scheduler = Scheduler::builder(gate.around(self.world.ports()))
            .holder(format!("s-{}", self.lives.get()))
            .intervals(unhurried())
            .bundle_max(usize::try_from(bundle).unwrap())
            .shutdown(stop.clone())
            .clock(self.world.clock.clone())
            .random(random)
            .build();
        let alive = CancellationToken::new();
        let task = spawn_local(async move {
            drop(scheduler.run().await);
        });
        Actor {
            gate,
            alive,
            stop,
            task,
        }
    }

    /// Ends an actor as a kill does, and starts another in its place.
    pub(crate) fn kill(&self, number: usize) {
        let next = if number < WORKERS {
            self.worker(number)
        } else {
            self.scheduler()
        };
        let old = std::mem::replace(&mut self.actors.borrow_mut()[number], next);
        old.ends();
        if number >= WORKERS && self.without == Some(Without::Farewell) {
            let name = format!("gone-{}", self.lives.get());
            spawn_local(lease_for_ever(Arc::clone(&self.world), name));
        }
    }

    /// The process with the store dies, and everybody in it; another one opens the folder.
    pub(crate) fn dies_and_begins(&self) {
        for actor in self.actors.borrow_mut().drain(..) {
            actor.ends();
        }
        let store = self.store.borrow_mut().take().unwrap();
        store.close().unwrap();
        self.begin();
    }

    /// Starts another in the place of everybody who died at a call or ended. Nobody ends without being told to.
    pub(crate) fn replace_the_dead(&self) {
        let count = self.actors.borrow().len();
        for number in 0..count {
            let (gone, gave_up) = {
                let actor = &self.actors.borrow()[number];
                (actor.is_gone(), actor.gave_up())
            };
            if gave_up {
                self.world.breaks(format!("actor {number} has given up"));
            }
            if gone {
                self.kill(number);
            }
        }
    }

    /// No fault any more.
    pub(crate) fn heal(&self) {
        self.replace_the_dead();
        for actor in self.actors.borrow().iter() {
            actor.gate.weather.set(0, 0, CALM);
            actor.gate.weather.freeze_until(Duration::ZERO);
            actor.gate.weather.dies_after(0);
        }
    }

    pub(crate) fn end(&self) {
        for actor in self.actors.borrow_mut().drain(..) {
            actor.ends();
        }
    }
}

impl Actor {
    fn ends(self) {
        self.gate.weather.dies();
        self.alive.cancel();
        self.task.abort();
    }

    /// It is told to end: it drains, and gives back what it has.
    pub(crate) fn is_to_end(&self) {
        self.stop.cancel();
    }

    fn is_gone(&self) -> bool {
        self.gate.weather.is_dead() || self.task.is_finished()
    }

    fn gave_up(&self) -> bool {
        self.task.is_finished() && !self.stop.is_cancelled() && !self.gate.weather.is_dead()
    }
}

/// What a task does that a dropped scheduler has left behind.
async fn lease_for_ever(world: Arc<World>, name: String) {
    loop {
        let port = world.ports().schedule;
        let want = usize::try_from(SHARDS).unwrap();
        drop(
            port.lease_shards(name.clone(), want, Duration::from_secs(8))
                .await,
        );
        sleep(Duration::from_secs(2)).await;
    }
}

pub(crate) fn spec(function: &str) -> JobSpec {
    let args = value::encode("args", &7_u8).unwrap();
    JobSpec::new(FunctionName::new(function).unwrap(), args)
}

/// Looking less often than in earnest changes nothing but how long a simulation takes.
fn unhurried() -> Intervals {
    let seconds = Duration::from_secs;
    Intervals {
        dispatch_outbox: seconds(1),
        promote_due: seconds(1),
        promote_due_idle: seconds(2),
        expire_leases: seconds(5),
        expire_waiting: seconds(5),
        tell_children: seconds(2),
        verify_edges: seconds(5),
        keep_dead_letters: seconds(10),
        release_parked: seconds(15),
        fire_cron: seconds(2),
        send_notifications: seconds(60),
        apply_cron: seconds(600),
        compare_indexes: seconds(30),
        prune_finished: seconds(60),
        ..Intervals::default()
    }
}
