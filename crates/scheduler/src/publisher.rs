//! Publishes leased dispatches and marks what the broker confirmed. Shared by every daemon that leases dispatches.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::clock::Clock;
use longshore_core::limits::OUTBOX_LEASE;
use longshore_core::message::{Gen, Message};
use longshore_core::port::Ports;
use longshore_core::port::broker::Published;
use longshore_core::port::schedule::Leased;
use longshore_core::{JobId, port};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{MissedTickBehavior, interval_at};

use crate::error::Error;
use crate::message;

/// Rows that one lease takes; a bite must fit a script call ([`longshore_core::limits::SCRIPT_JOBS_MAX`]).
pub(crate) const BITE: usize = 250;
/// Most messages whose confirm is awaited at once; above it nothing more is leased.
const CONFIRMS_MAX: usize = 1_000;
/// How often the lease of rows in flight is extended.
const EXTEND: Duration = Duration::from_secs(OUTBOX_LEASE.as_secs() / 3);

/// The scheduler's one way to the broker.
#[derive(Debug)]
pub(crate) struct Publisher {
    ports: Ports,
    clock: Arc<dyn Clock>,
    bundle_max: usize,
    confirms: Semaphore,
}

impl Publisher {
    pub(crate) fn new(ports: Ports, clock: Arc<dyn Clock>, bundle_max: usize) -> Self {
        Self {
            ports,
            clock,
            bundle_max,
            confirms: Semaphore::new(CONFIRMS_MAX),
        }
    }

    /// Room for a bite, to be had before the rows are leased: a row that is leased should be published at once.
    ///
    /// # Errors
    /// [`Error::BrokerNotReady`] while nothing can be published.
    pub(crate) async fn room(&self) -> Result<SemaphorePermit<'_>, Error> {
        if !self.ports.publish.is_ready() {
            return Err(Error::BrokerNotReady);
        }
        let bite = u32::try_from(BITE).unwrap_or(u32::MAX);
        let room = self
            .confirms
            .acquire_many(bite)
            .await
            .map_err(|_| port::Error::Closed)?;
        // The broker may have gone while others were waited for.
        if self.ports.publish.is_ready() {
            Ok(room)
        } else {
            Err(Error::BrokerNotReady)
        }
    }

    /// Publishes the dispatches of a shard and marks those that were confirmed. Answers how many. The others stay in
    /// the outbox and come again when their lease ends.
    ///
    /// # Errors
    /// When a message was not confirmed, or the marks could not be written.
    pub(crate) async fn send(
        &self,
        shard: u16,
        leased: Leased,
        room: SemaphorePermit<'_>,
    ) -> Result<u64, Error> {
        if leased.jobs.is_empty() {
            return Ok(0);
        }
        let messages = message::build(shard, leased, self.bundle_max, self.clock.now());
        let dispatches: Vec<_> = messages.iter().map(message::dispatches).collect();
        let answers = self.publish(shard, messages, &dispatches).await;
        drop(room);
        let confirmed: Vec<_> = std::iter::zip(&dispatches, &answers)
            .filter(|(_, answer)| answer.is_confirmed())
            .flat_map(|(jobs, _)| jobs.iter().copied())
            .collect();
        let rows = confirmed.len() as u64;
        if !confirmed.is_empty() {
            self.ports.enqueue.mark_published(shard, confirmed).await?;
        }
        check(&answers)?;
        Ok(rows)
    }

    /// Publishes, and keeps the rows leased for as long as the confirms take.
    async fn publish(
        &self,
        shard: u16,
        messages: Vec<Message>,
        dispatches: &[Vec<(JobId, Gen)>],
    ) -> Vec<Published> {
        let mut publish = self.ports.publish.publish(messages);
        let mut ticks = interval_at(tokio::time::Instant::now() + EXTEND, EXTEND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                answers = &mut publish => return answers,
                _ = ticks.tick() => {
                    let rows = dispatches.concat();
                    if let Err(error) = self.ports.schedule.extend_outbox(shard, rows).await {
                        // They may be published twice; the second copy is stale or busy.
                        tracing::debug!(shard, %error, "cannot extend the lease of rows that are being published");
                    }
                }
            }
        }
    }
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
