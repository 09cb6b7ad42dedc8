//! The control loop: one actor, in a thread of its own, that consumes, claims, starts, beats, finishes and
//! acknowledges. It owns all of its state; calls to the store are futures that it polls, and their answers come back
//! to it as data. Handlers run elsewhere and tell their end through [`Inbox`].
//!
//! Each turn takes in what happened, then starts what can be started: claims for free slots, and one call a shard and
//! kind with everything that gathered while the last one was under way.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use longshore_core::port::Ports;
use longshore_core::port::attempt::Hint;
use longshore_core::random::Random;
use longshore_core::{Clock, QueueName, Timestamp, WorkerId};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::execute::Ending;
use crate::health::WorkerHealth;
use crate::registry::Registry;
use crate::report::{RunReport, StopCause};
use crate::settings::Settings;
use crate::state::StateMap;
use crate::stats::WorkerStats;

mod ahead;
mod alone;
mod arrive;
mod aside;
mod beat;
mod buffer;
mod delivery;
mod drain;
mod feed;
mod finish;
mod flights;
mod hints;
mod keep;
mod lane;
mod peers;
mod progress;
mod relief;
mod running;
mod settle;
mod start;
mod trace;
mod watermark;

use ahead::Ahead;
use alone::{Alone, Solo};
use arrive::{Arrival, Held, Parked};
use aside::{Aside, Back};
use beat::Beats;
use buffer::Buffer;
use delivery::Deliveries;
use drain::Phase;
use feed::Feed;
pub(crate) use feed::Prefetch;
use flights::{Answer, Rebuilding, Step};
use lane::Lane;
use peers::Peers;
use progress::Flushes;
use relief::Relief;
use running::Running;
use trace::RunTimes;
use watermark::Watermarks;

/// Things that one turn takes in before it starts others.
const TURN_MAX: usize = 256;
/// Deliveries between the subscriptions and the control loop.
const ARRIVALS_MAX: usize = 64;

/// What handlers tell the control loop.
#[derive(Debug)]
enum Event {
    Ended(u64, Ending),
    Progress(u64),
}

/// Where handlers tell it. The channel has no bound of its own: an attempt sends one end, and one progress event
/// until that was taken, so that it holds at most two a slot.
#[derive(Clone, Debug)]
pub(crate) struct Inbox(mpsc::UnboundedSender<Event>);

impl Inbox {
    pub(crate) fn ended(&self, key: u64, ending: Ending) {
        // A control loop that is gone has reported the attempt as left.
        drop(self.0.send(Event::Ended(key, ending)));
    }

    pub(crate) fn progress(&self, key: u64) {
        drop(self.0.send(Event::Progress(key)));
    }
}

/// What a control loop is made of.
pub(crate) struct Parts {
    pub(crate) ports: Ports,
    pub(crate) state: Arc<StateMap>,
    pub(crate) registry: Registry,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) stats: Arc<WorkerStats>,
    pub(crate) health: WorkerHealth,
    pub(crate) handlers: Handle,
}

/// The control loop.
pub(crate) struct Control {
    ports: Ports,
    state: Arc<StateMap>,
    registry: Registry,
    settings: Settings,
    me: WorkerId,
    host: String,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    stats: Arc<WorkerStats>,
    health: WorkerHealth,
    /// Slots as they were last told to whoever observes: busy, waiting, stuck.
    told_slots: Option<(u64, u64, u64)>,
    run_times: RunTimes,
    ahead: Ahead,
    handlers: Handle,
    began: Timestamp,

    inbox: Inbox,
    events: mpsc::UnboundedReceiver<Event>,
    arrivals: mpsc::Receiver<Arrival>,
    hints: mpsc::Receiver<Hint>,
    feeds: Vec<Feed>,
    /// The tasks of feeds and hints; they end with the control loop.
    tasks: JoinSet<()>,
    calls: FuturesUnordered<BoxFuture<'static, Answer>>,

    deliveries: Deliveries,
    buffer: Buffer<Box<Held>>,
    parked: Vec<Parked>,
    /// Jobs of functions that are not registered here, until it is known whether they are elsewhere.
    #[expect(
        clippy::vec_box,
        reason = "jobs move between here and the buffer in their boxes"
    )]
    foreign: Vec<Box<Held>>,
    /// A job that lost two workers and waits until nothing else runs.
    solo: Option<Solo>,
    alone: Alone,
    /// Claims under way or attempts running that tolerate nothing beside them.
    exclusive: usize,
    /// Claims under way; each has a slot.
    claiming: usize,
    running: Running,

    steps: BTreeMap<u16, Lane<Step>>,
    rebuilds: BTreeMap<u16, Lane<Rebuilding>>,
    backs: BTreeMap<u16, Lane<Back>>,
    asides: Lane<Aside>,
    beats: Beats,
    flushes: Flushes,
    peers: Peers,
    relief: Relief,
    paused: HashSet<QueueName>,
    watermarks: Watermarks,
    early_acked: Instant,
    phase: Phase,
    /// Why it stops.
    cause: StopCause,
    /// When the time that a drain was given is over.
    drain_by: Instant,
    wake_at: Instant,
    /// When a call departs that waits for more.
    gathers_until: Option<Instant>,
}

