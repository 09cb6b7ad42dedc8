//! Queues, functions, workers and running jobs, row by row.

use longshore::{JobView, WorkerView};
use longshore_core::{JobStatus, Timestamp};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};

use super::Paint;
use crate::board::{short, short_time};
use crate::output::plain;
use crate::stats::{function_cells, queue_cells};
use crate::top::look::Look;

/// Columns of a bar.
const BAR: usize = 14;

pub(super) fn queues(frame: &mut Frame<'_>, area: Rect, look: &Look, scroll: &mut usize, paint: Paint) {
    let statistics = &look.statistics;
    let rows = statistics.queues.iter().map(|queue| {
        let style = if queue.paused { paint.warn() } else { Style::new() };
        (queue_cells(statistics, queue), style)
    });
    let list = List {
        title: "queues; rates and waits of the last hour",
        heads: &[
            "QUEUE", "STATE", "QUEUED", "OLDEST", "RUNNING", "IN", "OUT", "FAILED", "WAIT P95",
        ],
        widths: &[12, 6, 8, 8, 7, 8, 8, 7, 8],
        nothing: "No queue holds a job or is paused.",
    };
    list.draw(frame, area, rows.collect(), scroll);
}

pub(super) fn functions(frame: &mut Frame<'_>, area: Rect, look: &Look, scroll: &mut usize, paint: Paint) {
    let rows = look.statistics.functions.iter().map(|function| {
        let style = if function.tally.failed > 0 {
            paint.warn()
        } else {
            Style::new()
        };
        let cells = function_cells(function);
        // Without retries and the last percentile of the wait: 80 columns hold nine.
        let shown = [0, 1, 2, 3, 5, 6, 8, 9, 10];
        let cells = shown.iter().filter_map(|at| cells.get(*at).cloned()).collect();
        (cells, style)
    });
    let list = List {
        title: "functions, the last hour",
        heads: &[
            "FUNCTION", "DONE", "FAILED", "RATE", "WAIT P50", "P95", "RUN P50", "P95", "P99",
        ],
        widths: &[20, 6, 6, 7, 8, 6, 7, 6, 6],
        nothing: "No job was enqueued or ran in the last hour.",
    };
    list.draw(frame, area, rows.collect(), scroll);
}

pub(super) fn workers(frame: &mut Frame<'_>, area: Rect, look: &Look, scroll: &mut usize, paint: Paint) {
    let now = look.statistics.at;
    let rows = look.workers.iter().map(|worker| {
        let style = if worker.draining {
            paint.warn()
        } else {
            Style::new()
        };
        (worker_cells(worker, now), style)
    });
    let list = List {
        title: "live workers, as they told of themselves with their last beat",
        heads: &[
            "WORKER",
            "VERSION",
            "STATE",
            "UP",
            "SLOTS",
            "BEAT",
            "QUEUES",
            "FUNCTIONS",
        ],
        widths: &[18, 7, 8, 7, 7, 5, 9, 11],
        nothing: "No worker is live. Start one with `longshore worker`, or `longshore dev`.",
    };
    list.draw(frame, area, rows.collect(), scroll);
}

fn worker_cells(worker: &WorkerView, now: Timestamp) -> Vec<String> {
    let join = |names: Vec<&str>| plain(&names.join(","));
    vec![
        short(&worker.id.to_string(), 18),
        worker.version.clone(),
        if worker.draining { "draining" } else { "working" }.to_owned(),
        short_time(now.since(worker.started_at)),
        format!("{}/{}", worker.busy, worker.slots),
        format!("{}s", now.since(worker.seen_at).as_secs()),
        short(&join(worker.queues.iter().map(AsRef::as_ref).collect()), 9),
        join(worker.functions.iter().map(AsRef::as_ref).collect()),
    ]
}

pub(super) fn jobs(frame: &mut Frame<'_>, area: Rect, look: &Look, scroll: &mut usize, paint: Paint) {
    let now = look.statistics.at;
    let rows = look.jobs.iter().map(|job| {
        let style = if job.cancel_reason.is_some() {
            paint.warn()
        } else {
            Style::new()
        };
        (job_cells(job, now), style)
    });
    let list = List {
        title: "jobs that run now, the longest running first",
        heads: &["JOB", "NAME", "FOR", "PROGRESS", "", "MESSAGE"],
        widths: &[8, 20, 7, 14, 5, 20],
        nothing: "No job runs now.",
    };
    list.draw(frame, area, rows.collect(), scroll);
}

fn job_cells(job: &JobView, now: Timestamp) -> Vec<String> {
    debug_assert_eq!(job.status, JobStatus::Running);
    let done = job.progress.fraction;
    let id = job.id.to_string();
    vec![
        // The end of an id is what differs between jobs of one batch.
        id.get(id.len().saturating_sub(8)..).unwrap_or(&id).to_owned(),
        short(&plain(&job.name), 20),
        job.started_at
            .map(|at| short_time(now.since(at)))
            .unwrap_or_default(),
        bar(done.unwrap_or(0.0)),
        done.map_or_else(|| "—".to_owned(), |done| format!("{:.0} %", done * 100.0)),
        plain(&job.progress.message),
    ]
}

/// A bar of eighths of a column.
fn bar(done: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and eight times the bar"
    )]
    let eighths = (done.clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
    let part = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    let filled = format!("{}{part}", "█".repeat(eighths / 8));
    let blank = BAR.saturating_sub(filled.chars().count());
    format!("{filled}{}", "░".repeat(blank))
}

/// A table with a head, and a place from which it is shown.
struct List<'a> {
    title: &'a str,
    heads: &'a [&'a str],
    /// The least width of each column; what is left goes to the last.
    widths: &'a [u16],
    nothing: &'a str,
}

impl List<'_> {
    fn draw(&self, frame: &mut Frame<'_>, area: Rect, rows: Vec<(Vec<String>, Style)>, scroll: &mut usize) {
        let block = Block::new().borders(Borders::TOP);
        if rows.is_empty() {
            let text = Paragraph::new(self.nothing).block(block.title(self.title));
            frame.render_widget(text, area);
            return;
        }
        let room = usize::from(block.inner(area).height.saturating_sub(1));
        *scroll = (*scroll).min(rows.len().saturating_sub(room));
        let title = if rows.len() > room {
            let last = (*scroll + room).min(rows.len());
            format!("{} ({}-{last} of {})", self.title, *scroll + 1, rows.len())
        } else {
            self.title.to_owned()
        };
        let shown = rows.into_iter().skip(*scroll).take(room);
        let rows = shown.map(|(cells, style)| Row::new(cells.into_iter().map(Cell::from)).style(style));
        let last = self.widths.len().saturating_sub(1);
        let widths = self.widths.iter().enumerate().map(|(at, width)| {
            if at == last {
                Constraint::Min(*width)
            } else {
                Constraint::Length(*width)
            }
        });
        let table = Table::new(rows, widths)
            .column_spacing(1)
            .header(Row::new(self.heads.iter().copied()).style(Paint::head()))
            .block(block.title(title));
        frame.render_widget(table, area);
    }
}
