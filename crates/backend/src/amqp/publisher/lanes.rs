//! The lanes: made when first needed, gone when they have been idle.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::driver::Lane;
use super::{CALLS_MAX, Call, Target};
use crate::amqp::declare::Declarer;
use crate::amqp::link::{Error, Link, Live};

/// Most lanes at once. Each has a channel when it is in use; RabbitMQ allows 2,047 on a connection by default.
pub(super) const LANES_MAX: usize = 1_000;

/// Every lane of a publisher.
#[derive(Debug)]
pub(super) struct Lanes {
    link: Link,
    ground: Arc<Ground>,
    /// A closed sender belongs to a lane that has ended.
    open: Mutex<HashMap<Target, mpsc::Sender<Call>>>,
}

impl Lanes {
    pub(super) fn new(link: Link, declarer: Arc<Declarer>) -> Self {
        Self {
            link,
            ground: Arc::new(Ground {
                declarer,
                epoch: AtomicU64::new(0),
            }),
            open: Mutex::default(),
        }
    }

    /// The lane for this target, started if need be; `None` when there are too many.
    pub(super) fn lane(&self, target: &Target) -> Option<mpsc::Sender<Call>> {
        let mut open = self.open.lock();
        if let Some(lane) = open.get(target).filter(|lane| !lane.is_closed()) {
            return Some(lane.clone());
        }
        if open.len() >= LANES_MAX {
            open.retain(|_, lane| !lane.is_closed());
        }
        if open.len() >= LANES_MAX {
            return None;
        }
        let (calls, waiting) = mpsc::channel(CALLS_MAX);
        let lane = Lane::new(
            target.queue(self.ground.declarer.profile()),
            Arc::clone(&self.ground),
        );
        tokio::spawn(lane.run(self.link.watch(), waiting));
        open.insert(target.clone(), calls.clone());
        Some(calls)
    }
}

/// What every lane stands on.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) declarer: Arc<Declarer>,
    /// Connection on which the exchanges are known to be there; 0 for none.
    epoch: AtomicU64,
}

impl Ground {
    /// Asserts what all queues share, once for each connection.
    ///
    /// # Errors
    /// When it exists with other arguments, does not answer, or the connection ends.
    pub(super) async fn assert(&self, live: &Live) -> Result<(), Error> {
        if self.epoch.load(Ordering::Relaxed) != live.epoch {
            self.declarer.base(&live.connection).await?;
            self.epoch.store(live.epoch, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A channel was closed by the broker: an exchange may be gone.
    pub(super) fn doubt(&self) {
        self.epoch.store(0, Ordering::Relaxed);
    }
}
