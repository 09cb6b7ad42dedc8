//! Ports that fail: each actor has a gate of its own, through which all its calls go. A call may be late, may not be
//! made, or may be made and its answer lost; an actor that is frozen calls nothing until it wakes, and one that is dead
//! never again.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::clock::{Timestamp, duration_millis};
use longshore_core::message::{Gen, Message};
use longshore_core::outcome::{ErrorInfo, Outcome};
use longshore_core::port::attempt::{
    Beaten, Claim, Claimed, Finish, Finished, GiveBack, GivenBack, Hints, ProgressWrite, Quarantined,
    Rebuild, SlotsWanted,
};
use longshore_core::port::broker::Published;
use longshore_core::port::checkup::{IndexLook, QuarantineFill, ShardState};
use longshore_core::port::enqueue::{
    CancelReply, CancelRequest, EdgeSettled, EdgeSettlement, EnqueueReply, Enqueued, NewJob, ParentOutcome,
    ParentState, Registration,
};
use longshore_core::port::schedule::{
    CronDue, CronFire, DeadLetter, DeadLetterChange, EditedLetter, Leased, LeasesExpired, OpenEdges, Pruned,
    Relation, Removals, TwinState, Watermark,
};
use longshore_core::port::{
    AttemptPort, CheckupPort, EnqueuePort, Error, Ports, PublishPort, Reply, SchedulePort,
};
use longshore_core::shard::Shards;
use longshore_core::view::WorkerView;
use longshore_core::{JobId, JobStatus, Nonce, QueueName, WorkerId};
use tokio::time::{Instant, sleep, sleep_until};

use crate::weaker::{self, Without};
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
    /// It dies at the end of so many further ways to the store or back; 0 for none.
    doom: AtomicU64,
    dead: AtomicBool,
    /// How often it told its load, and asked for slots of others.
    pub(crate) tells: AtomicU64,
    pub(crate) asks: AtomicU64,
}

impl Weather {
    pub(crate) fn set(&self, refused: u64, lost: u64, late: u64) {
        self.refused.store(refused, Ordering::SeqCst);
        self.lost.store(lost, Ordering::SeqCst);
        self.late.store(late, Ordering::SeqCst);
    }

    pub(crate) fn freeze_until(&self, at: Duration) {
        self.frozen_until.store(duration_millis(at), Ordering::SeqCst);
    }

