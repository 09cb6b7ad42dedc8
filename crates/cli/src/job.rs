//! `longshore job`: list, show, watch, cancel.

pub(crate) mod show;
pub(crate) mod watch;

use longshore::Client;
use longshore_core::port::enqueue::CancelReply;
use longshore_core::view::{JobFilter, JobView};
use longshore_core::{Clock, FunctionName, JobId, QueueName, SystemClock, Timestamp};
use longshore_service::exit::ExitCode;
use serde_json::{Value, json};

use crate::args::{Job, JobLs};
use crate::board::short;
use crate::failure::Failure;
use crate::output::{Format, Out};

/// Runs one of the commands.
///
/// # Errors
/// As the command says.
pub(crate) async fn run(client: &Client, command: Job, out: &mut Out) -> Result<(), Failure> {
    match command {
        Job::Ls(options) => list(client, options, out).await,
        Job::Show { id } => show::run(client, id, out).await,
        Job::Watch { ids } => watch::run(client, &ids, out).await,
        Job::Cancel { ids, reason } => cancel(client, &ids, &reason, out).await,
    }
}

async fn list(client: &Client, options: JobLs, out: &mut Out) -> Result<(), Failure> {
    let filter = JobFilter {
        statuses: options.status,
        function_name: options
            .function
            .map(FunctionName::new)
            .transpose()
            .map_err(Failure::usage)?,
        queue: options
            .queue
            .map(QueueName::new)
            .transpose()
            .map_err(Failure::usage)?,
        tags: options.tag,
        created_from: None,
        created_until: None,
    };
    let limit = usize::try_from(options.limit).unwrap_or(usize::MAX);
    let mut jobs = Vec::new();
    let mut after = None;
    while jobs.len() < limit {
        let page = client
            .list(&filter)
            .after(after)
            .limit((limit - jobs.len()).min(500))
            .await?;
        jobs.extend(page.jobs);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    print(&jobs, out)?;
    if after.is_some() && out.format == Format::Table {
        crate::output::warn(format!(
            "There are more; the newest {limit} are shown. Use --limit or a filter."
        ));
    }
    Ok(())
}

fn print(jobs: &[JobView], out: &mut Out) -> Result<(), Failure> {
    if jobs.is_empty() && out.format == Format::Table {
        crate::output::warn("No job matches. Hand one over with `longshore enqueue FUNCTION [JSON]`.");
        return Ok(());
    }
    let now = SystemClock.now();
    let rows: Vec<Value> = jobs.iter().map(show::summary).collect();
    let head = [
        "ID", "STATUS", "PRIORITY", "QUEUE", "NAME", "AGE", "TRIES", "PROGRESS",
    ];
    Ok(out.rows(&head, &rows, jobs.iter().map(|job| cells(job, now)))?)
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

async fn cancel(client: &Client, ids: &[JobId], reason: &str, out: &mut Out) -> Result<(), Failure> {
    let mut unknown = 0;
    for &id in ids {
        let reply = client.cancel(id, reason).await?;
        let text = match reply {
            CancelReply::Cancelled => "cancelled".to_owned(),
            CancelReply::Requested => "asked to stop; it runs until its handler notices".to_owned(),
            CancelReply::AlreadyFinished(status) => format!("had ended already: {status}"),
            CancelReply::Unknown => {
                unknown += 1;
                "unknown; look with `longshore job ls`".to_owned()
            }
        };
        match out.format {
            Format::Table => out.line(format!("{id}  {text}"))?,
            Format::Json | Format::Jsonl => out.json(&json!({ "id": id.to_string(), "cancel": text }))?,
        }
    }
    if unknown > 0 {
        return Err(Failure::new(
            ExitCode::NotFound,
            format!("{unknown} of {} jobs are unknown", ids.len()),
        ));
    }
    Ok(())
}
