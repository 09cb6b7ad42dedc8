//! What was measured, as rows, and the medians of repeated measurements.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::cost::{Cost, resident_bytes};
use crate::args::bench::Mode;
use crate::output::{Column, Format, Give, Out};

/// What was measured: Longshore, or the servers' clients alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum System {
    Longshore,
    Floor,
}

impl System {
    const fn name(self) -> &'static str {
        match self {
            Self::Longshore => "longshore",
            Self::Floor => "floor",
        }
    }
}

/// One measurement. Times are in seconds and milliseconds as their names say; what could not be seen is absent.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    mode: &'static str,
    system: System,
    jobs: usize,
    seconds: f64,
    per_second: f64,
    /// Seconds of processor time for a thousand jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_cpu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broker_cpu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redis_cpu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_ms: Option<f64>,
    /// Memory of this process in RAM, at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    resident_mb: Option<f64>,
}

impl Row {
    pub(super) fn new(mode: Mode, system: System, jobs: usize, cost: &Cost) -> Self {
        let seconds = cost.took.as_secs_f64();
        let thousand = |spent: Option<Duration>| Some(spent?.as_secs_f64() * 1e3 / float(jobs));
        Self {
            mode: mode.name(),
            system,
            jobs,
            seconds,
            per_second: float(jobs) / seconds,
            client_cpu: thousand(cost.client),
            broker_cpu: thousand(cost.broker),
            redis_cpu: thousand(cost.redis),
            p50_ms: None,
            p99_ms: None,
            max_ms: None,
            resident_mb: resident_bytes()
                .map(|bytes| float(usize::try_from(bytes).unwrap_or(usize::MAX)) / 1e6),
        }
    }

    /// The same with how long each job waited.
    pub(super) fn with_waits(mut self, mut waits: Vec<Duration>) -> Self {
        waits.sort_unstable();
        let at = |share: f64| {
            let last = waits.len().checked_sub(1)?;
            waits.get(rank(last, share)).map(|wait| wait.as_secs_f64() * 1e3)
        };
        (self.p50_ms, self.p99_ms, self.max_ms) = (at(0.5), at(0.99), at(1.0));
        self
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn float(count: usize) -> f64 {
    count as f64
}

/// Nearest rank below: the index that `share` of the way to `last` is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of an index is an index"
)]
fn rank(last: usize, share: f64) -> usize {
    (float(last) * share).floor() as usize
}

/// Medians of one mode and system over the repetitions.
#[derive(Clone, Debug, Serialize)]
struct Summary {
    #[serde(flatten)]
    median: Row,
    runs: usize,
    /// Slowest and fastest rate.
    per_second_range: [f64; 2],
    /// Rate over the floor's rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_over_floor: Option<f64>,
    /// Processor time of client and servers together over the floor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_over_floor: Option<f64>,
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*values.get(middle.checked_sub(1)?)?, upper))
}

fn summarize(rows: &[Row]) -> Option<Summary> {
    let first = rows.first()?;
    let every = |value: fn(&Row) -> Option<f64>| median(rows.iter().filter_map(value).collect());
    let rates: Vec<f64> = rows.iter().map(|row| row.per_second).collect();
    let range = [
        rates.iter().copied().fold(f64::INFINITY, f64::min),
        rates.iter().copied().fold(0.0, f64::max),
    ];
    Some(Summary {
        median: Row {
            seconds: every(|row| Some(row.seconds))?,
            per_second: every(|row| Some(row.per_second))?,
            client_cpu: every(|row| row.client_cpu),
            broker_cpu: every(|row| row.broker_cpu),
            redis_cpu: every(|row| row.redis_cpu),
            p50_ms: every(|row| row.p50_ms),
            p99_ms: every(|row| row.p99_ms),
            max_ms: every(|row| row.max_ms),
            resident_mb: every(|row| row.resident_mb),
            ..first.clone()
        },
        runs: rows.len(),
        per_second_range: range,
        rate_over_floor: None,
        cpu_over_floor: None,
    })
}

/// Client and servers together; `None` unless all of them were seen.
fn all_cpu(row: &Row) -> Option<f64> {
    Some(row.client_cpu? + row.broker_cpu? + row.redis_cpu?)
}

