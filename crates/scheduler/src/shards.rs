//! Which shards this scheduler works on: leases that are shared fairly without anybody who counts the replicas.
//!
//! A replica that holds little asks for free shards often, one that holds much seldom, and every replica with more
//! than one shard offers half of them from time to time. So a newcomer, who asks in every round, gets the next offer,
//! and the shards spread. While a shard is on offer its old holder works on it until somebody has it: the work is
//! then done twice, which is harmless, rather than not at all.
//!
//! A replica that cannot publish is of little use to the jobs of its shards. Once that lasts it offers all of them, for as
//! long as it lasts, and asks anew more seldom than others make offers: who has a broker gets them, and where nobody has
//! one they are worked on all the same.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::port::Ports;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// A lease lasts this many rounds.
const TTL_ROUNDS: u32 = 4;
/// Rounds between two offers.
const OFFER_ROUNDS: u64 = 15;
/// Rounds that an offer lasts.
const OFFER_LASTS: u64 = 2;
/// Rounds between two questions of a replica that cannot publish. It shares no divisor with the rounds between offers: two
/// replicas in step would otherwise meet at every offer, and the mute one always have half of the shards.
const MUTE_ROUNDS: u64 = OFFER_ROUNDS + 4;
/// Rounds without a broker after which all shards are on offer: what ends sooner is no reason to move them.
const PATIENCE: u32 = TTL_ROUNDS;

/// The shards of this scheduler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// What it works on: its leases, and what it offers now.
    pub(crate) shards: Vec<u16>,
    /// It has the lease of shard 0, and with it the tasks that one replica at a time should do.
    pub(crate) is_first: bool,
}

/// Holds leases over shards.
#[derive(Debug)]
pub(crate) struct Leases {
    ports: Ports,
    holder: String,
    interval: Duration,
    round: u64,
    /// Rounds in a row in which nothing could be published.
    mute: u32,
    leased: Vec<u16>,
}

impl Leases {
    pub(crate) fn new(ports: Ports, holder: String, interval: Duration) -> Self {
        Self {
            ports,
            holder,
            interval,
            round: 0,
            mute: 0,
            leased: Vec::new(),
        }
    }

    /// Keeps the leases until the scheduler stops, and gives them back then.
    pub(crate) async fn hold(mut self, held: watch::Sender<Held>, stop: CancellationToken) -> Arc<str> {
        let mut ticks = interval(self.interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut away = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => break,
            }
            match self.turn().await {
                Ok(now) => {
                    held.send_if_modified(|held| std::mem::replace(held, now.clone()) != now);
                    away = false;
                }
                // What it had it keeps working on: somebody must, once the store is back. A scheduler without shards has
                // no daemon that would tell of it.
                Err(error) if !std::mem::replace(&mut away, true) => {
                    tracing::warn!(%error, "cannot renew the leases over shards");
                }
                Err(_) => {}
            }
        }
        if let Err(error) = self.ports.schedule.release_shards(self.holder.clone()).await {
            tracing::debug!(%error, "cannot give the leases over shards back; they end by themselves");
        }
        self.holder.into()
    }

    /// One round: what this scheduler works on from now on.
    pub(crate) async fn turn(&mut self) -> Result<Held, longshore_core::port::Error> {
        let count = usize::from(self.ports.enqueue.shards().count());
        self.mute = if self.ports.publish.is_ready() {
            0
        } else {
            self.mute.saturating_add(1)
        };
        let want = self.want(count);
        self.round += 1;
        let ttl = self.interval * TTL_ROUNDS;
        let mut now = self
            .ports
            .schedule
            .lease_shards(self.holder.clone(), want, ttl)
            .await?;
        now.sort_unstable();
        now.dedup();
        let offering = want < self.leased.len();
        let mut shards = now.clone();
        if offering {
            // What is on offer is worked on; what is lost shows when the offer ends.
            shards.extend(self.leased.iter().filter(|shard| !now.contains(shard)));
            shards.sort_unstable();
        }
        // Where nobody can publish, somebody does the tasks of the first all the same; two of them do no harm.
        let is_first = now.contains(&0) || (offering && self.mute > PATIENCE && self.leased.contains(&0));
        if !offering {
            self.leased = now;
        }
        Ok(Held { shards, is_first })
    }

    /// How many shards to ask for in this round.
    fn want(&self, count: usize) -> usize {
        let has = self.leased.len();
        if self.mute > PATIENCE {
            return if self.round.is_multiple_of(MUTE_ROUNDS) {
                count
            } else {
                0
            };
        }
        if has > 1 && self.round % OFFER_ROUNDS >= OFFER_ROUNDS - OFFER_LASTS {
            return has - has / 2;
        }
        // The poorer, the sooner.
        let every = 1 + u64::from(has > 0) + u64::from(has * 2 > count);
        if self.round.is_multiple_of(every) {
            count
        } else {
            has
        }
    }
}
