//! The one task that publishes: a session for each channel, from its opening to its loss.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::flight::{Fate, Flight};
use super::{CONFIRM_TIMEOUT, Call, Item, Target, WINDOW};
use crate::amqp::declare::{Declarer, answered};
use crate::amqp::link::{Error, Live, State};

/// Pause before another session after one that could not be opened.
const REOPEN: Duration = Duration::from_millis(500);

type Confirming = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The end of one message's way.
struct Outcome {
    number: u64,
    id: String,
    result: lapin::Result<Confirmation>,
}

/// Runs sessions until the link is closed. While there is none, every call is refused at once.
pub(super) async fn run(
    mut link: watch::Receiver<State>,
    declarer: Arc<Declarer>,
    mut calls: mpsc::Receiver<Call>,
    open: Arc<AtomicBool>,
) {
    while let Some(live) = next_connection(&mut link, &mut calls).await {
        match Session::open(live, Arc::clone(&declarer)).await {
            Ok(mut session) => {
                open.store(true, Ordering::Relaxed);
                session.run(&mut link, &mut calls).await;
                open.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                open.store(false, Ordering::Relaxed);
                tracing::warn!(%error, "cannot publish");
                let pause = tokio::time::sleep(REOPEN);
                refuse_during(pause, &mut calls, &error.to_string()).await;
            }
        }
    }
}

/// The connection to publish on; `None` when the link was closed or nobody can call any more.
async fn next_connection(
    link: &mut watch::Receiver<State>,
    calls: &mut mpsc::Receiver<Call>,
) -> Option<Live> {
    loop {
        let reason = match &*link.borrow_and_update() {
            State::Connected(live) => return Some(live.clone()),
            State::Away { reason, .. } => format!("RabbitMQ is away: {reason}"),
            State::Closed => return None,
        };
        tokio::select! {
            changed = link.changed() => changed.ok()?,
            call = calls.recv() => refuse(call?, &reason),
        }
    }
}

async fn refuse_during(pause: impl Future<Output = ()>, calls: &mut mpsc::Receiver<Call>, reason: &str) {
    let mut pause = std::pin::pin!(pause);
    loop {
        tokio::select! {
            () = &mut pause => return,
            Some(call) = calls.recv() => refuse(call, reason),
        }
    }
}

fn refuse(call: Call, reason: &str) {
    let mut flight = Flight::default();
    let number = flight.open(call.items.len(), call.reply);
    for at in 0..call.items.len() {
        flight.refuse(number, at, reason.to_owned());
    }
    flight.report();
}

/// A confirm channel and everything on it.
struct Session {
    live: Live,
    channel: Channel,
    declarer: Arc<Declarer>,
    declared: HashSet<String>,
    flight: Flight,
    confirming: FuturesUnordered<Confirming>,
    /// Accepted, not sent: call, place in it, message.
    backlog: VecDeque<(u64, usize, Item)>,
    /// What the channel said when it failed.
    failure: Option<lapin::Error>,
}

impl Session {
    async fn open(live: Live, declarer: Arc<Declarer>) -> Result<Self, Error> {
        declarer.base(&live.connection).await?;
        let channel = answered("a channel", live.connection.create_channel()).await?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        answered("a confirm channel", confirms).await?;
        Ok(Self {
            live,
            channel,
            declarer,
            declared: HashSet::new(),
            flight: Flight::default(),
            confirming: FuturesUnordered::new(),
            backlog: VecDeque::new(),
            failure: None,
        })
    }

    /// Until the connection or the channel is lost.
    async fn run(&mut self, link: &mut watch::Receiver<State>, calls: &mut mpsc::Receiver<Call>) {
        loop {
            let overdue = self.flight.deadline();
            tokio::select! {
                changed = link.changed() => {
                    let state = link.borrow_and_update().clone();
                    if changed.is_err() || !self.goes_on(&state) {
                        break;
                    }
                }
                Some(outcome) = self.confirming.next() => self.settle(outcome),
                call = calls.recv(), if self.backlog.is_empty() => match call {
                    Some(call) => self.accept(call),
                    None => break,
                },
                () = tokio::time::sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => {
                    self.flight.expire(Instant::now());
                }
            }
            while let Some(Some(outcome)) = self.confirming.next().now_or_never() {
                self.settle(outcome);
            }
            while self.backlog.len() < WINDOW
                && let Ok(call) = calls.try_recv()
            {
                self.accept(call);
            }
            if self.fill().await.is_err() || !self.channel.status().connected() || self.is_stuck() {
                break;
            }
            self.flight.report();
        }
        self.end();
    }

    /// Whether this session outlives the new state. A blocked broker gets nothing more.
    fn goes_on(&mut self, state: &State) -> bool {
        match state {
            State::Connected(live) if live.epoch == self.live.epoch => {
                if let Some(why) = &live.blocked {
                    self.refuse_backlog(&format!("RabbitMQ takes no messages now: {why}"));
                }
                self.live.blocked.clone_from(&live.blocked);
                true
            }
            _ => false,
        }
    }

