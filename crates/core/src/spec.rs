//! What a caller asks for: the untyped description of a job, and its validation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::JobId;
use crate::limits;
use crate::name::{FunctionName, QueueName};
use crate::priority::Priority;
use crate::value;

/// When the job runs for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// As soon as a slot is free.
    #[default]
    Now,
    /// After a delay, counted from the enqueue.
    After(Duration),
    /// At a time; a time in the past means now.
    At(Timestamp),
}

/// What an edge does when its parent ends without completing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EdgePolicy {
    /// When the parent is given up (a dead letter). Default: wait for it to be requeued.
    #[serde(rename = "f", default)]
    pub on_failed: OnFailed,
    /// When the parent is cancelled, expires, or is deleted. Default: cancel the child.
    #[serde(rename = "c", default)]
    pub on_cancelled: OnCancelled,
}

/// What a child does when a parent is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailed {
    /// Keep waiting: the parent may be requeued.
    #[default]
    Wait,
    /// Cancel the child.
    Cancel,
    /// Run the child as if the parent had completed; it sees no result of that parent.
    Run,
}

/// What a child does when a parent is cancelled, expires or is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCancelled {
    /// Cancel the child.
    #[default]
    Cancel,
    /// Run the child as if the parent had completed; it sees no result of that parent.
    Run,
}

impl EdgePolicy {
    /// One digit for the store: `on_failed` (0 wait, 1 cancel, 2 run) plus 3 when `on_cancelled` is run.
    pub const fn code(self) -> u8 {
        let failed = match self.on_failed {
            OnFailed::Wait => 0,
            OnFailed::Cancel => 1,
            OnFailed::Run => 2,
        };
        match self.on_cancelled {
            OnCancelled::Cancel => failed,
            OnCancelled::Run => failed + 3,
        }
    }

    /// The policy with this code; `None` above 5.
    pub const fn from_code(code: u8) -> Option<Self> {
        let on_failed = match code % 3 {
            0 => OnFailed::Wait,
            1 => OnFailed::Cancel,
            _ => OnFailed::Run,
        };
        match code {
            0..=2 => Some(Self {
                on_failed,
                on_cancelled: OnCancelled::Cancel,
            }),
            3..=5 => Some(Self {
                on_failed,
                on_cancelled: OnCancelled::Run,
            }),
            _ => None,
        }
    }
}

/// A parent that must be done first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dependency {
    /// The parent.
    #[serde(rename = "i")]
    pub id: JobId,
    /// What happens when the parent does not complete.
    #[serde(rename = "p", default)]
    pub policy: EdgePolicy,
}

impl From<JobId> for Dependency {
    fn from(id: JobId) -> Self {
        Self {
            id,
            policy: EdgePolicy::default(),
        }
    }
}

/// What a worker does when it can no longer prove that it owns the job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fencing {
    /// Let the handler end; its result is refused if another worker took the job over. Default.
    #[default]
    FinishGuard,
    /// Stop the handler before its lease ends, so that two never run at once (clocks permitting).
    Strict,
}

/// What a worker does with a message whose record is lost (Redis wiped).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLostRecord {
    /// Rebuild the record and run the job. Default.
    #[default]
    Rerun,
    /// Put the message into quarantine for a person to decide.
    Quarantine,
}

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    /// The caller's own id; the same id again is the same job. Default: generated.
    pub id: Option<JobId>,
    /// A text that stands for the id: the same key is the same job. Not together with `id`.
    pub idempotency_key: Option<String>,
    /// A name for people. Default: the function name.
    pub name: Option<String>,
    /// The handler to run.
    pub function_name: FunctionName,
    /// The arguments, as MessagePack (see [`crate::value::encode`]).
    pub args: Bytes,
    /// How urgent it is. Default: normal.
    pub priority: Priority,
    /// The logical queue. Default: `default`.
    pub queue: QueueName,
    /// How often a transient error is retried. Default: 3.
    pub max_retries: u32,
    /// Delay before the first retry. Default: 1 s.
    pub retry_delay: Duration,
    /// Factor from one retry's delay to the next. Default: 2. At least 1.
    pub retry_backoff: f64,
    /// Whether delays are spread at random, so that jobs that failed together do not come back together. Default: yes.
    pub retry_jitter: bool,
    /// The longest delay between retries. Default: 1 h.
    pub retry_delay_max: Duration,
    /// When the job runs first. Default: now.
    pub start: Start,
    /// Parents that must be done first.
    pub depends_on: Vec<Dependency>,
    /// Run time limit of one attempt. Default: that of the worker which runs it, 1 h unless set there.
    pub timeout: Option<Duration>,
    /// Time by which the job must have ended, retries included. Default: none.
    pub deadline: Option<Timestamp>,
    /// How long the job may wait for its first start before it expires. Default: for ever.
    pub expires_in: Option<Duration>,
    /// Labels to search by.
    pub tags: BTreeSet<String>,
    /// Free data for people and handlers.
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// Who asked for it.
    pub created_by: Option<String>,
    /// What a worker does when it cannot prove ownership.
    pub fencing: Fencing,
    /// What a worker does when the record is lost.
    pub on_lost_record: OnLostRecord,
    /// W3C trace context of the caller.
    pub traceparent: Option<String>,
}

