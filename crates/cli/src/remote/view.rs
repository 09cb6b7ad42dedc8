//! What a gateway answers, as the views that commands print.

mod statistics;

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use longshore::cron::{
    CronJob, CronName, CronView, Definition, Expression, Schedule, Source, Template, Zone,
};
use longshore::{LogLine, QuarantineEntry, Quarantined};
use longshore_core::access::{AuditEntry, AuditNote, Token, TokenId};
use longshore_core::dead::{CancelWhich, Operation, OperationKind};
use longshore_core::outcome::{ErrorInfo, Progress};
use longshore_core::port::cron::CronEntry;
use longshore_core::port::enqueue::CancelReply;
use longshore_core::port::schedule::DeadLetterChange;
use longshore_core::spec::{Dependency, EdgePolicy};
use longshore_core::view::{AttemptView, FullView, JobView, QueueView, WorkerView};
use longshore_core::{
    Envelope, FunctionName, JobId, JobSpec, JobStatus, QueueName, Timestamp, WorkerId, value,
};
use longshore_gateway::dto;
use longshore_service::exit::ExitCode;

use crate::failure::Failure;

pub(crate) use statistics::statistics;

/// Longest stand-in of a body that is not shown.
const BODY_BYTES_MAX: usize = longshore_core::limits::QUARANTINE_BODY_BYTES_MAX;

/// What this build cannot read.
pub(crate) fn unread(error: impl Display) -> Failure {
    Failure::new(
        ExitCode::Failure,
        format!("the gateway's answer cannot be read ({error}); is it of another version?"),
    )
}

fn parsed<T: std::str::FromStr<Err: Display>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(unread)
}

fn all<T: std::str::FromStr<Err: Display>>(texts: &[String]) -> Result<Vec<T>, Failure> {
    texts.iter().map(|text| parsed(text)).collect()
}

/// A job in short.
pub(crate) fn job(job: dto::job::Job) -> Result<JobView, Failure> {
    let error = |error: dto::job::JobError| ErrorInfo {
        error_type: error.error_type,
        message: error.message,
        causes: error.causes,
        traceback: error.traceback,
    };
    // How many parents it waits for is told, and not which: stand-ins are counted and never printed.
    let stand_in = (JobId::from_idempotency_key(""), EdgePolicy::default());
    let waits_for = usize::try_from(job.waits_for).unwrap_or(usize::MAX).min(100_000);
    Ok(JobView {
        id: parsed(&job.id)?,
        function_name: FunctionName::new(&job.function_name).map_err(unread)?,
        name: job.name,
        queue: QueueName::new(&job.queue).map_err(unread)?,
        priority: parsed(&job.priority)?,
        status: parsed(&job.status)?,
        gen_: 0,
        attempts: job.attempts,
        retries: job.retries,
        losts: job.losts,
        tags: job.tags,
        created_at: Timestamp(job.created_at_ms),
        started_at: job.started_at_ms.map(Timestamp),
        finished_at: job.finished_at_ms.map(Timestamp),
        run_at: job.run_at_ms.map(Timestamp),
        published_at: job.published_at_ms.map(Timestamp),
        outbox_at: job.outbox_at_ms.map(Timestamp),
        parked: job.parked.map(FunctionName::new).transpose().map_err(unread)?,
        worker: job.worker.map(WorkerId),
        lease_until: None,
        cancel_reason: job.cancel_reason,
        open_parents: vec![stand_in; waits_for],
        progress: Progress {
            fraction: job.progress.fraction,
            message: job.progress.message,
            fields: job.progress.fields,
            seq: job.progress.seq,
            at: Timestamp(job.progress.at_ms),
            log: Vec::new(),
        },
        error: job.error.map(error),
        full: None,
    })
}

/// Everything of a job.
pub(crate) fn detail(detail: dto::job::JobDetail) -> Result<JobView, Failure> {
    let mut view = job(detail.job)?;
    view.gen_ = detail.gen_;
    view.lease_until = detail.lease_until_ms.map(Timestamp);
    let open: Vec<JobId> = all(&detail.open_parents)?;
    view.open_parents = open.into_iter().map(|id| (id, EdgePolicy::default())).collect();
    let envelope = match &detail.terms {
        Some(terms) => envelope(&view, terms, &detail.args)?.encode().map_err(unread)?,
        None => Bytes::new(),
    };
    // A result that is nothing and no result are the same in JSON.
    let has_result = view.status == JobStatus::Completed || !detail.result.is_null();
    let result = has_result.then(|| value::encode("result", &detail.result));
    view.full = Some(FullView {
        envelope,
        result: result.transpose().map_err(unread)?,
        history: detail.history.into_iter().map(attempt).collect(),
    });
    Ok(view)
}

fn attempt(attempt: dto::job::Attempt) -> AttemptView {
    AttemptView {
        number: attempt.number,
        worker: attempt.worker,
        started_at: Timestamp(attempt.started_at_ms),
        ended_at: Timestamp(attempt.ended_at_ms),
        outcome: attempt.outcome,
        error: attempt.error,
    }
}

