//! Messages in: subscriptions, each on a channel of its own, and how much waits.

mod acks;
mod runs;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use longshore_core::name::QueueName;
use longshore_core::port::broker::{Depth, Source, Subscription};
use longshore_core::port::{ConsumePort, Reply};
use tokio::sync::watch;

use super::RPC_TIMEOUT;
use super::declare::{Declarer, Found, answered};
use super::link::{Error, Link, Live, State};
use super::pauses::Pauses;
use super::scout::{Asked, Scout};
use super::topology::{self, Queue};
use crate::Profile;
use subscription::{Channelled, Opener};

/// First and longest pause between two attempts on a connection that is there and fails, before jitter.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a subscription with some queues waits for the others to show that they answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The consuming side of a broker.
#[derive(Debug)]
pub struct Consumer {
    link: Link,
    declarer: Arc<Declarer>,
    scout: Arc<Scout>,
    timeout: Duration,
    /// Set once, by [`Consumer::close`].
    closing: watch::Sender<bool>,
}

impl Consumer {
    pub(super) fn new(link: Link, declarer: Arc<Declarer>, scout: Scout, timeout: Duration) -> Self {
        Self {
            link,
            declarer,
            scout: Arc::new(scout),
            timeout,
            closing: watch::Sender::new(false),
        }
    }

    /// The source's broker queues, the most urgent first.
    fn queues(&self, source: &Source) -> Vec<Queue> {
        let profile = self.declarer.profile();
        let [given_up, dead] = topology::dead_letter_queues(profile);
        match source {
            Source::Jobs(logical) => topology::queues(profile, logical),
            Source::Archive => vec![dead],
            Source::GivenUp => vec![given_up],
        }
    }

    /// Opens the queues that answer, at least one; the others join when they do.
    ///
    /// All are consumed on one channel. One that does not answer would take it along, and the connection with it, so
    /// no queue is consumed there before it has shown a sign of life; see [`Scout`].
    async fn open(&self, live: &Live, source: &Source, prefetch: u16) -> Result<Channelled, Error> {
        self.declarer.base(&live.connection).await?;
        let queues = self.queues(source);
        let (mut well, unsure) = self.sort(live, &queues).await?;
        let mut asked = Asked::start(Arc::clone(&self.scout), unsure.clone());
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        while well.len() < queues.len() {
            tokio::select! {
                name = asked.next() => match name {
                    Some(name) => well.push(name),
                    None => break,
                },
                () = &mut patience, if !well.is_empty() => break,
                () = lost(self.link.watch(), live.epoch) => break,
            }
        }
        let opener = Opener {
            channel: answered("a channel", live.connection.create_channel()).await?,
            queues: queues.into_iter().map(|queue| queue.name).collect(),
            prefetch,
            scout: Arc::clone(&self.scout),
        };
        let mut streams = Vec::with_capacity(well.len());
        // By rank, so that the most urgent queue is consumed from first.
        for name in opener.queues.iter().filter(|name| well.contains(name)) {
            streams.push(opener.open(name).await?);
        }
        let closing = self.closing.subscribe();
        let link = self.link.watch();
        Ok(Channelled::new(opener, streams, asked, closing, link, live.epoch))
    }

