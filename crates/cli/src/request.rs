//! A job as people write it: options of `longshore enqueue` or a JSON object a line. Every problem is reported at once,
//! each naming its field and the fix.

pub(crate) mod depth;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use longshore_core::spec::{
    Dependency, EdgePolicy, Fencing, InvalidSpec, OnCancelled, OnFailed, OnLostRecord, Start,
};
use longshore_core::{
    Clock, FunctionName, JobId, JobSpec, Priority, QueueName, SystemClock, Timestamp, value,
};
use longshore_service::duration;
use serde::Deserialize;
use serde_json::Value;

/// The job as text; everything optional but the function.
#[derive(Clone, Debug, Default, Deserialize)]
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
    pub(crate) depends_on: Vec<Parent>,
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
    pub(crate) fencing: Option<Fencing>,
    pub(crate) on_lost_record: Option<OnLostRecord>,
}

/// A parent: an id, or `{"id": …, "on_failed": …, "on_cancelled": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Parent {
    pub(crate) id: String,
    pub(crate) policy: EdgePolicy,
}

/// The long form of a parent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edge {
    id: String,
    #[serde(default)]
    on_failed: OnFailed,
    #[serde(default)]
    on_cancelled: OnCancelled,
}

impl TryFrom<Value> for Parent {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(id) => Ok(Self {
                id,
                policy: EdgePolicy::default(),
            }),
            Value::Object(_) => {
                let edge: Edge = serde_json::from_value(value).map_err(|error| error.to_string())?;
                Ok(Self {
                    id: edge.id,
                    policy: EdgePolicy {
                        on_failed: edge.on_failed,
                        on_cancelled: edge.on_cancelled,
                    },
                })
            }
            other => Err(format!(
                "{other} is no parent; use an id, or {{\"id\": …, \"on_failed\": \"wait\", \"on_cancelled\": \"cancel\"}}"
            )),
        }
    }
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
    /// A job from a line of JSON.
    ///
    /// # Errors
    /// Every field that is of the wrong type, with what it must be.
    pub(crate) fn from_line(line: &str) -> Result<Self, Vec<String>> {
        if let Some(field) = depth::too_deep_field(line) {
            return Err(vec![depth::problem(&field)]);
        }
        let error = match serde_json::from_str::<Self>(line) {
            Ok(request) => return Ok(request),
            Err(error) => error,
        };
        let fields = match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => {
                return Err(vec![
                    "is not a JSON object such as {\"function_name\": \"f\"}".to_owned(),
                ]);
            }
            Err(error) => return Err(vec![format!("is not JSON: {error}")]),
        };
        // The parser stops at the first field and does not name it: each is read alone.
        let alone = |(key, value): (String, Value)| {
            let one = Value::Object([(key.clone(), value)].into_iter().collect());
            let error = serde_json::from_value::<Self>(one).err()?;
            Some(format!("{key}: {error}"))
        };
        let found: Vec<_> = fields.into_iter().filter_map(alone).collect();
        Err(if found.is_empty() {
            vec![error.to_string()]
        } else {
            found
        })
    }

    /// This job, and where it says nothing what `defaults` say. Labels, metadata and parents add up.
    pub(crate) fn or(mut self, defaults: &Self) -> Self {
        if self.delay.is_none() && self.scheduled_at.is_none() {
            self.delay.clone_from(&defaults.delay);
            self.scheduled_at.clone_from(&defaults.scheduled_at);
        }
        macro_rules! fill {
            ($($field:ident),*) => {$(
                self.$field = self.$field.or_else(|| defaults.$field.clone());
            )*};
        }
        fill!(
            name,
            priority,
            queue,
            max_retries,
            retry_delay,
            retry_backoff,
            retry_jitter,
            retry_delay_max
        );
        fill!(timeout, deadline, expires_in, created_by, fencing, on_lost_record);
        self.tags.extend(defaults.tags.iter().cloned());
        for (key, value) in &defaults.metadata {
            self.metadata.entry(key.clone()).or_insert_with(|| value.clone());
        }
        for parent in &defaults.depends_on {
            if self.depends_on.iter().all(|known| known.id != parent.id) {
                self.depends_on.push(parent.clone());
            }
        }
        self
    }

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
        spec.fencing = self.fencing.unwrap_or_default();
        spec.on_lost_record = self.on_lost_record.unwrap_or_default();
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
            let id = parent.id.parse::<JobId>();
            let id = problems.take(id.map_err(|error| format!("depends_on: {error}")));
            spec.depends_on.extend(id.map(|id| Dependency {
                id,
                policy: parent.policy,
            }));
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
        if let Some(text) = &self.deadline {
            let moment = parse_moment(&text.0, |left| SystemClock.now().after(left));
            spec.deadline = problems.take(moment.map_err(|error| format!("deadline: {error}")));
        }
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