    /// What is under way for the actor in tasks of its own ends as well.
    pub(crate) fn dies(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    /// It dies just before a call or just after it, so many of these from now.
    pub(crate) fn dies_after(&self, ways: u64) {
        self.doom.store(ways, Ordering::SeqCst);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn went_a_way(&self) {
        let left = self.doom.load(Ordering::SeqCst);
        self.doom.store(left.saturating_sub(1), Ordering::SeqCst);
        if left == 1 {
            self.dies();
        }
    }
}

/// Where the calls of one actor go through.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) world: Arc<World>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) without: Option<Without>,
}

impl Gate {
    /// Waits while the actor is frozen; for ever when it is dead.
    pub(crate) async fn thawed(&self) {
        loop {
            if self.weather.is_dead() {
                std::future::pending::<()>().await;
            }
            let until = self.weather.frozen_until.load(Ordering::SeqCst);
            let until = self.world.began() + Duration::from_millis(until);
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// One call in four is late: the others of the same actor overtake it.
    async fn delay(&self) {
        let most = self.weather.late.load(Ordering::SeqCst);
        if most > 0 && self.world.once_in(4) {
            sleep(Duration::from_millis(self.world.below(most))).await;
        }
        self.weather.went_a_way();
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

    /// Nothing, when this is taken out.
    async fn unless<T: Default>(
        &self,
        without: Without,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if self.without == Some(without) {
            self.pass(async { Ok(T::default()) }).await
        } else {
            self.pass(call).await
        }
    }

    /// The same ports, through this gate.
    pub(crate) fn around(&self, inner: Ports) -> Ports {
        Ports {
            enqueue: Arc::new(Faulty(self.clone(), Arc::clone(&inner.enqueue))),
            attempt: Arc::new(Faulty(self.clone(), Arc::clone(&inner.attempt))),
            schedule: Arc::new(Faulty(self.clone(), Arc::clone(&inner.schedule))),
            checkup: Arc::new(Faulty(self.clone(), Arc::clone(&inner.checkup))),
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

macro_rules! unless_taken_out {
    ($($without:ident: $name:ident($($arg:ident: $type:ty),*) -> $reply:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> Reply<'_, $reply> {
            Box::pin(self.0.unless(Without::$without, self.1.$name($($arg),*)))
        })*
    };
}

impl EnqueuePort for Faulty<dyn EnqueuePort> {
    fn shards(&self) -> Shards {
        self.1.shards()
    }

    /// A job that is made is not to start before its time.
    fn enqueue(&self, shard: u16, jobs: Vec<NewJob>) -> Reply<'_, EnqueueReply> {
        Box::pin(self.0.pass(async move {
            let times: Vec<_> = jobs.iter().map(|job| (job.id, job.run_at)).collect();
            let reply = self.1.enqueue(shard, jobs).await?;
            for ((job, run_at), made) in times.into_iter().zip(&reply.jobs) {
                if let (Some(at), Enqueued::Created { .. }) = (run_at, made) {
                    self.0.world.is_due(job, at);
                }
            }
            Ok(reply)
        }))
    }

    through_the_gate! {
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

/// What a job waits for after this end of an attempt.
const fn wait(outcome: &Outcome) -> Option<Duration> {
    match outcome {
        Outcome::Retry { delay, .. } | Outcome::Snooze { delay } => Some(*delay),
        _ => None,
    }
}

impl Faulty<dyn AttemptPort> {
    async fn steps(
        &self,
        shard: u16,
        mut finishes: Vec<Finish>,
        mut claims: Vec<Claim>,
    ) -> Result<(Vec<Finished>, Vec<Claimed>), Error> {
        let world = &self.0.world;
        let ends: Vec<_> = finishes
            .iter()
            .map(|finish| (finish.id, finish.nonce, wait(&finish.outcome)))
            .collect();
        let asked: Vec<_> = claims.iter().map(|claim| claim.id).collect();
        match self.0.without {
            Some(Without::Owner) => weaker::share_nonces(&mut finishes, &mut claims),
            Some(Without::Gen) => weaker::renew_gens(world, shard, &mut claims).await,
            _ => {}
        }
        let answer = self.1.step(shard, finishes, claims).await?;
        for ((job, nonce, wait), finished) in ends.into_iter().zip(&answer.0) {
            if let Finished::Accepted(status) = finished {
                world.accepted(job, nonce, *status, wait);
            }
        }
        for (job, claimed) in asked.into_iter().zip(&answer.1) {
            if let Claimed::Run(grant) = claimed {
                world.granted(job, grant);
            }
        }
        Ok(answer)
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
        Box::pin(self.0.pass(self.steps(shard, finishes, claims)))
    }

    fn beat(&self, shard: u16, mut claims: Vec<(JobId, Nonce)>) -> Reply<'_, Vec<Beaten>> {
        if self.0.without == Some(Without::Owner) {
            for (job, nonce) in &mut claims {
                *nonce = weaker::shared_nonce(*job);
            }
        }
        Box::pin(self.0.pass(self.1.beat(shard, claims)))
    }

    fn worker_load(&self, worker: WorkerView) -> Reply<'_, ()> {
        self.0.weather.tells.fetch_add(1, Ordering::SeqCst);
        Box::pin(self.0.pass(self.1.worker_load(worker)))
    }

    fn take_slots(&self, worker: WorkerId, wanted: Vec<SlotsWanted>) -> Reply<'_, Vec<u32>> {
        self.0.weather.asks.fetch_add(1, Ordering::SeqCst);
        Box::pin(self.0.pass(self.1.take_slots(worker, wanted)))
    }

    through_the_gate! {
        rebuild(shard: u16, jobs: Vec<Rebuild>) -> Vec<Claimed>;
        give_back(shard: u16, jobs: Vec<GiveBack>) -> Vec<GivenBack>;
        progress(shard: u16, updates: Vec<ProgressWrite>) -> ();
        parents(shard: u16, child: JobId) -> Vec<(JobId, ParentOutcome)>;
        quarantine(messages: Vec<Quarantined>) -> ();
        worker_beat(worker: WorkerView) -> Vec<QueueName>;
        worker_gone(worker: WorkerId) -> ();
        hints() -> Box<dyn Hints>;
    }
}

impl SchedulePort for Faulty<dyn SchedulePort> {
    through_the_gate! {
        lease_shards(holder: String, want: usize, ttl: Duration) -> Vec<u16>;
        release_shards(holder: String) -> ();
        extend_outbox(shard: u16, jobs: Vec<(JobId, Gen)>, by: Duration) -> ();
        promote(shard: u16, limit: usize) -> Leased;
        expire_waiting(shard: u16, limit: usize) -> u32;
        ended_parents() -> Box<dyn Hints>;
        relations_told(shard: u16, parent: JobId, children: Vec<JobId>) -> bool;
        parents_unknown(shard: u16, children: Vec<JobId>) -> ();
        dead_uncopied(shard: u16, limit: usize) -> Vec<DeadLetter>;
        dead_copied(shard: u16, jobs: Vec<(JobId, Gen)>) -> ();
        dead_twins(shard: u16, twins: Vec<DeadLetter>) -> Vec<TwinState>;
        broker_gave_up(shard: u16, jobs: Vec<(JobId, Gen)>) -> Vec<JobId>;
        requeue(shard: u16, ids: Vec<JobId>, before: Timestamp) -> Vec<DeadLetterChange>;
        requeue_edited(shard: u16, letters: Vec<EditedLetter>) -> Vec<DeadLetterChange>;
        discard(shard: u16, ids: Vec<JobId>, before: Timestamp) -> Vec<DeadLetterChange>;
        removals_pending(shard: u16, swept: u64) -> Removals;
        prune(shard: u16, retention: BTreeMap<JobStatus, Duration>, limit: usize) -> Pruned;
        unpark(shard: u16) -> u32;
        cron_due(shard: u16, limit: usize) -> CronDue;
        cron_fire(shard: u16, fire: CronFire) -> bool;
    }

    unless_taken_out! {
        Outbox: lease_outbox(shard: u16, limit: usize) -> Leased;
        Expiry: expire_leases(shard: u16, limit: usize) -> LeasesExpired;
        Telling: relations(shard: u16, limit: usize) -> Vec<Relation>;
        Telling: open_edges(shard: u16, limit: usize) -> Vec<OpenEdges>;
        Audit: audit(shard: u16, watermarks: Vec<Watermark>, limit: usize) -> Leased;
    }
}

impl CheckupPort for Faulty<dyn CheckupPort> {
    /// Nobody takes rows away here: an index that disagrees with a record is a mistake of the store.
    fn compare_index(
        &self,
        shard: u16,
        from: Option<String>,
        limit: usize,
        repair: bool,
    ) -> Reply<'_, IndexLook> {
        Box::pin(self.0.pass(async move {
            let look = self.1.compare_index(shard, from, limit, repair).await?;
            for fault in &look.faults {
                self.0.world.breaks(format!("an index disagrees: {fault:?}"));
            }
            Ok(look)
        }))
    }

    through_the_gate! {
        shard_state(shard: u16) -> ShardState;
        next_in_line(shard: u16, queue: QueueName, limit: usize) -> Vec<JobId>;
        quarantine_fill() -> QuarantineFill;
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
        let count = messages.len();
        Box::pin(self.each(count, Box::pin(async move { self.1.publish(messages).await })))
    }

    fn is_ready(&self) -> bool {
        self.1.is_ready()
    }

    fn archive(&self, letters: Vec<DeadLetter>) -> Publishes<'_> {
        let count = letters.len();
        Box::pin(self.each(count, Box::pin(async move { self.1.archive(letters).await })))
    }
}
