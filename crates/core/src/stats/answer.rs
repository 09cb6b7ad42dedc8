//! Statistics, as they are answered.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ledger::{Bucket, Span};
use super::query::StatisticsQuery;
use super::tally::Tally;
use crate::clock::{Timestamp, duration_millis};
use crate::name::{FunctionName, QueueName};
use crate::status::JobStatus;

/// What happened in a window up to now, and how jobs stand now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// When this was read, by the store's clock.
    pub at: Timestamp,
    /// The begin of the window: a whole step, at least as far back as was asked for.
    pub from: Timestamp,
    /// How long each point of the series is.
    pub step: Duration,
    /// Everything in the window.
    pub total: Tally,
    /// The same step by step, the oldest first, without gaps; the last point is not over yet.
    pub series: Vec<Point>,
    /// By function, sorted by name; what found no room in a minute comes last.
    pub functions: Vec<FunctionRow>,
    /// By queue, sorted by name; what found no room in a minute comes last.
    pub queues: Vec<QueueRow>,
}

/// One step of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Its begin.
    pub at: Timestamp,
    /// What happened in it.
    pub tally: Tally,
}

/// One function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionRow {
    /// Its name; `None` for all that found no room.
    pub function: Option<FunctionName>,
    /// Its jobs now, by status; absent means none. Ended jobs count until they are pruned.
    pub jobs: BTreeMap<JobStatus, u64>,
    /// What happened in the window.
    pub tally: Tally,
}

/// One queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRow {
    /// Its name; `None` for all that found no room.
    pub queue: Option<QueueName>,
    /// Whether no job of it starts.
    pub paused: bool,
    /// Its jobs now, by status; absent means none. Ended jobs count until they are pruned.
    pub jobs: BTreeMap<JobStatus, u64>,
    /// Since when the oldest job that waits to be run now could run; `None` when none waits.
    pub oldest: Option<Timestamp>,
    /// What happened in the window.
    pub tally: Tally,
    /// Jobs among those that wait to be run now that are put aside, because no live worker has their function. Stores
    /// count these by function: of one whose jobs wait in several queues this is the queue's share, rounded up.
    #[serde(default)]
    pub parked: u64,
}

/// How jobs stand now, as a store knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Jobs by queue, function and status.
    pub jobs: BTreeMap<(QueueName, FunctionName), BTreeMap<JobStatus, u64>>,
    /// Paused queues.
    pub paused: Vec<QueueName>,
    /// Since when the oldest waiting job of a queue could run.
    pub oldest: BTreeMap<QueueName, Timestamp>,
    /// Jobs that are put aside until a worker has their function, by function; absent means none.
    #[serde(default)]
    pub parked: BTreeMap<FunctionName, u64>,
}

impl Standing {
    /// Jobs of each queue that are put aside, because no live worker has their function; none for a queue without any. They
    /// are counted by function: of one whose jobs wait in several queues each queue has its share.
    pub fn parked_by_queue(&self) -> BTreeMap<QueueName, u64> {
        let queued = |counts: &BTreeMap<JobStatus, u64>| counts.get(&JobStatus::Queued).copied().unwrap_or(0);
        let mut parked = BTreeMap::new();
        for (function, put_aside) in &self.parked {
            let places = self.jobs.iter().filter(|((_, of), _)| of == function);
            let all: u64 = places.clone().map(|(_, counts)| queued(counts)).sum();
            for ((queue, _), counts) in places {
                let here = queued(counts);
                // Rounded up: who looks for them finds at least one.
                let share = u128::from(*put_aside) * u128::from(here);
                let share = share.div_ceil(u128::from(all.max(1)));
                let share = u64::try_from(share).unwrap_or(u64::MAX).min(here);
                if share > 0 {
                    *parked.entry(queue.clone()).or_default() += share;
                }
            }
        }
        parked
    }

    /// Jobs of each queue that wait to be run now; none for a queue without any.
    pub fn lengths(&self) -> BTreeMap<QueueName, u64> {
        let mut lengths = BTreeMap::new();
        for ((queue, _), counts) in &self.jobs {
            if let Some(count) = counts.get(&JobStatus::Queued) {
                *lengths.entry(queue.clone()).or_default() += count;
            }
        }
        lengths
    }
}

impl Statistics {
    /// Puts an answer together. Buckets of a cluster's shards come one after the other; those outside of the window are
    /// left out.
    pub fn assemble<'a>(
        query: &StatisticsQuery,
        now: Timestamp,
        buckets: impl IntoIterator<Item = (Span, &'a Bucket)>,
        standing: &Standing,
    ) -> Self {
        let mut draft = Draft::new(query, now);
        for (span, bucket) in buckets {
            draft.add(span, bucket);
        }
        draft.stand(standing);
        draft.finish()
    }

