//! Producers: they enqueue jobs of all kinds, cancel some, die on the way now and then, and ask again when they were not
//! told what became of a job.

use std::rc::Rc;
use std::time::Duration;

use longshore::{Batch, BatchRef, Client, EnqueueError};
use longshore_core::port::enqueue::CancelReply;
use longshore_core::spec::{Dependency, EdgePolicy, Fencing, OnFailed, Start};
use longshore_core::{Clock as _, JobId, JobSpec, Priority};
use longshore_testkit::factory::SeededRandom;
use longshore_testkit::history::Event;
use tokio::time::{Instant, sleep, timeout};

use crate::fleet::{EVERYWHERE, Fleet, RARE, SHARDS, spec};
use crate::gate::Gate;

/// A job to be enqueued.
struct Order {
    id: JobId,
    spec: JobSpec,
    /// Its parents in the same batch, by their places.
    inner: Vec<usize>,
}

struct Producer {
    fleet: Rc<Fleet>,
    gate: Gate,
    client: Client,
    known: Vec<JobId>,
    ids: std::sync::Arc<SeededRandom>,
}

/// Enqueues and cancels until the time is over.
pub(crate) async fn produce(fleet: Rc<Fleet>, until: Instant) {
    let (gate, client, ids) = set_up(&fleet);
    let mut producer = Producer {
        gate,
        client,
        ids,
        known: Vec::new(),
        fleet,
    };
    while Instant::now() < until {
        sleep(Duration::from_millis(producer.fleet.world.below(30_000))).await;
        producer.enqueue().await;
        if producer.fleet.world.once_in(12) {
            producer.cancel().await;
        }
    }
}

fn set_up(fleet: &Fleet) -> (Gate, Client, std::sync::Arc<SeededRandom>) {
    let gate = fleet.gate();
    gate.weather.set(20, 20, 50);
    let client = fleet.client(&gate);
    (gate, client, fleet.random())
}

impl Producer {
    /// One job or a batch. Who was not told what became of it may ask again, with the same ids.
    async fn enqueue(&mut self) {
        let world = std::sync::Arc::clone(&self.fleet.world);
        let count = if world.once_in(8) { 2 + world.below(30) } else { 1 };
        let mut orders: Vec<Order> = Vec::new();
        for _ in 0..count {
            orders.push(self.order(&orders));
        }
        for _ in 0..3 {
            if world.once_in(5) {
                self.gate.weather.dies_after(1 + world.below(8));
            }
            match self.send(&orders).await {
                Ok(()) => {
                    for order in orders {
                        world.saw(order.id, Event::Acknowledged);
                        self.known.push(order.id);
                    }
                    return;
                }
                Err(error) => world.tell(&format!("{} is not enqueued: {error}", orders[0].id)),
            }
            if self.gate.weather.is_dead() {
                world.fault("a producer has died");
            }
            (self.gate, self.client, _) = set_up(&self.fleet);
            if world.once_in(2) {
                return;
            }
        }
    }

    async fn send(&self, orders: &[Order]) -> Result<(), EnqueueError> {
        if let [one] = orders {
            return self
                .client
                .enqueue_spec(one.spec.clone())
                .id(one.id)
                .await
                .map(drop);
        }
        let (mut batch, mut jobs) = (Batch::new(), Vec::new());
        for order in orders {
            let parents: Vec<BatchRef> = order.inner.iter().map(|place| jobs[*place]).collect();
            let job = batch.add_spec(order.spec.clone()).id(order.id);
            jobs.push(job.depends_on(parents).reference());
        }
        self.client.enqueue_many(batch).await.map(drop)
    }

    /// The next job of a batch.
    fn order(&self, before: &[Order]) -> Order {
        let world = &self.fleet.world;
        let shard = u16::try_from(world.below(SHARDS)).unwrap();
        let id = JobId::generate(world.clock.now(), shard, &*self.ids);
        let mut inner = Vec::new();
        if !before.is_empty() && world.once_in(4) {
            let place = usize::try_from(world.below(before.len() as u64)).unwrap();
            world.depends(id, before[place].id, true);
            inner.push(place);
        }
        let spec = self.draw(id);
        Order { id, spec, inner }
    }

    fn draw(&self, id: JobId) -> JobSpec {
        let world = &self.fleet.world;
        let function = if world.once_in(12) { RARE } else { EVERYWHERE[0] };
        let mut spec = spec(function);
        spec.max_retries = u32::try_from(world.below(4)).unwrap();
        spec.priority = *world.pick(&Priority::DESCENDING);
        if world.once_in(4) {
            spec.start = Start::After(Duration::from_secs(world.below(1_200)));
        }
        if world.once_in(10) {
            spec.expires_in = Some(Duration::from_secs(1 + world.below(1_800)));
        }
        if world.once_in(10) {
            let within = Duration::from_secs(60 + world.below(3_600));
            spec.deadline = Some(world.clock.now().after(within));
        }
        if world.once_in(8) {
            spec.timeout = Some(Duration::from_secs(1 + world.below(60)));
        }
        if world.once_in(6) {
            spec.fencing = Fencing::Strict;
        }
        let parents = if world.once_in(3) { 1 + world.below(2) } else { 0 };
        for _ in 0..parents.min(self.known.len() as u64) {
            // Late ones are more likely to be alive.
            let late = &self.known[self.known.len().saturating_sub(10)..];
            let parent = *world.pick(late);
            let policy = EdgePolicy::from_code(u8::try_from(world.below(6)).unwrap()).unwrap();
            if spec.depends_on.iter().all(|known| known.id != parent) {
                world.depends(id, parent, policy.on_failed == OnFailed::Wait);
                spec.depends_on.push(Dependency { id: parent, policy });
            }
        }
        spec
    }

    async fn cancel(&mut self) {
        let Some(id) = self.known.last().copied() else {
            return;
        };
        // One that died since its last enqueue is never answered.
        let asked = timeout(Duration::from_secs(60), self.client.cancel(id, "enough"));
        if let Ok(Ok(CancelReply::Cancelled | CancelReply::Requested)) = asked.await {
            self.fleet.world.saw(id, Event::CancelTold);
        }
    }
}
