//! `longshore job show`.

use longshore::LogLine;
use longshore_core::view::{AttemptView, JobView};
use longshore_core::{Clock, JobId, SystemClock, Timestamp};
use longshore_service::exit::ExitCode;

use super::document::{args, everything, result};
use crate::board::{line, short_time};
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::output::{Format, Out, plain};

/// The last millisecond that RFC 3339 can write.
const YEAR_9999_MILLIS: u64 = 253_402_300_799_999;
/// Lines of a traceback that people see.
const TRACEBACK_LINES: usize = 12;
/// Lines of the log that people see.
const LOG_LINES: usize = 12;
/// Characters of arguments and of a result that people see.
const VALUE_CHARS: usize = 4_000;

/// Shows everything of one job.
///
/// # Errors
/// When it is unknown or the store does not answer.
pub(crate) async fn run(fleet: &Fleet, id: JobId, full: bool, out: &mut Out) -> Result<(), Failure> {
    let Some(job) = fleet.view(id).await? else {
        return Err(unknown(id));
    };
    let log = fleet.log(id, 0).await?;
    match out.format {
        Format::Json | Format::Jsonl => out.json(&everything(&job, &log))?,
        Format::Table => {
            for line in text(&job, SystemClock.now(), full) {
                out.line(line)?;
            }
            if let Some(why) = super::nobody::has_it(fleet, &job).await {
                out.line(format!("{:<12} {}", "waits", plain(&why)))?;
            }
            for line in log_lines(&log, full) {
                out.line(line)?;
            }
        }
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

/// Everything of a job, line by line; with `whole` nothing is folded.
pub(crate) fn text(job: &JobView, now: Timestamp, whole: bool) -> Vec<String> {
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
        field("args", folded(args.to_string(), whole));
    }
    if let Some(result) = result(&full) {
        field("result", folded(result.to_string(), whole));
    }
    lines.extend(error_lines(job, whole));
    lines.extend(full.history.iter().map(attempt_line));
    lines
}

/// How an attempt ended; one that was cancelled has no error to tell.
fn attempt_line(attempt: &AttemptView) -> String {
    let error = if attempt.error.is_empty() {
        String::new()
    } else {
        format!(": {}", attempt.error)
    };
    let text = format!(
        "{} {} at {} after {} on {}{error}",
        attempt.number,
        attempt.outcome,
        clock_time(attempt.ended_at),
        short_time(attempt.ended_at.since(attempt.started_at)),
        attempt.worker,
    );
    format!("{:<12} {}", "attempt", plain(&text))
}

/// A time as people write it: RFC 3339, UTC.
pub(crate) fn clock_time(at: Timestamp) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(at.millis().min(YEAR_9999_MILLIS));
    humantime::format_rfc3339_millis(time).to_string()
}

/// Arguments and results may be a megabyte.
fn folded(text: String, whole: bool) -> String {
    let more = text.chars().count().saturating_sub(VALUE_CHARS);
    if whole || more == 0 {
        return text;
    }
    let head: String = text.chars().take(VALUE_CHARS).collect();
    format!("{head} … {more} more characters; --full shows them")
}

/// The end of a log, line by line; with `whole` all of it.
pub(crate) fn log_lines(log: &[LogLine], whole: bool) -> Vec<String> {
    let shown = if whole { usize::MAX } else { LOG_LINES };
    let folded = log.len().saturating_sub(shown);
    let more = (folded > 0).then(|| {
        format!(
            "{:<12} … {folded} earlier lines; `longshore job logs` prints them",
            "log"
        )
    });
    let lines = log.iter().skip(folded);
    let lines = lines.map(|line| format!("{:<12} {}", "log", super::log::text(line)));
    more.into_iter().chain(lines).collect()
}

fn error_lines(job: &JobView, whole: bool) -> Vec<String> {
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
    let shown = if whole { usize::MAX } else { TRACEBACK_LINES };
    lines.extend(
        traceback
            .iter()
            .take(shown)
            .map(|line| format!("{:<12} {}", "", plain(line))),
    );
    if traceback.len() > shown {
        let more = traceback.len() - shown;
        lines.push(format!(
            "{:<12} … {more} more lines of traceback; --full shows them",
            ""
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_without_an_error_ends_with_its_worker() {
        let line = |outcome: &str, error: &str| {
            attempt_line(&AttemptView {
                number: 1,
                worker: "w".to_owned(),
                started_at: Timestamp(1_700_000_000_000),
                ended_at: Timestamp(1_700_000_002_000),
                outcome: outcome.to_owned(),
                error: error.to_owned(),
            })
        };
        assert!(
            line("cancelled", "").ends_with(" on w"),
            "{}",
            line("cancelled", "")
        );
        assert!(line("retry", "io: gone").ends_with(" on w: io: gone"));
    }
}
