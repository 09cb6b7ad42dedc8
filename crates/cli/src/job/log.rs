//! `longshore job logs`: what the handler of a job has said.

use std::time::Duration;

use longshore::LogLine;
use longshore_core::JobId;
use longshore_core::port::inspect::Wakes;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::show::{clock_time, unknown};
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::output::{Format, Out, plain, warn};

/// How often the log is looked at without a hint: hints may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Shortest time between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Prints the lines; with `follow` until the job has ended. With JSON one document, with JSON lines and with `follow` one
/// line each.
///
/// # Errors
/// When the job is unknown or the store does not answer.
pub(crate) async fn run(fleet: &Fleet, id: JobId, follow: bool, out: &mut Out) -> Result<(), Failure> {
    // Looked at before the lines are read: a job that has ended says nothing more.
    let job = fleet.summary(id).await?.ok_or_else(|| unknown(id))?;
    let mut lines = fleet.log(id, 0).await?;
    if !follow && out.format == Format::Json {
        return Ok(out.json(&lines.iter().map(document).collect::<Vec<_>>())?);
    }
    if lines.is_empty() && !follow && out.format == Format::Table {
        warn("Nothing was said. A handler says something with `ctx.log(…)`, a program on stdout or stderr.");
    }
    let mut seen = print(&lines, 0, out)?;
    if !follow || job.status.is_terminal() {
        return Ok(());
    }
    let mut wakes: Option<Box<dyn Wakes>> = None;
    while !out.is_closed() {
        if wakes.is_none() {
            let watch = timeout(LOOK_EVERY, fleet.follow(vec![id])).await;
            wakes = watch.ok().and_then(Result::ok);
        }
        let over = fleet
            .summary(id)
            .await?
            .is_none_or(|job| job.status.is_terminal());
        lines = fleet.log(id, seen).await?;
        seen = print(&lines, seen, out)?;
        if over {
            break;
        }
        wait(&mut wakes).await;
    }
    Ok(())
}

async fn wait(wakes: &mut Option<Box<dyn Wakes>>) {
    let Some(source) = wakes else {
        return sleep(LOOK_EVERY).await;
    };
    let ended = matches!(timeout(LOOK_EVERY, source.next()).await, Ok(None));
    if ended {
        *wakes = None;
    }
    sleep(LOOK_PAUSE).await;
}

/// Prints lines and answers the number of the last.
fn print(lines: &[LogLine], seen: u64, out: &mut Out) -> Result<u64, Failure> {
    for line in lines {
        match out.format {
            Format::Table => out.line(text(line))?,
            Format::Json | Format::Jsonl => out.line(document(line))?,
        }
    }
    Ok(lines.last().map_or(seen, |line| line.number))
}

/// A line for people.
pub(crate) fn text(line: &LogLine) -> String {
    format!("{}  {}  {}", clock_time(line.at), line.attempt, plain(&line.text))
}

/// A line for programs.
pub(crate) fn document(line: &LogLine) -> Value {
    json!({
        "number": line.number,
        "at_ms": line.at,
        "attempt": line.attempt,
        "text": line.text,
    })
}
