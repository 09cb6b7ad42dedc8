//! A lane: the task that publishes to one broker queue, in sessions, each from a channel's opening to its loss.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::flight::{Fate, Flight};
use super::lanes::Ground;
use super::{CONFIRM_TIMEOUT, Call, WINDOW};
use crate::amqp::RPC_TIMEOUT;
use crate::amqp::declare::answered;
use crate::amqp::link::{Error, Live, State};
use crate::amqp::pauses::Pauses;
use crate::amqp::topology::Queue;
use crate::wire::Encoded;

/// First and longest time for which a lane that failed refuses what comes, before jitter.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A lane that was not used for so long ends; the next message makes another.
const IDLE: Duration = Duration::from_secs(60);

type Confirming = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The end of one message's way.
struct Outcome {
    number: u64,
    id: String,
    result: lapin::Result<Confirmation>,
}

/// Publishes to one broker queue.
pub(super) struct Lane {
    queue: Queue,
    ground: Arc<Ground>,
    pauses: Pauses,
}

impl Lane {
    pub(super) fn new(queue: Queue, ground: Arc<Ground>) -> Self {
        Self {
            queue,
            ground,
            pauses: Pauses::new(PAUSE_MIN, PAUSE_MAX),
        }
    }

    /// Until it has been idle, or nobody can call any more.
    pub(super) async fn run(mut self, mut link: watch::Receiver<State>, mut calls: mpsc::Receiver<Call>) {
        while let Some(call) = next_call(&mut calls).await {
            let live = match &*link.borrow_and_update() {
                State::Connected(live) => Ok(live.clone()),
                State::Away { reason, .. } => Err(format!("RabbitMQ is away: {reason}")),
                State::Closed => Err("the connection was closed".to_owned()),
            };
            match live {
                Ok(live) => self.serve(call, live, &mut link, &mut calls).await,
                Err(reason) => refuse(call, &reason),
            }
        }
    }

    /// A session that starts with this call.
    async fn serve(
        &mut self,
        first: Call,
        live: Live,
        link: &mut watch::Receiver<State>,
        calls: &mut mpsc::Receiver<Call>,
    ) {
        let connection = Arc::clone(&live.connection);
        let failed = match self.open(live).await {
            Ok(mut session) => {
                session.accept(first);
                let end = session.run(link, calls).await;
                if session.has_confirmed {
                    self.pauses.reset();
                }
                match end {
                    End::Over => return,
                    End::Sick(reason) => reason,
                }
            }
            Err(error) => {
                let reason = error.to_string();
                refuse(first, &reason);
                reason
            }
        };
        if !connection.status().connected() {
            // The link tells of it, and every call is refused until it is back.
            return;
        }
        tracing::warn!(
            queue = self.queue.name,
            reason = failed,
            "cannot publish to a queue"
        );
        refuse_during(tokio::time::sleep(self.pauses.next()), calls, &failed).await;
    }

    async fn open(&self, live: Live) -> Result<Session, Error> {
        self.ground.assert(&live).await?;
        let channel = answered("a channel", live.connection.create_channel()).await?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default());
        answered("a confirm channel", confirms).await?;
        Ok(Session {
            queue: self.queue.clone(),
            ground: Arc::clone(&self.ground),
            live,
            channel,
            is_declared: false,
            has_confirmed: false,
            is_silent: false,
            flight: Flight::default(),
            confirming: FuturesUnordered::new(),
            backlog: VecDeque::new(),
            failure: None,
        })
    }
}

