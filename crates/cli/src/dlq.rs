//! `longshore dlq`: list, show, requeue, edit and discard dead letters.

mod bulk;
mod which;

use std::io::IsTerminal as _;

use longshore::DeadLetterChange;
use longshore_core::dead::{Fingerprint, OperationKind};
use longshore_core::view::JobView;
use longshore_core::{Clock, JobId, SystemClock, Timestamp};
use longshore_service::exit::ExitCode;
use serde_json::{Value, json};

pub(crate) use bulk::confirm;

use crate::args::dlq::{Dlq, DlqLs};
use crate::board::{short, short_time};
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::fleet::dead::Group;
use crate::job::{PageCursor, document, show};
use crate::output::{Column, Format, Give, Out, plain, warn};

/// Runs one of the commands.
///
/// # Errors
/// As the command says.
pub(crate) async fn run(fleet: &Fleet, command: Dlq, out: &mut Out) -> Result<(), Failure> {
    match command {
        Dlq::Ls(options) if options.group => groups(fleet, &options, out).await,
        Dlq::Ls(options) => list(fleet, options, out).await,
        Dlq::Show { id, full } => show_one(fleet, id.find(fleet).await?, full, out).await,
        Dlq::Requeue(options) => {
            // Nothing is lost by it: who cannot be asked is not.
            let confirmed = options.yes || !options.change.ids.is_empty() || !std::io::stdin().is_terminal();
            bulk::change(fleet, OperationKind::Requeue, &options.change, confirmed, out).await
        }
        Dlq::Discard(options) => {
            bulk::change(fleet, OperationKind::Discard, &options.change, options.yes, out).await
        }
        Dlq::Edit { id, args } => edit(fleet, id.find(fleet).await?, &args, out).await,
        Dlq::Ops => bulk::list(fleet, out).await,
        Dlq::Resume { id } => bulk::resume(fleet, id, out).await,
    }
}

/// A dead letter in short, for programs.
pub(crate) fn summary(job: &JobView) -> Value {
    let mut row = document::summary(job);
    if let Value::Object(row) = &mut row {
        row.insert("fingerprint".to_owned(), json!(fingerprint(job)));
    }
    row
}

fn fingerprint(job: &JobView) -> String {
    Fingerprint::of(job.error.as_ref()).to_string()
}

