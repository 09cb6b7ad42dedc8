//! Dead letters, operations on many of them, and the quarantine.

use longshore::{DeadFilter, DeadGroup, JobFilter, JobStatus, Operation, OperationKind, QuarantineEntry};
use longshore_core::access::Role;
use longshore_core::limits::TAGS_MAX;
use longshore_core::port::enqueue::CancelReply;
use longshore_core::port::schedule::DeadLetterChange;
use longshore_core::{FunctionName, JobId, QueueName, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::job::Job;
use crate::auth::hide::Hide;

/// What became of a cancel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cancelled {
    /// `cancelled`, `requested` (its worker is told) or `already_finished`.
    pub outcome: String,
    /// How it had ended, when it had.
    pub status: Option<String>,
}

impl Cancelled {
    /// `None` when there is no such job.
    pub(crate) fn of(reply: CancelReply) -> Option<Self> {
        let (outcome, status) = match reply {
            CancelReply::Cancelled => ("cancelled", None),
            CancelReply::Requested => ("requested", None),
            CancelReply::AlreadyFinished(status) => ("already_finished", Some(status.to_string())),
            CancelReply::Unknown => return None,
        };
        Some(Self {
            outcome: outcome.to_owned(),
            status,
        })
    }
}

/// What became of one of many cancels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancelledJob {
    /// The job.
    #[schema(format = "uuid")]
    pub id: String,
    /// `cancelled`, `requested` (its worker is told), `already_finished` or `unknown`.
    pub outcome: String,
    /// How it had ended, when it had.
    pub status: Option<String>,
}

impl CancelledJob {
    pub(crate) fn of(id: JobId, reply: CancelReply) -> Self {
        let (outcome, status) = match Cancelled::of(reply) {
            Some(cancelled) => (cancelled.outcome, cancelled.status),
            None => ("unknown".to_owned(), None),
        };
        Self {
            id: id.to_string(),
            outcome,
            status,
        }
    }
}

/// What became of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// The job.
    #[schema(format = "uuid")]
    pub id: String,
    /// `done`; `not_dead`: it is no dead letter (any more); `past_deadline`: it stays, because it would only expire;
    /// `has_children`: these are told first, ask again.
    pub change: String,
}

pub(crate) const fn change(change: DeadLetterChange) -> &'static str {
    match change {
        DeadLetterChange::Done => "done",
        DeadLetterChange::NotDead => "not_dead",
        DeadLetterChange::PastDeadline => "past_deadline",
        DeadLetterChange::HasChildren => "has_children",
    }
}

/// Which dead letters are meant; all conditions hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// This function.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9][A-Za-z0-9_.:/-]*$")]
    pub function_name: Option<String>,
    /// This queue.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    pub queue: Option<String>,
    /// All of these tags.
    #[schema(max_items = 32)]
    pub tags: Vec<String>,
    /// Errors like this one.
    #[schema(pattern = "^[0-9a-fA-F]{12}$")]
    pub fingerprint: Option<String>,
    /// Given up at or after.
    pub died_from_ms: Option<u64>,
    /// Given up before.
    pub died_until_ms: Option<u64>,
}

impl Filter {
    /// The checked filter.
    ///
    /// # Errors
    /// Every problem of every field.
    pub fn read(&self) -> Result<DeadFilter, Vec<String>> {
        let mut problems = Vec::new();
        let mut say = |problem: String| problems.push(problem);
        if self.tags.len() > TAGS_MAX {
            say(format!(
                "tags: {} are over the limit of {TAGS_MAX}",
                self.tags.len()
            ));
        }
        for (name, at) in [
            ("died_from_ms", self.died_from_ms),
            ("died_until_ms", self.died_until_ms),
        ] {
            if at.is_some_and(|at| i64::try_from(at).is_err()) {
                say(format!("{name}: is no time; use milliseconds since 1970"));
            }
        }
        let function = self.function_name.as_ref().map(FunctionName::new).transpose();
        let function = function.unwrap_or_else(|error| {
            say(error.to_string());
            None
        });
        let queue = self.queue.as_ref().map(QueueName::new).transpose();
        let queue = queue.unwrap_or_else(|error| {
            say(error.to_string());
            None
        });
        let fingerprint = self.fingerprint.as_ref().map(|text| text.parse()).transpose();
        let fingerprint = fingerprint.unwrap_or_else(|error| {
            say(format!("fingerprint: {error}"));
            None
        });
        if problems.is_empty() {
            Ok(DeadFilter {
                function_name: function,
                queue,
                tags: self.tags.clone(),
                fingerprint,
                died_from: self.died_from_ms.map(Timestamp),
                died_until: self.died_until_ms.map(Timestamp),
            })
        } else {
            Err(problems)
        }
    }