/// The next call; `None` when there was none for long, and what came at the last moment is answered.
async fn next_call(calls: &mut mpsc::Receiver<Call>) -> Option<Call> {
    if let Ok(call) = tokio::time::timeout(IDLE, calls.recv()).await {
        return call;
    }
    calls.close();
    calls.recv().await
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

/// Why a session ended.
enum End {
    /// Its channel or connection is gone, or nobody has needed it for long.
    Over,
    /// The queue cannot be published to now, and why.
    Sick(String),
}

/// A confirm channel and everything on it.
struct Session {
    queue: Queue,
    ground: Arc<Ground>,
    live: Live,
    channel: Channel,
    is_declared: bool,
    has_confirmed: bool,
    /// A confirm is overdue and none has come since: nothing more is sent until one does.
    is_silent: bool,
    flight: Flight,
    confirming: FuturesUnordered<Confirming>,
    /// Accepted, not sent: call, place in it, message.
    backlog: VecDeque<(u64, usize, Encoded)>,
    /// What the channel said when it failed.
    failure: Option<lapin::Error>,
}

impl Session {
    /// Until the connection or the channel is lost, the queue turns out sick, or nothing was published for long.
    async fn run(&mut self, link: &mut watch::Receiver<State>, calls: &mut mpsc::Receiver<Call>) -> End {
        let end = loop {
            while self.backlog.len() < WINDOW
                && let Ok(call) = calls.try_recv()
            {
                self.accept(call);
            }
            if let Err(error) = self.fill().await {
                let reason = error.to_string();
                self.refuse_backlog(&reason);
                break End::Sick(reason);
            }
            if !self.channel.status().connected() {
                break End::Over;
            }
            if let Some(reason) = self.sickness() {
                break End::Sick(reason);
            }
            self.flight.report();
            if !self.step(link, calls).await {
                break End::Over;
            }
            while let Some(Some(outcome)) = self.confirming.next().now_or_never() {
                self.settle(outcome);
            }
        };
        self.end();
        end
    }

    /// Waits for whatever comes next. False when the session is over.
    async fn step(&mut self, link: &mut watch::Receiver<State>, calls: &mut mpsc::Receiver<Call>) -> bool {
        let overdue = self.flight.deadline();
        tokio::select! {
            changed = link.changed() => {
                let state = link.borrow_and_update().clone();
                changed.is_ok() && self.goes_on(&state)
            }
            Some(outcome) = self.confirming.next() => {
                self.settle(outcome);
                true
            }
            call = calls.recv(), if self.backlog.is_empty() => match call {
                Some(call) => {
                    self.accept(call);
                    true
                }
                None => false,
            },
            () = tokio::time::sleep_until(overdue.unwrap_or_else(Instant::now)), if overdue.is_some() => {
                self.flight.expire(Instant::now());
                self.is_silent = self.live.blocked.is_none();
                self.refuse_while_silent();
                true
            }
            () = tokio::time::sleep(IDLE), if self.flight.in_air() == 0 => false,
        }
    }

    /// Whether this session outlives the new state. A blocked broker gets nothing more.
    fn goes_on(&mut self, state: &State) -> bool {
        match state {
            State::Connected(live) if live.epoch == self.live.epoch => {
                self.live.blocked.clone_from(&live.blocked);
                self.refuse_while_blocked();
                true
            }
            _ => false,
        }
    }

    /// A queue of which every outstanding confirm is overdue does not take messages now, unless the broker has told us
    /// to wait. What is outstanding goes with its channel, so that nothing piles up.
    fn sickness(&mut self) -> Option<String> {
        (self.live.blocked.is_none() && self.flight.is_stuck()).then(|| self.silence())
    }

    fn silence(&self) -> String {
        let secs = CONFIRM_TIMEOUT.as_secs();
        format!("{} did not confirm within {secs} s", self.queue.name)
    }

    fn refuse_while_silent(&mut self) {
        if self.is_silent {
            self.refuse_backlog(&self.silence());
        }
    }

    fn accept(&mut self, call: Call) {
        let number = self.flight.open(call.items.len(), call.reply);
        let items = call.items.into_iter().enumerate();
        self.backlog.extend(items.map(|(at, item)| (number, at, item)));
        self.refuse_while_blocked();
        self.refuse_while_silent();
    }

    fn refuse_while_blocked(&mut self) {
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
    /// When the queue cannot be declared.
    async fn fill(&mut self) -> Result<(), Error> {
        if !self.is_declared && !self.backlog.is_empty() {
            self.declare().await?;
        }
        while self.flight.in_air() < WINDOW
            && let Some((call, at, item)) = self.backlog.pop_front()
        {
            self.publish(call, at, item);
        }
        Ok(())
    }

    /// Holds this lane up for a while at most; its confirms wait in their futures meanwhile.
    async fn declare(&mut self) -> Result<(), Error> {
        let declaring = self.ground.declarer.queue(&self.live.connection, &self.queue);
        match tokio::time::timeout(RPC_TIMEOUT, declaring).await {
            Ok(declared) => declared.map(drop)?,
            Err(_) => {
                return Err(Error::Lost {
                    reason: format!("no answer about {}", self.queue.name),
                });
            }
        }
        self.is_declared = true;
        Ok(())
    }

    /// Hands a message to lapin. Its frames are queued by the first poll, so messages leave in this order.
    fn publish(&mut self, call: u64, at: usize, item: Encoded) {
        let number = self.flight.sent(call, at, Instant::now() + CONFIRM_TIMEOUT);
        let channel = self.channel.clone();
        let (exchange, key) = (self.queue.exchange, self.queue.key.clone());
        let mut confirming: Confirming = Box::pin(async move {
            let mandatory = BasicPublishOptions {
                mandatory: true,
                immediate: false,
            };
            let sent = channel
                .basic_publish(
                    exchange.into(),
                    key.into(),
                    mandatory,
                    &item.body,
                    item.properties,
                )
                .await;
            drop(item.body);
            let result = match sent {
                Ok(confirm) => confirm.await,
                Err(error) => Err(error),
            };
            Outcome {
                number,
                id: item.id,
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
            // Something is gone or ill: what is published next has its queue asserted anew.
            self.is_declared = false;
        }
        if fate == Fate::Confirmed {
            self.has_confirmed = true;
        }
        if fate != Fate::Unknown {
            self.is_silent = false;
        }
        self.flight.settle(outcome.number, outcome.id, fate, returned);
    }

    fn end(&mut self) {
        while let Some(Some(outcome)) = self.confirming.next().now_or_never() {
            self.settle(outcome);
        }
        self.flight.report();
        if !self.channel.status().connected() {
            self.ground.doubt();
        }
        if let Some(error) = &self.failure
            && self.live.connection.status().connected()
        {
            tracing::warn!(queue = self.queue.name, %error, "RabbitMQ closed a channel for publishing; another is opened");
        }
        self.refuse_backlog("the connection to RabbitMQ ended");
        self.flight.abandon();
    }
}
