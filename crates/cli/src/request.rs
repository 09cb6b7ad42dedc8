//! A job as people write it: options of `longshore enqueue` or a JSON object a line. Every problem is reported at once,
//! each naming its field and the fix.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use longshore_core::spec::{Dependency, InvalidSpec, Start};
use longshore_core::{
    Clock, FunctionName, JobId, JobSpec, Priority, QueueName, SystemClock, Timestamp, value,
};
use longshore_service::duration;
use serde::Deserialize;
use serde_json::Value;

/// The job as text; everything optional but the function.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobRequest {
    pub(crate) function_name: Option<String>,
    #[serde(default)]
    pub(crate) args: Value,
    pub(crate) id: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) priority: Option<String>,
    pub(crate) queue: Option<String>,
    pub(crate) delay: Option<Text>,
    pub(crate) scheduled_at: Option<Text>,
    #[serde(default)]
    pub(crate) depends_on: Vec<String>,
    pub(crate) max_retries: Option<Text>,
    pub(crate) retry_delay: Option<Text>,
    pub(crate) retry_backoff: Option<f64>,
    pub(crate) retry_jitter: Option<bool>,
    pub(crate) retry_delay_max: Option<Text>,
    pub(crate) timeout: Option<Text>,
    pub(crate) deadline: Option<Text>,
    pub(crate) expires_in: Option<Text>,
    #[serde(default)]
    pub(crate) tags: BTreeSet<String>,
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) created_by: Option<String>,
}

/// A number or a text: `30`, `"30s"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Value")]
pub(crate) struct Text(pub(crate) String);

impl From<Value> for Text {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self(text),
            other => Self(other.to_string()),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Collects problems while fields are read.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn take<T, E: std::fmt::Display>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.0.push(error.to_string())).ok()
    }

    fn duration(&mut self, field: &'static str, text: Option<&Text>) -> Option<Duration> {
        let result = duration::parse(&text?.0).map_err(|error| format!("{field}: {error}"));
        self.take(result)
    }
}

impl JobRequest {
    /// The checked spec.
    ///
    /// # Errors
    /// Every problem of every field.
    pub(crate) fn to_spec(&self) -> Result<JobSpec, InvalidSpec> {
        let mut problems = Problems::default();
        let function = match &self.function_name {
            Some(name) => problems.take(FunctionName::new(name)),
            None => problems.take(Err::<FunctionName, _>(
                "function_name: is missing; name the function to run",
            )),
        };
        let args = problems.take(value::encode("args", &self.args));
        // Placeholders let the other fields be checked as well; a spec with problems never leaves this function.
        let placeholder = || {
            FunctionName::new("x").map_err(|error| InvalidSpec {
                problems: vec![error.to_string()],
            })
        };
        let function = function.map_or_else(placeholder, Ok)?;
        let mut spec = JobSpec::new(function, args.unwrap_or_else(|| vec![0xc0].into()));
        self.read_names(&mut spec, &mut problems);
        self.read_times(&mut spec, &mut problems);
        self.read_retry(&mut spec, &mut problems);
        if let Err(invalid) = spec.validate() {
            problems.0.extend(invalid.problems);
        }
        if problems.0.is_empty() {
            Ok(spec)
        } else {
            Err(InvalidSpec { problems: problems.0 })
        }
    }

    fn read_names(&self, spec: &mut JobSpec, problems: &mut Problems) {
        spec.id = self
            .id
            .as_ref()
            .and_then(|text| problems.take(text.parse::<JobId>()));
        spec.idempotency_key.clone_from(&self.idempotency_key);
        spec.name.clone_from(&self.name);
        spec.tags.clone_from(&self.tags);
        spec.metadata.clone_from(&self.metadata);
        spec.created_by.clone_from(&self.created_by);
        if let Some(priority) = self
            .priority
            .as_ref()
            .and_then(|text| problems.take(text.parse::<Priority>()))
        {
            spec.priority = priority;
        }
        if let Some(queue) = self
            .queue
            .as_ref()
            .and_then(|text| problems.take(QueueName::new(text)))
        {
            spec.queue = queue;
        }
        for parent in &self.depends_on {
            let id = parent
                .parse::<JobId>()
                .map_err(|error| format!("depends_on: {error}"));
            spec.depends_on.extend(problems.take(id).map(Dependency::from));
        }
    }

