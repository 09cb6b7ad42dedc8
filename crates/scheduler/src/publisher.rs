//! Publishes leased dispatches and marks what the broker confirmed. Shared by every daemon that leases dispatches.
//!
//! One queue that is sick must not hold the others up. So a bite is published lane by lane (a queue and a priority), a
//! pass waits only [`PATIENCE`] for a lane, and a lane that keeps its confirms back gets no more messages than it takes
//! to see that it is well again.

mod lanes;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use longshore_core::clock::Clock;
use longshore_core::limits::{BUNDLE_JOBS_MAX, OUTBOX_LEASE};
use longshore_core::message::{Gen, Message};
use longshore_core::pace::{BUNDLE_TIME, Paces};
use longshore_core::port::Ports;
use longshore_core::port::broker::Published;
use longshore_core::port::schedule::{Leased, Publishable};
use longshore_core::{Envelope, JobId, port};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use self::lanes::{Lane, Lanes, Turn};
use crate::error::Error;
use crate::message;
use crate::status::Done;

/// Rows that one lease takes; a bite must fit a script call ([`longshore_core::limits::SCRIPT_JOBS_MAX`]).
pub(crate) const BITE: usize = 250;
/// Most messages whose confirm a pass awaits at once; above it nothing more is leased.
const CONFIRMS_MAX: usize = 1_000;
/// How often the lease of rows in flight is extended.
const EXTEND: Duration = Duration::from_secs(OUTBOX_LEASE.as_secs() / 3);
/// How long a pass waits for the confirms of a lane. What comes later is marked all the same, beside the passes.
const PATIENCE: Duration = Duration::from_secs(2);

/// The scheduler's one way to the broker.
#[derive(Debug)]
pub(crate) struct Publisher {
    shared: Arc<Shared>,
    /// Jobs of a message; as many as their run times allow when nothing is said.
    bundle_max: Option<usize>,
    paces: Arc<Paces>,
    confirms: Arc<Semaphore>,
    /// Publishes under way; some outlive their pass.
    tasks: TaskTracker,
    /// Ends them.
    end: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    ports: Ports,
    clock: Arc<dyn Clock>,
    lanes: Lanes,
}

/// Dispatches of one shard and lane.
#[derive(Debug)]
struct Group {
    shard: u16,
    lane: Lane,
    messages: Vec<Message>,
}

/// Jobs with their gens, as the store knows dispatches.
type Rows = Vec<(JobId, Gen)>;

impl Publisher {
    pub(crate) fn new(ports: Ports, clock: Arc<dyn Clock>, bundle_max: Option<usize>) -> Self {
        Self {
            paces: Arc::new(Paces::new(&ports.inspect, &clock)),
            shared: Arc::new(Shared {
                ports,
                clock,
                lanes: Lanes::default(),
            }),
            bundle_max,
            confirms: Arc::new(Semaphore::new(CONFIRMS_MAX)),
            tasks: TaskTracker::new(),
            end: CancellationToken::new(),
        }
    }

