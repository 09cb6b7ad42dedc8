//! Tells the store what the broker confirmed, in the background: a mark that is lost costs one duplicate message, which
//! the sweep of the outbox publishes and a worker drops.
//!
//! They wait a moment: a job that a worker starts meanwhile needs none, and those that are left share a call. As many as
//! one trip takes wait no longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_core::JobId;
use longshore_core::gather::{Carry, Gather, Trip, TripLimits};
use longshore_core::message::Gen;
use longshore_core::port::EnqueuePort;
use longshore_core::random::Random;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::retry::{CALL_LIMIT, retrying};

/// Marks that wait at most; those beyond are left to the sweep.
const MARKS_MAX: usize = 100_000;
/// Marks of one shard that go together; the store cuts them into calls.
const TOGETHER_MAX: usize = 8_192;
/// How long one waits at most while a trip has room; far below the time after which the sweep takes an unmarked dispatch for unpublished.
const WAIT: Duration = Duration::from_secs(1);

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
    /// How many wait for there to be none: then no mark waits any longer.
    flushes: AtomicUsize,
    hurry: Notify,
}

impl Open {
    /// When marks that may wait until then need wait no longer.
    async fn ripe(&self, until: Instant) {
        let mut hurry = std::pin::pin!(self.hurry.notified());
        hurry.as_mut().enable();
        if self.flushes.load(Ordering::Acquire) == 0 {
            // Whichever comes first; there is nothing to learn from which it was.
            tokio::time::timeout_at(until, hurry).await.ok();
        }
    }
}

/// Somebody who waits for there to be no mark left.
struct Flush<'a>(&'a Open);

impl<'a> Flush<'a> {
    fn begin(open: &'a Open) -> Self {
        open.flushes.fetch_add(1, Ordering::AcqRel);
        open.hurry.notify_waiters();
        Self(open)
    }
}

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        self.0.flushes.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One dispatch to be marked; counted for as long as it lives.
struct Mark {
    id: JobId,
    gen_: Gen,
    since: Instant,
    open: Arc<Open>,
}

/// Until when a batch may wait: counted from its oldest mark, so that the trips of others before it cost no time. A full
/// one goes at once.
fn may_wait_until(batch: &[Mark]) -> Option<Instant> {
    let oldest = batch.first().filter(|_| batch.len() < TOGETHER_MAX)?;
    Some(oldest.since + WAIT)
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
    open: Arc<Open>,
}

impl Carry<Mark, ()> for MarkTrip {
    fn carry(&self, batch: Vec<Mark>) -> Trip<'_, ()> {
        Box::pin(async move {
            if let Some(until) = may_wait_until(&batch) {
                self.open.ripe(until).await;
            }
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
            batch_max: TOGETHER_MAX,
            weight_max: usize::MAX,
            trips_max: 1,
        };
        let open = Arc::<Open>::default();
        let gather = |shard| {
            let trip = MarkTrip {
                shard,
                port: Arc::clone(port),
                random: Arc::clone(random),
                open: Arc::clone(&open),
            };
            Gather::new(trip, limits)
        };
        Self {
            shards: port.shards().all().map(gather).collect(),
            open,
        }
    }

    /// Marks dispatches of a shard, soon.
    pub(crate) fn published(&self, shard: u16, jobs: impl IntoIterator<Item = (JobId, Gen)>) {
        let Some(gather) = self.shards.get(usize::from(shard)) else {
            return;
        };
        let room = MARKS_MAX.saturating_sub(self.open.count.load(Ordering::Acquire));
        let since = Instant::now();
        let marks = jobs.into_iter().take(room).map(|(id, gen_)| {
            self.open.count.fetch_add(1, Ordering::AcqRel);
            let open = Arc::clone(&self.open);
            Mark {
                id,
                gen_,
                since,
                open,
            }
        });
        gather.cast(marks, |carrier| drop(tokio::spawn(carrier)));
    }

    /// Waits until nothing is left to be marked.
    pub(crate) async fn flush(&self) {
        let _flush = Flush::begin(&self.open);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(count: usize, since: Instant, open: &Arc<Open>) -> Vec<Mark> {
        let mark = |_| {
            open.count.fetch_add(1, Ordering::AcqRel);
            Mark {
                id: JobId::from_idempotency_key("one"),
                gen_: 1,
                since,
                open: Arc::clone(open),
            }
        };
        (0..count).map(mark).collect()
    }

    #[test]
    fn more_marks_than_a_trip_takes_go_at_once_and_the_rest_waits_from_its_oldest_on() {
        let (open, began) = (Arc::default(), Instant::now());
        let mut all = marks(TOGETHER_MAX, began, &open);
        let later = began + WAIT / 4;
        all.extend(marks(1, later, &open));
        all.extend(marks(1, began + WAIT / 2, &open));
        let trips: Vec<_> = all.chunks(TOGETHER_MAX).map(may_wait_until).collect();
        assert_eq!(trips, [None, Some(later + WAIT)]);
        drop(all);
        assert_eq!(open.count.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn a_batch_whose_oldest_mark_waited_long_enough_behind_others_waits_no_more() {
        let open = Open::default();
        let past = Instant::now();
        // Ends only because that moment is over: nobody flushes.
        open.ripe(past).await;
        assert_eq!(open.flushes.load(Ordering::Acquire), 0);
    }
}
