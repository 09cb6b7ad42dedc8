//! A job as it is answered.

use std::collections::BTreeMap;

use longshore::JobView;
use longshore_core::access::Role;
use longshore_core::outcome::{ErrorInfo, Progress};
use longshore_core::view::{AttemptView, FullView};
use longshore_core::{Envelope, value};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::hide::Hide;

/// A job without its arguments, result and history.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Job {
    /// Its id.
    #[schema(format = "uuid")]
    pub(crate) id: String,
    /// The function that it runs.
    pub(crate) function_name: String,
    /// Its name for people.
    pub(crate) name: String,
    /// Its queue.
    pub(crate) queue: String,
    /// `low`, `normal`, `high` or `critical`.
    pub(crate) priority: String,
    /// `blocked`, `scheduled`, `queued`, `running`, `retrying`, `completed`, `failed`, `cancelled` or `expired`.
    pub(crate) status: String,
    /// Attempts started.
    pub(crate) attempts: u32,
    /// Retries used.
    pub(crate) retries: u32,
    /// Workers lost.
    pub(crate) losts: u32,
    /// Labels.
    pub(crate) tags: Vec<String>,
    /// When it was enqueued, in milliseconds since 1970, as every time here.
    pub(crate) created_at_ms: u64,
    /// When the last attempt started.
    pub(crate) started_at_ms: Option<u64>,
    /// When it ended.
    pub(crate) finished_at_ms: Option<u64>,
    /// When the next attempt is due.
    pub(crate) run_at_ms: Option<u64>,
    /// Who runs it.
    pub(crate) worker: Option<String>,
    /// Why it was or is being cancelled.
    pub(crate) cancel_reason: Option<String>,
    /// How far it is.
    pub(crate) progress: JobProgress,
    /// The last error.
    pub(crate) error: Option<JobError>,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct JobProgress {
    /// 0 to 1; nothing while no fraction is known.
    #[schema(minimum = 0, maximum = 1)]
    pub(crate) fraction: Option<f64>,
    /// What it does now.
    pub(crate) message: String,
    /// What the handler tells besides.
    pub(crate) fields: BTreeMap<String, Value>,
    /// Rises with every update of an attempt.
    pub(crate) seq: u64,
    /// When it was told; 0 when never.
    pub(crate) at_ms: u64,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = JobFailure)]
pub(crate) struct JobError {
    /// Its type, or a word such as `panic`, `timeout`, `worker_lost`.
    pub(crate) error_type: String,
    /// What happened.
    pub(crate) message: String,
    /// What caused it, outermost first.
    pub(crate) causes: Vec<String>,
    /// Where it came from.
    pub(crate) traceback: Option<String>,
}

/// Everything that is known of a job. Fields that the caller's role may not see say `[hidden]`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct JobDetail {
    #[serde(flatten)]
    pub(crate) job: Job,
    /// Dispatches so far.
    #[serde(rename = "gen")]
    pub(crate) gen_: u32,
    /// When its worker's lease ends, unless it beats.
    pub(crate) lease_until_ms: Option<u64>,
    /// When the broker confirmed it.
    pub(crate) published_at_ms: Option<u64>,
    /// Parents that are not done.
    pub(crate) open_parents: Vec<String>,
    /// Its arguments.
    pub(crate) args: Value,
    /// Its result, once completed.
    pub(crate) result: Value,
    /// Attempts that did not complete it, the oldest first.
    pub(crate) history: Vec<Attempt>,
    /// What was asked for, apart from the arguments.
    pub(crate) terms: Option<Terms>,
}

/// An attempt that did not complete the job.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Attempt {
    /// Its number, from 1.
    #[serde(rename = "attempt")]
    pub(crate) number: u32,
    /// Who ran it.
    pub(crate) worker: String,
    /// When it started.
    pub(crate) started_at_ms: u64,
    /// When it ended.
    pub(crate) ended_at_ms: u64,
    /// `retry`, `failed`, `lost`, `cancelled` or `expired`.
    pub(crate) outcome: String,
    /// The error's type and message.
    pub(crate) error: String,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Terms {
    /// Most retries.
    pub(crate) max_retries: u32,
    /// Delay before the first.
    pub(crate) retry_delay_ms: u64,
    /// Factor from one delay to the next.
    pub(crate) retry_backoff: f64,
    /// Whether delays are spread at random.
    pub(crate) retry_jitter: bool,
    /// The longest delay.
    pub(crate) retry_delay_max_ms: u64,
    /// Run time limit of an attempt.
    pub(crate) timeout_ms: Option<u64>,
    /// When it must have ended.
    pub(crate) deadline_ms: Option<u64>,
    /// When it must have started.
    pub(crate) expires_at_ms: Option<u64>,
    /// Jobs that must complete first.
    pub(crate) depends_on: Vec<String>,
    /// Free data.
    pub(crate) metadata: Value,
    /// Who asked for it.
    pub(crate) created_by: Option<String>,
    /// W3C trace context of the caller.
    pub(crate) traceparent: Option<String>,
}

