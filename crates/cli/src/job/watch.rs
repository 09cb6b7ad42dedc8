//! `longshore job watch`: live bars until every job has ended.

use std::time::Duration;

use futures_util::future::join_all;
use longshore::Client;
use longshore_core::view::JobView;
use longshore_core::{Clock, JobId, JobStatus, SystemClock};
use longshore_service::exit::ExitCode;

use super::show::{summary, unknown};
use crate::board::{Board, line};
use crate::failure::Failure;
use crate::output::{Format, Out};

/// How often bars are drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// Follows the jobs to their end.
///
/// # Errors
/// When one is unknown, or did not complete: the exit code tells.
pub(crate) async fn run(client: &Client, ids: &[JobId], out: &mut Out) -> Result<(), Failure> {
    let mut board = Board::new(true);
    let mut last: Vec<Option<JobView>> = vec![None; ids.len()];
    loop {
        let views = join_all(ids.iter().map(|&id| client.summary(id))).await;
        for ((view, seen), &id) in views.into_iter().zip(&mut last).zip(ids) {
            let view = view?.ok_or_else(|| unknown(id))?;
            tell(&view, seen.as_ref(), &mut board, out)?;
            *seen = Some(view);
        }
        if last.iter().flatten().all(|view| view.status.is_terminal()) {
            return conclude(last.iter().flatten());
        }
        tokio::time::sleep(REDRAW).await;
    }
}

/// Draws a bar on a terminal, or writes a line when something changed.
fn tell(view: &JobView, seen: Option<&JobView>, board: &mut Board, out: &mut Out) -> Result<(), Failure> {
    let now = SystemClock.now();
    let changed = seen.is_none_or(|seen| {
        seen.status != view.status || seen.attempts != view.attempts || seen.progress.seq != view.progress.seq
    });
    match out.format {
        Format::Table if board.is_visible() => board.show(view, now),
        Format::Table if changed => {
            out.line(format!("{}  {:<9}  {}", view.id, view.status, line(view, now)))?;
        }
        Format::Json | Format::Jsonl if changed => out.line(summary(view))?,
        Format::Table | Format::Json | Format::Jsonl => {}
    }
    Ok(())
}

fn conclude<'a>(views: impl Iterator<Item = &'a JobView>) -> Result<(), Failure> {
    let bad: Vec<_> = views.filter(|view| view.status != JobStatus::Completed).collect();
    match bad.as_slice() {
        [] => Ok(()),
        [one] => Err(Failure::new(
            ExitCode::JobFailed,
            format!("{} {}: see `longshore job show {}`", one.name, one.status, one.id),
        )),
        many => Err(Failure::new(
            ExitCode::JobFailed,
            format!("{} jobs did not complete", many.len()),
        )),
    }
}
