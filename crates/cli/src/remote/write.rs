//! What is handed over, as a gateway reads it.

use std::time::Duration;

use longshore::cron::Definition;
use longshore_core::clock::duration_millis;
use longshore_core::spec::{Dependency, Start};
use longshore_core::{Envelope, JobSpec, Priority, Timestamp, value};
use longshore_gateway::dto::cron::CronRequest;
use longshore_gateway::dto::request::{JobRequest, Parent, Urgency};

use crate::failure::Failure;

/// A job.
///
/// # Errors
/// When its arguments are no JSON.
pub(crate) fn job(spec: &JobSpec) -> Result<JobRequest, Failure> {
    let (delay_ms, scheduled_at_ms) = match spec.start {
        Start::Now => (None, None),
        Start::After(delay) => (Some(duration_millis(delay)), None),
        Start::At(at) => (None, Some(at.millis())),
    };
    Ok(JobRequest {
        function_name: spec.function_name.to_string(),
        args: value::to_json("args", &spec.args).map_err(Failure::usage)?,
        id: spec.id.map(|id| id.to_string()),
        name: spec.name.clone(),
        priority: Some(urgency(spec.priority)),
        queue: Some(spec.queue.to_string()),
        delay_ms,
        scheduled_at_ms,
        depends_on: spec.depends_on.iter().map(parent).collect(),
        max_retries: Some(spec.max_retries),
        retry_delay_ms: Some(duration_millis(spec.retry_delay)),
        retry_backoff: Some(spec.retry_backoff),
        retry_jitter: Some(spec.retry_jitter),
        retry_delay_max_ms: Some(duration_millis(spec.retry_delay_max)),
        timeout_ms: spec.timeout.map(duration_millis),
        deadline_ms: spec.deadline.map(Timestamp::millis),
        expires_in_ms: spec.expires_in.map(duration_millis),
        tags: spec.tags.clone(),
        metadata: spec.metadata.clone(),
        fencing: Some(spec.fencing),
        on_lost_record: Some(spec.on_lost_record),
        traceparent: spec.traceparent.clone(),
    })
}

const fn urgency(priority: Priority) -> Urgency {
    match priority {
        Priority::Low => Urgency::Low,
        Priority::Normal => Urgency::Normal,
        Priority::High => Urgency::High,
        Priority::Critical => Urgency::Critical,
    }
}

fn parent(parent: &Dependency) -> Parent {
    Parent {
        id: parent.id.to_string(),
        on_failed: parent.policy.on_failed,
        on_cancelled: parent.policy.on_cancelled,
    }
}

/// A cron entry.
///
/// # Errors
/// When the arguments of its jobs are no JSON.
pub(crate) fn cron(definition: &Definition) -> Result<CronRequest, Failure> {
    Ok(CronRequest {
        expression: definition.schedule.expression.as_str().to_owned(),
        zone: Some(definition.schedule.zone.as_str().to_owned()),
        job: job(&spec(definition.job.envelope()))?,
        misfire: Some(String::from(definition.misfire)),
        overlap: Some(String::from(definition.overlap)),
        jitter_ms: Some(duration_millis(definition.jitter)),
    })
}

/// What a template asks for.
fn spec(job: &Envelope) -> JobSpec {
    JobSpec {
        name: job.name.clone(),
        queue: job.queue.clone(),
        priority: job.priority,
        max_retries: job.max_retries,
        retry_delay: Duration::from_millis(job.retry_delay_ms),
        retry_backoff: job.retry_backoff,
        retry_jitter: job.retry_jitter,
        retry_delay_max: Duration::from_millis(job.retry_delay_max_ms),
        timeout: job.timeout(),
        expires_in: job.expires_at.map(|at| Duration::from_millis(at.millis())),
        tags: job.tags.iter().cloned().collect(),
        metadata: job.metadata.clone(),
        fencing: job.fencing,
        on_lost_record: job.on_lost_record,
        ..JobSpec::new(job.function_name.clone(), job.args.clone().into())
    }
}