    /// The filter as it travels.
    pub fn of(filter: &DeadFilter) -> Self {
        Self {
            function_name: filter.function_name.as_ref().map(ToString::to_string),
            queue: filter.queue.as_ref().map(ToString::to_string),
            tags: filter.tags.clone(),
            fingerprint: filter.fingerprint.map(|print| print.to_string()),
            died_from_ms: filter.died_from.map(Timestamp::millis),
            died_until_ms: filter.died_until.map(Timestamp::millis),
        }
    }
}

/// Dead letters whose errors are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// What their errors have in common.
    pub fingerprint: String,
    /// How many there are.
    pub count: u64,
    /// Their functions.
    pub functions: Vec<String>,
    /// Their queues.
    pub queues: Vec<String>,
    /// When the first was given up.
    pub first_died_at_ms: u64,
    /// When the last was given up.
    pub last_died_at_ms: u64,
    /// The newest of them.
    pub example: Job,
}

impl Group {
    pub(crate) fn of(group: &DeadGroup, role: Role, hide: &Hide) -> Self {
        Self {
            fingerprint: group.fingerprint.to_string(),
            count: group.count,
            functions: group.functions.iter().map(ToString::to_string).collect(),
            queues: group.queues.iter().map(ToString::to_string).collect(),
            first_died_at_ms: group.first_died_at.millis(),
            last_died_at_ms: group.last_died_at.millis(),
            example: Job::of(&group.example, role, hide),
        }
    }
}

/// Which jobs are cancelled; all conditions hold together. Those that have ended are never meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobsFilter {
    /// Any of these statuses; all that are no end unless set.
    #[schema(max_items = 9)]
    pub statuses: Vec<String>,
    /// This function.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9][A-Za-z0-9_.:/-]*$")]
    pub function_name: Option<String>,
    /// This queue.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    pub queue: Option<String>,
    /// All of these tags.
    #[schema(max_items = 32)]
    pub tags: Vec<String>,
    /// Enqueued at or after.
    pub created_from_ms: Option<u64>,
    /// Enqueued before.
    pub created_until_ms: Option<u64>,
}