async fn list(fleet: &Fleet, options: DlqLs, out: &mut Out) -> Result<(), Failure> {
    let filter = which::filter(&options.which)?;
    let limit = usize::try_from(options.page.limit).unwrap_or(usize::MAX);
    let mut jobs: Vec<JobView> = Vec::new();
    let mut after = options.page.after.map(|cursor| cursor.0);
    while jobs.len() < limit {
        let page = fleet.dead(&filter, after, (limit - jobs.len()).min(500)).await?;
        jobs.extend(page.jobs);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if jobs.is_empty() && out.format == Format::Table {
        warn("No dead letter matches.");
        return Ok(());
    }
    let now = SystemClock.now();
    let rows: Vec<Value> = jobs.iter().map(summary).collect();
    let head = [
        Column::new("ID", Give::Nothing),
        Column::new("DIED", Give::Nothing),
        Column::new("QUEUE", Give::All(1)),
        Column::new("FUNCTION", Give::DownTo(10)),
        Column::new("TRIES", Give::All(0)),
        Column::new("FINGERPRINT", Give::All(2)),
        Column::new("ERROR", Give::DownTo(15)),
    ];
    out.rows(&head, &rows, jobs.iter().map(|job| cells(job, now)))?;
    if let Some(cursor) = after.map(PageCursor) {
        warn(format!(
            "There may be more; {} {} shown. Go on with --after {cursor}, or use --limit or a filter.",
            jobs.len(),
            if jobs.len() == 1 { "is" } else { "are" }
        ));
    }
    Ok(())
}

fn cells(job: &JobView, now: Timestamp) -> Vec<String> {
    vec![
        job.id.to_string(),
        format!("{} ago", short_time(now.since(job.finished_at.unwrap_or(now)))),
        job.queue.to_string(),
        short(job.function_name.as_str(), 32),
        job.attempts.to_string(),
        fingerprint(job),
        error_line(job),
    ]
}

fn error_line(job: &JobView) -> String {
    let text = |error: &longshore::ErrorInfo| format!("{}: {}", error.error_type, error.message);
    short(&plain(&job.error.as_ref().map(text).unwrap_or_default()), 60)
}

async fn groups(fleet: &Fleet, options: &DlqLs, out: &mut Out) -> Result<(), Failure> {
    let filter = which::filter(&options.which)?;
    let mut groups = fleet.dead_groups(&filter).await?;
    groups.truncate(usize::try_from(options.page.limit).unwrap_or(usize::MAX));
    if groups.is_empty() && out.format == Format::Table {
        warn("No dead letter matches.");
        return Ok(());
    }
    let now = SystemClock.now();
    let rows: Vec<Value> = groups.iter().map(group_document).collect();
    let head = [
        Column::new("FINGERPRINT", Give::Nothing),
        Column::new("COUNT", Give::Nothing),
        Column::new("LAST", Give::All(0)),
        Column::new("FUNCTIONS", Give::DownTo(10)),
        Column::new("ERROR", Give::DownTo(15)),
    ];
    let cells = groups.iter().map(|group| {
        vec![
            group.fingerprint.clone(),
            group.count.to_string(),
            format!("{} ago", short_time(now.since(group.last_died_at))),
            short(&joined(&group.functions), 32),
            error_line(&group.example),
        ]
    });
    Ok(out.rows(&head, &rows, cells)?)
}

fn joined<T: ToString>(names: &std::collections::BTreeSet<T>) -> String {
    names.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn group_document(group: &Group) -> Value {
    json!({
        "fingerprint": group.fingerprint,
        "count": group.count,
        "functions": group.functions,
        "queues": group.queues,
        "first_died_at_ms": group.first_died_at,
        "last_died_at_ms": group.last_died_at,
        "example": summary(&group.example),
    })
}

async fn show_one(fleet: &Fleet, id: JobId, full: bool, out: &mut Out) -> Result<(), Failure> {
    let Some(job) = fleet.dead_letter(id).await? else {
        return Err(no_dead_letter(id));
    };
    let reason = given_up(&job);
    let log = fleet.log(id, 0).await?;
    match out.format {
        Format::Json | Format::Jsonl => {
            let mut all = document::everything(&job, &log);
            if let Value::Object(all) = &mut all {
                all.insert("fingerprint".to_owned(), json!(fingerprint(&job)));
                all.insert("given_up".to_owned(), json!(reason));
            }
            out.json(&all)?;
        }
        Format::Table => {
            for line in show::text(&job, SystemClock.now(), full) {
                out.line(line)?;
            }
            out.line(format!("{:<12} {}", "fingerprint", fingerprint(&job)))?;
            out.line(format!("{:<12} {reason}", "given up"))?;
            for line in show::log_lines(&log, full) {
                out.line(line)?;
            }
        }
    }
    Ok(())
}

fn no_dead_letter(id: JobId) -> Failure {
    Failure::new(
        ExitCode::NotFound,
        format!(
            "{id} is no dead letter; list them with `longshore dlq ls`, and any job with `longshore job show {id}`"
        ),
    )
}

/// Why nobody tries it again, as far as its record tells.
fn given_up(job: &JobView) -> String {
    let full = job.full.clone().unwrap_or_default();
    let max_retries = longshore_core::Envelope::decode(&full.envelope).map(|envelope| envelope.max_retries);
    let error_type = job.error.as_ref().map_or("", |error| &error.error_type);
    match (error_type, max_retries) {
        ("worker_lost", _) => format!("its worker was lost {} times", job.losts),
        ("undecodable", _) => "its message could not be read; see `longshore quarantine ls`".to_owned(),
        ("panic", _) => "its handler panicked, which is not retried".to_owned(),
        _ if job.attempts == 0 => "it never ran".to_owned(),
        (_, Ok(most)) if job.retries >= most => {
            format!("no retries are left: {} of {most} were used", job.retries)
        }
        (_, Ok(most)) => format!(
            "the error is permanent: {} of {most} retries were used",
            job.retries
        ),
        (_, Err(_)) => "its envelope cannot be read".to_owned(),
    }
}

async fn edit(fleet: &Fleet, id: JobId, args: &str, out: &mut Out) -> Result<(), Failure> {
    let given = args.to_owned();
    // Stdin may be slow.
    let args = tokio::task::spawn_blocking(move || crate::enqueue::input::args(&given))
        .await
        .map_err(|error| Failure::new(ExitCode::Failure, error))??;
    let change = fleet.edit_dead(id, &args).await?;
    match change {
        DeadLetterChange::Done => {}
        DeadLetterChange::PastDeadline => {
            return Err(Failure::new(
                ExitCode::Failure,
                format!("{id}: its deadline has passed, so that it would only expire; enqueue a new job"),
            ));
        }
        DeadLetterChange::NotDead | DeadLetterChange::HasChildren => return Err(no_dead_letter(id)),
    }
    Ok(match out.format {
        Format::Table => out.line(format!("{id}  requeued with its new arguments")),
        Format::Json | Format::Jsonl => out.json(&json!({ "id": id.to_string(), "change": "done" })),
    }?)
}