fn envelope(view: &JobView, terms: &dto::job::Terms, args: &serde_json::Value) -> Result<Envelope, Failure> {
    let args = value::encode("args", args).map_err(unread)?;
    let spec = JobSpec {
        queue: view.queue.clone(),
        priority: view.priority,
        ..JobSpec::new(view.function_name.clone(), args)
    };
    let mut envelope = Envelope::from_spec(&spec, view.id, view.created_at);
    fill(&mut envelope, terms)?;
    envelope.tags.clone_from(&view.tags);
    Ok(envelope)
}

/// What was asked for, apart from what a view has anyway.
fn fill(envelope: &mut Envelope, terms: &dto::job::Terms) -> Result<(), Failure> {
    envelope.max_retries = terms.max_retries;
    envelope.retry_delay_ms = terms.retry_delay_ms;
    envelope.retry_backoff = terms.retry_backoff;
    envelope.retry_jitter = terms.retry_jitter;
    envelope.retry_delay_max_ms = terms.retry_delay_max_ms;
    envelope.timeout_ms = terms.timeout_ms;
    envelope.deadline = terms.deadline_ms.map(Timestamp);
    envelope.expires_at = terms.expires_at_ms.map(Timestamp);
    envelope.created_by.clone_from(&terms.created_by);
    envelope.fencing = terms.fencing;
    envelope.on_lost_record = terms.on_lost_record;
    if let serde_json::Value::Object(metadata) = &terms.metadata {
        envelope.metadata = metadata.clone().into_iter().collect();
    }
    for parent in &terms.parents {
        envelope.depends_on.push(Dependency {
            id: parsed(&parent.id)?,
            policy: EdgePolicy {
                on_failed: parent.on_failed,
                on_cancelled: parent.on_cancelled,
            },
        });
    }
    Ok(())
}

/// What became of a cancel.
pub(crate) fn cancelled(outcome: &str, status: Option<&String>) -> Result<CancelReply, Failure> {
    Ok(match (outcome, status) {
        ("cancelled", _) => CancelReply::Cancelled,
        ("requested", _) => CancelReply::Requested,
        ("already_finished", Some(status)) => CancelReply::AlreadyFinished(parsed(status)?),
        ("unknown", _) => CancelReply::Unknown,
        (other, _) => return Err(unread(format!("outcome {other:?}"))),
    })
}

/// What became of a dead letter.
pub(crate) fn change(change: &str) -> Result<DeadLetterChange, Failure> {
    Ok(match change {
        "done" => DeadLetterChange::Done,
        "not_dead" => DeadLetterChange::NotDead,
        "past_deadline" => DeadLetterChange::PastDeadline,
        "has_children" => DeadLetterChange::HasChildren,
        other => return Err(unread(format!("change {other:?}"))),
    })
}

/// A queue by its name.
pub(crate) fn queue(queue: &dto::fleet::Queue) -> Result<(QueueName, QueueView), Failure> {
    let view = QueueView {
        counts: counts(&queue.counts)?,
        paused: queue.paused,
    };
    Ok((QueueName::new(&queue.name).map_err(unread)?, view))
}

fn counts(
    counts: &std::collections::BTreeMap<String, u64>,
) -> Result<std::collections::BTreeMap<JobStatus, u64>, Failure> {
    let count = |(status, count): (&String, &u64)| Ok((parsed(status)?, *count));
    counts.iter().map(count).collect()
}

/// A live worker.
pub(crate) fn worker(worker: dto::fleet::Worker) -> Result<WorkerView, Failure> {
    let functions = worker.functions.iter().map(FunctionName::new);
    let queues = worker.queues.iter().map(QueueName::new);
    Ok(WorkerView {
        id: WorkerId(worker.id),
        host: worker.host,
        pid: worker.pid,
        version: worker.version,
        functions: functions.collect::<Result<_, _>>().map_err(unread)?,
        queues: queues.collect::<Result<_, _>>().map_err(unread)?,
        slots: worker.slots,
        busy: worker.busy,
        free: worker.slots.saturating_sub(worker.busy),
        unattached: Vec::new(),
        running: all(&worker.running)?,
        draining: worker.draining,
        started_at: Timestamp(worker.started_at_ms),
        seen_at: Timestamp(worker.seen_at_ms),
        watermarks: Vec::new(),
        run_times: Vec::new(),
    })
}

/// A cron entry.
pub(crate) fn cron(entry: &dto::cron::CronEntry) -> Result<CronView, Failure> {
    let last = match (&entry.last_job_id, entry.last_fired_at_ms) {
        (Some(id), Some(at)) => Some(CronJob {
            id: parsed(id)?,
            fired_at: Timestamp(at),
        }),
        _ => None,
    };
    let definition = match &entry.says {
        Some(says) => definition(says)?.encode().map_err(unread)?,
        // A newer build wrote it, which its bytes would tell as well.
        None => Bytes::new(),
    };
    Ok(CronView::from(CronEntry {
        name: CronName::new(&entry.name).map_err(unread)?,
        version: entry.version,
        next_at: Timestamp(entry.next_at_ms.unwrap_or_default()),
        paused: entry.paused,
        last,
        definition,
    }))
}

