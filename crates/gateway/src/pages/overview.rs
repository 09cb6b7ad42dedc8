//! The overview: what happens now, and what happened lately.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use axum::response::Response;
use longshore::{JobFilter, JobStatus, QueueName, Statistics, StatisticsQuery, WorkerView};
use longshore_core::Timestamp;
use serde::Deserialize;

use super::chart::Chart;
use super::frame::{Frame, Page};
use super::measured::{self, rate, share, time};
use super::part::percentage;
use super::row::{Row, rows};
use super::{html, queues, text};
use crate::error::Error;
use crate::extract::Query;
use crate::state::AppState;

/// Running jobs that are shown.
const RUNNING: usize = 12;
/// Dead letters that are shown.
const FAILED: usize = 5;
/// Functions that are shown.
const FUNCTIONS: usize = 12;
/// What can be looked back at: the word of the address, and how long that is.
const WINDOWS: [(&str, u64); 5] = [
    ("15m", 15 * 60),
    ("1h", 3_600),
    ("6h", 6 * 3_600),
    ("24h", 86_400),
    ("7d", 7 * 86_400),
];

/// The page.
#[derive(Debug, Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    windows: Vec<(&'static str, String, bool)>,
    tiles: Vec<Tile>,
    charts: Vec<Chart>,
    rows: Vec<Row>,
    more_running: String,
    failed: Vec<Row>,
    queues: Vec<queues::Row>,
    functions: Vec<Function>,
    workers: Vec<WorkerView>,
}

/// One figure.
#[derive(Debug)]
struct Tile {
    label: &'static str,
    value: String,
    unit: String,
    note: String,
    href: String,
    alert: bool,
    /// A bar below, as a percentage.
    share: Option<String>,
}

#[derive(Debug)]
struct Function {
    name: String,
    href: String,
    completed: String,
    failed: String,
    rate: String,
    wait: String,
    run: String,
}

/// The window that is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    window: String,
}

