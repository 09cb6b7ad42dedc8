//! Two workers: what one holds and cannot start, the other gets within a moment, and nobody asks while nobody holds. Time is
//! simulated, so that it is exact on any machine.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use longshore::{Client, JobError};
use longshore_backend::embedded::{Options, Store};
use longshore_scheduler::{Intervals, Scheduler};
use longshore_testkit::factory::SeededRandom;
use longshore_worker::{JobContext, Worker};
use parking_lot::Mutex;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use crate::fleet::spec;
use crate::gate::{Gate, Weather};
use crate::world::World;

/// Jobs that the first worker gets; it ends none.
const JOBS: usize = 13;
/// The longest that jobs may be held beside a free slot: a second until they count as held for long, a second until it is
/// told that the slot is free again, a second until it is asked for, a fifth until the scheduler publishes.
const HELD_MAX: Duration = Duration::from_millis(3_200);

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Questions and tells of both in a minute in which they have nothing to do.
    pub(crate) idle_calls: u64,
    /// Questions of the first in a minute in which it holds jobs alone.
    pub(crate) asks_a_minute: u64,
    /// The second worker's waits for each of its jobs, while the first holds some.
    pub(crate) waits: Vec<Duration>,
}

impl Seen {
    pub(crate) fn check(&self) {
        assert_eq!(self.idle_calls, 0, "{self:?}");
        assert!((1..=61).contains(&self.asks_a_minute), "{self:?}");
        assert_eq!(self.waits.len(), JOBS - 1, "{self:?}");
        let longest = self.waits.iter().max().unwrap();
        assert!(*longest <= HELD_MAX, "{self:?}");
    }
}

struct Place {
    world: Arc<World>,
    store: Store,
}

impl Place {
    fn gate(&self) -> Gate {
        Gate {
            world: Arc::clone(&self.world),
            weather: Arc::new(Weather::default()),
            without: None,
        }
    }

    /// A worker with one slot. Its jobs take so long; its starts and ends are noted.
    fn worker(&self, name: &str, takes: Duration, noted: &Arc<Mutex<Vec<Instant>>>) -> Arc<Weather> {
        let gate = self.gate();
        let noted = Arc::clone(noted);
        let worker = Worker::builder(gate.around(self.store.ports()))
            .id(longshore_core::WorkerId(name.to_owned()))
            .max_workers(1)
            .prefetch(64)
            .clock(self.world.clock.clone())
            .random(Arc::new(SeededRandom::new(takes.as_secs())))
            .register_named("work", move |_: serde_json::Value, _: JobContext| {
                let noted = Arc::clone(&noted);
                async move {
                    noted.lock().push(Instant::now());
                    sleep(takes).await;
                    noted.lock().push(Instant::now());
                    Ok::<u8, JobError>(0)
                }
            })
            .build()
            .unwrap();
        spawn_local(async move { drop(worker.run_in_place().await) });
        gate.weather
    }

    fn scheduler(&self) {
        let scheduler = Scheduler::builder(self.store.ports())
            .holder("s".to_owned())
            .intervals(Intervals::default())
            .clock(self.world.clock.clone())
            .random(Arc::new(SeededRandom::new(7)))
            .build();
        spawn_local(async move { drop(scheduler.run().await) });
    }
}

fn calls(weather: &Weather) -> u64 {
    weather.asks.load(Ordering::SeqCst) + weather.tells.load(Ordering::SeqCst)
}

pub(crate) async fn seen() -> Seen {
    const MINUTE: Duration = Duration::from_secs(60);
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(5);
    let options = Options {
        clock: world.clock.clone(),
        random: Arc::new(SeededRandom::new(9)),
        ..Options::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    let place = Place { world, store };
    place.scheduler();
    let [full, idle] = [(); 2].map(|()| Arc::new(Mutex::new(Vec::new())));
    let one = place.worker("full", Duration::from_secs(3_000), &full);
    sleep(Duration::from_secs(30)).await;
    let before = calls(&one);
    sleep(MINUTE).await;
    let idle_calls = calls(&one) - before;

    let random = Arc::new(SeededRandom::new(11));
    let client = Client::from_ports(place.store.ports(), place.world.clock.clone(), random);
    for _ in 0..JOBS {
        client.enqueue_spec(spec("work")).await.unwrap();
    }
    sleep(Duration::from_secs(30)).await;
    let before = one.asks.load(Ordering::SeqCst);
    sleep(MINUTE).await;
    let asks_a_minute = one.asks.load(Ordering::SeqCst) - before;

    let come = Instant::now();
    place.worker("idle", Duration::from_millis(50), &idle);
    sleep(MINUTE).await;
    let noted = idle.lock().clone();
    // From its coming, and then from each end, to the next start.
    let starts = noted.iter().step_by(2);
    let since = std::iter::once(&come).chain(noted.iter().skip(1).step_by(2));
    let waits = starts.zip(since).map(|(start, since)| *start - *since).collect();
    Seen {
        idle_calls,
        asks_a_minute,
        waits,
    }
}
