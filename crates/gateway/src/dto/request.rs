//! A job as it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use longshore_core::spec::{Dependency, EdgePolicy, Fencing, OnCancelled, OnFailed, OnLostRecord, Start};
use longshore_core::{FunctionName, JobId, JobSpec, Priority, QueueName, Timestamp, value};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Error;

/// A job to be enqueued; everything is optional but the function.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// The function to run.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^[A-Za-z0-9][A-Za-z0-9_.:/-]*$",
        example = "send_report"
    )]
    pub function_name: String,
    /// Its arguments: any JSON.
    #[serde(default)]
    pub args: Value,
    /// Your own id, a UUID: the same id again is the same job.
    #[schema(format = "uuid")]
    pub id: Option<String>,
    /// A name for people; the function's unless set.
    #[schema(max_length = 256)]
    pub name: Option<String>,
    /// How urgent it is; normal unless set.
    pub priority: Option<Urgency>,
    /// Its queue; `default` unless set.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    pub queue: Option<String>,
    /// Run after this long. Not together with `scheduled_at_ms`.
    #[schema(maximum = 315_360_000_000_u64)]
    pub delay_ms: Option<u64>,
    /// Run at this time.
    pub scheduled_at_ms: Option<u64>,
    /// Jobs that must complete first.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    pub depends_on: Vec<Parent>,
    /// Retries after transient errors; 3 unless set.
    #[schema(maximum = 10_000)]
    pub max_retries: Option<u32>,
    /// Delay before the first retry; 1 s unless set.
    #[schema(maximum = 315_360_000_000_u64)]
    pub retry_delay_ms: Option<u64>,
    /// Factor from one delay to the next; 2 unless set.
    #[schema(minimum = 1, maximum = 100)]
    pub retry_backoff: Option<f64>,
    /// Whether delays are spread at random; they are unless set.
    pub retry_jitter: Option<bool>,
    /// The longest delay; 1 h unless set.
    #[schema(maximum = 315_360_000_000_u64)]
    pub retry_delay_max_ms: Option<u64>,
    /// Run time limit of an attempt; the worker's unless set.
    #[schema(minimum = 1, maximum = 315_360_000_000_u64)]
    pub timeout_ms: Option<u64>,
    /// The job must have ended by then.
    pub deadline_ms: Option<u64>,
    /// The job must have started this long from now.
    #[schema(minimum = 1, maximum = 315_360_000_000_u64)]
    pub expires_in_ms: Option<u64>,
    /// Labels to search by.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 32)]
    pub tags: BTreeSet<String>,
    /// Free data.
    #[serde(default)]
    pub metadata: BTreeMap<String, Value>,
    /// What a worker does when it cannot prove that it owns the job.
    #[schema(value_type = Option<FencingPolicy>)]
    pub fencing: Option<Fencing>,
    /// What happens when the job's record is lost.
    #[schema(value_type = Option<LostRecordPolicy>)]
    pub on_lost_record: Option<OnLostRecord>,
    /// W3C trace context.
    #[schema(min_length = 55, max_length = 55)]
    pub traceparent: Option<String>,
}

/// How urgent a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Priority)]
pub enum Urgency {
    /// Whenever nothing else waits.
    Low,
    /// As most jobs.
    Normal,
    /// Before most jobs.
    High,
    /// Before all others.
    Critical,
}

impl From<Urgency> for Priority {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::Low => Self::Low,
            Urgency::Normal => Self::Normal,
            Urgency::High => Self::High,
            Urgency::Critical => Self::Critical,
        }
    }
}

/// `finish_guard`: the store judges at the end. `strict`: the worker stops before its lease ends.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", as = Fencing)]
#[expect(dead_code, reason = "describes core's type in the API's document")]
pub(crate) enum FencingPolicy {
    FinishGuard,
    Strict,
}

/// `rerun` it from its message, or put it into `quarantine`.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", as = OnLostRecord)]
#[expect(dead_code, reason = "describes core's type in the API's document")]
pub(crate) enum LostRecordPolicy {
    Rerun,
    Quarantine,
}

/// A job that must complete first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// The job.
    #[schema(format = "uuid")]
    pub id: String,
    /// When it is given up: `wait` for its requeue (unless set), `cancel` the child, or `run` it.
    #[serde(default)]
    #[schema(value_type = String, required = false, pattern = "^(wait|cancel|run)$")]
    pub on_failed: OnFailed,
    /// When it is cancelled, expires or is gone: `cancel` the child (unless set), or `run` it.
    #[serde(default)]
    #[schema(value_type = String, required = false, pattern = "^(cancel|run)$")]
    pub on_cancelled: OnCancelled,
}

impl Parent {
    pub(crate) fn of(parent: &Dependency) -> Self {
        Self {
            id: parent.id.to_string(),
            on_failed: parent.policy.on_failed,
            on_cancelled: parent.policy.on_cancelled,
        }
    }
}

/// Collects problems while fields are read.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn take<T, E: std::fmt::Display>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.0.push(error.to_string())).ok()
    }
}