    /// Room for a bite, to be had before the rows are leased: a row that is leased should be published at once.
    ///
    /// # Errors
    /// [`Error::BrokerNotReady`] while nothing can be published.
    pub(crate) async fn room(&self) -> Result<OwnedSemaphorePermit, Error> {
        let publish = &self.shared.ports.publish;
        if !publish.is_ready() {
            return Err(Error::BrokerNotReady);
        }
        let bite = u32::try_from(BITE).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.confirms).acquire_many_owned(bite).await;
        let room = room.map_err(|_| port::Error::Closed)?;
        // The broker may have gone while others were waited for.
        if publish.is_ready() {
            Ok(room)
        } else {
            Err(Error::BrokerNotReady)
        }
    }

    /// Publishes the dispatches of a shard and marks those that were confirmed. Answers how many were, and how many
    /// were not in time: these stay in the outbox, and come again when their lease ends, or sooner when the broker has
    /// said that it did not take them.
    ///
    /// # Errors
    /// When the marks could not be written.
    pub(crate) async fn send(
        &self,
        shard: u16,
        leased: Leased,
        mut room: OwnedSemaphorePermit,
    ) -> Result<Done, Error> {
        let messages = self.bundles(shard, leased);
        let (mut total, mut under_way) = (Done::default(), FuturesUnordered::new());
        let mut failed = None;
        for group in groups(shard, messages) {
            let (group, waits) = match self.shared.lanes.turn(&group.lane) {
                Turn::All => (group, true),
                // Nobody waits for a lane that has just kept its confirms back.
                Turn::Probe => (self.but_the_first(group, &mut total).await, false),
                Turn::None => {
                    self.put_off(&group, group.rows(), &mut total).await;
                    continue;
                }
            };
            let (lane, rows) = (group.lane.clone(), group.rows().len() as u64);
            let permit = room.split(group.messages.len());
            let task = self.spawn(group);
            if waits {
                under_way.push(async move {
                    let end = timeout_at(Instant::now() + PATIENCE, task).await;
                    drop(permit);
                    (lane, rows, end)
                });
            } else {
                total.unconfirmed += rows;
            }
        }
        drop(room);
        while let Some((lane, rows, end)) = under_way.next().await {
            match end {
                Ok(Ok(Ok(done))) => total = total.and(done),
                Ok(Ok(Err(error))) => failed = failed.or(Some(error)),
                Ok(Err(panic)) => failed = failed.or(Some(Error::Panicked(panic.to_string()))),
                Err(_) => {
                    self.shared.lanes.is_slow(&lane);
                    total.unconfirmed += rows;
                }
            }
        }
        failed.map_or(Ok(total), Err)
    }

    /// Dispatches put into messages: as many in one as was said, or as their measured run times allow.
    fn bundles(&self, shard: u16, leased: Leased) -> Vec<Message> {
        let now = self.shared.clock.now();
        if let Some(jobs_max) = self.bundle_max {
            return message::build(shard, leased, jobs_max, |_| Duration::ZERO, now);
        }
        if leased.jobs.len() < 2 {
            return message::build(shard, leased, 1, |_| BUNDLE_TIME, now);
        }
        if let Some(reading) = self.paces.refresh(tokio::time::sleep) {
            // Nobody waits for it at the end.
            tokio::spawn(self.end.clone().run_until_cancelled_owned(reading));
        }
        // Whoever cannot read an envelope leaves it to a worker that can.
        let pace = |job: &Publishable| {
            Envelope::decode(&job.envelope).map_or(BUNDLE_TIME, |envelope| {
                self.paces
                    .of_tried(&envelope.function_name, job.retries, job.losts)
            })
        };
        message::build(shard, leased, BUNDLE_JOBS_MAX, pace, now)
    }

    /// Waits until what is under way has its end, as long as the caller does; then drops it. The rows come again when
    /// their leases end.
    pub(crate) async fn finish(&self, deadline: Duration) {
        self.tasks.close();
        // Whether they ended or not, it is over.
        tokio::time::timeout(deadline, self.tasks.wait()).await.ok();
        self.end.cancel();
    }

    /// Ends what is under way when it is dropped: somebody may hold the context longer than the scheduler runs.
    pub(crate) fn end_guard(&self) -> DropGuard {
        self.end.clone().drop_guard()
    }

    /// Puts every message of a group off but the first.
    async fn but_the_first(&self, mut group: Group, total: &mut Done) -> Group {
        let others = group.messages.split_off(1.min(group.messages.len()));
        if !others.is_empty() {
            let rows = others.iter().flat_map(message::dispatches).collect();
            self.put_off(&group, rows, total).await;
        }
        group
    }

    /// Rows that are not published now.
    async fn put_off(&self, group: &Group, rows: Rows, total: &mut Done) {
        total.unconfirmed += rows.len() as u64;
        self.shared.put_off(group, rows).await;
    }

    fn spawn(&self, group: Group) -> tokio::task::JoinHandle<Result<Done, Error>> {
        let (shared, end) = (Arc::clone(&self.shared), self.end.clone());
        self.shared.lanes.begins(&group.lane);
        let carrying = async move {
            end.run_until_cancelled(shared.carry(group))
                .await
                .unwrap_or(Err(port::Error::Closed.into()))
        };
        // Some publishes outlive their pass; they are its work all the same.
        self.tasks.spawn(carrying.in_current_span())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Shared {
    /// Publishes a group to its end.
    async fn carry(&self, mut group: Group) -> Result<Done, Error> {
        let dispatches: Vec<_> = group.messages.iter().map(message::dispatches).collect();
        let messages = std::mem::take(&mut group.messages);
        let answers = self.publish(group.shard, messages, &dispatches).await;
        self.lanes.ends(&group.lane, &answers);
        let rows_of = |is: fn(&Published) -> bool| -> Rows {
            std::iter::zip(&dispatches, &answers)
                .filter(|(_, answer)| is(answer))
                .flat_map(|(jobs, _)| jobs.iter().copied())
                .collect()
        };
        let (confirmed, refused) = (
            rows_of(Published::is_confirmed),
            rows_of(|answer| matches!(answer, Published::Refused(_))),
        );
        let done = Done {
            rows: confirmed.len() as u64,
            unconfirmed: rows_of(|answer| !answer.is_confirmed()).len() as u64,
            more: false,
        };
        if let Err(error) = check(&answers) {
            tracing::debug!(shard = group.shard, lane = %group.lane, %error, "a queue does not take everything");
        }
        if !refused.is_empty() {
            self.put_off(&group, refused).await;
        }
        if !confirmed.is_empty() {
            self.ports.enqueue.mark_published(group.shard, confirmed).await?;
        }
        Ok(done)
    }

    /// Publishes, and keeps the rows leased for as long as the confirms take.
    async fn publish(&self, shard: u16, messages: Vec<Message>, dispatches: &[Rows]) -> Vec<Published> {
        let mut publish = self.ports.publish.publish(messages);
        let mut ticks = interval_at(Instant::now() + EXTEND, EXTEND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                answers = &mut publish => return answers,
                _ = ticks.tick() => self.extend(shard, dispatches.concat(), OUTBOX_LEASE).await,
            }
        }
    }

    /// The broker has not taken these rows: they need not wait for the end of their lease, and must not come at once.
    async fn put_off(&self, group: &Group, rows: Rows) {
        let by = self.lanes.pause(&group.lane, self.clock.now());
        self.extend(group.shard, rows, by).await;
    }

    async fn extend(&self, shard: u16, rows: Rows, by: Duration) {
        if let Err(error) = self.ports.schedule.extend_outbox(shard, rows, by).await {
            // They keep the lease that they have. At worst they are published twice; a second copy is stale or busy.
            tracing::debug!(shard, %error, "cannot move the next try of rows of the outbox");
        }
    }
}

impl Group {
    fn rows(&self) -> Rows {
        self.messages.iter().flat_map(message::dispatches).collect()
    }
}

/// Messages by their lanes, in the order in which each lane first comes.
fn groups(shard: u16, messages: Vec<Message>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for message in messages {
        let lane = Lane::of(&message);
        match groups.iter_mut().find(|group| group.lane == lane) {
            Some(group) => group.messages.push(message),
            None => groups.push(Group {
                shard,
                lane,
                messages: vec![message],
            }),
        }
    }
    groups
}

/// Whether every message was confirmed.
///
/// # Errors
/// [`Error::Unconfirmed`] when one was not.
pub(crate) fn check(answers: &[Published]) -> Result<(), Error> {
    let mut unconfirmed = answers.iter().filter(|answer| !answer.is_confirmed());
    let Some(first) = unconfirmed.next() else {
        return Ok(());
    };
    let reason = match first {
        Published::Refused(reason) => reason.clone(),
        Published::Confirmed | Published::Unknown => "no confirm came in time".to_owned(),
    };
    Err(Error::Unconfirmed {
        count: unconfirmed.count() + 1,
        of: answers.len(),
        reason,
    })
}
