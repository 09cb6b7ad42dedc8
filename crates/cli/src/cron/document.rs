//! A cron entry as JSON for programs.

use longshore::cron::{CronView, Definition};
use longshore_core::clock::duration_millis;
use longshore_core::value;
use serde_json::{Value, json};

/// Everything that is known of an entry.
pub(super) fn entry(entry: &CronView) -> Value {
    let mut all = json!({
        "name": entry.name.as_str(),
        "version": entry.version,
        "paused": entry.paused,
        "next_at_ms": (!entry.paused).then_some(entry.next_at),
        "last": entry.last.map(|last| json!({ "id": last.id.to_string(), "fired_at_ms": last.fired_at })),
    });
    let more = match &entry.definition {
        Ok(says) => definition(says),
        Err(error) => json!({ "problem": error.to_string() }),
    };
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}

fn definition(says: &Definition) -> Value {
    let job = says.job.envelope();
    json!({
        "expression": says.schedule.expression.as_str(),
        "zone": says.schedule.zone.as_str(),
        "misfire": says.misfire,
        "overlap": says.overlap,
        "jitter_ms": duration_millis(says.jitter),
        "source": says.source,
        "job": {
            "function_name": job.function_name.as_str(),
            "name": job.name,
            "args": value::to_json("args", &job.args).ok(),
            "queue": job.queue.as_str(),
            "priority": job.priority.as_str(),
            "max_retries": job.max_retries,
            "retry_delay_ms": job.retry_delay_ms,
            "retry_backoff": job.retry_backoff,
            "retry_jitter": job.retry_jitter,
            "retry_delay_max_ms": job.retry_delay_max_ms,
            "timeout_ms": job.timeout_ms,
            "expires_in_ms": job.expires_at,
            "tags": job.tags,
            "metadata": job.metadata,
            "created_by": job.created_by,
        },
    })
}
