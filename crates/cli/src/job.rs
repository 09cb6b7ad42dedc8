//! `longshore job`: list, show, ask why, watch, cancel, clean up.

mod cleanup;
pub(crate) mod document;
mod log;
pub(crate) mod nobody;
pub(crate) mod show;
pub(crate) mod watch;
mod why;

use longshore_core::port::enqueue::CancelReply;
use longshore_core::view::{Cursor, JobFilter, JobView};
use longshore_core::{Clock, JobId, SystemClock, Timestamp};
use longshore_service::exit::ExitCode;
use serde_json::{Value, json};

use crate::access;
use crate::args::{Job, JobLs};
use crate::board::short;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::job_ref::find_all;
use crate::output::{Column, Format, Give, Out, warn};
use crate::request::parse_moment;

/// Runs one of the commands.
///
/// # Errors
/// As the command says.
pub(crate) async fn run(fleet: &Fleet, command: Job, out: &mut Out) -> Result<(), Failure> {
    match command {
        Job::Ls(options) => list(fleet, options, out).await,
        Job::Show { id, full } => show::run(fleet, id.find(fleet).await?, full, out).await,
        Job::Logs { id, follow } => log::run(fleet, id.find(fleet).await?, follow, out).await,
        Job::Why { id, parents_from } => why::run(fleet, id.find(fleet).await?, parents_from, out).await,
        Job::Watch { ids } => watch::run(fleet, &find_all(fleet, &ids).await?, out).await,
        Job::Link(options) => access::link(fleet, &options, out).await,
        Job::Cleanup(options) => cleanup::run(fleet, options, out).await,
        Job::Cancel { ids, reason } => cancel(fleet, &find_all(fleet, &ids).await?, &reason, out).await,
    }
}

/// Where a listing ended, as it is printed and given to `--after`: enqueue time in milliseconds, a dot, the job's id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageCursor(pub(crate) Cursor);

impl std::fmt::Display for PageCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0.created_at.millis(), self.0.id)
    }
}

impl std::str::FromStr for PageCursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('.').and_then(|(millis, id)| {
            Some(Self(Cursor {
                created_at: Timestamp(millis.parse().ok()?),
                id: id.parse().ok()?,
            }))
        });
        parsed.ok_or_else(|| "is not a cursor; use the one that `longshore job ls` printed".to_owned())
    }
}

/// A bound of a listing: a time, or a duration ago.
fn bound(option: &str, text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let now = SystemClock.now();
    parse_moment(text, |ago| now.before(ago))
        .map(Some)
        .map_err(|problem| Failure::usage(format!("{option}: {problem}")))
}

async fn list(fleet: &Fleet, options: JobLs, out: &mut Out) -> Result<(), Failure> {
    let filter = JobFilter {
        statuses: options.status,
        function_name: options.of.function,
        queue: options.of.queue,
        tags: options.of.tag,
        created_from: bound("--since", options.since.as_deref())?,
        created_until: bound("--until", options.until.as_deref())?,
    };
    let text = options.text.map(|text| text.to_lowercase());
    let is_wanted = |job: &JobView| text.as_ref().is_none_or(|text| job.has_text(text));
    let limit = usize::try_from(options.page.limit).unwrap_or(usize::MAX);
    let (mut jobs, mut looked) = (Vec::new(), 0);
    let mut after = options.page.after.map(|cursor| cursor.0);
    while jobs.len() < limit {
        let page = fleet.list(&filter, after, (limit - jobs.len()).min(500)).await?;
        looked += page.jobs.len();
        jobs.extend(page.jobs.into_iter().filter(is_wanted));
        after = page.next;
        if after.is_none() || looked >= TEXT_LOOK_MAX.max(limit) {
            break;
        }
    }
    print(&jobs, out)?;
    if let Some(cursor) = after.map(PageCursor) {
        let looked = text.map_or_else(String::new, |_| format!(" of {looked} that were looked at"));
        warn(format!(
            "There are more; {}{looked} {} shown. Go on with --after {cursor}, or use --limit or a filter.",
            jobs.len(),
            if jobs.len() == 1 { "is" } else { "are" }
        ));
    }
    Ok(())
}