    /// Asserts each queue on a channel of its own. Answers the names of those that are well, and of those to be asked.
    async fn sort(&self, live: &Live, queues: &[Queue]) -> Result<(Vec<String>, Vec<String>), Error> {
        let asserted = join_all(
            queues
                .iter()
                .map(|queue| self.declarer.queue(&live.connection, queue)),
        );
        let (mut well, mut unsure) = (Vec::new(), Vec::new());
        for (queue, found) in queues.iter().zip(asserted.await) {
            let name = queue.name.clone();
            match found {
                Ok(found) if self.scout.is_certain(&name, found) => well.push(name),
                Ok(_) => unsure.push(name),
                Err(error) if error.may_pass() && live.connection.status().connected() => {
                    tracing::debug!(queue = name, %error, "a queue cannot be asserted");
                    unsure.push(name);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((well, unsure))
    }

    async fn subscribed(
        &self,
        source: Source,
        prefetch: u16,
    ) -> Result<Box<dyn Subscription>, longshore_core::port::Error> {
        let mut pauses = Pauses::new(PAUSE_MIN, PAUSE_MAX);
        loop {
            let live = self.link.connected().await?;
            match self.open(&live, &source, prefetch).await {
                Ok(subscription) => return Ok(Box::new(subscription)),
                Err(error) if error.may_pass() => {
                    tracing::warn!(%error, "cannot subscribe yet");
                    tokio::time::sleep(pauses.next()).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Queues that do not answer are left out: nobody may take the zeros that RabbitMQ tells of them for emptiness.
    async fn waiting(&self, queues: Vec<QueueName>) -> Result<Vec<Depth>, longshore_core::port::Error> {
        let live = self.link.now()?;
        let mut depths = Vec::new();
        for logical in queues {
            depths.extend(self.depths_of(&live, &logical).await?);
        }
        Ok(depths)
    }

    async fn depths_of(&self, live: &Live, logical: &QueueName) -> Result<Vec<Depth>, Error> {
        let queues = topology::queues(self.declarer.profile(), logical);
        let looked = join_all(
            queues
                .iter()
                .map(|queue| self.declarer.look(&live.connection, queue)),
        );
        let (mut certain, mut unsure) = (Vec::new(), Vec::new());
        for (queue, found) in queues.iter().zip(looked.await) {
            match found {
                Ok(found) if self.scout.is_certain(&queue.name, found) => certain.push((queue, found)),
                Ok(found) => unsure.push((queue, found)),
                Err(error) if error.may_pass() && live.connection.status().connected() => {
                    tracing::debug!(queue = queue.name, %error, "a queue cannot be looked at");
                }
                Err(error) => return Err(error),
            }
        }
        if !unsure.is_empty() {
            let names: Vec<&str> = unsure.iter().map(|(queue, _)| queue.name.as_str()).collect();
            let answering = self.scout.answers(&names).await.answering;
            unsure.retain(|(queue, _)| answering.contains(&queue.name));
        }
        // The zeros were told before it answered: only what it tells now counts.
        let again = join_all(
            unsure
                .iter()
                .map(|(queue, _)| self.declarer.look(&live.connection, queue)),
        );
        for ((queue, _), found) in unsure.iter().zip(again.await) {
            match found {
                Ok(found) => certain.push((queue, found)),
                Err(error) if error.may_pass() && live.connection.status().connected() => {
                    tracing::debug!(queue = queue.name, %error, "a queue cannot be looked at");
                }
                Err(error) => return Err(error),
            }
        }
        let depth = |(queue, found): (&Queue, Found)| Depth {
            queue: logical.clone(),
            priority: queue.priority,
            ready: found.waiting().ready,
            consumers: found.waiting().consumers,
            recreated_at: self.declarer.recreated(&queue.name),
        };
        Ok(certain.into_iter().map(depth).collect())
    }

    /// Sends what was acknowledged and ends every subscription's channel.
    pub(super) async fn close(&self) {
        self.closing.send_replace(true);
        // Each channel's task holds a receiver until it is done.
        drop(tokio::time::timeout(RPC_TIMEOUT, self.closing.closed()).await);
    }
}

/// Waits until the connection of this epoch is gone.
async fn lost(mut link: watch::Receiver<State>, epoch: u64) {
    let gone = link.wait_for(|state| !matches!(state, State::Connected(live) if live.epoch == epoch));
    // An error means that the link itself is gone.
    drop(gone.await);
}

impl ConsumePort for Consumer {
    fn subscribe(&self, source: Source, prefetch: u16) -> Reply<'_, Box<dyn Subscription>> {
        Box::pin(self.subscribed(source, prefetch))
    }

    fn depths(&self, queues: Vec<QueueName>) -> Reply<'_, Vec<Depth>> {
        Box::pin(self.waiting(queues))
    }

    fn archived(&self) -> Reply<'_, u64> {
        Box::pin(async move {
            let live = self.link.now()?;
            let archived = self.declarer.archived(&live.connection).await?;
            if archived > 0 || self.declarer.profile() == Profile::Classic {
                return Ok(archived);
            }
            // An archive that does not answer shows zero as well.
            let mut answers = self.scout.answers(&[topology::DEAD]).await;
            if let Some((name, reason)) = answers.forbidden.pop_first() {
                return Err(Error::Forbidden { name, reason }.into());
            }
            if answers.answering.is_empty() {
                return Err(longshore_core::port::Error::Unavailable {
                    server: "RabbitMQ",
                    reason: format!("the queue {} does not answer", topology::DEAD),
                });
            }
            Ok(self.declarer.archived(&live.connection).await?)
        })
    }

    fn consumer_timeout(&self) -> Duration {
        self.timeout
    }
}
