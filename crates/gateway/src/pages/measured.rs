//! Charts of what was measured.

use std::time::Duration;

use longshore::{JobStatus, Point, Statistics, Tally, Timestamp};

use super::chart::{Chart, Data, Series, Shape, Unit};
use super::text;

/// The charts of an overview: throughput, backlog, wait and run time.
pub(super) fn charts(statistics: &Statistics) -> Vec<Chart> {
    [
        throughput(statistics),
        backlog(statistics),
        times(statistics, Which::Wait),
        times(statistics, Which::Run),
    ]
    .iter()
    .map(Chart::draw)
    .collect()
}

/// A rate for people: per second, minute or hour, whichever is the first with a whole digit.
pub(super) fn rate(per_second: f64) -> (String, &'static str) {
    let shown = |value: f64| {
        if value < 10.0 {
            format!("{value:.1}")
        } else {
            format!("{value:.0}")
        }
    };
    if per_second >= 10.0 {
        (shown(per_second), "a second")
    } else if per_second * 60.0 >= 1.0 {
        (shown(per_second * 60.0), "a minute")
    } else if per_second > 0.0 {
        (shown(per_second * 3_600.0), "an hour")
    } else {
        ("0".to_owned(), "a minute")
    }
}

/// A part as a percentage.
pub(super) fn share(part: Option<f64>) -> String {
    part.map_or_else(
        || "–".to_owned(),
        |part| format!("{} %", super::part::percentage(part)),
    )
}

/// A duration, or a dash.
pub(super) fn time(time: Option<Duration>) -> String {
    time.map_or_else(|| "–".to_owned(), text::span)
}

#[expect(clippy::cast_precision_loss, reason = "a height of a drawing")]
fn float(count: u64) -> f64 {
    count as f64
}

fn starts(series: &[Point]) -> Vec<Timestamp> {
    series.iter().map(|point| point.at).collect()
}

fn step(statistics: &Statistics) -> &'static str {
    if statistics.step >= Duration::from_secs(3_600) {
        "an hour"
    } else {
        "a minute"
    }
}

fn throughput(statistics: &Statistics) -> Data {
    let line = |name, count: fn(&Tally) -> u64| Series {
        name,
        values: statistics
            .series
            .iter()
            .map(|point| Some(float(count(&point.tally))))
            .collect(),
    };
    let total = &statistics.total;
    Data {
        id: "throughput",
        title: "Throughput and failures",
        summary: format!(
            "{} completed, {} given up",
            text::count(total.completed),
            text::count(total.failed)
        ),
        shape: Shape::Columns,
        unit: Unit::Count,
        times: starts(&statistics.series),
        series: vec![
            line(
                if step(statistics) == "an hour" {
                    "completed an hour"
                } else {
                    "completed a minute"
                },
                |tally| tally.completed,
            ),
            line("attempts that failed", |tally| tally.failed + tally.retried),
        ],
    }
}

/// Jobs that had not ended at the end of each step: counted back from now by what was enqueued, what ended, and what was
/// queued again after it had been given up.
fn backlog(statistics: &Statistics) -> Data {
    let open = open(statistics);
    let mut standing = open;
    let mut values: Vec<_> = statistics
        .series
        .iter()
        .rev()
        .map(|point| {
            let here = standing;
            let came = point.tally.enqueued + point.tally.requeued;
            standing = (standing + point.tally.ended()).saturating_sub(came);
            Some(float(here))
        })
        .collect();
    values.reverse();
    Data {
        id: "backlog",
        title: "Backlog",
        summary: text::plural(open, "job has not ended", "jobs have not ended"),
        shape: Shape::Lines,
        unit: Unit::Count,
        times: starts(&statistics.series),
        series: vec![Series {
            name: "jobs that have not ended",
            values,
        }],
    }
}

/// Jobs that have not ended.
pub(super) fn open(statistics: &Statistics) -> u64 {
    let jobs = statistics.jobs();
    jobs.iter()
        .filter(|(status, _)| !status.is_terminal())
        .map(|(_, count)| count)
        .sum()
}

/// Jobs in one status.
pub(super) fn count(statistics: &Statistics, status: JobStatus) -> u64 {
    statistics.jobs().get(&status).copied().unwrap_or(0)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Wait,
    Run,
}

fn times(statistics: &Statistics, which: Which) -> Data {
    let of = |tally: &Tally, q: f64| {
        let histogram = if which == Which::Wait {
            &tally.wait
        } else {
            &tally.run
        };
        histogram.quantile(q)
    };
    let line = |name, q: f64| Series {
        name,
        values: statistics
            .series
            .iter()
            .map(|point| of(&point.tally, q).map(|time| time.as_secs_f64() * 1_000.0))
            .collect(),
    };
    let (id, title) = if which == Which::Wait {
        ("wait", "Wait time")
    } else {
        ("run", "Run time")
    };
    let total = &statistics.total;
    Data {
        id,
        title,
        summary: format!(
            "median {}, 95 % within {}",
            time(of(total, 0.5)),
            time(of(total, 0.95))
        ),
        shape: Shape::Lines,
        unit: Unit::Millis,
        times: starts(&statistics.series),
        series: vec![line("median", 0.5), line("95 %", 0.95), line("99 %", 0.99)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_in_the_unit_that_fits() {
        assert_eq!(rate(25.0), ("25".to_owned(), "a second"));
        assert_eq!(rate(0.5), ("30".to_owned(), "a minute"));
        assert_eq!(rate(0.001), ("3.6".to_owned(), "an hour"));
        assert_eq!(rate(0.0), ("0".to_owned(), "a minute"));
    }

    #[test]
    fn the_backlog_is_counted_back_from_now() {
        let point = |at: u64, enqueued: u64, completed: u64| Point {
            at: Timestamp(at),
            tally: Tally {
                enqueued,
                completed,
                ..Tally::default()
            },
        };
        let mut statistics = Statistics {
            series: vec![point(0, 5, 0), point(60_000, 2, 4)],
            ..Statistics::default()
        };
        statistics.queues.push(longshore::QueueRow {
            jobs: [(JobStatus::Queued, 3)].into(),
            ..longshore::QueueRow::default()
        });
        assert_eq!(backlog(&statistics).series[0].values, [Some(5.0), Some(3.0)]);
        // One of the three was given up before, and requeued in the last step.
        statistics.series[1].tally.requeued = 1;
        assert_eq!(backlog(&statistics).series[0].values, [Some(4.0), Some(3.0)]);
    }
}
