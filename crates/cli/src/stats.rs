//! `longshore stats`: what happened in a window, and how jobs stand now.

mod document;
pub(crate) mod figure;

use std::time::Duration;

use longshore::{FunctionRow, QueueRow, Statistics, StatisticsQuery, Tally, WorkerView};
use longshore_core::JobStatus;
use longshore_service::duration;

use crate::args::stats::Stats;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::output::{Column, Format, Give, Out};
pub(crate) use document::queue as queue_document;
use figure::{count, rate, share, time};

/// What stands for all functions, or queues, that found no room of their own in a minute.
pub(crate) const OTHER: &str = "(other)";

/// Asks and prints.
///
/// # Errors
/// When a duration cannot be read or is out of range, or the store does not answer.
pub(crate) async fn run(fleet: &Fleet, options: Stats, out: &mut Out) -> Result<(), Failure> {
    let query = query(options)?;
    let statistics = fleet.statistics(&query).await?;
    let workers = fleet.workers().await?;
    match out.format {
        Format::Json | Format::Jsonl => out.json(&document::whole(&statistics, &workers))?,
        Format::Table => print(&statistics, &workers, out)?,
    }
    Ok(())
}

/// The query that the options stand for, checked before anything is asked.
fn query(options: Stats) -> Result<StatisticsQuery, Failure> {
    let read = |field: &str, text: &str| {
        duration::parse(text).map_err(|error| Failure::usage(format!("--{field}: {error}")))
    };
    let query = StatisticsQuery {
        window: read("window", &options.window)?,
        step: options.step.as_ref().map(|text| read("step", text)).transpose()?,
        function: options.function,
        queue: options.queue,
    };
    query.check().map_err(|error| {
        let given = match error.field {
            "step" => options.step.as_deref().unwrap_or_default(),
            _ => &options.window,
        };
        Failure::usage(format!("--{}: {given} {}", error.field, error.problem))
    })?;
    Ok(query)
}

fn print(statistics: &Statistics, workers: &[WorkerView], out: &mut Out) -> Result<(), Failure> {
    for line in summary(statistics, workers) {
        out.line(line)?;
    }
    if !statistics.functions.is_empty() {
        out.line("")?;
        let rows = statistics.functions.iter().map(function_cells);
        out.rows::<()>(&FUNCTIONS, &[], rows)?;
    }
    if !statistics.queues.is_empty() {
        out.line("")?;
        let rows = statistics.queues.iter().map(|row| queue_cells(statistics, row));
        let window = duration::format(round(statistics.window()));
        let [ins, outs, failed, wait] =
            ["IN", "OUT", "FAILED", "WAIT P95"].map(|what| format!("{what} {window}"));
        out.rows::<()>(&queue_columns([&ins, &outs, &failed, &wait]), &[], rows)?;
    }
    Ok(())
}

/// What comes before the tables.
fn summary(statistics: &Statistics, workers: &[WorkerView]) -> Vec<String> {
    let total = &statistics.total;
    let jobs = statistics.jobs();
    let standing: Vec<String> = JobStatus::ALL
        .into_iter()
        .filter_map(|status| {
            let number = jobs.get(&status).filter(|number| **number > 0)?;
            Some(format!("{} {}", count(*number), status.as_str()))
        })
        .collect();
    let standing = if standing.is_empty() {
        "none".to_owned()
    } else {
        standing.join(", ")
    };
    let busy: u32 = workers.iter().map(|worker| worker.busy).sum();
    let slots: u32 = workers.iter().map(|worker| worker.slots).sum();
    vec![
        format!("jobs now    {standing}"),
        format!("workers     {} live, {busy} of {slots} slots busy", workers.len()),
        format!(
            "last {:<6} {} enqueued ({}), {} completed ({})",
            duration::format(round(statistics.window())),
            count(total.enqueued),
            rate(statistics.per_second(total.enqueued)),
            count(total.completed),
            rate(statistics.per_second(total.completed)),
        ),
        format!(
            "            {} failed ({}), {} retried, {} cancelled, {} expired, {} lost",
            count(total.failed),
            share(total.failure_rate()),
            count(total.retried),
            count(total.cancelled),
            count(total.expired),
            count(total.lost),
        ),
        format!("wait        {}", percentiles(&total.wait)),
        format!("run         {}", percentiles(&total.run)),
    ]
}

