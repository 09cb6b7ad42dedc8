//! The fields of a job as they are gathered by a builder: every problem is kept until the job is sent.

use bytes::Bytes;
use longshore_core::name::InvalidName;
use longshore_core::spec::{Dependency, InvalidSpec, Start};
use longshore_core::{FunctionName, Job, JobId, JobSpec, QueueName, value};
use serde::Serialize;

/// A job under construction. Without a usable function name there is no spec, only problems.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    function_name: String,
    spec: Option<JobSpec>,
    problems: Vec<String>,
}

impl Draft {
    /// A typed job with its type's defaults.
    pub(crate) fn of<T: Job>(job: &T) -> Self {
        let mut problems = Vec::new();
        let args = value::encode("args", job).unwrap_or_else(|error| {
            problems.push(error.to_string());
            nil()
        });
        let spec = keep(FunctionName::new(T::FUNCTION_NAME), &mut problems)
            .map(|function| JobSpec::new(function, args))
            .map(|mut spec| {
                spec.queue = keep(QueueName::new(T::QUEUE), &mut problems).unwrap_or_default();
                spec
            });
        Self {
            function_name: T::FUNCTION_NAME.to_owned(),
            spec,
            problems,
        }
    }

    /// An untyped job.
    pub(crate) fn from_spec(spec: JobSpec) -> Self {
        Self {
            function_name: spec.function_name.to_string(),
            spec: Some(spec),
            problems: Vec::new(),
        }
    }

    /// Changes the spec.
    pub(crate) fn set(&mut self, change: impl FnOnce(&mut JobSpec)) {
        if let Some(spec) = &mut self.spec {
            change(spec);
        }
    }

    pub(crate) fn spec(&self) -> Option<&JobSpec> {
        self.spec.as_ref()
    }

    /// Notes a problem; it should name its field and the fix.
    pub(crate) fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    pub(crate) fn queue(&mut self, name: &str) {
        if let Some(queue) = keep(QueueName::new(name), &mut self.problems) {
            self.set(|spec| spec.queue = queue);
        }
    }

    /// Sets the first due time; two ways of saying it do not go together.
    pub(crate) fn start(&mut self, start: Start) {
        let twice = matches!(
            (self.spec.as_ref().map(|spec| spec.start), start),
            (Some(Start::After(_)), Start::At(_)) | (Some(Start::At(_)), Start::After(_))
        );
        if twice {
            self.problem("scheduled_at: cannot be given together with delay; keep one of them");
        }
        self.set(|spec| spec.start = start);
    }

    pub(crate) fn metadata(&mut self, key: String, value: &impl Serialize) {
        match serde_json::to_value(value) {
            Ok(value) => self.set(|spec| drop(spec.metadata.insert(key, value))),
            Err(error) => self.problem(format!(
                "metadata: \"{}\" is not JSON: {error}",
                key.escape_debug()
            )),
        }
    }

    pub(crate) fn traceparent(&mut self, text: String) {
        if text.len() == 55 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            self.set(|spec| spec.traceparent = Some(text));
        } else {
            self.problem(
                "traceparent: is not a W3C trace context; use 00-TRACE-PARENT-FLAGS, 55 characters in all",
            );
        }
    }

    /// How errors call the job.
    pub(crate) fn label(&self) -> &str {
        self.spec
            .as_ref()
            .and_then(|spec| spec.name.as_deref())
            .unwrap_or(&self.function_name)
    }

    /// The spec with the client's defaults and these parents besides its own, once every field is right.
    pub(crate) fn finish(
        &self,
        created_by: Option<&str>,
        parents: impl IntoIterator<Item = Dependency>,
    ) -> Result<JobSpec, InvalidSpec> {
        let mut problems = self.problems.clone();
        let Some(mut spec) = self.spec.clone() else {
            return Err(InvalidSpec { problems });
        };
        spec.depends_on.extend(parents);
        if spec.created_by.is_none() {
            spec.created_by = created_by.map(str::to_owned);
        }
        if let Err(invalid) = spec.validate() {
            problems.extend(invalid.problems);
        }
        if problems.is_empty() {
            Ok(spec)
        } else {
            Err(InvalidSpec { problems })
        }
    }
}

/// The id that the caller chose, by itself or by a key.
pub(crate) fn chosen_id(spec: &JobSpec) -> Option<JobId> {
    spec.id
        .or_else(|| spec.idempotency_key.as_deref().map(JobId::from_idempotency_key))
}

fn keep<T>(name: Result<T, InvalidName>, problems: &mut Vec<String>) -> Option<T> {
    name.map_err(|invalid| problems.push(invalid.to_string())).ok()
}

/// MessagePack's nil.
fn nil() -> Bytes {
    Bytes::from_static(&[0xc0])
}