impl JobSpec {
    /// A job for `function_name` with `args` (MessagePack) and defaults for everything else.
    pub fn new(function_name: FunctionName, args: Bytes) -> Self {
        Self {
            id: None,
            idempotency_key: None,
            name: None,
            function_name,
            args,
            priority: Priority::default(),
            queue: QueueName::default(),
            max_retries: 3,
            retry_delay: Duration::from_secs(1),
            retry_backoff: 2.0,
            retry_jitter: true,
            retry_delay_max: Duration::from_secs(3600),
            start: Start::Now,
            depends_on: Vec::new(),
            timeout: None,
            deadline: None,
            expires_in: None,
            tags: BTreeSet::new(),
            metadata: BTreeMap::new(),
            created_by: None,
            fencing: Fencing::default(),
            on_lost_record: OnLostRecord::default(),
            traceparent: None,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// Every problem that it found, each naming its field and the fix.
    pub fn validate(&self) -> Result<(), InvalidSpec> {
        let mut problems = Vec::new();
        self.check_identity(&mut problems);
        self.check_retry(&mut problems);
        self.check_times(&mut problems);
        self.check_labels(&mut problems);
        if let Err(error) = crate::value::check_depth("args", &self.args) {
            problems.push(error.to_string());
        }
        if self.args.len() > limits::ENVELOPE_BYTES_MAX {
            problems.push(format!(
                "args: {} bytes are over the limit of {} (1 MiB); store the data elsewhere and pass a reference",
                self.args.len(),
                limits::ENVELOPE_BYTES_MAX
            ));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidSpec { problems })
        }
    }

    fn check_identity(&self, problems: &mut Vec<String>) {
        if self.id.is_some() && self.idempotency_key.is_some() {
            problems.push("idempotency_key: cannot be given together with id; keep one of them".to_owned());
        }
        if self
            .idempotency_key
            .as_ref()
            .is_some_and(|key| key.is_empty() || key.len() > 512)
        {
            problems.push("idempotency_key: use 1 to 512 bytes".to_owned());
        }
        let name_bytes = self.name.as_ref().map_or(0, String::len);
        if name_bytes > limits::JOB_NAME_BYTES_MAX {
            problems.push(format!(
                "name: {name_bytes} bytes are over the limit of {}; shorten it",
                limits::JOB_NAME_BYTES_MAX
            ));
        }
        if self
            .created_by
            .as_ref()
            .is_some_and(|by| by.len() > limits::JOB_NAME_BYTES_MAX)
        {
            problems.push(format!(
                "created_by: use at most {} bytes",
                limits::JOB_NAME_BYTES_MAX
            ));
        }
    }

    fn check_retry(&self, problems: &mut Vec<String>) {
        if self.max_retries > limits::RETRIES_MAX {
            problems.push(format!(
                "max_retries: {} is over the limit of {}",
                self.max_retries,
                limits::RETRIES_MAX
            ));
        }
        if !self.retry_backoff.is_finite() || !(1.0..=100.0).contains(&self.retry_backoff) {
            problems.push(format!(
                "retry_backoff: {} is out of range; use 1.0 to 100.0",
                self.retry_backoff
            ));
        }
        for (field, value) in [
            ("retry_delay", self.retry_delay),
            ("retry_delay_max", self.retry_delay_max),
        ] {
            if value > limits::DURATION_MAX {
                problems.push(format!("{field}: longer than ten years; use a shorter time"));
            }
        }
    }

    fn check_times(&self, problems: &mut Vec<String>) {
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            problems.push("timeout: is zero; use at least 1 ms, for example \"30s\"".to_owned());
        }
        if self.timeout.is_some_and(|timeout| timeout > limits::DURATION_MAX) {
            problems.push("timeout: longer than ten years; use a shorter time".to_owned());
        }
        if let Start::After(delay) = self.start
            && delay > limits::DURATION_MAX
        {
            problems.push("delay: longer than ten years; use a shorter time".to_owned());
        }
        if self
            .expires_in
            .is_some_and(|expiry| expiry.is_zero() || expiry > limits::DURATION_MAX)
        {
            problems.push("expires_in: use more than zero and at most ten years".to_owned());
        }
        if let (Some(deadline), Start::At(at)) = (self.deadline, self.start)
            && deadline <= at
        {
            problems.push("deadline: is not after scheduled_at; the job could never run".to_owned());
        }
        if self.depends_on.len() > limits::PARENTS_MAX {
            problems.push(format!(
                "depends_on: {} parents are over the limit of {}; add a job between that gathers them",
                self.depends_on.len(),
                limits::PARENTS_MAX
            ));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.depends_on.iter().find(|parent| !seen.insert(parent.id)) {
            problems.push(format!(
                "depends_on: names {} twice; name each parent once",
                twice.id
            ));
        }
    }

    fn check_labels(&self, problems: &mut Vec<String>) {
        if self.tags.len() > limits::TAGS_MAX {
            problems.push(format!(
                "tags: {} are over the limit of {}",
                self.tags.len(),
                limits::TAGS_MAX
            ));
        }
        for tag in &self.tags {
            if tag.is_empty() || tag.len() > limits::TAG_BYTES_MAX || tag.chars().any(char::is_control) {
                problems.push(format!(
                    "tags: \"{}\" is not allowed; use 1 to {} bytes without control characters",
                    tag.chars().take(40).collect::<String>().escape_debug(),
                    limits::TAG_BYTES_MAX
                ));
            }
        }
        // Before anything walks them recursively.
        if let Some((key, _)) = self
            .metadata
            .iter()
            .find(|(_, value)| value::nests_deeper(value, limits::METADATA_DEPTH_MAX))
        {
            problems.push(format!(
                "metadata: \"{}\" nests deeper than {} levels; flatten it",
                key.chars().take(40).collect::<String>().escape_debug(),
                limits::METADATA_DEPTH_MAX
            ));
            return;
        }
        let metadata_bytes: usize = self
            .metadata
            .iter()
            .map(|(key, value)| key.len() + value.to_string().len())
            .sum();
        if self.metadata.len() > limits::METADATA_MAX || metadata_bytes > limits::METADATA_BYTES_MAX {
            problems.push(format!(
                "metadata: {} entries with {metadata_bytes} bytes; use at most {} entries and {} bytes",
                self.metadata.len(),
                limits::METADATA_MAX,
                limits::METADATA_BYTES_MAX
            ));
        }
    }
}

/// A job that cannot be accepted, with every problem that was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("; "))]
pub struct InvalidSpec {
    /// Each names its field and the fix.
    pub problems: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> JobSpec {
        JobSpec::new(
            FunctionName::new("f").unwrap(),
            crate::value::encode("args", &()).unwrap(),
        )
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(spec().validate(), Ok(()));
    }