/// A window begins with a whole step, and people asked for a round one.
fn round(window: Duration) -> Duration {
    let seconds = window.as_secs();
    Duration::from_secs(if seconds >= 60 {
        seconds - seconds % 60
    } else {
        seconds
    })
}

/// The percentiles of a histogram in a line.
pub(crate) fn percentiles(times: &longshore::Histogram) -> String {
    let [median, high, highest] = Tally::percentiles(times).map(time);
    format!("p50 {median}   p95 {high}   p99 {highest}")
}

const FUNCTIONS: [Column<'_>; 11] = [
    Column::new("FUNCTION", Give::DownTo(12)),
    Column::new("DONE", Give::Nothing),
    Column::new("FAILED", Give::Nothing),
    Column::new("RATE", Give::All(4)),
    Column::new("RETRIED", Give::All(3)),
    Column::new("WAIT P50", Give::All(5)),
    Column::new("P95", Give::All(6)),
    Column::new("P99", Give::All(1)),
    Column::new("RUN P50", Give::Nothing),
    Column::new("P95", Give::Nothing),
    Column::new("P99", Give::All(2)),
];

/// The cells of a function.
pub(crate) fn function_cells(row: &FunctionRow) -> Vec<String> {
    let tally = &row.tally;
    let [wait, wait_high, wait_highest] = Tally::percentiles(&tally.wait).map(time);
    let [run, run_high, run_highest] = Tally::percentiles(&tally.run).map(time);
    vec![
        row.function
            .as_ref()
            .map_or_else(|| OTHER.to_owned(), ToString::to_string),
        count(tally.completed),
        count(tally.failed),
        share(tally.failure_rate()),
        count(tally.retried),
        wait,
        wait_high,
        wait_highest,
        run,
        run_high,
        run_highest,
    ]
}

/// What stands over the queues; what is of the window says of which.
fn queue_columns([ins, outs, failed, wait]: [&str; 4]) -> [Column<'_>; 9] {
    [
        Column::new("QUEUE", Give::DownTo(12)),
        Column::new("STATE", Give::Nothing),
        Column::new("QUEUED", Give::Nothing),
        Column::new("OLDEST", Give::Nothing),
        Column::new("RUNNING", Give::All(5)),
        Column::new(ins, Give::All(3)),
        Column::new(outs, Give::All(4)),
        Column::new(failed, Give::All(2)),
        Column::new(wait, Give::All(1)),
    ]
}

/// The cells of a queue: what comes in and goes out are rates over the window.
pub(crate) fn queue_cells(statistics: &Statistics, row: &QueueRow) -> Vec<String> {
    let tally = &row.tally;
    vec![
        row.queue
            .as_ref()
            .map_or_else(|| OTHER.to_owned(), ToString::to_string),
        if row.paused { "paused" } else { "open" }.to_owned(),
        count(row.length()),
        time(statistics.age(row)),
        count(row.jobs.get(&JobStatus::Running).copied().unwrap_or(0)),
        rate(statistics.per_second(tally.enqueued)),
        rate(statistics.per_second(tally.ended())),
        share(tally.failure_rate()),
        time(tally.wait.quantile(0.95)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(window: &str, step: Option<&str>) -> Stats {
        Stats {
            window: window.to_owned(),
            step: step.map(str::to_owned),
            function: None,
            queue: None,
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused_by_its_option() {
        let message = |window, step| query(options(window, step)).unwrap_err().message;
        assert!(message("10s", None).starts_with("--window: 10s is out of range; use 1 minute to 7 days"));
        assert!(message("soon", None).starts_with("--window: "));
        assert!(message("1h", Some("90s")).starts_with("--step: 90s must be whole minutes"));
        assert!(query(options("7d", Some("1d"))).is_ok());
    }

    #[test]
    fn a_window_is_told_in_whole_minutes() {
        assert_eq!(round(Duration::from_secs(3_641)), Duration::from_secs(3_600));
    }
}