    /// A channel whose whole window is overdue will not come back by itself, unless the broker has told us to wait.
    fn is_stuck(&self) -> bool {
        self.live.blocked.is_none() && self.flight.in_air() >= WINDOW && self.flight.is_stuck()
    }

    fn accept(&mut self, call: Call) {
        let number = self.flight.open(call.items.len(), call.reply);
        let items = call.items.into_iter().enumerate();
        self.backlog.extend(items.map(|(at, item)| (number, at, item)));
        if let Some(why) = &self.live.blocked {
            let reason = format!("RabbitMQ takes no messages now: {why}");
            self.refuse_backlog(&reason);
        }
    }

    fn refuse_backlog(&mut self, reason: &str) {
        for (call, at, _) in self.backlog.drain(..) {
            self.flight.refuse(call, at, reason.to_owned());
        }
    }

    /// Sends as much of the backlog as the window takes.
    ///
    /// # Errors
    /// When the connection is lost.
    async fn fill(&mut self) -> Result<(), Error> {
        // A queue that cannot be declared is tried once a round, not once a message.
        let mut failed: HashMap<String, String> = HashMap::new();
        while self.flight.in_air() < WINDOW
            && let Some((call, at, item)) = self.backlog.pop_front()
        {
            if let Some(reason) = failed.get(item.target.name()) {
                self.flight.refuse(call, at, reason.clone());
                continue;
            }
            match self.declare(&item.target).await {
                Ok(()) => self.publish(call, at, item),
                Err(error) => {
                    self.flight.refuse(call, at, error.to_string());
                    failed.insert(item.target.name().to_owned(), error.to_string());
                    if error.may_pass() {
                        return Err(error);
                    }
                    tracing::warn!(%error, "cannot publish to a queue");
                }
            }
        }
        Ok(())
    }

    async fn declare(&mut self, target: &Target) -> Result<(), Error> {
        if self.declared.contains(target.name()) {
            return Ok(());
        }
        match target {
            Target::Jobs(queue) => self.declarer.queue(&self.live.connection, queue).await?,
            Target::Archive => self.declarer.base(&self.live.connection).await?,
        }
        self.declared.insert(target.name().to_owned());
        Ok(())
    }

    /// Hands a message to lapin. Its frames are queued by the first poll, so messages leave in this order.
    fn publish(&mut self, call: u64, at: usize, item: Item) {
        let number = self.flight.sent(call, at, Instant::now() + CONFIRM_TIMEOUT);
        let channel = self.channel.clone();
        let mut confirming: Confirming = Box::pin(async move {
            let mandatory = BasicPublishOptions {
                mandatory: true,
                immediate: false,
            };
            let sent = channel
                .basic_publish(
                    item.target.exchange().into(),
                    item.key.into(),
                    mandatory,
                    &item.encoded.body,
                    item.encoded.properties,
                )
                .await;
            drop(item.encoded.body);
            let result = match sent {
                Ok(confirm) => confirm.await,
                Err(error) => Err(error),
            };
            Outcome {
                number,
                id: item.encoded.id,
                result,
            }
        });
        match (&mut confirming).now_or_never() {
            Some(outcome) => self.settle(outcome),
            None => self.confirming.push(confirming),
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        let (fate, returned) = match outcome.result {
            Ok(Confirmation::Ack(returned)) => (Fate::Confirmed, returned),
            Ok(Confirmation::Nack(returned)) => (
                Fate::Refused("RabbitMQ refused it (nack); it stays in the outbox".to_owned()),
                returned,
            ),
            Ok(Confirmation::NotRequested) => (Fate::Unknown, None),
            Err(error) => {
                self.failure.get_or_insert(error);
                (Fate::Unknown, None)
            }
        };
        let returned = returned.and_then(|returned| {
            let id = returned.delivery.properties.message_id().as_ref();
            id.map(|id| id.as_str().to_owned())
        });
        if returned.is_some() || matches!(fate, Fate::Refused(_)) {
            // Something is gone or ill: whatever is published next has its queue asserted anew.
            self.declared.clear();
        }
        self.flight.settle(outcome.number, outcome.id, fate, returned);
    }

    fn end(&mut self) {
        while let Some(Some(outcome)) = self.confirming.next().now_or_never() {
            self.settle(outcome);
        }
        self.flight.report();
        if let Some(error) = &self.failure
            && self.live.connection.status().connected()
        {
            tracing::warn!(%error, "RabbitMQ closed the channel for publishing; another is opened");
        }
        self.refuse_backlog("the connection to RabbitMQ ended");
        self.flight.abandon();
    }
}

impl Target {
    /// What tells targets apart. No queue has the archive's name, because a queue's name starts with a letter or digit.
    fn name(&self) -> &str {
        match self {
            Self::Jobs(queue) => queue.as_str(),
            Self::Archive => "/archive",
        }
    }
}
