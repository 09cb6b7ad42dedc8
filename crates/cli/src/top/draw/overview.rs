//! Throughput and failures as lines, backlog and times as figures.

use longshore::{Statistics, Tally};
use longshore_core::JobStatus;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Sparkline};

use super::Paint;
use crate::stats::figure::{count, rate, share, time};
use crate::top::look::Look;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, look: &Look, paint: Paint) {
    let statistics = &look.statistics;
    let [throughput, failures, figures] =
        Layout::vertical([Constraint::Min(5), Constraint::Length(4), Constraint::Length(9)]).areas(area);
    let done = |tally: &Tally| tally.completed;
    let title = format!(
        "completed a minute, last hour: now {}, at most {}",
        count(recent(statistics, done)),
        count(most(statistics, done)),
    );
    line(frame, throughput, statistics, title, done, paint.good());
    let bad = |tally: &Tally| tally.failed + tally.retried + tally.lost;
    let title = format!(
        "attempts that failed or were lost a minute: now {}, at most {}",
        count(recent(statistics, bad)),
        count(most(statistics, bad)),
    );
    line(frame, failures, statistics, title, bad, paint.bad());
    let block = Block::new().borders(Borders::TOP).title("now, and the last hour");
    frame.render_widget(Paragraph::new(figures_of(look, paint)).block(block), figures);
}

/// What of the last two minutes, the second of which is not over, in one of them.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "for people"
)]
fn recent(statistics: &Statistics, of: impl Fn(&Tally) -> u64) -> u64 {
    let last: Vec<_> = statistics.series.iter().rev().take(2).collect();
    let sum: u64 = last.iter().map(|point| of(&point.tally)).sum();
    let time = last.last().map(|point| statistics.at.since(point.at));
    (sum as f64 * 60.0 / time.unwrap_or_default().as_secs_f64().max(1.0)).round() as u64
}

fn most(statistics: &Statistics, of: impl Fn(&Tally) -> u64) -> u64 {
    statistics
        .series
        .iter()
        .map(|point| of(&point.tally))
        .max()
        .unwrap_or(0)
}

fn line(
    frame: &mut Frame<'_>,
    area: Rect,
    statistics: &Statistics,
    title: String,
    of: impl Fn(&Tally) -> u64,
    style: Style,
) {
    let block = Block::new().borders(Borders::TOP).title(title);
    let room = usize::from(block.inner(area).width);
    let all: Vec<u64> = statistics.series.iter().map(|point| of(&point.tally)).collect();
    // The newest at the right edge; on a narrow terminal the oldest go.
    let shown = all.get(all.len().saturating_sub(room)..).unwrap_or_default();
    // As wide as there is room for, in whole columns a minute.
    let columns = (room / shown.len().max(1)).max(1);
    let data: Vec<u64> = shown
        .iter()
        .flat_map(|value| std::iter::repeat_n(*value, columns))
        .collect();
    let line = Sparkline::default().block(block).data(data).style(style);
    frame.render_widget(line, area);
}

fn figures_of(look: &Look, paint: Paint) -> Vec<Line<'static>> {
    let statistics = &look.statistics;
    let (total, jobs) = (&statistics.total, statistics.jobs());
    let of = |status| jobs.get(&status).copied().unwrap_or(0);
    let oldest = statistics
        .queues
        .iter()
        .filter_map(|row| statistics.age(row))
        .max();
    let busy: u32 = look.workers.iter().map(|worker| worker.busy).sum();
    let slots: u32 = look.workers.iter().map(|worker| worker.slots).sum();
    let nobody = if look.workers.is_empty() {
        paint.bad()
    } else {
        Style::new()
    };
    let failed = if total.failed > 0 {
        paint.warn()
    } else {
        Style::new()
    };
    vec![
        row(
            "backlog",
            format!(
                "{} queued, the oldest for {}",
                count(of(JobStatus::Queued)),
                time(oldest)
            ),
            Style::new(),
        ),
        row(
            "",
            format!(
                "{} running, {} scheduled, {} retrying, {} blocked",
                count(of(JobStatus::Running)),
                count(of(JobStatus::Scheduled)),
                count(of(JobStatus::Retrying)),
                count(of(JobStatus::Blocked)),
            ),
            Style::new(),
        ),
        row(
            "workers",
            format!("{} live, {busy} of {slots} slots busy", look.workers.len()),
            nobody,
        ),
        row(
            "jobs",
            format!(
                "{} in ({}), {} completed ({})",
                count(total.enqueued),
                rate(statistics.per_second(total.enqueued)),
                count(total.completed),
                rate(statistics.per_second(total.completed)),
            ),
            Style::new(),
        ),
        row(
            "failures",
            format!(
                "{} given up ({}), {} retried, {} lost",
                count(total.failed),
                share(total.failure_rate()),
                count(total.retried),
                count(total.lost),
            ),
            failed,
        ),
        row("wait", crate::stats::percentiles(&total.wait), Style::new()),
        row("run", crate::stats::percentiles(&total.run), Style::new()),
    ]
}

fn row(name: &str, text: String, style: Style) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{name:<10}"), Paint::head()),
        Span::styled(text, style),
    ])
}
