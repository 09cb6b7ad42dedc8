//! Statistics for programs: raw numbers, times in milliseconds.

use longshore::{FunctionRow, Histogram, Point, QueueRow, Statistics, Tally, WorkerView};
use longshore_core::clock::duration_millis;
use serde_json::{Value, json};

/// The whole answer.
pub(super) fn whole(statistics: &Statistics, workers: &[WorkerView]) -> Value {
    let functions: Vec<_> = statistics.functions.iter().map(function).collect();
    let queues: Vec<_> = statistics
        .queues
        .iter()
        .map(|row| queue(statistics, row))
        .collect();
    let series: Vec<_> = statistics.series.iter().map(point).collect();
    json!({
        "at_ms": statistics.at,
        "from_ms": statistics.from,
        "step_ms": duration_millis(statistics.step),
        "jobs": statistics.jobs(),
        "workers": {
            "live": workers.len(),
            "slots": workers.iter().map(|worker| u64::from(worker.slots)).sum::<u64>(),
            "busy": workers.iter().map(|worker| u64::from(worker.busy)).sum::<u64>(),
        },
        "total": tally(&statistics.total),
        "functions": functions,
        "queues": queues,
        "series": series,
    })
}

fn function(row: &FunctionRow) -> Value {
    json!({ "function": row.function, "jobs": row.jobs, "window": tally(&row.tally) })
}

/// A queue.
pub(crate) fn queue(statistics: &Statistics, row: &QueueRow) -> Value {
    json!({
        "queue": row.queue,
        "paused": row.paused,
        "length": row.length(),
        "parked": row.parked,
        "oldest_age_ms": statistics.age(row).map(duration_millis),
        "counts": row.jobs,
        "window": tally(&row.tally),
    })
}

fn point(point: &Point) -> Value {
    json!({ "at_ms": point.at, "window": tally(&point.tally) })
}

/// Counts, and percentiles of times.
fn tally(tally: &Tally) -> Value {
    json!({
        "enqueued": tally.enqueued,
        "started": tally.started,
        "completed": tally.completed,
        "failed": tally.failed,
        "retried": tally.retried,
        "cancelled": tally.cancelled,
        "expired": tally.expired,
        "snoozed": tally.snoozed,
        "released": tally.released,
        "lost": tally.lost,
        "requeued": tally.requeued,
        "failure_rate": tally.failure_rate(),
        "wait": times(&tally.wait),
        "run": times(&tally.run),
    })
}

fn times(times: &Histogram) -> Value {
    let [median, high, highest] = Tally::percentiles(times).map(|time| time.map(duration_millis));
    json!({
        "count": times.count(),
        "p50_ms": median,
        "p95_ms": high,
        "p99_ms": highest,
        "max_ms": times.max().map(duration_millis),
    })
}
