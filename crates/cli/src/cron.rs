//! `longshore cron`: list, show, make, remove, pause, resume, run, preview.

pub(crate) mod add;
mod document;
pub(crate) mod next;
mod show;

use longshore::cron::{CronName, CronView, Zone};
use longshore_core::{Clock, SystemClock, Timestamp};
use serde_json::json;

use crate::args::Cron;
use crate::board::{short, short_time};
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::fleet::cron::unknown;
use crate::job;
use crate::output::{Column, Format, Give, Out, warn};
use add::Entry;

/// Runs one of the commands that ask the store.
///
/// # Errors
/// As the command says.
pub(crate) async fn run(
    fleet: &Fleet,
    command: Cron,
    entry: Option<Entry>,
    out: &mut Out,
) -> Result<(), Failure> {
    match (command, entry) {
        (Cron::Ls, _) => list(&fleet.cron_entries().await?, out),
        (Cron::Show { name }, _) => {
            let view = fleet.cron_entry(&name).await?.ok_or_else(|| unknown(&name))?;
            show::print(&view, out)
        }
        (Cron::Add(_), Some(entry)) => add::run(fleet, entry, out).await,
        (Cron::Rm { names, dry_run: true }, _) => {
            each(names, out, "would be removed", async |name| {
                let known = fleet.cron_entry(&name).await?;
                known.map(drop).ok_or_else(|| unknown(&name))
            })
            .await
        }
        (Cron::Rm { names, .. }, _) => {
            each(names, out, "removed", async |name| fleet.remove_cron(&name).await).await
        }
        (Cron::Pause { names }, _) => {
            each(names, out, "paused", async |name| {
                fleet.set_cron_paused(&name, true).await
            })
            .await
        }
        (Cron::Resume { names }, _) => {
            each(names, out, "resumed", async |name| {
                fleet.set_cron_paused(&name, false).await
            })
            .await
        }
        (Cron::Run { name, watch }, _) => {
            let id = fleet.run_cron(&name).await?;
            match out.format {
                Format::Table => out.line(id)?,
                // The document of the job that is followed has its id.
                Format::Json | Format::Jsonl if watch => {}
                Format::Json | Format::Jsonl => {
                    out.json(&json!({ "name": name.as_str(), "id": id.to_string() }))?;
                }
            }
            if watch {
                job::watch::run(fleet, &[id], out).await?;
            }
            Ok(())
        }
        (Cron::Add(_) | Cron::Next(_), _) => Ok(()),
    }
}

/// Does something to each entry; what was done is told, whatever fails after it.
async fn each(
    names: Vec<CronName>,
    out: &mut Out,
    done: &str,
    work: impl AsyncFn(CronName) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (mut told, mut failure) = (Vec::new(), None);
    for name in names {
        match work(name.clone()).await {
            Ok(()) => told.push(name),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    match out.format {
        Format::Table => told
            .iter()
            .try_for_each(|name| out.line(format!("{name}  {done}")))?,
        Format::Json | Format::Jsonl => {
            let rows: Vec<_> = told
                .iter()
                .map(|name| json!({ "name": name.as_str(), "done": done }))
                .collect();
            out.rows(&[], &rows, std::iter::empty())?;
        }
    }
    failure.map_or(Ok(()), Err)
}

fn list(entries: &[CronView], out: &mut Out) -> Result<(), Failure> {
    if entries.is_empty() && out.format == Format::Table {
        warn(
            "There are no cron entries. Make one with `longshore cron add NAME EXPRESSION FUNCTION [JSON]`.",
        );
        return Ok(());
    }
    let now = SystemClock.now();
    let rows: Vec<_> = entries.iter().map(document::entry).collect();
    let head = [
        Column::new("NAME", Give::Nothing),
        Column::new("EXPRESSION", Give::DownTo(9)),
        Column::new("ZONE", Give::All(2)),
        Column::new("FUNCTION", Give::DownTo(10)),
        Column::new("NEXT", Give::All(1)),
        Column::new("IN", Give::Nothing),
        Column::new("LAST JOB", Give::All(0)),
    ];
    Ok(out.rows(&head, &rows, entries.iter().map(|entry| cells(entry, now)))?)
}

fn cells(entry: &CronView, now: Timestamp) -> Vec<String> {
    let (expression, zone, function) = match &entry.definition {
        Ok(definition) => (
            short(definition.schedule.expression.as_str(), 32),
            definition.schedule.zone,
            short(definition.job.envelope().function_name.as_str(), 32),
        ),
        Err(_) => ("written by a newer build".to_owned(), Zone::UTC, "?".to_owned()),
    };
    let (next, wait) = if entry.paused {
        ("paused".to_owned(), String::new())
    } else {
        (zone.show(entry.next_at), short_time(entry.next_at.since(now)))
    };
    let last = entry.last.map_or_else(String::new, |last| last.id.to_string());
    vec![
        entry.name.to_string(),
        expression,
        zone.to_string(),
        function,
        next,
        wait,
        last,
    ]
}