impl Control {
    pub(crate) fn new(parts: Parts) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let (arrived, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let mut tasks = JoinSet::new();
        let feeds = feed::start_all(
            &parts.settings.queues,
            parts.settings.prefetch(),
            &parts.ports.consume,
            &arrived,
            &parts.random,
            &parts.health,
            &mut tasks,
        );
        let hints = hints::start(&parts.ports.attempt, &parts.random, &mut tasks);
        let now = Instant::now();
        Self {
            me: parts.settings.worker_id(),
            host: crate::settings::host(),
            began: parts.clock.now(),
            ports: parts.ports,
            state: parts.state,
            registry: parts.registry,
            settings: parts.settings,
            clock: parts.clock,
            random: parts.random,
            stats: parts.stats,
            health: parts.health,
            told_slots: None,
            run_times: RunTimes::default(),
            ahead: Ahead::default(),
            handlers: parts.handlers,
            inbox: Inbox(sender),
            events,
            arrivals,
            hints,
            feeds,
            tasks,
            calls: FuturesUnordered::new(),
            deliveries: Deliveries::default(),
            buffer: Buffer::default(),
            parked: Vec::new(),
            foreign: Vec::new(),
            solo: None,
            alone: Alone::new(now),
            exclusive: 0,
            claiming: 0,
            running: Running::default(),
            steps: BTreeMap::new(),
            rebuilds: BTreeMap::new(),
            backs: BTreeMap::new(),
            asides: Lane::default(),
            beats: Beats::new(now),
            flushes: Flushes::default(),
            peers: Peers::default(),
            relief: Relief::default(),
            paused: HashSet::new(),
            watermarks: Watermarks::new(now),
            early_acked: now,
            phase: Phase::Working,
            cause: StopCause::Asked,
            drain_by: now,
            wake_at: now,
            gathers_until: None,
        }
    }

    /// Runs until `shutdown` is cancelled and the drain is over.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> RunReport {
        tracing::info!(worker = %self.me, max_workers = self.settings.slots, "worker started");
        while !self.phase.is_done() {
            self.wait(&shutdown).await;
            self.take_in();
            let now = Instant::now();
            if self.phase.is_working() && shutdown.is_cancelled() {
                self.start_drain(now);
            }
            if now >= self.wake_at {
                self.keep_house(now);
            }
            self.advance_drain(now);
            self.fill(now);
            self.launch(now);
            self.show();
        }
        self.leave().await
    }

    /// Waits for something to happen.
    async fn wait(&mut self, shutdown: &CancellationToken) {
        let accepting = self.accepts();
        let working = self.phase.is_working();
        let until = self.gathers_until.map_or(self.wake_at, |at| at.min(self.wake_at));
        tokio::select! {
            biased;
            Some(event) = self.events.recv() => self.on_event(event),
            Some(answer) = self.calls.next(), if !self.calls.is_empty() => self.on_answer(answer),
            Some(hint) = self.hints.recv() => self.on_hint(&hint),
            Some(arrival) = self.arrivals.recv(), if accepting => self.on_arrival(arrival),
            () = shutdown.cancelled(), if working => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }

    /// Takes in what else has happened, without waiting.
    fn take_in(&mut self) {
        for _ in 0..TURN_MAX {
            if let Ok(event) = self.events.try_recv() {
                self.on_event(event);
            } else if let Some(Some(answer)) = self.calls.next().now_or_never() {
                self.on_answer(answer);
            } else if let Ok(hint) = self.hints.try_recv() {
                self.on_hint(&hint);
            } else if self.accepts()
                && let Ok(arrival) = self.arrivals.try_recv()
            {
                self.on_arrival(arrival);
            } else {
                return;
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Ended(key, ending) => self.on_ended(key, ending),
            Event::Progress(key) => {
                let at = self.flushes.mark(key, Instant::now());
                self.wake_by(at);
            }
        }
    }

    /// Whether deliveries are taken: not while the store is away, and in a drain only to hand them back. Once the store is
    /// given up, what comes is the rest of subscriptions that end.
    fn accepts(&self) -> bool {
        !self.phase.is_working() || self.beats.have_given_up() || !self.store_is_away(Instant::now())
    }

    /// Makes sure that the house is kept at `at`.
    fn wake_by(&mut self, at: Instant) {
        self.wake_at = self.wake_at.min(at);
    }

    fn show(&mut self) {
        self.stats.busy.set(self.running.active());
        self.stats.waiting.set(self.unstarted());
        self.stats.ready.set(usize::from(self.phase.is_working()));
        let away = self.store_is_away(Instant::now());
        self.health.turned(!self.phase.is_working(), away);
        self.note_load();
        self.tell_slots();
    }

    /// Jobs that were delivered and not claimed.
    fn unstarted(&self) -> usize {
        self.buffer.len() + self.parked.len() + self.foreign.len() + usize::from(self.solo.is_some())
    }

    fn shards_of<T>(lanes: &BTreeMap<u16, Lane<T>>) -> Vec<u16> {
        lanes.keys().copied().collect()
    }
}

/// Everything that is under way, by key.
type Map<T> = HashMap<u64, T>;