fn definition(says: &dto::cron::CronSays) -> Result<Definition, Failure> {
    let function = FunctionName::new(&says.function_name).map_err(unread)?;
    let args = value::encode("args", &says.args).map_err(unread)?;
    let terms = &says.terms;
    let metadata = match &terms.metadata {
        serde_json::Value::Object(metadata) => metadata.clone().into_iter().collect(),
        _ => std::collections::BTreeMap::new(),
    };
    let spec = JobSpec {
        name: says.job_name.clone(),
        queue: QueueName::new(&says.queue).map_err(unread)?,
        priority: parsed(&says.priority)?,
        max_retries: terms.max_retries,
        retry_delay: Duration::from_millis(terms.retry_delay_ms),
        retry_backoff: terms.retry_backoff,
        retry_jitter: terms.retry_jitter,
        retry_delay_max: Duration::from_millis(terms.retry_delay_max_ms),
        timeout: terms.timeout_ms.map(Duration::from_millis),
        expires_in: terms.expires_at_ms.map(Duration::from_millis),
        tags: says.tags.iter().cloned().collect(),
        metadata,
        created_by: terms.created_by.clone(),
        fencing: terms.fencing,
        on_lost_record: terms.on_lost_record,
        ..JobSpec::new(function, args)
    };
    Ok(Definition {
        schedule: Schedule {
            expression: Expression::parse(&says.expression).map_err(unread)?,
            zone: Zone::parse(&says.zone).map_err(unread)?,
        },
        job: Template::new(&spec).map_err(unread)?,
        misfire: says.misfire.clone().try_into().map_err(unread)?,
        overlap: says.overlap.clone().try_into().map_err(unread)?,
        jitter: Duration::from_millis(says.jitter_ms),
        source: match says.source.as_str() {
            "file" => Source::File,
            _ => Source::Call,
        },
    })
}

/// A line of a job's log.
pub(crate) fn log_line(line: dto::log::JobLogLine) -> LogLine {
    LogLine {
        number: line.number,
        at: Timestamp(line.at_ms),
        attempt: line.attempt,
        text: line.text,
    }
}

/// An operation on many dead letters, or on many jobs.
pub(crate) fn operation(bulk: &dto::dead::Bulk) -> Result<Operation, Failure> {
    let filter = bulk
        .filter
        .read()
        .map_err(|problems| unread(problems.join("; ")))?;
    let jobs = bulk.jobs.as_ref().map(dto::dead::JobsFilter::read).transpose();
    let jobs = jobs.map_err(|problems| unread(problems.join("; ")))?;
    Ok(Operation {
        id: parsed(&bulk.id)?,
        kind: OperationKind::from(bulk.kind),
        filter,
        started_at: Timestamp(bulk.started_at_ms),
        total: bulk.total,
        done: bulk.done,
        kept: bulk.kept,
        ended_at: bulk.ended_at_ms.map(Timestamp),
        cancels: jobs.map(|jobs| CancelWhich {
            jobs,
            reason: bulk.reason.clone().unwrap_or_default(),
        }),
    })
}

/// A message in quarantine.
pub(crate) fn quarantined(message: dto::dead::Quarantined) -> Result<QuarantineEntry, Failure> {
    use base64::Engine as _;
    let body = match &message.body {
        Some(text) => base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(unread)?,
        // Shown to admins alone; its length is told to everybody.
        None => vec![
            0;
            usize::try_from(message.body_bytes)
                .unwrap_or(0)
                .min(BODY_BYTES_MAX)
        ],
    };
    let headers = message.headers.unwrap_or_default().into_iter();
    Ok(QuarantineEntry {
        at: message.at_ms.map(Timestamp),
        message: Quarantined {
            message_id: message.message_id,
            queue: QueueName::new(&message.queue).map_err(unread)?,
            reason: message.reason,
            body: body.into(),
            headers: headers.map(|header| (header.name, header.value)).collect(),
            jobs: all(&message.jobs)?,
            dispatches: Vec::new(),
        },
    })
}

/// A token, without the hash, which no gateway tells.
pub(crate) fn token(token: dto::access::TokenView) -> Result<Token, Failure> {
    Ok(Token {
        id: parsed::<TokenId>(&token.id)?,
        name: token.name,
        role: token.role.into(),
        hash: Vec::new(),
        created_at: Timestamp(token.created_at_ms),
        created_by: token.created_by,
        expires_at: token.expires_at_ms.map(Timestamp),
    })
}

/// A line of the audit log.
pub(crate) fn audit(line: dto::access::AuditLine) -> AuditEntry {
    AuditEntry {
        seq: line.seq,
        at: Timestamp(line.at_ms),
        note: AuditNote {
            id: 0,
            who: line.who,
            action: line.action,
            subject: line.subject,
            detail: line.detail,
            request_id: line.request_id,
        },
    }
}
