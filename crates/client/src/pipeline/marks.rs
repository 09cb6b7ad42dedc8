//! Tells the store what the broker confirmed, in the background: a mark that is lost costs one duplicate message, which
//! the sweep of the outbox publishes and a worker drops.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_core::JobId;
use longshore_core::gather::{Carry, Gather, Trip, TripLimits};
use longshore_core::limits::SCRIPT_JOBS_MAX;
use longshore_core::message::Gen;
use longshore_core::port::EnqueuePort;
use longshore_core::random::Random;
use tokio::sync::Notify;

use super::retry::{CALL_LIMIT, retrying};

/// Marks that wait at most; those beyond are left to the sweep.
const MARKS_MAX: usize = 100_000;

/// The marks of every shard.
#[derive(Debug)]
pub(crate) struct Marks {
    shards: Vec<Gather<Mark, (), MarkTrip>>,
    open: Arc<Open>,
}

/// Counts what is not marked yet.
#[derive(Debug, Default)]
struct Open {
    count: AtomicUsize,
    none: Notify,
}

/// One dispatch to be marked; counted for as long as it lives.
struct Mark {
    id: JobId,
    gen_: Gen,
    open: Arc<Open>,
}

impl Drop for Mark {
    fn drop(&mut self) {
        if self.open.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.open.none.notify_waiters();
        }
    }
}

struct MarkTrip {
    shard: u16,
    port: Arc<dyn EnqueuePort>,
    random: Arc<dyn Random>,
}

impl Carry<Mark, ()> for MarkTrip {
    fn carry(&self, batch: Vec<Mark>) -> Trip<'_, ()> {
        Box::pin(async move {
            let jobs: Vec<_> = batch.iter().map(|mark| (mark.id, mark.gen_)).collect();
            let marked = retrying(&*self.random, CALL_LIMIT, || {
                self.port.mark_published(self.shard, jobs.clone())
            })
            .await;
            if let Err(error) = marked {
                tracing::debug!(%error, jobs = jobs.len(), "not marked as published; the sweep publishes them again");
            }
            Vec::new()
        })
    }
}

impl Marks {
    pub(crate) fn new(port: &Arc<dyn EnqueuePort>, random: &Arc<dyn Random>) -> Self {
        let limits = TripLimits {
            batch_max: SCRIPT_JOBS_MAX,
            weight_max: usize::MAX,
            trips_max: 1,
        };
        let gather = |shard| {
            let (port, random) = (Arc::clone(port), Arc::clone(random));
            Gather::new(MarkTrip { shard, port, random }, limits)
        };
        Self {
            shards: port.shards().all().map(gather).collect(),
            open: Arc::default(),
        }
    }

    /// Marks dispatches of a shard, soon.
    pub(crate) fn published(&self, shard: u16, jobs: impl IntoIterator<Item = (JobId, Gen)>) {
        let Some(gather) = self.shards.get(usize::from(shard)) else {
            return;
        };
        let room = MARKS_MAX.saturating_sub(self.open.count.load(Ordering::Acquire));
        let marks = jobs.into_iter().take(room).map(|(id, gen_)| {
            self.open.count.fetch_add(1, Ordering::AcqRel);
            let open = Arc::clone(&self.open);
            Mark { id, gen_, open }
        });
        gather.cast(marks, |carrier| drop(tokio::spawn(carrier)));
    }

    /// Waits until nothing is left to be marked.
    pub(crate) async fn flush(&self) {
        loop {
            let mut none = std::pin::pin!(self.open.none.notified());
            none.as_mut().enable();
            if self.open.count.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}