impl Job {
    pub(crate) fn of(view: &JobView, role: Role, hide: &Hide) -> Self {
        let millis = |at: longshore::Timestamp| at.millis();
        Self {
            id: view.id.to_string(),
            function_name: view.function_name.to_string(),
            name: view.name.clone(),
            queue: view.queue.to_string(),
            priority: view.priority.to_string(),
            status: view.status.to_string(),
            attempts: view.attempts,
            retries: view.retries,
            losts: view.losts,
            tags: view.tags.clone(),
            created_at_ms: view.created_at.millis(),
            started_at_ms: view.started_at.map(millis),
            finished_at_ms: view.finished_at.map(millis),
            run_at_ms: view.run_at.map(millis),
            worker: view.worker.as_ref().map(ToString::to_string),
            cancel_reason: view.cancel_reason.clone(),
            progress: JobProgress::of(&view.to_result().progress, role, hide),
            error: view.error.as_ref().map(|error| JobError::of(error, role, hide)),
        }
    }
}

impl JobProgress {
    pub(crate) fn of(progress: &Progress, role: Role, hide: &Hide) -> Self {
        let mut fields = Value::Object(progress.fields.clone().into_iter().collect());
        hide.apply(role, "progress", &mut fields);
        Self {
            fraction: progress.fraction,
            message: hide.text(role, "progress", "message", progress.message.clone()),
            fields: match fields {
                Value::Object(fields) => fields.into_iter().collect(),
                _ => BTreeMap::new(),
            },
            seq: progress.seq,
            at_ms: progress.at.millis(),
        }
    }
}

impl JobError {
    pub(crate) fn of(error: &ErrorInfo, role: Role, hide: &Hide) -> Self {
        let text = |field: &str, text: &str| hide.text(role, "error", field, text.to_owned());
        Self {
            error_type: text("error_type", &error.error_type),
            message: text("message", &error.message),
            causes: error.causes.iter().map(|cause| text("causes", cause)).collect(),
            traceback: error.traceback.as_ref().map(|trace| text("traceback", trace)),
        }
    }
}

impl JobDetail {
    pub(crate) fn of(view: &JobView, role: Role, hide: &Hide) -> Self {
        let full = view.full.clone().unwrap_or_default();
        let mut args = Self::args_of(view);
        hide.apply(role, "args", &mut args);
        let mut result = result_of(&full);
        hide.apply(role, "result", &mut result);
        let attempt = |attempt: &AttemptView| Attempt {
            number: attempt.number,
            worker: attempt.worker.clone(),
            started_at_ms: attempt.started_at.millis(),
            ended_at_ms: attempt.ended_at.millis(),
            outcome: attempt.outcome.clone(),
            error: hide.text(role, "history", "error", attempt.error.clone()),
        };
        Self {
            job: Job::of(view, role, hide),
            gen_: view.gen_,
            lease_until_ms: view.lease_until.map(longshore::Timestamp::millis),
            published_at_ms: view.published_at.map(longshore::Timestamp::millis),
            open_parents: view.open_parents.iter().map(|(id, _)| id.to_string()).collect(),
            args,
            result,
            history: full.history.iter().map(attempt).collect(),
            terms: Envelope::decode(&full.envelope)
                .ok()
                .map(|envelope| Terms::of(&envelope, role, hide)),
        }
    }

    /// The arguments, nothing hidden; null when they cannot be read.
    pub(crate) fn args_of(view: &JobView) -> Value {
        let envelope = view
            .full
            .as_ref()
            .and_then(|full| Envelope::decode(&full.envelope).ok());
        envelope
            .and_then(|envelope| value::to_json("args", &envelope.args).ok())
            .unwrap_or_default()
    }
}

fn result_of(full: &FullView) -> Value {
    let bytes = full.result.as_ref();
    bytes
        .and_then(|bytes| value::to_json("result", bytes).ok())
        .unwrap_or_default()
}

impl Terms {
    fn of(envelope: &Envelope, role: Role, hide: &Hide) -> Self {
        let mut metadata = Value::Object(envelope.metadata.clone().into_iter().collect());
        hide.apply(role, "metadata", &mut metadata);
        Self {
            max_retries: envelope.max_retries,
            retry_delay_ms: envelope.retry_delay_ms,
            retry_backoff: envelope.retry_backoff,
            retry_jitter: envelope.retry_jitter,
            retry_delay_max_ms: envelope.retry_delay_max_ms,
            timeout_ms: envelope.timeout_ms,
            deadline_ms: envelope.deadline.map(longshore::Timestamp::millis),
            expires_at_ms: envelope.expires_at.map(longshore::Timestamp::millis),
            depends_on: envelope
                .depends_on
                .iter()
                .map(|parent| parent.id.to_string())
                .collect(),
            metadata,
            created_by: envelope.created_by.clone(),
            traceparent: envelope.traceparent.clone(),
        }
    }
}