/// A point in time: as [`parse_time`] reads it, or a duration from now, whose moment `at` tells. A number of seconds over
/// ten years is a time.
///
/// # Errors
/// A sentence that says what is accepted.
pub(crate) fn parse_moment(text: &str, at: impl Fn(Duration) -> Timestamp) -> Result<Timestamp, String> {
    match duration::parse(text) {
        Ok(duration) => Ok(at(duration)),
        Err(negative @ duration::Error::Negative(_)) => Err(negative.to_string()),
        Err(_) => parse_time(text).map_err(|_| {
            let shown: String = text.chars().take(64).collect();
            format!(
                "\"{shown}\" is neither a duration such as 30m or 2h nor a time such as 2030-01-31T08:00:00Z or seconds since 1970"
            )
        }),
    }
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
    fn fields_of_a_wrong_type_are_named_each() {
        let line = r#"{"function_name": 7, "tags": "x", "retry_backoff": "2", "prio": "high", "depends_on": [3, {"id": "x", "on_failed": "stop"}], "fencing": "none"}"#;
        let found = JobRequest::from_line(line).unwrap_err();
        for field in [
            "function_name: ",
            "tags: ",
            "retry_backoff: ",
            "prio: ",
            "depends_on: 3 is no parent",
            "fencing: ",
        ] {
            assert!(
                found.iter().any(|problem| problem.starts_with(field)),
                "{field}: {found:#?}"
            );
        }
        assert!(
            JobRequest::from_line("[1]")
                .unwrap_err()
                .concat()
                .contains("JSON object")
        );
        assert!(
            JobRequest::from_line("{")
                .unwrap_err()
                .concat()
                .contains("not JSON")
        );
    }

    #[test]
    fn parents_have_policies() {
        let id = "0193f0a1-7c5e-8001-9313-0242ac120002";
        let line = format!(
            r#"{{"function_name": "f", "depends_on": [{{"id": "{id}", "on_failed": "run", "on_cancelled": "run"}}], "fencing": "strict", "on_lost_record": "quarantine"}}"#
        );
        let spec = JobRequest::from_line(&line).unwrap().to_spec().unwrap();
        assert_eq!(spec.depends_on[0].policy.code(), 5);
        assert_eq!(
            (spec.fencing, spec.on_lost_record),
            (Fencing::Strict, OnLostRecord::Quarantine)
        );
    }

    #[test]
    fn defaults_fill_what_a_line_leaves_open() {
        let read = |json: &str| JobRequest::from_line(json).unwrap();
        let defaults = read(
            r#"{"priority": "high", "delay": "5s", "tags": ["nightly"], "metadata": {"a": 1, "b": 1}, "timeout": "9s"}"#,
        );
        let line = read(
            r#"{"function_name": "f", "scheduled_at": 1700000000, "tags": ["x"], "metadata": {"a": 2}, "timeout": "8s"}"#,
        );
        let spec = line.or(&defaults).to_spec().unwrap();
        assert_eq!(spec.priority, Priority::High);
        assert_eq!(spec.start, Start::At(Timestamp(1_700_000_000_000)));
        assert_eq!(spec.timeout, Some(Duration::from_secs(8)));
        assert_eq!(spec.tags.len(), 2);
        assert_eq!(
            (&spec.metadata["a"], &spec.metadata["b"]),
            (&Value::from(2), &Value::from(1))
        );
    }

    #[test]
    fn a_moment_is_a_duration_from_now_or_a_time() {
        let at = |text: &str| parse_moment(text, |left| Timestamp(1).after(left));
        assert_eq!(at("2s"), Ok(Timestamp(2_001)));
        assert_eq!(at("2023-11-14T22:13:20Z"), Ok(Timestamp(1_700_000_000_000)));
        assert_eq!(at("1700000000"), Ok(Timestamp(1_700_000_000_000)));
        assert!(at("-2s").unwrap_err().contains("negative"));
        assert!(at("soon").unwrap_err().contains("neither a duration"));
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