/// `GET /`
pub(super) async fn show(page: Page, Query(asked): Query<Asked>) -> Result<Response, Error> {
    let frame = page.frame("Overview", "overview").await?;
    let client = page.state.client();
    let (word, seconds) = WINDOWS
        .into_iter()
        .find(|(word, _)| *word == asked.window)
        .unwrap_or(("1h", 3_600));
    let statistics = client
        .statistics(StatisticsQuery::over(Duration::from_secs(seconds)))
        .await?;
    let workers = client.workers().await?;
    let queues = client.queues().await?;
    let of = |status| JobFilter {
        statuses: vec![status],
        ..JobFilter::default()
    };
    let running = client.list(of(JobStatus::Running)).limit(RUNNING).await?.jobs;
    let failed = client.list(of(JobStatus::Failed)).limit(FAILED).await?.jobs;
    let in_all = measured::count(&statistics, JobStatus::Running);
    let hidden = in_all.saturating_sub(running.len() as u64);
    let window = |(one, _): (&'static str, u64)| (one, frame.href(&format!("/?window={one}")), one == word);
    html(&Overview {
        windows: WINDOWS.into_iter().map(window).collect(),
        tiles: tiles(&frame, &statistics, &workers),
        charts: measured::charts(&statistics),
        rows: rows(&page, running, &frame),
        more_running: if hidden == 0 {
            String::new()
        } else {
            format!("{} more", text::count(hidden))
        },
        failed: rows(&page, failed, &frame),
        queues: queues::rows(&frame, &queues, &[], &of_queues(&statistics)),
        functions: functions(&frame, &statistics),
        workers,
        frame,
    })
}

fn tiles(frame: &Frame, statistics: &Statistics, workers: &[WorkerView]) -> Vec<Tile> {
    let total = &statistics.total;
    let (value, unit) = rate(statistics.per_second(total.completed));
    let oldest = statistics
        .queues
        .iter()
        .filter_map(|queue| statistics.age(queue))
        .max();
    let (busy, slots) = workers.iter().fold((0, 0), |(busy, slots), worker| {
        (busy + worker.busy, slots + worker.slots)
    });
    let queued = measured::count(statistics, JobStatus::Queued);
    let parked: u64 = statistics.queues.iter().map(|queue| queue.parked).sum();
    let tile = |label, value, unit: &str, note, path: &str| Tile {
        label,
        value,
        unit: unit.to_owned(),
        note,
        href: frame.href(path),
        alert: false,
        share: None,
    };
    vec![
        tile(
            "Completed",
            value,
            unit,
            format!("{} in this time", text::count(total.completed)),
            "/jobs?status=completed",
        ),
        Tile {
            alert: total.failed > 0,
            ..tile(
                "Given up",
                share(total.failure_rate()),
                "of ended",
                format!(
                    "{} given up, {} retried",
                    text::count(total.failed),
                    text::count(total.retried)
                ),
                "/dead",
            )
        },
        tile(
            "Wait",
            time(total.wait.quantile(0.5)),
            "median",
            format!("95 % within {}", time(total.wait.quantile(0.95))),
            "/jobs?status=queued",
        ),
        tile(
            "Run",
            time(total.run.quantile(0.5)),
            "median",
            format!("95 % within {}", time(total.run.quantile(0.95))),
            "/jobs?status=running",
        ),
        Tile {
            alert: parked > 0,
            ..tile(
                "Waiting",
                text::count(queued),
                if queued == 1 { "job" } else { "jobs" },
                waiting(oldest.filter(|_| queued > 0), parked),
                "/queues",
            )
        },
        Tile {
            alert: workers.is_empty(),
            share: Some(percentage(f64::from(busy) / f64::from(slots.max(1)))),
            ..tile(
                "Slots",
                format!("{busy} / {slots}"),
                "busy",
                text::plural(workers.len() as u64, "worker", "workers"),
                "/workers",
            )
        },
    ]
}

/// What stands under the number of jobs that wait. Jobs that no worker can run come first: they wait for a person.
fn waiting(oldest: Option<Duration>, parked: u64) -> String {
    match (parked, oldest) {
        (0, None) => "none waits".to_owned(),
        (0, Some(age)) => format!("the oldest for {}", text::whole(age)),
        (1, _) => "1 parked: no worker has its function".to_owned(),
        (many, _) => format!("{} parked: no worker has their function", text::count(many)),
    }
}

fn functions(frame: &Frame, statistics: &Statistics) -> Vec<Function> {
    let mut rows: Vec<_> = statistics
        .functions
        .iter()
        .filter(|row| row.tally.ended() + row.tally.retried > 0)
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.tally.ended()));
    let shape = |row: &&longshore::FunctionRow| Function {
        name: row
            .function
            .as_ref()
            .map_or_else(|| "(others)".to_owned(), ToString::to_string),
        href: row.function.as_ref().map_or_else(
            || frame.href("/jobs"),
            |name| {
                frame.href(&format!(
                    "/jobs?{}",
                    super::filter::pair("function", name.as_str())
                ))
            },
        ),
        completed: text::count(row.tally.completed),
        failed: text::count(row.tally.failed),
        rate: share(row.tally.failure_rate()),
        wait: time(row.tally.wait.quantile(0.95)),
        run: time(row.tally.run.quantile(0.95)),
    };
    rows.iter().take(FUNCTIONS).map(shape).collect()
}

fn of_queues(statistics: &Statistics) -> BTreeMap<QueueName, Timestamp> {
    let oldest = statistics
        .queues
        .iter()
        .filter_map(|row| Some((row.queue.clone()?, row.oldest?)));
    oldest.collect()
}

/// Since when the oldest waiting job of each queue could run.
pub(super) async fn oldest(state: &AppState) -> Result<BTreeMap<QueueName, Timestamp>, Error> {
    let statistics = state
        .client()
        .statistics(StatisticsQuery::over(Duration::from_secs(60)))
        .await?;
    Ok(of_queues(&statistics))
}
