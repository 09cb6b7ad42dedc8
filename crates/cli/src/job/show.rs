//! `longshore job show`, and a job as JSON.

use longshore::Client;
use longshore_core::view::{FullView, JobView};
use longshore_core::{Clock, Envelope, JobId, SystemClock, Timestamp, value};
use longshore_service::exit::ExitCode;
use serde_json::{Value, json};

use crate::board::{line, short_time};
use crate::failure::Failure;
use crate::output::{Format, Out, plain};

/// Lines of a traceback that people see.
const TRACEBACK_LINES: usize = 12;

/// Shows everything of one job.
///
/// # Errors
/// When it is unknown or the store does not answer.
pub(crate) async fn run(client: &Client, id: JobId, out: &mut Out) -> Result<(), Failure> {
    let Some(job) = client.view(id).await? else {
        return Err(unknown(id));
    };
    match out.format {
        Format::Json | Format::Jsonl => out.json(&everything(&job))?,
        Format::Table => text(&job, SystemClock.now())
            .iter()
            .try_for_each(|line| out.line(line))?,
    }
    Ok(())
}

/// What is said of an id that nobody knows.
pub(crate) fn unknown(id: JobId) -> Failure {
    Failure::new(
        ExitCode::NotFound,
        format!("no job has the id {id}; list jobs with `longshore job ls`"),
    )
}

/// The short form of listings.
pub(crate) fn summary(job: &JobView) -> Value {
    json!({
        "id": job.id.to_string(),
        "function_name": job.function_name.as_str(),
        "name": job.name,
        "queue": job.queue.as_str(),
        "priority": job.priority.as_str(),
        "status": job.status.as_str(),
        "attempts": job.attempts,
        "retries": job.retries,
        "tags": job.tags,
        "created_at_ms": job.created_at,
        "started_at_ms": job.started_at,
        "finished_at_ms": job.finished_at,
        "run_at_ms": job.run_at,
        "progress": job.progress,
        "error": job.error,
    })
}

fn everything(job: &JobView) -> Value {
    let mut all = summary(job);
    let full = job.full.clone().unwrap_or_default();
    let more = json!({
        "gen": job.gen_,
        "losts": job.losts,
        "worker": job.worker,
        "lease_until_ms": job.lease_until,
        "published_at_ms": job.published_at,
        "cancel_reason": job.cancel_reason,
        "open_parents": job.open_parents.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>(),
        "args": args(&full),
        "result": full.result.as_ref().and_then(|result| value::to_json("result", result).ok()),
        "history": full.history,
        "envelope": Envelope::decode(&full.envelope).ok().map(|envelope| terms(&envelope)),
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

fn args(full: &FullView) -> Option<Value> {
    let envelope = Envelope::decode(&full.envelope).ok()?;
    value::to_json("args", &envelope.args).ok()
}

/// What was asked for, apart from the arguments.
fn terms(envelope: &Envelope) -> Value {
    json!({
        "max_retries": envelope.max_retries,
        "retry_delay_ms": envelope.retry_delay_ms,
        "retry_backoff": envelope.retry_backoff,
        "retry_jitter": envelope.retry_jitter,
        "retry_delay_max_ms": envelope.retry_delay_max_ms,
        "timeout_ms": envelope.timeout_ms,
        "deadline_ms": envelope.deadline,
        "expires_at_ms": envelope.expires_at,
        "depends_on": envelope.depends_on.iter().map(|parent| parent.id.to_string()).collect::<Vec<_>>(),
        "metadata": envelope.metadata,
        "created_by": envelope.created_by,
    })
}

fn text(job: &JobView, now: Timestamp) -> Vec<String> {
    let full = job.full.clone().unwrap_or_default();
    let mut lines = Vec::new();
    let mut field = |name: &str, text: String| lines.push(format!("{name:<12} {}", plain(&text)));
    let ago = |at: Timestamp| format!("{} ago", short_time(now.since(at)));
    field("job", job.id.to_string());
    field("name", job.name.clone());
    field("function", job.function_name.to_string());
    field("status", format!("{}  {}", job.status, line(job, now)));
    field("priority", job.priority.to_string());
    field("queue", job.queue.to_string());
    field("tags", job.tags.join(", "));
    field("enqueued", ago(job.created_at));
    if let Some(at) = job.started_at {
        field("started", ago(at));
    }
    if let Some(at) = job.finished_at {
        field("ended", ago(at));
    }
    field(
        "attempts",
        format!(
            "{}, retries {}, workers lost {}",
            job.attempts, job.retries, job.losts
        ),
    );
    if let Some(worker) = &job.worker {
        field("worker", worker.to_string());
    }
    for (parent, _) in &job.open_parents {
        field("waits for", parent.to_string());
    }
    if let Some(reason) = &job.cancel_reason {
        field("cancelled", reason.clone());
    }
    if let Some(args) = args(&full) {
        field("args", args.to_string());
    }
    if let Some(result) = full
        .result
        .as_ref()
        .and_then(|result| value::to_json("result", result).ok())
    {
        field("result", result.to_string());
    }
    lines.extend(error_lines(job));
    lines.extend(full.history.iter().map(|attempt| {
        let took = short_time(attempt.ended_at.since(attempt.started_at));
        let text = format!(
            "{} {} after {took} on {}: {}",
            attempt.number, attempt.outcome, attempt.worker, attempt.error
        );
        format!("{:<12} {}", "attempt", plain(&text))
    }));
    lines
}

fn error_lines(job: &JobView) -> Vec<String> {
    let Some(error) = &job.error else {
        return Vec::new();
    };
    let mut lines = vec![format!(
        "{:<12} {}: {}",
        "error",
        plain(&error.error_type),
        plain(&error.message)
    )];
    lines.extend(
        error
            .causes
            .iter()
            .map(|cause| format!("{:<12} {}", "caused by", plain(cause))),
    );
    let traceback: Vec<&str> = error.traceback.iter().flat_map(|text| text.lines()).collect();
    lines.extend(
        traceback
            .iter()
            .take(TRACEBACK_LINES)
            .map(|line| format!("{:<12} {}", "", plain(line))),
    );
    if traceback.len() > TRACEBACK_LINES {
        let more = traceback.len() - TRACEBACK_LINES;
        lines.push(format!(
            "{:<12} … {more} more lines of traceback; -o json has them",
            ""
        ));
    }
    lines
}
