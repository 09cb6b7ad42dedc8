//! Asserting the topology, and noticing what was deleted behind our back.

use std::collections::BTreeMap;
use std::future::Future;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};
use longshore_core::clock::{Clock as _, SystemClock, Timestamp};
use longshore_core::shard::Shards;
use parking_lot::Mutex;

use super::RPC_TIMEOUT;
use super::drift::Drift;
use super::link::Error;
use super::topology::{self, Exchange, Queue};
use crate::config::Profile;

/// Asserts the topology of one installation.
#[derive(Debug)]
pub(super) struct Declarer {
    profile: Profile,
    shards: Shards,
    /// Broker queues that this process found missing, and when it made them: what was in them before is gone. One
    /// entry for each queue that this process has ever used.
    recreated: Mutex<BTreeMap<String, Timestamp>>,
}

/// What waits in a broker queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    pub(super) ready: u64,
    pub(super) consumers: u64,
}

/// A queue that was looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// It was missing and was made.
    Made,
    /// It was there. A quorum queue that RabbitMQ cannot ask shows zeros.
    There(Waiting),
}

impl Found {
    pub(super) fn waiting(self) -> Waiting {
        match self {
            Self::Made => Waiting::default(),
            Self::There(waiting) => waiting,
        }
    }

    /// Whether the queue itself has answered, for certain.
    pub(super) fn is_alive(self) -> bool {
        match self {
            Self::Made => true,
            Self::There(waiting) => waiting.ready > 0 || waiting.consumers > 0,
        }
    }
}

impl Declarer {
    pub(super) fn new(profile: Profile, shards: Shards) -> Self {
        Self {
            profile,
            shards,
            recreated: Mutex::default(),
        }
    }

    pub(super) fn profile(&self) -> Profile {
        self.profile
    }

    /// Asserts the exchanges and the queues for dead letters.
    ///
    /// # Errors
    /// When they exist with other arguments, or the connection ends.
    pub(super) async fn base(&self, connection: &Connection) -> Result<(), Error> {
        let mut scratch = Scratch::new(connection);
        for exchange in topology::exchanges(self.shards) {
            self.exchange(&mut scratch, &exchange).await?;
        }
        for queue in topology::dead_letter_queues(self.profile) {
            self.assert(&mut scratch, &queue).await?;
        }
        scratch.close().await;
        Ok(())
    }

    /// Asserts one queue, on a channel of its own.
    ///
    /// # Errors
    /// When it exists with other arguments, does not answer, or the connection ends.
    pub(super) async fn queue(&self, connection: &Connection, queue: &Queue) -> Result<Found, Error> {
        let mut scratch = Scratch::new(connection);
        let found = self.assert(&mut scratch, queue).await?;
        scratch.close().await;
        Ok(found)
    }

    /// When this process found the queue missing last.
    pub(super) fn recreated(&self, name: &str) -> Option<Timestamp> {
        self.recreated.lock().get(name).copied()
    }

    /// What is in a queue; one that is missing is made.
    ///
    /// # Errors
    /// When it cannot be made, does not answer, or the connection ends.
    pub(super) async fn look(&self, connection: &Connection, queue: &Queue) -> Result<Found, Error> {
        let mut scratch = Scratch::new(connection);
        let found = match scratch.look(&queue.name).await? {
            Some(waiting) => Found::There(waiting),
            None => self.make_anew(&mut scratch, queue).await?,
        };
        scratch.close().await;
        Ok(found)
    }

    /// Messages of the archive of dead letters that nobody holds; a missing one has none.
    ///
    /// # Errors
    /// When the connection ends.
    pub(super) async fn archived(&self, connection: &Connection) -> Result<u64, Error> {
        let mut scratch = Scratch::new(connection);
        let waiting = scratch.look(topology::DEAD).await?;
        scratch.close().await;
        Ok(waiting.map_or(0, |waiting| waiting.ready))
    }

