//! Statistics of a gateway: its buckets are histograms again, so that whatever is printed is worked out here.

use std::time::Duration;

use longshore::{FunctionRow, Histogram, Point, QueueRow, Statistics, Tally};
use longshore_core::{FunctionName, QueueName, Timestamp};
use longshore_gateway::dto;

use super::{counts, unread};
use crate::failure::Failure;

/// Statistics.
pub(crate) fn statistics(all: &dto::statistics::StatisticsView) -> Result<Statistics, Failure> {
    let point = |point: &dto::statistics::PointView| Point {
        at: Timestamp(point.at_ms),
        tally: tally(&point.tally),
    };
    let functions = all.functions.iter().map(|row| {
        Ok(FunctionRow {
            function: row
                .name
                .as_ref()
                .map(FunctionName::new)
                .transpose()
                .map_err(unread)?,
            jobs: counts(&row.jobs)?,
            tally: tally(&row.tally),
        })
    });
    let queues = all.queues.iter().map(|row| {
        Ok(QueueRow {
            queue: row
                .name
                .as_ref()
                .map(QueueName::new)
                .transpose()
                .map_err(unread)?,
            paused: row.paused.unwrap_or_default(),
            jobs: counts(&row.jobs)?,
            oldest: row.oldest_ms.map(Timestamp),
            tally: tally(&row.tally),
            parked: row.parked.unwrap_or_default(),
        })
    });
    Ok(Statistics {
        at: Timestamp(all.at_ms),
        from: Timestamp(all.from_ms),
        step: Duration::from_millis(all.step_ms),
        total: tally(&all.total),
        series: all.series.iter().map(point).collect(),
        functions: functions.collect::<Result<_, Failure>>()?,
        queues: queues.collect::<Result<_, Failure>>()?,
    })
}

fn tally(tally: &dto::statistics::TallyView) -> Tally {
    Tally {
        enqueued: tally.enqueued,
        started: tally.started,
        completed: tally.completed,
        failed: tally.failed,
        retried: tally.retried,
        cancelled: tally.cancelled,
        expired: tally.expired,
        snoozed: tally.snoozed,
        released: tally.released,
        requeued: tally.requeued,
        lost: tally.lost,
        wait: times(&tally.wait),
        run: times(&tally.run),
    }
}

fn times(times: &dto::statistics::TimesView) -> Histogram {
    let mut histogram = Histogram::default();
    for bucket in &times.buckets {
        histogram.add_bucket(Histogram::bucket_of(bucket.from_ms), bucket.count);
    }
    histogram
}
