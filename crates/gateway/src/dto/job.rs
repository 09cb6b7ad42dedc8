//! A job as it is answered.

use std::collections::BTreeMap;

use longshore::JobView;
use longshore_core::access::Role;
use longshore_core::outcome::{ErrorInfo, Progress};
use longshore_core::spec::{Fencing, OnLostRecord};
use longshore_core::view::{AttemptView, FullView};
use longshore_core::{Envelope, value};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::request::{FencingPolicy, LostRecordPolicy, Parent};
use crate::auth::hide::Hide;

/// A job without its arguments, result and history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its id.
    #[schema(format = "uuid")]
    pub id: String,
    /// The function that it runs.
    pub function_name: String,
    /// Its name for people.
    pub name: String,
    /// Its queue.
    pub queue: String,
    /// `low`, `normal`, `high` or `critical`.
    pub priority: String,
    /// `blocked`, `scheduled`, `queued`, `running`, `retrying`, `completed`, `failed`, `cancelled` or `expired`.
    pub status: String,
    /// Attempts started.
    pub attempts: u32,
    /// Retries used.
    pub retries: u32,
    /// Workers lost.
    pub losts: u32,
    /// Labels.
    pub tags: Vec<String>,
    /// When it was enqueued, in milliseconds since 1970, as every time here.
    pub created_at_ms: u64,
    /// When the last attempt started.
    pub started_at_ms: Option<u64>,
    /// When it ended.
    pub finished_at_ms: Option<u64>,
    /// When the next attempt is due.
    pub run_at_ms: Option<u64>,
    /// Who runs it.
    pub worker: Option<String>,
    /// When the broker confirmed it; nothing while it waits to be published.
    pub published_at_ms: Option<u64>,
    /// When the scheduler publishes it next, while it waits for that.
    pub outbox_at_ms: Option<u64>,
    /// The function that no live worker has, while it is put aside for that.
    pub parked: Option<String>,
    /// How many parents it waits for.
    pub waits_for: u64,
    /// Why it was or is being cancelled.
    pub cancel_reason: Option<String>,
    /// How far it is.
    pub progress: JobProgress,
    /// The last error.
    pub error: Option<JobError>,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobProgress {
    /// 0 to 1; nothing while no fraction is known.
    #[schema(minimum = 0, maximum = 1)]
    pub fraction: Option<f64>,
    /// What it does now.
    pub message: String,
    /// What the handler tells besides.
    pub fields: BTreeMap<String, Value>,
    /// Rises with every update of an attempt.
    pub seq: u64,
    /// When it was told; 0 when never.
    pub at_ms: u64,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = JobFailure)]
pub struct JobError {
    /// Its type, or a word such as `panic`, `timeout`, `worker_lost`.
    pub error_type: String,
    /// What happened.
    pub message: String,
    /// What caused it, outermost first.
    pub causes: Vec<String>,
    /// Where it came from.
    pub traceback: Option<String>,
}

/// Everything that is known of a job. Fields that the caller's role may not see say `[hidden]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobDetail {
    /// The job in short.
    #[serde(flatten)]
    pub job: Job,
    /// Dispatches so far.
    #[serde(rename = "gen")]
    pub gen_: u32,
    /// When its worker's lease ends, unless it beats.
    pub lease_until_ms: Option<u64>,
    /// Parents that are not done.
    pub open_parents: Vec<String>,
    /// Its arguments.
    pub args: Value,
    /// Its result, once completed.
    pub result: Value,
    /// Attempts that did not complete it, the oldest first.
    pub history: Vec<Attempt>,
    /// What was asked for, apart from the arguments.
    pub terms: Option<Terms>,
}

/// An attempt that did not complete the job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Its number, from 1.
    #[serde(rename = "attempt")]
    pub number: u32,
    /// Who ran it.
    pub worker: String,
    /// When it started.
    pub started_at_ms: u64,
    /// When it ended.
    pub ended_at_ms: u64,
    /// `retry`, `failed`, `lost`, `cancelled` or `expired`.
    pub outcome: String,
    /// The error's type and message.
    pub error: String,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Terms {
    /// Most retries.
    pub max_retries: u32,
    /// Delay before the first.
    pub retry_delay_ms: u64,
    /// Factor from one delay to the next.
    pub retry_backoff: f64,
    /// Whether delays are spread at random.
    pub retry_jitter: bool,
    /// The longest delay.
    pub retry_delay_max_ms: u64,
    /// Run time limit of an attempt.
    pub timeout_ms: Option<u64>,
    /// When it must have ended.
    pub deadline_ms: Option<u64>,
    /// When it must have started.
    pub expires_at_ms: Option<u64>,
    /// Jobs that must complete first.
    pub depends_on: Vec<String>,
    /// The same with what becomes of the job when they do not.
    pub parents: Vec<Parent>,
    /// What a worker does when it cannot prove that it owns the job.
    #[schema(value_type = FencingPolicy)]
    pub fencing: Fencing,
    /// What happens when the job's record is lost.
    #[schema(value_type = LostRecordPolicy)]
    pub on_lost_record: OnLostRecord,
    /// Free data.
    pub metadata: Value,
    /// Who asked for it.
    pub created_by: Option<String>,
    /// W3C trace context of the caller.
    pub traceparent: Option<String>,
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
            published_at_ms: view.published_at.map(millis),
            outbox_at_ms: view.outbox_at.map(millis),
            parked: view.parked.as_ref().map(ToString::to_string),
            waits_for: view.open_parents.len() as u64,
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
    pub(crate) fn of(envelope: &Envelope, role: Role, hide: &Hide) -> Self {
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
            parents: envelope.depends_on.iter().map(Parent::of).collect(),
            fencing: envelope.fencing,
            on_lost_record: envelope.on_lost_record,
            metadata,
            created_by: envelope.created_by.clone(),
            traceparent: envelope.traceparent.clone(),
        }
    }
}
