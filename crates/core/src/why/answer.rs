//! From the facts to the reasons.

use super::{BrokerFact, Facts, LATE, Reason, Why};
use crate::clock::Timestamp;
use crate::status::JobStatus;
use crate::view::{JobView, WorkerView};

/// Says what holds a job, the first obstacle first.
pub fn explain(facts: &Facts) -> Why {
    let reasons = match (&facts.job, facts.tombstone) {
        (Some(job), _) => of_record(facts, job),
        (None, Some(ended)) => vec![Reason::Pruned { ended }],
        (None, None) => vec![Reason::Unknown],
    };
    Why {
        id: facts.id,
        status: facts.job.as_ref().map(|job| job.status),
        obstacles: reasons.into_iter().map(|reason| reason.told(facts.now)).collect(),
    }
}

fn of_record(facts: &Facts, job: &JobView) -> Vec<Reason> {
    match job.status {
        JobStatus::Running => vec![running(facts, job)],
        JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => vec![finished(job)],
        JobStatus::Expired => vec![Reason::Expired {
            finished_at: job.finished_at,
        }],
        JobStatus::Blocked => waiting(waits_for_parents(facts, job), facts, job),
        JobStatus::Scheduled | JobStatus::Retrying => waiting(due(facts, job), facts, job),
        JobStatus::Queued => queued(facts, job),
    }
}

fn running(facts: &Facts, job: &JobView) -> Reason {
    let worker = job.worker.clone();
    match (job.lease_until, &job.cancel_reason) {
        (Some(lease_until), _) if lease_until <= facts.now => Reason::LeaseOver { worker, lease_until },
        (_, Some(reason)) => Reason::BeingCancelled {
            worker,
            cancel_reason: reason.clone(),
        },
        (lease_until, None) => Reason::Running {
            worker,
            since: job.started_at,
            attempt: job.attempts,
            lease_until,
        },
    }
}

fn finished(job: &JobView) -> Reason {
    let error = job.error.as_ref().map(|error| error.message.clone());
    let detail = match job.status {
        JobStatus::Failed => error,
        JobStatus::Cancelled => job.cancel_reason.clone().or(error),
        _ => None,
    };
    Reason::Finished {
        ended: job.status,
        finished_at: job.finished_at,
        detail,
    }
}

fn waits_for_parents(facts: &Facts, job: &JobView) -> Reason {
    let total = job.open_parents.len();
    let end = facts.parents_from.saturating_add(facts.parents.len());
    Reason::WaitsForParents {
        parents: facts.parents.clone(),
        total,
        next: (end < total).then_some(end),
    }
}

fn due(facts: &Facts, job: &JobView) -> Reason {
    let due_at = job.run_at.unwrap_or(facts.now);
    if facts.now.since(due_at) > LATE {
        Reason::Overdue { due_at }
    } else if job.status == JobStatus::Retrying {
        Reason::InBackoff {
            due_at,
            attempt: job.attempts.saturating_add(1),
            last_error: job.error.as_ref().map(|error| error.message.clone()),
        }
    } else {
        Reason::DueLater { due_at }
    }
}

/// What holds it now, and what would hold it afterwards.
fn waiting(first: Reason, facts: &Facts, job: &JobView) -> Vec<Reason> {
    let mut reasons = vec![first];
    reasons.extend(paused(facts, job));
    reasons.extend(nobody(facts, job));
    reasons
}

fn queued(facts: &Facts, job: &JobView) -> Vec<Reason> {
    if let Some(function_name) = job.parked.clone() {
        return waiting(Reason::Parked { function_name }, facts, job);
    }
    let mut reasons: Vec<Reason> = paused(facts, job).into_iter().collect();
    reasons.extend(nobody(facts, job));
    if let BrokerFact::Unreachable(problem) = &facts.broker {
        reasons.push(Reason::BrokerUnreachable {
            problem: problem.clone(),
        });
    }
    match job.published_at {
        None => reasons.push(Reason::InOutbox {
            publish_at: job.outbox_at,
        }),
        Some(published_at) if reasons.is_empty() => reasons.push(in_line(facts, job, published_at)),
        // Full slots matter to nobody while the queue is paused, has no worker, or the broker is away.
        Some(_) => {}
    }
    reasons
}

/// Nothing holds it but those before it.
fn in_line(facts: &Facts, job: &JobView, published_at: Timestamp) -> Reason {
    let line = facts.line;
    if able(facts, job).all(|worker| worker.busy >= worker.slots) {
        return Reason::SlotsBusy {
            workers: able(facts, job).count(),
            slots: able(facts, job).map(|worker| worker.slots).sum(),
            line,
        };
    }
    let ready = match facts.broker {
        BrokerFact::Ready(ready) => Some(ready),
        BrokerFact::Unreachable(_) | BrokerFact::Unasked => None,
    };
    Reason::Undelivered {
        published_at,
        ready,
        line,
    }
}

fn paused(facts: &Facts, job: &JobView) -> Option<Reason> {
    facts.paused.then(|| Reason::QueuePaused {
        queue: job.queue.clone(),
    })
}

fn nobody(facts: &Facts, job: &JobView) -> Option<Reason> {
    let with_function = with_function(facts, job).count();
    if with_function == 0 {
        return Some(Reason::NoWorkerHasFunction {
            function_name: job.function_name.clone(),
            live: live(facts).count(),
        });
    }
    able(facts, job)
        .next()
        .is_none()
        .then(|| Reason::NoWorkerHasQueue {
            queue: job.queue.clone(),
            with_function,
        })
}

/// Workers that take jobs.
fn live(facts: &Facts) -> impl Iterator<Item = &WorkerView> {
    facts.workers.iter().filter(|worker| !worker.draining)
}

fn with_function<'a>(facts: &'a Facts, job: &'a JobView) -> impl Iterator<Item = &'a WorkerView> {
    live(facts).filter(|worker| worker.functions.contains(&job.function_name))
}

/// Workers that could run it.
fn able<'a>(facts: &'a Facts, job: &'a JobView) -> impl Iterator<Item = &'a WorkerView> {
    with_function(facts, job).filter(|worker| worker.queues.contains(&job.queue))
}
