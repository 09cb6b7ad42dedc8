//! Ports that fail: each actor has a gate of its own, through which all its calls go. A call may be late, may not be
//! made, or may be made and its answer lost; an actor that is frozen calls nothing until it wakes.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::clock::Timestamp;
use longshore_core::message::{Gen, Message};
use longshore_core::outcome::ErrorInfo;
use longshore_core::port::attempt::{
    Beaten, Claim, Claimed, Finish, Finished, GiveBack, GivenBack, Hints, ProgressWrite, Quarantined, Rebuild,
};
use longshore_core::port::broker::Published;
use longshore_core::port::enqueue::{
    CancelReply, CancelRequest, EdgeSettled, EdgeSettlement, EnqueueReply, NewJob, ParentOutcome,
    ParentState, Registration,
};
use longshore_core::port::schedule::{
    CronDue, CronFire, DeadLetter, DeadLetterChange, EditedLetter, Leased, LeasesExpired, OpenEdges, Pruned,
    Relation, TwinState, Watermark,
};
use longshore_core::port::{AttemptPort, EnqueuePort, Error, Ports, PublishPort, Reply, SchedulePort};
use longshore_core::shard::Shards;
use longshore_core::view::WorkerView;
use longshore_core::{JobId, JobStatus, Nonce, QueueName, WorkerId};
use longshore_testkit::history::Event;
use tokio::time::{Instant, sleep, sleep_until};

use crate::world::World;

const SERVER: &str = "embedded store";

/// What goes wrong for one actor.
#[derive(Debug, Default)]
pub(crate) struct Weather {
    /// Calls in a thousand that are refused before anything is done.
    refused: AtomicU64,
    /// Calls in a thousand whose answer is lost.
    lost: AtomicU64,
    /// The longest delay, in milliseconds.
    late: AtomicU64,
    /// Frozen until then: milliseconds since the start of the simulation.
    frozen_until: AtomicU64,
}

impl Weather {
    pub(crate) fn set(&self, refused: u64, lost: u64, late: u64) {
        self.refused.store(refused, Ordering::SeqCst);
        self.lost.store(lost, Ordering::SeqCst);
        self.late.store(late, Ordering::SeqCst);
    }

    pub(crate) fn freeze_until(&self, millis: u64) {
        self.frozen_until.store(millis, Ordering::SeqCst);
    }
}

/// Where the calls of one actor go through.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) world: Arc<World>,
    pub(crate) weather: Arc<Weather>,
}

impl Gate {
    /// Waits while the actor is frozen.
    pub(crate) async fn thawed(&self) {
        loop {
            let until = self.weather.frozen_until.load(Ordering::SeqCst);
            let until = self.world.began() + Duration::from_millis(until);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    async fn delay(&self) {
        let most = self.weather.late.load(Ordering::SeqCst);
        if most > 0 {
            sleep(Duration::from_millis(self.world.below(most))).await;
        }
        self.thawed().await;
    }

    fn strikes(&self, rate: &AtomicU64) -> bool {
        let rate = rate.load(Ordering::SeqCst);
        rate > 0 && self.world.below(1_000) < rate
    }

    async fn pass<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.delay().await;
        if self.strikes(&self.weather.refused) {
            self.world.count_fault();
            return Err(Error::Unavailable {
                server: SERVER,
                reason: "the weather".to_owned(),
            });
        }
        let answer = call.await;
        self.delay().await;
        if self.strikes(&self.weather.lost) {
            self.world.count_fault();
            return Err(Error::OutcomeUnknown { server: SERVER });
        }
        answer
    }

    /// The same ports, through this gate.
    pub(crate) fn around(&self, inner: Ports) -> Ports {
        Ports {
            enqueue: Arc::new(Faulty(self.clone(), Arc::clone(&inner.enqueue))),
            attempt: Arc::new(Faulty(self.clone(), Arc::clone(&inner.attempt))),
            schedule: Arc::new(Faulty(self.clone(), Arc::clone(&inner.schedule))),
            publish: Arc::new(Faulty(self.clone(), Arc::clone(&inner.publish))),
            ..inner
        }
    }
}

struct Faulty<P: ?Sized>(Gate, Arc<P>);

macro_rules! through_the_gate {
    ($($name:ident($($arg:ident: $type:ty),*) -> $reply:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> Reply<'_, $reply> {
            Box::pin(self.0.pass(self.1.$name($($arg),*)))
        })*
    };
}

impl EnqueuePort for Faulty<dyn EnqueuePort> {
    fn shards(&self) -> Shards {
        self.1.shards()
    }

    through_the_gate! {
        enqueue(shard: u16, jobs: Vec<NewJob>) -> EnqueueReply;
        mark_published(shard: u16, jobs: Vec<(JobId, Gen)>) -> ();
        statuses(shard: u16, ids: Vec<JobId>) -> Vec<Option<JobStatus>>;
        register(shard: u16, edges: Vec<Registration>) -> Vec<ParentState>;
        settle_edges(shard: u16, edges: Vec<EdgeSettlement>, within: Duration) -> Vec<EdgeSettled>;
        edges_verified(shard: u16, children: Vec<JobId>) -> Vec<bool>;
        fail_blocked(shard: u16, children: Vec<(JobId, ErrorInfo)>) -> ();
        abort(shard: u16, children: Vec<JobId>) -> ();
        cancel(shard: u16, jobs: Vec<CancelRequest>) -> Vec<CancelReply>;
    }
}

