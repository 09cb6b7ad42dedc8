//! A job as JSON for programs: every key by its full name, whatever the wire calls it.

use longshore::LogLine;
use longshore_core::outcome::{ErrorInfo, Progress};
use longshore_core::view::{AttemptView, FullView, JobView};
use longshore_core::{Envelope, JobStatus, value};
use serde_json::{Value, json};

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
        "progress": progress(&so_far(job)),
        "error": job.error.as_ref().map(error),
    })
}

/// Everything that is known of a job.
pub(crate) fn everything(job: &JobView, log: &[LogLine]) -> Value {
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
        "result": result(&full),
        "log": log.iter().map(super::log::document).collect::<Vec<_>>(),
        "history": full.history.iter().map(attempt).collect::<Vec<_>>(),
        "envelope": Envelope::decode(&full.envelope).ok().map(|envelope| terms(&envelope)),
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

/// The arguments, where they are kept.
pub(crate) fn args(full: &FullView) -> Option<Value> {
    let envelope = Envelope::decode(&full.envelope).ok()?;
    value::to_json("args", &envelope.args).ok()
}

/// The result, where there is one.
pub(crate) fn result(full: &FullView) -> Option<Value> {
    value::to_json("result", full.result.as_ref()?).ok()
}

/// What is done is done whole, whatever its handler told last.
fn so_far(job: &JobView) -> Progress {
    let mut progress = job.progress.clone();
    if job.status == JobStatus::Completed {
        progress.fraction = Some(1.0);
    }
    progress
}

fn progress(progress: &Progress) -> Value {
    json!({
        "fraction": progress.fraction,
        "message": progress.message,
        "fields": progress.fields,
        "seq": progress.seq,
        "at_ms": progress.at,
    })
}

fn error(error: &ErrorInfo) -> Value {
    json!({
        "error_type": error.error_type,
        "message": error.message,
        "causes": error.causes,
        "traceback": error.traceback,
    })
}

fn attempt(attempt: &AttemptView) -> Value {
    json!({
        "attempt": attempt.number,
        "worker": attempt.worker,
        "started_at_ms": attempt.started_at,
        "ended_at_ms": attempt.ended_at,
        "outcome": attempt.outcome,
        "error": attempt.error,
    })
}

/// What was asked for, apart from the arguments.
fn terms(envelope: &Envelope) -> Value {
    let parents = envelope.depends_on.iter().map(|parent| {
        json!({
            "id": parent.id.to_string(),
            "on_failed": parent.policy.on_failed,
            "on_cancelled": parent.policy.on_cancelled,
        })
    });
    json!({
        "max_retries": envelope.max_retries,
        "retry_delay_ms": envelope.retry_delay_ms,
        "retry_backoff": envelope.retry_backoff,
        "retry_jitter": envelope.retry_jitter,
        "retry_delay_max_ms": envelope.retry_delay_max_ms,
        "timeout_ms": envelope.timeout_ms,
        "deadline_ms": envelope.deadline,
        "expires_at_ms": envelope.expires_at,
        "depends_on": parents.collect::<Vec<_>>(),
        "metadata": envelope.metadata,
        "created_by": envelope.created_by,
        "fencing": envelope.fencing,
        "on_lost_record": envelope.on_lost_record,
    })
}

#[cfg(test)]
mod tests {
    use longshore_core::Timestamp;

    use super::*;

    #[test]
    fn keys_are_whole_words() {
        let (start, end) = (Timestamp(1), Timestamp(2));
        let attempt = attempt(&AttemptView {
            number: 1,
            worker: "w".to_owned(),
            started_at: start,
            ended_at: end,
            outcome: "retry".to_owned(),
            error: "io: gone".to_owned(),
        });
        assert_eq!(
            attempt,
            json!({"attempt": 1, "worker": "w", "started_at_ms": 1, "ended_at_ms": 2, "outcome": "retry", "error": "io: gone"})
        );
        let info = ErrorInfo::new("io", "gone");
        assert_eq!(
            error(&info),
            json!({"error_type": "io", "message": "gone", "causes": [], "traceback": null})
        );
        let told = progress(&Progress {
            fraction: Some(0.5),
            message: "half".to_owned(),
            ..Progress::default()
        });
        assert_eq!(
            told,
            json!({"fraction": 0.5, "message": "half", "fields": {}, "seq": 0, "at_ms": 0})
        );
    }
}
