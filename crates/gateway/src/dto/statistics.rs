//! Statistics.

use std::collections::BTreeMap;

use longshore::{FunctionRow, Histogram, JobStatus, Point, QueueRow, Statistics, Tally};
use longshore_core::clock::duration_millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What happened in a window up to now, and how jobs stand now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Statistics)]
pub struct StatisticsView {
    /// When this was read.
    pub at_ms: u64,
    /// The begin of the window.
    pub from_ms: u64,
    /// How long each point of the series is.
    pub step_ms: u64,
    /// Everything in the window.
    pub total: TallyView,
    /// The same step by step, the oldest first.
    pub series: Vec<PointView>,
    /// By function.
    pub functions: Vec<RowView>,
    /// By queue.
    pub queues: Vec<RowView>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PointView {
    /// Its begin.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub tally: TallyView,
}

/// A function or a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RowView {
    /// Its name; nothing for all that found no room.
    pub name: Option<String>,
    /// Its jobs now, by status.
    pub jobs: BTreeMap<String, u64>,
    /// Whether it is paused; of queues alone.
    pub paused: Option<bool>,
    /// Since when the oldest job that waits could run; of queues alone.
    pub oldest_ms: Option<u64>,
    /// Jobs among the queued ones that are put aside, because no live worker has their function; of queues alone.
    #[serde(default)]
    pub parked: Option<u64>,
    /// What happened.
    #[serde(flatten)]
    pub tally: TallyView,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TallyView {
    /// Jobs enqueued.
    pub enqueued: u64,
    /// Attempts started.
    pub started: u64,
    /// Jobs completed.
    pub completed: u64,
    /// Jobs given up.
    pub failed: u64,
    /// Attempts that failed and are tried again.
    pub retried: u64,
    /// Jobs cancelled.
    pub cancelled: u64,
    /// Jobs expired.
    pub expired: u64,
    /// Attempts that a handler put off.
    pub snoozed: u64,
    /// Attempts that were given back when their worker stopped.
    pub released: u64,
    /// Attempts whose worker was lost.
    pub lost: u64,
    /// Dead letters queued again.
    pub requeued: u64,
    /// Time from when a job could run to its start.
    pub wait: TimesView,
    /// Time from an attempt's start to its end.
    pub run: TimesView,
}

/// Percentiles, in milliseconds; nothing when nothing was counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimesView {
    /// The median.
    #[serde(rename = "p50_ms")]
    pub p50: Option<u64>,
    /// 95 % took no longer.
    #[serde(rename = "p95_ms")]
    pub p95: Option<u64>,
    /// 99 % took no longer.
    #[serde(rename = "p99_ms")]
    pub p99: Option<u64>,
    /// What they are made of: of two of these the counts add up, which percentiles do not.
    pub buckets: Vec<TimesBucket>,
}

/// How many times were of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimesBucket {
    /// The shortest time in it.
    pub from_ms: u64,
    /// How many there were.
    pub count: u64,
}

impl StatisticsView {
    pub(crate) fn of(statistics: &Statistics) -> Self {
        Self {
            at_ms: statistics.at.millis(),
            from_ms: statistics.from.millis(),
            step_ms: duration_millis(statistics.step),
            total: TallyView::of(&statistics.total),
            series: statistics.series.iter().map(PointView::of).collect(),
            functions: statistics.functions.iter().map(RowView::of_function).collect(),
            queues: statistics.queues.iter().map(RowView::of_queue).collect(),
        }
    }
}

impl PointView {
    fn of(point: &Point) -> Self {
        Self {
            at_ms: point.at.millis(),
            tally: TallyView::of(&point.tally),
        }
    }
}

impl RowView {
    fn of_function(row: &FunctionRow) -> Self {
        Self {
            name: row.function.as_ref().map(ToString::to_string),
            jobs: by_name(&row.jobs),
            paused: None,
            oldest_ms: None,
            parked: None,
            tally: TallyView::of(&row.tally),
        }
    }

    fn of_queue(row: &QueueRow) -> Self {
        Self {
            name: row.queue.as_ref().map(ToString::to_string),
            jobs: by_name(&row.jobs),
            paused: Some(row.paused),
            oldest_ms: row.oldest.map(longshore::Timestamp::millis),
            parked: Some(row.parked),
            tally: TallyView::of(&row.tally),
        }
    }
}

fn by_name(jobs: &BTreeMap<JobStatus, u64>) -> BTreeMap<String, u64> {
    jobs.iter()
        .map(|(status, count)| (status.to_string(), *count))
        .collect()
}

impl TallyView {
    fn of(tally: &Tally) -> Self {
        Self {
            enqueued: tally.enqueued,
            started: tally.started,
            completed: tally.completed,
            failed: tally.failed,
            retried: tally.retried,
            cancelled: tally.cancelled,
            expired: tally.expired,
            snoozed: tally.snoozed,
            released: tally.released,
            lost: tally.lost,
            requeued: tally.requeued,
            wait: TimesView::of(&tally.wait),
            run: TimesView::of(&tally.run),
        }
    }
}

impl TimesView {
    fn of(times: &Histogram) -> Self {
        let [p50, p95, p99] = Tally::percentiles(times).map(|time| time.map(duration_millis));
        let buckets = times.buckets().map(|(from, _, count)| TimesBucket {
            from_ms: duration_millis(from),
            count,
        });
        Self {
            p50,
            p95,
            p99,
            buckets: buckets.collect(),
        }
    }
}