    #[test]
    fn every_problem_is_reported_at_once_with_its_field() {
        let mut bad = spec();
        bad.retry_backoff = 0.5;
        bad.timeout = Some(Duration::ZERO);
        bad.tags.insert(String::new());
        bad.args = Bytes::from(vec![0x91; 2_000]);
        let problems = bad.validate().unwrap_err().problems;
        for field in ["retry_backoff", "timeout", "tags", "args"] {
            assert!(
                problems.iter().any(|problem| problem.starts_with(field)),
                "{field}: {problems:?}"
            );
        }
    }

    #[test]
    fn metadata_may_nest_as_deep_as_the_envelope_can_be_read_and_no_deeper() {
        let nested = |levels: usize| {
            let mut value = serde_json::json!(1);
            for _ in 0..levels {
                value = serde_json::json!([value]);
            }
            let mut spec = spec();
            spec.metadata.insert("k".to_owned(), value);
            spec
        };
        let deepest = nested(limits::METADATA_DEPTH_MAX);
        assert_eq!(deepest.validate(), Ok(()));
        let id = JobId::from_idempotency_key("k");
        let envelope = crate::Envelope::from_spec(&deepest, id, Timestamp(1));
        assert_eq!(crate::Envelope::decode(&envelope.encode().unwrap()), Ok(envelope));
        let problems = nested(limits::METADATA_DEPTH_MAX + 1)
            .validate()
            .unwrap_err()
            .problems;
        assert!(
            problems[0].starts_with("metadata: \"k\" nests deeper"),
            "{problems:?}"
        );
    }

    #[test]
    fn policy_codes_read_back() {
        for code in 0..6 {
            assert_eq!(EdgePolicy::from_code(code).map(EdgePolicy::code), Some(code));
        }
        assert_eq!(EdgePolicy::from_code(6), None);
        assert_eq!(EdgePolicy::default().code(), 0);
    }
}
