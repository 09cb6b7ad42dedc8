//! Requeue and discard: of the letters that are named, or as an operation on all that match.

use std::io::{BufRead, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use longshore::DeadLetterChange;
use longshore_core::JobId;
use longshore_core::dead::{DeadFilter, Operation, OperationId, OperationKind};
use longshore_service::exit::ExitCode;
use serde_json::{Value, json};

use super::{error_line, summary, which};
use crate::args::dlq::DlqChange;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::fleet::dead::Running;
use crate::job_ref::find_all;
use crate::output::{Column, Format, Give, Out, warn};

/// Examples of a dry run.
const EXAMPLES: usize = 5;
/// Lines that tell of an operation's progress where there is no terminal.
const LINES: u64 = 10;

/// Requeues or discards what is named, or what matches.
///
/// # Errors
/// When nothing or both are named, it is not confirmed, a letter is none, or the store does not answer.
pub(super) async fn change(
    fleet: &Fleet,
    kind: OperationKind,
    options: &DlqChange,
    confirmed: bool,
    out: &mut Out,
) -> Result<(), Failure> {
    let filter = which::filter(&options.which)?;
    let what = kind.as_str();
    match (options.ids.is_empty(), filter.is_empty(), options.all) {
        (true, true, false) => {
            return Err(Failure::usage(format!(
                "name what to {what}: ids, a filter such as --function NAME, or --all"
            )));
        }
        (false, true, false) | (true, true, true) | (true, false, false) => {}
        _ => {
            return Err(Failure::usage(format!(
                "name what to {what} in one way: ids, a filter, or --all"
            )));
        }
    }
    let ids = find_all(fleet, &options.ids).await?;
    if options.dry_run {
        return dry_run(fleet, kind, &ids, &filter, out).await;
    }
    if !confirmed {
        let count = match ids.len() as u64 {
            0 => fleet.dead_count(&filter).await?,
            ids => ids,
        };
        confirm(format!("{what} {count} dead letters"), confirmed).await?;
    }
    if !ids.is_empty() {
        return some(fleet, kind, &ids, out).await;
    }
    let bulk = fleet.begin(kind, filter, options.operation).await?;
    run(bulk, out).await
}

/// Goes on with an operation.
///
/// # Errors
/// When it is unknown, or the store does not answer.
pub(super) async fn resume(fleet: &Fleet, id: OperationId, out: &mut Out) -> Result<(), Failure> {
    let Some(bulk) = fleet.resume_operation(id).await? else {
        return Err(Failure::new(
            ExitCode::NotFound,
            format!("no operation has the id {id}; list them with `longshore dlq ops`"),
        ));
    };
    run(bulk, out).await
}

/// Lists the operations.
///
/// # Errors
/// When the store does not answer.
pub(super) async fn list(fleet: &Fleet, out: &mut Out) -> Result<(), Failure> {
    let operations = fleet.operations().await?;
    if operations.is_empty() && out.format == Format::Table {
        warn("There was no operation on many dead letters yet.");
        return Ok(());
    }
    let rows: Vec<Value> = operations.iter().map(document).collect();
    let cells = operations.iter().map(|operation| {
        let state = if operation.ended_at.is_some() {
            "ended"
        } else {
            "open"
        };
        let of = operation.total.map_or("?".to_owned(), |total| total.to_string());
        vec![
            operation.id.to_string(),
            operation.kind.as_str().to_owned(),
            state.to_owned(),
            format!("{} of {of}", operation.done),
            operation.kept.to_string(),
        ]
    });
    Ok(out.rows(
        &[
            Column::new("ID", Give::Nothing),
            Column::new("WHAT", Give::DownTo(10)),
            Column::new("STATE", Give::Nothing),
            Column::new("DONE", Give::Nothing),
            Column::new("KEPT", Give::All(0)),
        ],
        &rows,
        cells,
    )?)
}

/// Asks on a terminal; elsewhere `--yes` must have been given.
///
/// # Errors
/// When it is not confirmed. Nothing was changed then.
pub(crate) async fn confirm(what: String, confirmed: bool) -> Result<(), Failure> {
    if confirmed {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "--yes is needed to {what}, because stdin is no terminal to ask on; nothing was changed"
        )));
    }
    // Whoever thinks about it may still interrupt.
    let asked = tokio::task::spawn_blocking(move || ask(&what)).await;
    if asked.map_err(|error| Failure::new(ExitCode::Failure, error))?? {
        return Ok(());
    }
    Err(Failure::new(
        ExitCode::Failure,
        "not confirmed; nothing was changed",
    ))
}