impl AttemptPort for Faulty<dyn AttemptPort> {
    /// What the store accepted is history, whether the worker hears of it or not.
    fn step(
        &self,
        shard: u16,
        finishes: Vec<Finish>,
        claims: Vec<Claim>,
    ) -> Reply<'_, (Vec<Finished>, Vec<Claimed>)> {
        let asked: Vec<_> = finishes.iter().map(|finish| (finish.id, finish.nonce)).collect();
        let call = async move {
            let answer = self.1.step(shard, finishes, claims).await?;
            for ((job, nonce), finished) in asked.into_iter().zip(&answer.0) {
                if let Finished::Accepted(status) = finished {
                    let claim = u64::try_from(nonce.0 >> 64).unwrap();
                    let status = *status;
                    self.0.world.saw(job, Event::Accepted { claim, status });
                }
            }
            Ok(answer)
        };
        Box::pin(self.0.pass(call))
    }

    through_the_gate! {
        rebuild(shard: u16, jobs: Vec<Rebuild>) -> Vec<Claimed>;
        beat(shard: u16, claims: Vec<(JobId, Nonce)>) -> Vec<Beaten>;
        give_back(shard: u16, jobs: Vec<GiveBack>) -> Vec<GivenBack>;
        progress(shard: u16, updates: Vec<ProgressWrite>) -> ();
        parents(shard: u16, child: JobId) -> Vec<(JobId, ParentOutcome)>;
        quarantine(messages: Vec<Quarantined>) -> ();
        worker_beat(worker: WorkerView) -> Vec<QueueName>;
        worker_load(worker: WorkerView) -> ();
        worker_gone(worker: WorkerId) -> ();
        hints() -> Box<dyn Hints>;
    }
}

impl SchedulePort for Faulty<dyn SchedulePort> {
    through_the_gate! {
        lease_shards(holder: String, want: usize, ttl: Duration) -> Vec<u16>;
        release_shards(holder: String) -> ();
        lease_outbox(shard: u16, limit: usize) -> Leased;
        extend_outbox(shard: u16, jobs: Vec<(JobId, Gen)>, by: Duration) -> ();
        promote(shard: u16, limit: usize) -> Leased;
        expire_leases(shard: u16, limit: usize) -> LeasesExpired;
        expire_waiting(shard: u16, limit: usize) -> u32;
        ended_parents() -> Box<dyn Hints>;
        relations(shard: u16, limit: usize) -> Vec<Relation>;
        relations_told(shard: u16, parent: JobId, children: Vec<JobId>) -> bool;
        open_edges(shard: u16, limit: usize) -> Vec<OpenEdges>;
        parents_unknown(shard: u16, children: Vec<JobId>) -> ();
        audit(shard: u16, watermarks: Vec<Watermark>, limit: usize) -> Leased;
        dead_uncopied(shard: u16, limit: usize) -> Vec<DeadLetter>;
        dead_copied(shard: u16, jobs: Vec<(JobId, Gen)>) -> ();
        dead_twins(shard: u16, twins: Vec<DeadLetter>) -> Vec<TwinState>;
        broker_gave_up(shard: u16, jobs: Vec<(JobId, Gen)>) -> Vec<JobId>;
        requeue(shard: u16, ids: Vec<JobId>, before: Timestamp) -> Vec<DeadLetterChange>;
        requeue_edited(shard: u16, letters: Vec<EditedLetter>) -> Vec<DeadLetterChange>;
        discard(shard: u16, ids: Vec<JobId>, before: Timestamp) -> Vec<DeadLetterChange>;
        removals_pending(shard: u16, clear: bool) -> u64;
        prune(shard: u16, retention: BTreeMap<JobStatus, Duration>, limit: usize) -> Pruned;
        unpark(shard: u16) -> u32;
        cron_due(shard: u16, limit: usize) -> CronDue;
        cron_fire(shard: u16, fire: CronFire) -> bool;
    }
}

type Publishes<'a> = Pin<Box<dyn Future<Output = Vec<Published>> + Send + 'a>>;

impl Faulty<dyn PublishPort> {
    /// As any other call, told for each message.
    async fn each(&self, count: usize, publishes: Publishes<'_>) -> Vec<Published> {
        let answer = self.0.pass(async { Ok(publishes.await) }).await;
        match answer {
            Ok(published) => published,
            Err(Error::OutcomeUnknown { .. }) => vec![Published::Unknown; count],
            Err(error) => vec![Published::Refused(error.to_string()); count],
        }
    }
}

impl PublishPort for Faulty<dyn PublishPort> {
    fn publish(&self, messages: Vec<Message>) -> Publishes<'_> {
        Box::pin(self.each(messages.len(), self.1.publish(messages)))
    }

    fn is_ready(&self) -> bool {
        self.1.is_ready()
    }

    fn archive(&self, letters: Vec<DeadLetter>) -> Publishes<'_> {
        Box::pin(self.each(letters.len(), self.1.archive(letters)))
    }
}