    fn read_times(&self, spec: &mut JobSpec, problems: &mut Problems) {
        if self.delay.is_some() && self.scheduled_at.is_some() {
            problems
                .0
                .push("delay: cannot be given together with scheduled_at; keep one of them".to_owned());
        }
        if let Some(delay) = problems.duration("delay", self.delay.as_ref()) {
            spec.start = Start::After(delay);
        }
        if let Some(at) = &self.scheduled_at {
            let time = parse_time(&at.0).map_err(|error| format!("scheduled_at: {error}"));
            spec.start = problems.take(time).map_or(Start::Now, Start::At);
        }
        if let Some(timeout) = problems.duration("timeout", self.timeout.as_ref()) {
            spec.timeout = Some(timeout);
        }
        let now = SystemClock.now();
        spec.deadline = problems
            .duration("deadline", self.deadline.as_ref())
            .map(|left| now.after(left));
        spec.expires_in = problems.duration("expires_in", self.expires_in.as_ref());
    }

    fn read_retry(&self, spec: &mut JobSpec, problems: &mut Problems) {
        if let Some(text) = &self.max_retries {
            let number = text.0.parse::<u32>();
            let number =
                number.map_err(|_| format!("max_retries: \"{}\" is not a whole number from 0 on", text.0));
            spec.max_retries = problems.take(number).unwrap_or(spec.max_retries);
        }
        if let Some(delay) = problems.duration("retry_delay", self.retry_delay.as_ref()) {
            spec.retry_delay = delay;
        }
        if let Some(delay) = problems.duration("retry_delay_max", self.retry_delay_max.as_ref()) {
            spec.retry_delay_max = delay;
        }
        spec.retry_backoff = self.retry_backoff.unwrap_or(spec.retry_backoff);
        spec.retry_jitter = self.retry_jitter.unwrap_or(spec.retry_jitter);
    }
}

/// A point in time: seconds since 1970, or RFC 3339 in UTC.
///
/// # Errors
/// A sentence that says what is accepted.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Timestamp(seconds.saturating_mul(1_000)));
    }
    let problem = || format!("\"{text}\" is not a time; use 2030-01-31T08:00:00Z or seconds since 1970");
    let time = humantime::parse_rfc3339_weak(text).map_err(|_| problem())?;
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .map_err(|_| problem())?;
    Ok(Timestamp(longshore_core::clock::duration_millis(since)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: &str) -> Vec<String> {
        let request: JobRequest = serde_json::from_str(json).unwrap();
        request.to_spec().unwrap_err().problems
    }

    #[test]
    fn every_bad_field_is_named() {
        let found = problems(
            r#"{"function_name": "bad name", "priority": "urgent", "delay": "-5s", "max_retries": -1,
                "queue": "a/b", "depends_on": ["nobody"], "timeout": "soon", "retry_backoff": 0.1, "id": "7"}"#,
        );
        for field in [
            "function_name",
            "priority",
            "delay",
            "max_retries",
            "queue",
            "depends_on",
            "timeout",
            "retry_backoff",
            "id",
        ] {
            assert!(
                found.iter().any(|problem| problem.starts_with(field)),
                "{field}: {found:#?}"
            );
        }
    }

    #[test]
    fn numbers_and_texts_are_both_durations() {
        let request: JobRequest = serde_json::from_str(
            r#"{"function_name": "f", "delay": 5, "timeout": "2m", "retry_delay": "500ms"}"#,
        )
        .unwrap();
        let spec = request.to_spec().unwrap();
        assert_eq!(spec.start, Start::After(Duration::from_secs(5)));
        assert_eq!(spec.timeout, Some(Duration::from_secs(120)));
        assert_eq!(spec.retry_delay, Duration::from_millis(500));
    }

    #[test]
    fn a_time_is_rfc_3339_or_seconds() {
        assert_eq!(parse_time("1700000000"), Ok(Timestamp(1_700_000_000_000)));
        assert_eq!(
            parse_time("2023-11-14T22:13:20Z"),
            Ok(Timestamp(1_700_000_000_000))
        );
        assert!(
            parse_time("tomorrow")
                .unwrap_err()
                .contains("2030-01-31T08:00:00Z")
        );
    }
}