/// One summary a mode and system, the floor's before Longshore's of the same mode.
fn summaries(rows: &[Row]) -> Vec<Summary> {
    let mut order = Vec::new();
    let mut groups: BTreeMap<(&str, System), Vec<Row>> = BTreeMap::new();
    for row in rows {
        let key = (row.mode, row.system);
        if !order.contains(&key) {
            order.push(key);
        }
        groups.entry(key).or_default().push(row.clone());
    }
    let mut found: Vec<Summary> = order
        .iter()
        .filter_map(|key| summarize(groups.get(key)?))
        .collect();
    let floors: Vec<Row> = found
        .iter()
        .filter(|summary| summary.median.system == System::Floor)
        .map(|summary| summary.median.clone())
        .collect();
    for summary in found
        .iter_mut()
        .filter(|summary| summary.median.system == System::Longshore)
    {
        let row = &summary.median;
        if let Some(floor) = floors.iter().find(|floor| floor.mode == row.mode) {
            summary.rate_over_floor = Some(row.per_second / floor.per_second);
            summary.cpu_over_floor = all_cpu(row).zip(all_cpu(floor)).map(|(ours, floor)| ours / floor);
        }
    }
    found
}

fn digits(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// Tells the medians of everything that was measured; programs get the single measurements as well.
///
/// # Errors
/// When stdout cannot be written.
pub(super) fn tell(rows: &[Row], out: &mut Out) -> std::io::Result<()> {
    let summaries = summaries(rows);
    if out.format != Format::Table {
        return out.json(&serde_json::json!({ "summary": summaries, "runs": rows }));
    }
    let columns = [
        Column::new("MODE", Give::Nothing),
        Column::new("SYSTEM", Give::Nothing),
        Column::new("JOBS/S", Give::Nothing),
        Column::new("×FLOOR", Give::All(6)),
        Column::new("CPU×FLOOR", Give::All(5)),
        Column::new("CLIENT", Give::All(4)),
        Column::new("BROKER", Give::All(4)),
        Column::new("REDIS", Give::All(4)),
        Column::new("P50 MS", Give::All(3)),
        Column::new("P99 MS", Give::All(3)),
        Column::new("MAX MS", Give::All(1)),
        Column::new("RSS MB", Give::All(2)),
        Column::new("RUNS", Give::All(0)),
    ];
    let cells = summaries.iter().map(|summary| {
        let row = &summary.median;
        vec![
            row.mode.to_owned(),
            row.system.name().to_owned(),
            format!("{:.0}", row.per_second),
            digits(summary.rate_over_floor, 2),
            digits(summary.cpu_over_floor, 2),
            digits(row.client_cpu, 3),
            digits(row.broker_cpu, 3),
            digits(row.redis_cpu, 3),
            digits(row.p50_ms, 1),
            digits(row.p99_ms, 1),
            digits(row.max_ms, 1),
            digits(row.resident_mb, 0),
            summary.runs.to_string(),
        ]
    });
    out.rows(&columns, &summaries, cells)?;
    out.line("CLIENT, BROKER and REDIS are seconds of processor time for a thousand jobs.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(system: System, millis: u64) -> Row {
        let cost = Cost {
            took: Duration::from_millis(millis),
            client: Some(Duration::from_millis(10)),
            broker: Some(Duration::from_millis(20)),
            redis: Some(Duration::from_millis(10 * millis / 100)),
        };
        Row::new(Mode::Drain, system, 1_000, &cost)
    }

    #[test]
    fn ratios_are_those_of_the_medians() {
        let rows = [
            row(System::Floor, 100),
            row(System::Longshore, 200),
            row(System::Longshore, 900),
            row(System::Longshore, 250),
        ];
        let found = summaries(&rows);
        let ours = found
            .iter()
            .find(|one| one.median.system == System::Longshore)
            .unwrap();
        assert_eq!(ours.runs, 3);
        assert!((ours.median.per_second - 4_000.0).abs() < 1e-6);
        assert!((ours.rate_over_floor.unwrap() - 0.4).abs() < 1e-9);
        assert!((ours.cpu_over_floor.unwrap() - 55.0 / 40.0).abs() < 1e-9);
    }

    #[test]
    fn percentiles_are_ranks_of_what_was_seen() {
        let waits = (1..=100).rev().map(Duration::from_millis).collect();
        let row = row(System::Longshore, 100).with_waits(waits);
        assert_eq!(
            (row.p50_ms, row.p99_ms, row.max_ms),
            (Some(50.0), Some(99.0), Some(100.0))
        );
        let none = super::tests::row(System::Floor, 100).with_waits(Vec::new());
        assert_eq!(none.p50_ms, None);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(median(Vec::new()), None);
    }
}
