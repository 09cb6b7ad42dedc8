//! Follows jobs for every stream of this gateway: each job once, however many watch it.
//!
//! The store's hints say that a job has changed; it is then read at the next tick, so that what changes often is read at
//! most once a tick, and what changes at once is read in one round trip. Hints may be lost: every job is looked at from
//! time to time. Followers see the latest state alone. Nothing is kept for one that is slow.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use longshore::{Client, JobView};
use longshore_core::JobId;
use longshore_core::port::Ports;
use longshore_core::port::inspect::Wakes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::shared::Shared;

/// A job is read at most once in this time.
const TICK: Duration = Duration::from_millis(200);
/// How often a job is looked at without a hint, and how often when nothing brings hints.
const LOOK_EVERY: Duration = Duration::from_secs(3);
const LOOK_UNTOLD: Duration = Duration::from_secs(1);
/// How often an ended job is looked at: it may be requeued.
const LOOK_ENDED: Duration = Duration::from_secs(10);
/// How long the store may take to bring hints.
const SUBSCRIBE_MAX: Duration = Duration::from_secs(2);

/// A job as it was seen last; `None` when nobody knows it.
pub(crate) type Seen = Option<Arc<JobView>>;

/// Follows jobs, queues and statistics.
#[derive(Debug)]
pub(crate) struct Hub {
    jobs: Arc<Jobs>,
    /// How queues stand, as JSON.
    pub(crate) queues: Shared,
    /// The numbers of the overview, as JSON.
    pub(crate) overview: Shared,
    /// Statistics of the last hour, as JSON.
    pub(crate) statistics: Shared,
}

struct Jobs {
    client: Client,
    ports: Ports,
    born: Instant,
    followed: Mutex<HashMap<JobId, watch::Sender<Option<Seen>>>>,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs")
            .field("followed", &self.followed.lock().len())
            .finish_non_exhaustive()
    }
}

/// One follower of one job.
#[derive(Debug)]
pub(crate) struct Follow(watch::Receiver<Option<Seen>>);

impl Follow {
    /// The job's state: at once when it was read already, then whenever it has changed; the latest alone. `None` never
    /// comes while the gateway lives.
    pub(crate) async fn next(&mut self) -> Option<Seen> {
        loop {
            self.0.changed().await.ok()?;
            if let Some(seen) = self.0.borrow_and_update().clone() {
                return Some(seen);
            }
        }
    }
}

impl Hub {
    pub(crate) fn new(client: Client, ports: Ports) -> Self {
        Self {
            queues: Shared::queues(client.clone()),
            overview: Shared::overview(client.clone()),
            statistics: Shared::statistics(client.clone()),
            jobs: Arc::new(Jobs {
                client,
                ports,
                born: Instant::now(),
                followed: Mutex::default(),
            }),
        }
    }

    /// Follows a job.
    pub(crate) fn follow(&self, id: JobId) -> Follow {
        let mut followed = self.jobs.followed.lock();
        match followed.entry(id) {
            Entry::Occupied(known) => {
                let mut receiver = known.get().subscribe();
                receiver.mark_changed();
                Follow(receiver)
            }
            Entry::Vacant(place) => {
                let (sender, receiver) = watch::channel(None);
                place.insert(sender);
                drop(followed);
                tokio::spawn(Arc::clone(&self.jobs).read(id));
                Follow(receiver)
            }
        }
    }
}

impl Jobs {
    /// Reads a job whenever it may have changed, until nobody follows it.
    async fn read(self: Arc<Self>, id: JobId) {
        let mut wakes = self.subscribe(id).await;
        let mut ended = false;
        while self.look(id, &mut ended).await {
            let told = wakes.is_some();
            let pause = match (ended, told) {
                (true, _) => LOOK_ENDED,
                (false, true) => LOOK_EVERY,
                (false, false) => LOOK_UNTOLD,
            };
            let alive = tokio::select! {
                alive = wake(&mut wakes) => alive,
                () = tokio::time::sleep(pause) => true,
            };
            if !alive || (!told && !ended) {
                wakes = self.subscribe(id).await;
            }
            tokio::time::sleep_until(self.next_tick()).await;
        }
    }

    async fn subscribe(&self, id: JobId) -> Option<Box<dyn Wakes>> {
        let watching = self.ports.inspect.watch(vec![id]);
        let watching = tokio::time::timeout(SUBSCRIBE_MAX, watching).await;
        watching.ok().and_then(Result::ok)
    }

    /// Ticks of all jobs fall together, so that their reads share round trips.
    fn next_tick(&self) -> Instant {
        let now = Instant::now();
        let tick = TICK.as_nanos();
        let into = (now - self.born).as_nanos() % tick;
        now + Duration::from_nanos(u64::try_from(tick - into).unwrap_or(0))
    }

    /// Reads a job and tells its followers; answers whether there are any.
    async fn look(&self, id: JobId, ended: &mut bool) -> bool {
        let looked = self.client.summary(id).await;
        let mut followed = self.followed.lock();
        let Some(sender) = followed.get(&id) else {
            return false;
        };
        if sender.receiver_count() == 0 {
            followed.remove(&id);
            return false;
        }
        match looked {
            Ok(job) => {
                *ended = job.as_ref().is_none_or(|job| job.status.is_terminal());
                let seen: Seen = job.map(Arc::new);
                sender.send_if_modified(|last| {
                    let is_new = last.as_ref() != Some(&seen);
                    if is_new {
                        *last = Some(seen);
                    }
                    is_new
                });
            }
            Err(error) => tracing::debug!(%error, job = %id, "a job that is followed could not be read"),
        }
        true
    }
}

/// Waits for a hint; answers whether more may come.
async fn wake(wakes: &mut Option<Box<dyn Wakes>>) -> bool {
    match wakes {
        Some(source) => {
            let alive = source.next().await.is_some();
            if !alive {
                *wakes = None;
            }
            alive
        }
        None => std::future::pending().await,
    }
}
