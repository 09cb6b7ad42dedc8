//! Publishes again what the broker has lost: queues purged, deleted, or recreated after a disaster.
//!
//! Age alone proves nothing: a job may wait in the broker for days. Only this does: workers have lately been given
//! younger messages of the same queue and priority; or the queue is empty, and no worker holds a message for longer
//! than the hold limit; or the queue is known to have been made anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::port::broker::Depth;
use longshore_core::port::schedule::Watermark;
use longshore_core::telemetry::Repair;
use longshore_core::view::WorkerView;
use longshore_core::{JobStatus, Priority, QueueName, Timestamp};
use tokio::time::{Instant, sleep_until};

use crate::context::Context;
use crate::error::Error;
use crate::publisher::BITE;
use crate::status::Done;

/// Workers that beat within this tell where the queues are.
const FRESH: Duration = Duration::from_secs(60);
/// How far clocks of producers, workers and the store may be apart.
const SKEW: Duration = Duration::from_secs(60);

/// Finds published jobs that are certainly out of the broker and publishes them with the gen they have: a second copy
/// is harmless, staling the first is not.
pub(super) async fn pass(cx: &Context, shards: &[u16]) -> Result<Done, Error> {
    // Not even looked at while nothing can be published.
    drop(cx.publisher.room().await?);
    let marks = watermarks(cx).await?;
    if marks.is_empty() {
        return Ok(Done::default());
    }
    let pace = Pace::new(cx.settings.audit_rate);
    cx.each_shard(shards, |shard| Box::pin(audit(cx, shard, marks.clone(), &pace)))
        .await
}

async fn audit(cx: &Context, shard: u16, marks: Vec<Watermark>, pace: &Pace) -> Result<Done, Error> {
    let mut total = Done::default();
    loop {
        tokio::select! {
            () = pace.turn() => {}
            () = cx.stop.cancelled() => return Ok(total),
        }
        let room = cx.publisher.room().await?;
        let leased = cx.ports.schedule.audit(shard, marks.clone(), BITE).await?;
        let (found, full) = (leased.jobs.len(), leased.looked_at >= BITE);
        pace.spend(found);
        total = total.and(cx.publisher.send(shard, leased, room).await?);
        cx.ports.telemetry.repaired(Repair::MessageRepublished, found);
        if found > 0 {
            tracing::warn!(
                shard,
                jobs = found,
                "published jobs had no message in the broker; published again"
            );
        }
        if !full || found == 0 {
            return Ok(total);
        }
    }
}

/// The rate of one pass, over all of its shards together.
#[derive(Debug)]
struct Pace {
    rows_per_second: u32,
    /// When the rows that were taken so far are paid for.
    next: Mutex<Instant>,
}

impl Pace {
    fn new(rows_per_second: u32) -> Self {
        Self {
            rows_per_second: rows_per_second.max(1),
            next: Mutex::new(Instant::now()),
        }
    }

    fn next(&self) -> MutexGuard<'_, Instant> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until more rows may be taken. Shards that work at once may be a bite each over the rate; they wait the
    /// longer for it.
    async fn turn(&self) {
        let at = *self.next();
        sleep_until(at).await;
    }

    /// Counts rows that were taken.
    fn spend(&self, rows: usize) {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let mut next = self.next();
        *next = Instant::now().max(*next) + Duration::from_secs(rows.into()) / self.rows_per_second;
    }
}

/// What is certain about the queues now.
async fn watermarks(cx: &Context) -> Result<Vec<Watermark>, Error> {
    let now = cx.clock.now();
    let queues: Vec<QueueName> = cx
        .ports
        .inspect
        .queues()
        .await?
        .into_iter()
        .filter(|(_, view)| {
            !view.paused
                && view
                    .counts
                    .get(&JobStatus::Queued)
                    .is_some_and(|count| *count > 0)
        })
        .map(|(queue, _)| queue)
        .collect();
    if queues.is_empty() {
        return Ok(Vec::new());
    }
    let workers = cx.ports.inspect.workers().await?;
    let depths = cx.ports.consume.depths(queues.clone()).await?;
    Ok(derive(&queues, &workers, &depths, now, cx.settings.hold_limit))
}