fn ask(what: &str) -> std::io::Result<bool> {
    let mut stderr = std::io::stderr();
    write!(stderr, "Really {what}? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn dry_run(
    fleet: &Fleet,
    kind: OperationKind,
    ids: &[JobId],
    filter: &DeadFilter,
    out: &mut Out,
) -> Result<(), Failure> {
    let (mut count, mut examples) = (0, Vec::new());
    if ids.is_empty() {
        count = fleet.dead_count(filter).await?;
        let mut after = None;
        while count > 0 && examples.len() < EXAMPLES {
            let page = fleet.dead(filter, after, EXAMPLES).await?;
            examples.extend(page.jobs);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    for id in ids {
        if let Some(job) = fleet.dead_letter(*id).await? {
            count += 1;
            examples.push(job);
        }
    }
    examples.truncate(EXAMPLES);
    let what = kind.as_str();
    if out.format != Format::Table {
        let examples: Vec<Value> = examples.iter().map(summary).collect();
        return Ok(out.json(&json!({ "dry_run": true, "kind": what, "count": count, "examples": examples }))?);
    }
    out.line(format!("would {what} {count} dead letters; nothing was changed"))?;
    for job in &examples {
        out.line(format!(
            "  {}  {}  {}",
            job.id,
            job.function_name,
            error_line(job)
        ))?;
    }
    let more = count.saturating_sub(examples.len() as u64);
    if more > 0 {
        out.line(format!(
            "  … and {more} more; `longshore dlq ls` with the same filter lists them"
        ))?;
    }
    Ok(())
}

async fn some(fleet: &Fleet, kind: OperationKind, ids: &[JobId], out: &mut Out) -> Result<(), Failure> {
    let changes = fleet.change_dead(kind, ids).await?;
    let rows: Vec<_> = ids.iter().zip(&changes).collect();
    match out.format {
        Format::Table => rows
            .iter()
            .try_for_each(|(id, change)| out.line(format!("{id}  {}", prose(kind, **change))))?,
        Format::Json | Format::Jsonl => {
            let rows: Vec<_> = rows
                .iter()
                .map(|(id, change)| json!({ "id": id.to_string(), "change": word(**change) }))
                .collect();
            out.rows(&[], &rows, std::iter::empty())?;
        }
    }
    let count = |wanted| changes.iter().filter(|change| **change == wanted).count();
    let (unknown, of) = (count(DeadLetterChange::NotDead), ids.len());
    let kept = count(DeadLetterChange::PastDeadline) + count(DeadLetterChange::HasChildren);
    if unknown > 0 {
        let message =
            format!("{unknown} of {of} jobs are no dead letters; list them with `longshore dlq ls`");
        return Err(Failure::new(ExitCode::NotFound, message));
    }
    if kept > 0 {
        return Err(Failure::new(
            ExitCode::Failure,
            format!("{kept} of {of} dead letters stay"),
        ));
    }
    Ok(())
}

const fn word(change: DeadLetterChange) -> &'static str {
    match change {
        DeadLetterChange::Done => "done",
        DeadLetterChange::NotDead => "not_dead",
        DeadLetterChange::PastDeadline => "past_deadline",
        DeadLetterChange::HasChildren => "has_children",
    }
}

const fn prose(kind: OperationKind, change: DeadLetterChange) -> &'static str {
    match (change, kind) {
        (DeadLetterChange::Done, OperationKind::Requeue) => "requeued",
        (DeadLetterChange::Done, OperationKind::Discard) => "discarded",
        (DeadLetterChange::Done, OperationKind::Cancel) => "cancelled",
        (DeadLetterChange::NotDead, _) => "is no dead letter",
        (DeadLetterChange::PastDeadline, _) => "stays: its deadline has passed, it would only expire",
        (DeadLetterChange::HasChildren, _) => {
            "stays until its children are told; discard it again in a moment"
        }
    }
}

/// Runs an operation with a bar, or with a few lines where there is no terminal.
async fn run(bulk: Running<'_>, out: &mut Out) -> Result<(), Failure> {
    let Operation { id, kind, .. } = *bulk.operation();
    let what = kind.as_str();
    warn(format!(
        "{what}: operation {id}; interrupted, it goes on with `longshore dlq resume {id}`"
    ));
    let bar = bar();
    let mut told = 0;
    let ended = bulk
        .run(|operation| {
            let total = operation.total.unwrap_or_default();
            let over = operation.done + operation.kept;
            bar.set_length(total);
            bar.set_position(over);
            let tenth = (over * LINES).checked_div(total).unwrap_or(LINES);
            if bar.is_hidden() && tenth > told {
                told = tenth;
                warn(format!("{what}: {over} of {total}"));
            }
        })
        .await;
    bar.finish_and_clear();
    let operation = ended?;
    match out.format {
        Format::Json | Format::Jsonl => out.json(&document(&operation))?,
        Format::Table => out.line(told_of(&operation))?,
    }
    if operation.ended_at.is_none() {
        return Err(Failure::new(
            ExitCode::Failure,
            format!(
                "{} have children that must be told first, which a scheduler does; then run `longshore dlq resume {id}`",
                operation.kept
            ),
        ));
    }
    Ok(())
}

fn told_of(operation: &Operation) -> String {
    let verb = match operation.kind {
        OperationKind::Requeue => "requeued",
        OperationKind::Discard => "discarded",
        OperationKind::Cancel => {
            let total = operation.total.unwrap_or_default();
            return format!("{} of {total} jobs cancelled, or asked to stop", operation.done);
        }
    };
    let total = operation.total.unwrap_or_default();
    let kept = match operation.kept {
        0 => String::new(),
        kept => format!("; {kept} stay (deadline passed, or children to be told)"),
    };
    format!("{} of {total} dead letters {verb}{kept}", operation.done)
}

/// Drawn on stderr where that is a terminal, and nowhere else.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len}, {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn document(operation: &Operation) -> Value {
    json!({
        "id": operation.id.to_string(),
        "kind": operation.kind,
        "filter": {
            "function": operation.filter.function_name,
            "queue": operation.filter.queue,
            "tags": operation.filter.tags,
            "fingerprint": operation.filter.fingerprint,
            "died_from_ms": operation.filter.died_from,
            "died_until_ms": operation.filter.died_until,
        },
        "jobs": operation.cancels.as_ref().map(|which| &which.jobs),
        "reason": operation.cancels.as_ref().map(|which| &which.reason),
        "started_at_ms": operation.started_at,
        "total": operation.total,
        "done": operation.done,
        "kept": operation.kept,
        "ended_at_ms": operation.ended_at,
    })
}