impl JobsFilter {
    /// The checked filter.
    ///
    /// # Errors
    /// Every problem of every field.
    pub fn read(&self) -> Result<JobFilter, Vec<String>> {
        let mut problems = Vec::new();
        let mut statuses = Vec::new();
        for status in &self.statuses {
            match status.parse::<JobStatus>() {
                Ok(status) => statuses.push(status),
                Err(error) => problems.push(format!("jobs.statuses: {error}")),
            }
        }
        // The conditions that both kinds of filter have are checked in one place.
        let shared = Filter {
            function_name: self.function_name.clone(),
            queue: self.queue.clone(),
            tags: self.tags.clone(),
            ..Filter::default()
        };
        let shared = shared.read().unwrap_or_else(|told| {
            problems.extend(told.into_iter().map(|problem| format!("jobs.{problem}")));
            DeadFilter::default()
        });
        for (name, at) in [
            ("created_from_ms", self.created_from_ms),
            ("created_until_ms", self.created_until_ms),
        ] {
            if at.is_some_and(|at| i64::try_from(at).is_err()) {
                problems.push(format!("jobs.{name}: is no time; use milliseconds since 1970"));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(JobFilter {
            statuses,
            function_name: shared.function_name,
            queue: shared.queue,
            tags: shared.tags,
            created_from: self.created_from_ms.map(Timestamp),
            created_until: self.created_until_ms.map(Timestamp),
        })
    }

    fn of(filter: &JobFilter) -> Self {
        Self {
            statuses: filter.statuses.iter().map(ToString::to_string).collect(),
            function_name: filter.function_name.as_ref().map(ToString::to_string),
            queue: filter.queue.as_ref().map(ToString::to_string),
            tags: filter.tags.clone(),
            created_from_ms: filter.created_from.map(Timestamp::millis),
            created_until_ms: filter.created_until.map(Timestamp::millis),
        }
    }
}

/// What an operation does with each dead letter, or job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BulkKind {
    /// Queued again, with fresh counts.
    Requeue,
    /// Deleted.
    Discard,
    /// Jobs, not dead letters: those that wait never start, those that run are asked to stop.
    Cancel,
}

impl From<BulkKind> for OperationKind {
    fn from(kind: BulkKind) -> Self {
        match kind {
            BulkKind::Requeue => Self::Requeue,
            BulkKind::Discard => Self::Discard,
            BulkKind::Cancel => Self::Cancel,
        }
    }
}

/// An operation on every dead letter, or every job, that matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Bulk {
    /// Its id.
    pub id: String,
    /// What it does.
    pub kind: BulkKind,
    /// With which dead letters; without a condition for a cancel.
    pub filter: Filter,
    /// Which jobs a cancel is of.
    pub jobs: Option<JobsFilter>,
    /// Why they are cancelled.
    pub reason: Option<String>,
    /// When it began.
    pub started_at_ms: u64,
    /// How many matched at its start; nothing until they are counted.
    pub total: Option<u64>,
    /// How many of them are dead letters no more, or are cancelled or asked to stop.
    pub done: u64,
    /// How many stay.
    pub kept: u64,
    /// When it came to its end; nothing while it runs or was interrupted.
    pub ended_at_ms: Option<u64>,
}

impl Bulk {
    pub(crate) fn of(operation: &Operation) -> Self {
        Self {
            id: operation.id.to_string(),
            kind: match operation.kind {
                OperationKind::Requeue => BulkKind::Requeue,
                OperationKind::Discard => BulkKind::Discard,
                OperationKind::Cancel => BulkKind::Cancel,
            },
            filter: Filter::of(&operation.filter),
            jobs: operation
                .cancels
                .as_ref()
                .map(|which| JobsFilter::of(&which.jobs)),
            reason: operation.cancels.as_ref().map(|which| which.reason.clone()),
            started_at_ms: operation.started_at.millis(),
            total: operation.total,
            done: operation.done,
            kept: operation.kept,
            ended_at_ms: operation.ended_at.map(Timestamp::millis),
        }
    }
}

/// A message that nobody could handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quarantined {
    /// Its id.
    pub message_id: String,
    /// When it was put aside.
    pub at_ms: Option<u64>,
    /// The queue that it came from.
    pub queue: String,
    /// What is wrong with it.
    pub reason: String,
    /// The jobs that it names.
    pub jobs: Vec<String>,
    /// How long its body is.
    pub body_bytes: u64,
    /// Its headers, for admins.
    pub headers: Option<Vec<HeaderView>>,
    /// Its body in base64, for admins; job arguments may be in it.
    pub body: Option<String>,
}

impl Quarantined {
    pub(crate) fn of(entry: &QuarantineEntry, role: Role) -> Self {
        use base64::Engine as _;
        let message = &entry.message;
        let body = || base64::engine::general_purpose::STANDARD.encode(&message.body);
        Self {
            message_id: message.message_id.clone(),
            at_ms: entry.at.map(Timestamp::millis),
            queue: message.queue.to_string(),
            reason: message.reason.clone(),
            jobs: message.jobs.iter().map(ToString::to_string).collect(),
            body_bytes: message.body.len() as u64,
            headers: (role == Role::Admin).then(|| message.headers.iter().map(HeaderView::of).collect()),
            body: (role == Role::Admin).then(body),
        }
    }
}

/// A header of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeaderView {
    /// Its name.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

impl HeaderView {
    fn of((name, value): &(String, String)) -> Self {
        Self {
            name: name.clone(),
            value: value.clone(),
        }
    }
}