    /// Asserts one exchange.
    ///
    /// # Errors
    /// When it exists otherwise, or the connection ends.
    pub(super) async fn exchange(&self, scratch: &mut Scratch<'_>, exchange: &Exchange) -> Result<(), Error> {
        let channel = scratch.channel().await?;
        let declared = channel.exchange_declare(
            exchange.name.into(),
            ExchangeKind::Direct,
            ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            },
            topology::table(&exchange.arguments),
        );
        let shards = self.shards.count();
        answered(exchange.name, declared)
            .await
            .map_err(|error| match error {
                Error::Drift(drift) if exchange.name == topology::SHARDS => {
                    match topology::shards_of_mark(&drift.found) {
                        Some(found) => Error::Shards {
                            found,
                            wanted: shards,
                        },
                        None => Error::Drift(drift),
                    }
                }
                error => error,
            })
    }

    /// A queue is looked for before it is declared, because a declaration does not tell whether it made it.
    async fn assert(&self, scratch: &mut Scratch<'_>, queue: &Queue) -> Result<Found, Error> {
        match scratch.look(&queue.name).await? {
            Some(waiting) => {
                self.make(scratch, queue).await?;
                Ok(Found::There(waiting))
            }
            None => self.make_anew(scratch, queue).await,
        }
    }

    async fn make_anew(&self, scratch: &mut Scratch<'_>, queue: &Queue) -> Result<Found, Error> {
        self.make(scratch, queue).await?;
        self.recreated
            .lock()
            .insert(queue.name.clone(), SystemClock.now());
        Ok(Found::Made)
    }

    /// Asserts a queue and its binding.
    ///
    /// # Errors
    /// When it exists with other arguments, or the connection ends.
    pub(super) async fn make(&self, scratch: &mut Scratch<'_>, queue: &Queue) -> Result<(), Error> {
        self.declare(scratch, queue).await?;
        let channel = scratch.channel().await?;
        let bound = channel.queue_bind(
            queue.name.as_str().into(),
            queue.exchange.into(),
            queue.key.as_str().into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        answered(&queue.name, bound).await
    }

    /// Asserts a queue alone.
    ///
    /// # Errors
    /// As [`Declarer::make`].
    pub(super) async fn declare(&self, scratch: &mut Scratch<'_>, queue: &Queue) -> Result<(), Error> {
        let channel = scratch.channel().await?;
        let declared = channel.queue_declare(
            queue.name.as_str().into(),
            QueueDeclareOptions {
                durable: true,
                ..QueueDeclareOptions::default()
            },
            topology::table(&queue.arguments),
        );
        answered(&queue.name, declared).await.map(drop)
    }
}

/// A channel for declarations, opened when first needed: the broker closes it with every refusal.
pub(super) struct Scratch<'a> {
    connection: &'a Connection,
    channel: Option<Channel>,
}

impl<'a> Scratch<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            channel: None,
        }
    }

    pub(super) async fn channel(&mut self) -> Result<Channel, Error> {
        if let Some(channel) = self
            .channel
            .as_ref()
            .filter(|channel| channel.status().connected())
        {
            return Ok(channel.clone());
        }
        let channel = answered("a channel", self.connection.create_channel()).await?;
        self.channel = Some(channel.clone());
        Ok(channel)
    }

    /// What waits in a queue, or `None` when it does not exist.
    pub(super) async fn look(&mut self, name: &str) -> Result<Option<Waiting>, Error> {
        let channel = self.channel().await?;
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let looked = channel.queue_declare(name.into(), passive, FieldTable::default());
        match tokio::time::timeout(RPC_TIMEOUT, looked).await {
            Ok(Ok(queue)) => Ok(Some(Waiting {
                ready: u64::from(queue.message_count()),
                consumers: u64::from(queue.consumer_count()),
            })),
            Ok(Err(error)) if is_not_found(&error) => Ok(None),
            Ok(Err(error)) => Err(refused(name, &error)),
            Err(_) => Err(timed_out(name)),
        }
    }

    pub(super) async fn close(self) {
        if let Some(channel) = self.channel {
            // It is closed by its drop as well; waiting keeps the number of open channels down.
            drop(tokio::time::timeout(RPC_TIMEOUT, channel.close(200, "done".into())).await);
        }
    }
}

/// Awaits an answer of the broker, but not for ever.
pub(super) async fn answered<T>(name: &str, rpc: impl Future<Output = lapin::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(RPC_TIMEOUT, rpc).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(refused(name, &error)),
        Err(_) => Err(timed_out(name)),
    }
}

fn timed_out(name: &str) -> Error {
    Error::Lost {
        reason: format!("no answer about {name} within {} s", RPC_TIMEOUT.as_secs()),
    }
}

fn refused(name: &str, error: &lapin::Error) -> Error {
    if let Some(drift) = Drift::of(name, error) {
        return Error::Drift(drift);
    }
    if let Some(reason) = forbidden(error) {
        return Error::Forbidden {
            name: name.to_owned(),
            reason,
        };
    }
    match error.kind() {
        ErrorKind::ProtocolError(refusal) if matches!(refusal.kind(), AMQPErrorKind::Soft(_)) => {
            Error::Declare {
                name: name.to_owned(),
                reason: refusal.get_message().to_string(),
            }
        }
        _ => Error::Lost {
            reason: error.to_string(),
        },
    }
}

/// What the broker says to a user who lacks a right; `None` for every other error. It tells nothing of the queue.
pub(super) fn forbidden(error: &lapin::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::ProtocolError(refusal)
            if matches!(refusal.kind(), AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) =>
        {
            Some(refusal.get_message().to_string())
        }
        _ => None,
    }
}

/// Whether the broker knows no such queue.
pub(super) fn is_not_found(error: &lapin::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ProtocolError(refusal)
            if matches!(refusal.kind(), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
    )
}