    /// How long the window is, up to now.
    pub const fn window(&self) -> Duration {
        self.at.since(self.from)
    }

    /// A count of the window as a rate.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    pub fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.window().as_secs_f64().max(1.0)
    }

    /// How long the oldest waiting job of a queue could have run by now.
    pub fn age(&self, queue: &QueueRow) -> Option<Duration> {
        queue.oldest.map(|since| self.at.since(since))
    }

    /// Jobs now by status, over all queues.
    pub fn jobs(&self) -> BTreeMap<JobStatus, u64> {
        let mut all = BTreeMap::new();
        for (status, count) in self.queues.iter().flat_map(|row| &row.jobs) {
            *all.entry(*status).or_default() += count;
        }
        all
    }
}

impl QueueRow {
    /// Jobs that wait to be run now.
    pub fn length(&self) -> u64 {
        self.jobs.get(&JobStatus::Queued).copied().unwrap_or(0)
    }
}

/// An answer that is being put together.
struct Draft<'a> {
    query: &'a StatisticsQuery,
    now: Timestamp,
    from: Timestamp,
    step: u64,
    total: Tally,
    series: Vec<Point>,
    // `None` sorts first here, and goes last.
    functions: BTreeMap<Option<FunctionName>, FunctionRow>,
    queues: BTreeMap<Option<QueueName>, QueueRow>,
}

impl<'a> Draft<'a> {
    fn new(query: &'a StatisticsQuery, now: Timestamp) -> Self {
        let (from, step) = (query.from(now), duration_millis(query.step()).max(1));
        let begins = (from.millis()..=now.millis()).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        let series = begins.map(|at| Point {
            at: Timestamp(at),
            tally: Tally::default(),
        });
        Self {
            query,
            now,
            from,
            step,
            total: Tally::default(),
            series: series.collect(),
            functions: BTreeMap::new(),
            queues: BTreeMap::new(),
        }
    }

    fn add(&mut self, span: Span, bucket: &Bucket) {
        let Some(after) = span.start().millis().checked_sub(self.from.millis()) else {
            return;
        };
        let number = usize::try_from(after / self.step).unwrap_or(usize::MAX);
        for (place, tally) in bucket.iter() {
            let is_wanted = match place {
                Some((queue, function)) => self.query.wants(queue, function),
                None => self.query.wants_other(),
            };
            if !is_wanted {
                continue;
            }
            self.total.merge(tally);
            if let Some(point) = self.series.get_mut(number) {
                point.tally.merge(tally);
            }
            let (queue, function) = place.clone().unzip();
            self.functions.entry(function).or_default().tally.merge(tally);
            self.queues.entry(queue).or_default().tally.merge(tally);
        }
    }

    fn stand(&mut self, standing: &Standing) {
        for ((queue, function), counts) in &standing.jobs {
            if !self.query.wants(queue, function) {
                continue;
            }
            let of_function = self.functions.entry(Some(function.clone())).or_default();
            let of_queue = self.queues.entry(Some(queue.clone())).or_default();
            for (status, count) in counts {
                *of_function.jobs.entry(*status).or_default() += count;
                *of_queue.jobs.entry(*status).or_default() += count;
            }
        }
        let queue = self.query.queue.clone();
        let is_wanted = |name: &QueueName| queue.as_ref().is_none_or(|wanted| wanted == name);
        for name in standing.paused.iter().filter(|name| is_wanted(name)) {
            self.queues.entry(Some(name.clone())).or_default().paused = true;
        }
        for (name, since) in standing.oldest.iter().filter(|(name, _)| is_wanted(name)) {
            self.queues.entry(Some(name.clone())).or_default().oldest = Some(*since);
        }
        for (name, count) in standing.parked_by_queue() {
            if is_wanted(&name) {
                self.queues.entry(Some(name)).or_default().parked = count;
            }
        }
    }

    fn finish(self) -> Statistics {
        let mut functions: Vec<_> = self
            .functions
            .into_iter()
            .map(|(function, row)| FunctionRow { function, ..row })
            .collect();
        let mut queues: Vec<_> = self
            .queues
            .into_iter()
            .map(|(queue, row)| QueueRow { queue, ..row })
            .collect();
        functions.sort_by_key(|row| row.function.is_none());
        queues.sort_by_key(|row| row.queue.is_none());
        Statistics {
            at: self.now,
            from: self.from,
            step: Duration::from_millis(self.step),
            total: self.total,
            series: self.series,
            functions,
            queues,
        }
    }
}
