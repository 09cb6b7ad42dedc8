//! What people and programs see of jobs, queues and workers.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{JobId, WorkerId};
use crate::message::Gen;
use crate::name::{FunctionName, QueueName};
use crate::outcome::{ErrorInfo, JobResult, Progress};
use crate::priority::Priority;
use crate::spec::EdgePolicy;
use crate::status::JobStatus;

/// One ended attempt that did not complete the job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AttemptView {
    /// Number of the attempt, from 1.
    #[serde(rename = "n")]
    pub number: u32,
    /// The worker that ran it.
    #[serde(rename = "w")]
    pub worker: String,
    /// When it started.
    #[serde(rename = "s")]
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(rename = "e")]
    pub ended_at: Timestamp,
    /// How it ended: `retry`, `failed`, `lost`, `cancelled`, `expired`.
    #[serde(rename = "o")]
    pub outcome: String,
    /// The error's type and message, bounded to 512 bytes.
    #[serde(rename = "x", default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// Everything the store knows of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// The job.
    pub id: JobId,
    /// Its handler.
    pub function_name: FunctionName,
    /// Name for people; the function's unless given.
    pub name: String,
    /// Its logical queue.
    pub queue: QueueName,
    /// How urgent it is.
    pub priority: Priority,
    /// Where it stands.
    pub status: JobStatus,
    /// Dispatches so far.
    pub gen_: Gen,
    /// Attempts started.
    pub attempts: u32,
    /// Retries used.
    pub retries: u32,
    /// Workers lost.
    pub losts: u32,
    /// Labels.
    pub tags: Vec<String>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When the last attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When the next attempt is due.
    pub run_at: Option<Timestamp>,
    /// Confirmed by the broker (a Queued job), or `None` while it waits in the outbox.
    pub published_at: Option<Timestamp>,
    /// When the scheduler publishes it next, while it waits in the outbox.
    pub outbox_at: Option<Timestamp>,
    /// Put aside, in no outbox, until a worker that has this function registers.
    pub parked: Option<FunctionName>,
    /// Who runs it.
    pub worker: Option<WorkerId>,
    /// When its lease ends unless the worker beats.
    pub lease_until: Option<Timestamp>,
    /// Why it is being cancelled.
    pub cancel_reason: Option<String>,
    /// Parents that are not done yet.
    pub open_parents: Vec<(JobId, EdgePolicy)>,
    /// Latest progress.
    pub progress: Progress,
    /// The last error.
    pub error: Option<ErrorInfo>,
    /// The rest, when asked for ([`Detail::Full`]).
    pub full: Option<FullView>,
}

/// The large parts of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FullView {
    /// The encoded [`crate::Envelope`].
    pub envelope: Bytes,
    /// The result, MessagePack.
    pub result: Option<Bytes>,
    /// The last attempts that did not complete, oldest first.
    pub history: Vec<AttemptView>,
}

impl JobView {
    /// Whether a text, in lower case, stands in what people see of a job: its name, function, tags, error, reason of a
    /// cancel and progress, and the begin of its id.
    pub fn has_text(&self, text: &str) -> bool {
        let stands = |seen: &str| seen.to_lowercase().contains(text);
        let error = self.error.as_ref();
        stands(&self.name)
            || stands(self.function_name.as_str())
            || self.id.to_string().starts_with(text)
            || self.tags.iter().any(|tag| stands(tag))
            || error.is_some_and(|error| stands(&error.message) || stands(&error.error_type))
            || self.cancel_reason.as_deref().is_some_and(stands)
            || stands(&self.progress.message)
    }

    /// What `poll` tells of this job.
    pub fn to_result(&self) -> JobResult {
        let mut progress = self.progress.clone();
        if self.status == JobStatus::Completed {
            progress.fraction = Some(1.0);
        }
        JobResult {
            id: self.id,
            status: self.status,
            progress,
            result: self.full.as_ref().and_then(|full| full.result.clone()),
            error: self.error.clone(),
            attempts: self.attempts,
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            run_at: self.run_at,
            cancel_reason: self.cancel_reason.clone(),
        }
    }
}

/// How much of a job is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    /// Everything but the envelope, result and history.
    Summary,
    /// Everything.
    Full,
}

/// Which jobs a listing shows; all conditions hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFilter {
    /// Any of these statuses; empty means all.
    pub statuses: Vec<JobStatus>,
    /// This function.
    pub function_name: Option<FunctionName>,
    /// This queue.
    pub queue: Option<QueueName>,
    /// All of these tags.
    pub tags: Vec<String>,
    /// Enqueued at or after.
    pub created_from: Option<Timestamp>,
    /// Enqueued before.
    pub created_until: Option<Timestamp>,
}

impl JobFilter {
    /// Whether a job is shown.
    pub fn matches(&self, job: &JobView) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&job.status))
            && self
                .function_name
                .as_ref()
                .is_none_or(|function| *function == job.function_name)
            && self.queue.as_ref().is_none_or(|queue| *queue == job.queue)
            && self.tags.iter().all(|tag| job.tags.contains(tag))
            && self.created_from.is_none_or(|from| job.created_at >= from)
            && self.created_until.is_none_or(|until| job.created_at < until)
    }
}

/// Where a page of a listing ended. Listings go from the newest to the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Enqueue time of the last job that was looked at.
    pub created_at: Timestamp,
    /// That job.
    pub id: JobId,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobPage {
    /// The jobs, newest first.
    pub jobs: Vec<JobView>,
    /// Where to go on; `None` at the end. A page may be short, or empty, with a cursor: one call looks at a bounded
    /// number of records.
    pub next: Option<Cursor>,
}

/// What waits and runs in one logical queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueView {
    /// Jobs by status; absent means none. Terminal jobs count until they are pruned.
    pub counts: BTreeMap<JobStatus, u64>,
    /// Whether no job of it starts.
    pub paused: bool,
}

impl QueueView {
    /// Jobs that wait to be run now: the queue's size.
    pub fn size(&self) -> u64 {
        self.counts.get(&JobStatus::Queued).copied().unwrap_or(0)
    }
}

/// What a worker process tells of itself with every beat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    /// The process.
    pub id: WorkerId,
    /// Host name.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// Longshore version it was built with.
    pub version: String,
    /// Functions it can run.
    pub functions: Vec<FunctionName>,
    /// Queues it consumes.
    pub queues: Vec<QueueName>,
    /// Slots.
    pub slots: u32,
    /// Slots in use.
    pub busy: u32,
    /// Slots that would take a job of another now: neither in use nor meant for one that waits there already. None of a
    /// worker that does not tell.
    #[serde(default)]
    pub free: u32,
    /// Those of its queues that it does not consume now, because they are paused or out of its reach: its free slots are
    /// for jobs of the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unattached: Vec<QueueName>,
    /// Jobs that it runs, at most 100 listed.
    pub running: Vec<JobId>,
    /// Whether it drains.
    pub draining: bool,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last beat (the store's clock).
    pub seen_at: Timestamp,
    /// Per queue and priority, the oldest publish time among messages that were delivered for the first time in the
    /// last minute: what the audit may take as "everything older is out of the broker".
    pub watermarks: Vec<(QueueName, Priority, Timestamp)>,
    /// Per queue, how long its jobs run here.
    #[serde(default)]
    pub run_times: Vec<(QueueName, RunTime)>,
}

/// How long jobs run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunTime {
    /// Mean in seconds, recent runs counting more.
    #[serde(rename = "s")]
    pub seconds: f64,
    /// Runs that were measured.
    #[serde(rename = "n")]
    pub count: u64,
}