/// Jobs that are looked at for a text; the store has no index of texts.
const TEXT_LOOK_MAX: usize = 20_000;

/// Columns of a listing, and which of them a narrow terminal does without.
const COLUMNS: [Column<'static>; 8] = [
    Column::new("ID", Give::Nothing),
    Column::new("STATUS", Give::Nothing),
    Column::new("PRIORITY", Give::All(2)),
    Column::new("QUEUE", Give::All(1)),
    Column::new("NAME", Give::DownTo(10)),
    Column::new("AGE", Give::All(3)),
    Column::new("TRIES", Give::All(0)),
    Column::new("PROGRESS", Give::DownTo(8)),
];

fn print(jobs: &[JobView], out: &mut Out) -> Result<(), Failure> {
    if jobs.is_empty() && out.format == Format::Table {
        warn("No job matches. Hand one over with `longshore enqueue FUNCTION [JSON]`.");
        return Ok(());
    }
    let now = SystemClock.now();
    let rows: Vec<Value> = jobs.iter().map(document::summary).collect();
    Ok(out.rows(&COLUMNS, &rows, jobs.iter().map(|job| cells(job, now)))?)
}

fn cells(job: &JobView, now: Timestamp) -> Vec<String> {
    vec![
        job.id.to_string(),
        job.status.to_string(),
        job.priority.to_string(),
        job.queue.to_string(),
        short(&job.name, 32),
        crate::board::short_time(now.since(job.created_at)),
        job.attempts.to_string(),
        short(&crate::board::line(job, now), 60),
    ]
}

async fn cancel(fleet: &Fleet, ids: &[JobId], reason: &str, out: &mut Out) -> Result<(), Failure> {
    let mut replies = Vec::new();
    let mut failure = None;
    for &id in ids {
        match fleet.cancel(id, reason).await {
            Ok(reply) => replies.push((id, reply)),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    // What was done is told, whatever came after it.
    match out.format {
        Format::Table => replies
            .iter()
            .try_for_each(|&(id, reply)| out.line(format!("{id}  {}", prose(reply))))?,
        Format::Json | Format::Jsonl => {
            let rows: Vec<_> = replies.iter().map(|&(id, reply)| word(id, reply)).collect();
            out.rows(&[], &rows, std::iter::empty())?;
        }
    }
    if let Some(error) = failure {
        return Err(error);
    }
    let unknown = replies
        .iter()
        .filter(|(_, reply)| *reply == CancelReply::Unknown)
        .count();
    if unknown > 0 {
        return Err(Failure::new(
            ExitCode::NotFound,
            format!("{unknown} of {} jobs are unknown", ids.len()),
        ));
    }
    Ok(())
}

fn prose(reply: CancelReply) -> String {
    match reply {
        CancelReply::Cancelled => "cancelled".to_owned(),
        CancelReply::Requested => {
            "asked to stop; a handler that does not listen is aborted after worker.cancel_grace (10s unless set)".to_owned()
        }
        CancelReply::AlreadyFinished(status) => format!("had ended already: {status}"),
        CancelReply::Unknown => "unknown; look with `longshore job ls`".to_owned(),
    }
}

/// The reply for programs: `cancelled`, `requested`, `unknown`, or how the job had ended already.
fn word(id: JobId, reply: CancelReply) -> Value {
    let (status, was_finished) = match reply {
        CancelReply::Cancelled => ("cancelled", false),
        CancelReply::Requested => ("requested", false),
        CancelReply::AlreadyFinished(status) => (status.as_str(), true),
        CancelReply::Unknown => ("unknown", false),
    };
    json!({ "id": id.to_string(), "status": status, "already_finished": was_finished })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let text = "1700000000000.0193f0a1-7c5e-8001-9313-0242ac120002";
        assert_eq!(text.parse::<PageCursor>().unwrap().to_string(), text);
        assert!("7".parse::<PageCursor>().unwrap_err().contains("not a cursor"));
    }
}