impl JobRequest {
    /// The checked job.
    ///
    /// # Errors
    /// Every problem of every field.
    pub(crate) fn to_spec(&self, created_by: &str) -> Result<JobSpec, Vec<String>> {
        let mut problems = Problems::default();
        let function = problems.take(FunctionName::new(&self.function_name));
        let args = problems.take(value::encode("args", &self.args));
        // A stand-in lets the other fields be checked as well; a job with problems goes nowhere.
        let stand_in = || FunctionName::new("x").map_err(|error| vec![error.to_string()]);
        let function = function.map_or_else(stand_in, Ok)?;
        let mut spec = JobSpec::new(function, args.unwrap_or_else(|| vec![0xc0].into()));
        spec.created_by = Some(created_by.to_owned());
        self.read_names(&mut spec, &mut problems);
        self.read_times(&mut spec, &mut problems);
        self.read_retry(&mut spec);
        if let Err(invalid) = spec.validate() {
            problems.0.extend(invalid.problems);
        }
        if problems.0.is_empty() {
            Ok(spec)
        } else {
            Err(problems.0)
        }
    }

    fn read_names(&self, spec: &mut JobSpec, problems: &mut Problems) {
        let id = self.id.as_ref().map(|text| text.parse::<JobId>());
        spec.id = id.and_then(|id| problems.take(id));
        spec.name.clone_from(&self.name);
        spec.tags.clone_from(&self.tags);
        spec.metadata.clone_from(&self.metadata);
        spec.fencing = self.fencing.unwrap_or_default();
        spec.on_lost_record = self.on_lost_record.unwrap_or_default();
        spec.priority = self.priority.map(Priority::from).unwrap_or_default();
        if let Some(queue) = self
            .queue
            .as_ref()
            .and_then(|text| problems.take(QueueName::new(text)))
        {
            spec.queue = queue;
        }
        for parent in &self.depends_on {
            let id = parent.id.parse::<JobId>();
            let id = problems.take(id.map_err(|error| format!("depends_on: {error}")));
            spec.depends_on.extend(id.map(|id| Dependency {
                id,
                policy: EdgePolicy {
                    on_failed: parent.on_failed,
                    on_cancelled: parent.on_cancelled,
                },
            }));
        }
        if let Some(text) = &self.traceparent {
            if text.len() == 55 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
                spec.traceparent = Some(text.clone());
            } else {
                let problem =
                    "traceparent: is not a W3C trace context; use 00-TRACE-PARENT-FLAGS, 55 characters";
                problems.0.push(problem.to_owned());
            }
        }
    }

    fn read_times(&self, spec: &mut JobSpec, problems: &mut Problems) {
        spec.start = match (self.delay_ms, self.scheduled_at_ms) {
            (Some(_), Some(_)) => {
                let problem = "delay_ms: cannot be given together with scheduled_at_ms; keep one of them";
                problems.0.push(problem.to_owned());
                Start::Now
            }
            (Some(delay), None) => Start::After(Duration::from_millis(delay)),
            (None, Some(at)) => Start::At(Timestamp(at)),
            (None, None) => Start::Now,
        };
        spec.timeout = self.timeout_ms.map(Duration::from_millis);
        spec.deadline = self.deadline_ms.map(Timestamp);
        spec.expires_in = self.expires_in_ms.map(Duration::from_millis);
    }

    fn read_retry(&self, spec: &mut JobSpec) {
        spec.max_retries = self.max_retries.unwrap_or(spec.max_retries);
        spec.retry_delay = self
            .retry_delay_ms
            .map_or(spec.retry_delay, Duration::from_millis);
        spec.retry_delay_max = self
            .retry_delay_max_ms
            .map_or(spec.retry_delay_max, Duration::from_millis);
        spec.retry_backoff = self.retry_backoff.unwrap_or(spec.retry_backoff);
        spec.retry_jitter = self.retry_jitter.unwrap_or(spec.retry_jitter);
    }
}

/// Jobs that are enqueued together.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// 1 to 1,000 jobs; they may name each other's ids in `depends_on`.
    #[schema(min_items = 1, max_items = 1_000)]
    pub jobs: Vec<JobRequest>,
}

/// Most jobs of one batch.
pub(crate) const BATCH_MAX: usize = 1_000;

impl BatchRequest {
    /// Every checked job.
    ///
    /// # Errors
    /// Every problem of every job, each with the job's place.
    pub(crate) fn to_specs(&self, created_by: &str) -> Result<Vec<JobSpec>, Error> {
        if !(1..=BATCH_MAX).contains(&self.jobs.len()) {
            let problem = format!(
                "jobs: {} are out of range; send 1 to {BATCH_MAX}",
                self.jobs.len()
            );
            return Err(Error::invalid(vec![problem]));
        }
        let (mut specs, mut problems) = (Vec::new(), Vec::new());
        for (at, job) in self.jobs.iter().enumerate() {
            match job.to_spec(created_by) {
                Ok(spec) => specs.push(spec),
                Err(found) => problems.extend(found.iter().map(|problem| format!("jobs.{at}.{problem}"))),
            }
        }
        if problems.is_empty() {
            Ok(specs)
        } else {
            problems.truncate(100);
            Err(Error::invalid(problems))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told_with_its_field() {
        let request: JobRequest = serde_json::from_value(serde_json::json!({
            "function_name": "no good", "id": "x", "queue": "a/b", "delay_ms": 1, "scheduled_at_ms": 1,
            "depends_on": [{"id": "y"}], "retry_backoff": 0.1, "traceparent": "t"
        }))
        .unwrap();
        let problems = request.to_spec("t").unwrap_err();
        for field in [
            "function_name",
            "id",
            "queue",
            "delay_ms",
            "depends_on",
            "retry_backoff",
            "traceparent",
        ] {
            assert!(
                problems.iter().any(|problem| problem.starts_with(field)),
                "{field}: {problems:?}"
            );
        }
    }
}