/// Every field of a job but its parents, as methods of a builder that has a `draft`.
macro_rules! job_options {
    () => {
        /// A name for people, at most 256 bytes. Default: the function name.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            let name = name.into();
            self.draft().set(|spec| spec.name = Some(name));
            self
        }

        /// How urgent it is. Default: normal.
        pub fn priority(mut self, priority: longshore_core::Priority) -> Self {
            self.draft().set(|spec| spec.priority = priority);
            self
        }

        /// The logical queue. Default: the job type's, `default` unless it says otherwise.
        pub fn queue(mut self, name: impl AsRef<str>) -> Self {
            self.draft().queue(name.as_ref());
            self
        }

        /// How often a transient error is retried, at most 10,000. Default: 3.
        pub fn max_retries(mut self, retries: u32) -> Self {
            self.draft().set(|spec| spec.max_retries = retries);
            self
        }

        /// Delay before the first retry. Default: 1 s.
        pub fn retry_delay(mut self, delay: std::time::Duration) -> Self {
            self.draft().set(|spec| spec.retry_delay = delay);
            self
        }

        /// Factor from one retry's delay to the next, 1 to 100. Default: 2.
        pub fn retry_backoff(mut self, factor: f64) -> Self {
            self.draft().set(|spec| spec.retry_backoff = factor);
            self
        }

        /// Whether retry delays are spread at random. Default: yes.
        pub fn retry_jitter(mut self, spread: bool) -> Self {
            self.draft().set(|spec| spec.retry_jitter = spread);
            self
        }

        /// The longest delay between retries. Default: 1 h.
        pub fn retry_delay_max(mut self, delay: std::time::Duration) -> Self {
            self.draft().set(|spec| spec.retry_delay_max = delay);
            self
        }

        /// Runs after this delay, counted from the enqueue. Not together with `scheduled_at`.
        pub fn delay(mut self, delay: std::time::Duration) -> Self {
            self.draft()
                .start(longshore_core::spec::Start::After(delay));
            self
        }

        /// Runs at this time ([`Timestamp`](longshore_core::Timestamp) or
        /// [`SystemTime`](std::time::SystemTime)); a time in the past means now. Not together with `delay`.
        pub fn scheduled_at(mut self, at: impl Into<longshore_core::Timestamp>) -> Self {
            self.draft()
                .start(longshore_core::spec::Start::At(at.into()));
            self
        }

        /// Run time limit of one attempt. Default: that of the worker which runs it, 1 h unless set there.
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self.draft().set(|spec| spec.timeout = Some(timeout));
            self
        }

        /// Time by which the job must have ended, retries included. Default: none.
        pub fn deadline(mut self, deadline: impl Into<longshore_core::Timestamp>) -> Self {
            let deadline = deadline.into();
            self.draft().set(|spec| spec.deadline = Some(deadline));
            self
        }

        /// How long the job may wait for its first start before it expires. Default: for ever.
        pub fn expires_in(mut self, expiry: std::time::Duration) -> Self {
            self.draft().set(|spec| spec.expires_in = Some(expiry));
            self
        }

        /// A label to search by, 1 to 128 bytes; at most 32 of them.
        pub fn tag(mut self, tag: impl Into<String>) -> Self {
            let tag = tag.into();
            self.draft().set(|spec| spec.tags.extend([tag]));
            self
        }

        /// Several labels.
        pub fn tags<S: Into<String>>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
            let tags = tags.into_iter().map(Into::into);
            self.draft().set(|spec| spec.tags.extend(tags));
            self
        }

        /// An entry of free data for people and handlers; at most 64 entries and 8 KiB together.
        pub fn metadata(mut self, key: impl Into<String>, value: impl serde::Serialize) -> Self {
            self.draft().metadata(key.into(), &value);
            self
        }

        /// Who asks for it, at most 256 bytes. Default: the client's.
        pub fn created_by(mut self, who: impl Into<String>) -> Self {
            let who = who.into();
            self.draft().set(|spec| spec.created_by = Some(who));
            self
        }

        /// The job's id: the same id again is the same job. Default: generated.
        pub fn id(mut self, id: longshore_core::JobId) -> Self {
            self.draft().set(|spec| spec.id = Some(id));
            self
        }

        /// A text of 1 to 512 bytes that stands for the id: the same key again is the same job. Not together with
        /// `id`.
        pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
            let key = key.into();
            self.draft().set(|spec| spec.idempotency_key = Some(key));
            self
        }

        /// W3C trace context of the caller, as in the header `traceparent`.
        pub fn traceparent(mut self, context: impl Into<String>) -> Self {
            let context = context.into();
            self.draft().traceparent(context);
            self
        }

        /// What a worker does when it can no longer prove that it owns the job. Default: let the handler end, and
        /// refuse its result if another worker took over.
        pub fn fencing(mut self, fencing: longshore_core::spec::Fencing) -> Self {
            self.draft().set(|spec| spec.fencing = fencing);
            self
        }

        /// What a worker does with the job's message when the record is lost. Default: run it.
        pub fn on_lost_record(mut self, policy: longshore_core::spec::OnLostRecord) -> Self {
            self.draft().set(|spec| spec.on_lost_record = policy);
            self
        }
    };
}
pub(crate) use job_options;