/// Derives the watermarks of these queues from what workers and the broker tell.
fn derive(
    queues: &[QueueName],
    workers: &[WorkerView],
    depths: &[Depth],
    now: Timestamp,
    hold_limit: Duration,
) -> Vec<Watermark> {
    // Younger messages than these may be in the hands of a worker.
    let held = now.before(hold_limit);
    let mut marks: BTreeMap<(QueueName, Priority), Timestamp> = BTreeMap::new();
    let fresh = workers.iter().filter(|worker| now.since(worker.seen_at) <= FRESH);
    for (queue, priority, oldest) in fresh.flat_map(|worker| &worker.watermarks) {
        // Of several workers the one that is furthest behind counts.
        let mark = oldest.before(SKEW).min(held);
        marks
            .entry((queue.clone(), *priority))
            .and_modify(|known| *known = mark.min(*known))
            .or_insert(mark);
    }
    for depth in depths {
        let empty = (depth.ready == 0).then_some(held);
        let Some(mark) = empty.max(depth.recreated_at) else {
            continue;
        };
        let priorities = Priority::DESCENDING
            .into_iter()
            .filter(|of| depth.priority.is_none_or(|only| only == *of));
        for priority in priorities {
            let known = marks.entry((depth.queue.clone(), priority)).or_default();
            *known = mark.max(*known);
        }
    }
    marks
        .into_iter()
        .filter(|((queue, _), _)| queues.contains(queue))
        .map(|((queue, priority), published_before)| Watermark {
            queue,
            priority,
            published_before,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use longshore_core::WorkerId;

    use super::*;

    const NOW: Timestamp = Timestamp(10_000_000);
    const HOLD: Duration = Duration::from_secs(300);

    fn queue() -> QueueName {
        QueueName::default()
    }

    fn worker(seen_at: Timestamp, priority: Priority, oldest: Timestamp) -> WorkerView {
        WorkerView {
            run_times: Vec::new(),
            id: WorkerId("w".to_owned()),
            host: String::new(),
            pid: 1,
            version: String::new(),
            functions: Vec::new(),
            queues: vec![queue()],
            slots: 1,
            busy: 0,
            free: 0,
            unattached: Vec::new(),
            running: Vec::new(),
            draining: false,
            started_at: Timestamp(0),
            seen_at,
            watermarks: vec![(queue(), priority, oldest)],
        }
    }

    fn depth(priority: Option<Priority>, ready: u64, recreated_at: Option<Timestamp>) -> Depth {
        Depth {
            queue: queue(),
            priority,
            ready,
            consumers: 1,
            recreated_at,
        }
    }

    fn marks(workers: &[WorkerView], depths: &[Depth]) -> Vec<(Priority, Timestamp)> {
        let marks = derive(&[queue()], workers, depths, NOW, HOLD);
        marks
            .into_iter()
            .map(|mark| (mark.priority, mark.published_before))
            .collect()
    }

    #[test]
    fn a_queue_with_messages_and_no_deliveries_proves_nothing() {
        assert_eq!(marks(&[], &[depth(Some(Priority::Low), 7, None)]), []);
    }

    #[test]
    fn an_empty_queue_proves_what_is_older_than_the_hold_limit() {
        let found = marks(&[], &[depth(Some(Priority::Low), 0, None)]);
        assert_eq!(found, [(Priority::Low, NOW.before(HOLD))]);
        assert_eq!(
            marks(&[], &[depth(None, 0, None)]).len(),
            4,
            "a classic queue holds every priority"
        );
    }

    #[test]
    fn a_queue_made_anew_proves_what_is_older_than_that() {
        let recreated = NOW.before(Duration::from_secs(3));
        let found = marks(&[], &[depth(Some(Priority::High), 9, Some(recreated))]);
        assert_eq!(found, [(Priority::High, recreated)]);
    }

    #[test]
    fn the_worker_that_is_furthest_behind_counts_and_stale_ones_do_not() {
        let old = NOW.before(Duration::from_secs(2_000));
        let older = NOW.before(Duration::from_secs(3_000));
        let oldest = NOW.before(Duration::from_secs(4_000));
        let workers = [
            worker(NOW, Priority::Low, old),
            worker(NOW, Priority::Low, older),
            worker(NOW.before(Duration::from_secs(61)), Priority::Low, oldest),
        ];
        assert_eq!(marks(&workers, &[]), [(Priority::Low, older.before(SKEW))]);
    }

    #[test]
    fn a_message_that_a_worker_may_hold_is_never_taken_for_lost() {
        let workers = [worker(NOW, Priority::Low, NOW)];
        assert_eq!(marks(&workers, &[]), [(Priority::Low, NOW.before(HOLD))]);
    }

    #[test]
    fn a_queue_that_is_not_asked_for_has_no_mark() {
        let workers = [worker(NOW, Priority::Low, NOW)];
        assert_eq!(derive(&[], &workers, &[depth(None, 0, None)], NOW, HOLD), []);
    }

    #[test]
    fn the_audit_keeps_to_its_rate_over_all_shards_together() {
        let (pace, began) = (Pace::new(1_000), Instant::now());
        for _shard in 0..16 {
            pace.spend(BITE);
        }
        assert!(*pace.next() - began >= Duration::from_secs(4));
    }
}
