//! The reasons as sentences: what holds the job, and what would unblock it.

use super::{Line, Obstacle, Parent, Reason};
use crate::clock::{Timestamp, short_time};
use crate::id::WorkerId;
use crate::spec::OnFailed;
use crate::status::JobStatus;

impl Reason {
    /// The reason with its sentences; times are told relative to `now`.
    pub(super) fn told(self, now: Timestamp) -> Obstacle {
        let explanation = self.before_a_slot(now).unwrap_or_else(|| self.in_a_slot(now));
        Obstacle {
            explanation,
            remedy: self.remedy(now),
            reason: self,
        }
    }

    /// What holds a job that no worker can be asked for yet; `None` for the other reasons.
    fn before_a_slot(&self, now: Timestamp) -> Option<String> {
        let left = |at: &Timestamp| short_time(at.since(now));
        let ago = |at: &Timestamp| short_time(now.since(*at));
        Some(match self {
            Self::DueLater { due_at } => format!("it is due in {}", left(due_at)),
            Self::InBackoff {
                due_at,
                attempt,
                last_error,
            } => format!(
                "attempt {attempt} is due in {}; the last one ended with: {}",
                left(due_at),
                last_error.as_deref().unwrap_or("no error")
            ),
            Self::Overdue { due_at } => {
                format!("it was due {} ago, and no scheduler has queued it", ago(due_at))
            }
            Self::WaitsForParents { total, .. } => format!("it waits for {}", many(*total, "parent")),
            Self::QueuePaused { queue } => format!("the queue {queue} is paused"),
            Self::Parked { function_name } => format!(
                "it is parked: when it was delivered, no live worker had the function {function_name}"
            ),
            Self::NoWorkerHasFunction { function_name, live } => {
                format!(
                    "none of {} has the function {function_name}",
                    many(*live, "live worker")
                )
            }
            Self::NoWorkerHasQueue { queue, with_function } => format!(
                "its function is known to {}, and none of them consumes the queue {queue}",
                many(*with_function, "live worker")
            ),
            Self::BrokerUnreachable { problem } => format!("the broker cannot deliver it: {problem}"),
            Self::StoreUnreachable { problem } => format!("the store cannot be asked: {problem}"),
            Self::InOutbox { publish_at } => in_the_outbox(*publish_at, now),
            _ => return None,
        })
    }

    fn in_a_slot(&self, now: Timestamp) -> String {
        match self {
            Self::SlotsBusy { workers, slots, line } => format!(
                "all {} of the {} that could run it are busy; {}",
                many(usize::try_from(*slots).unwrap_or(usize::MAX), "slot"),
                many(*workers, "worker"),
                place(line)
            ),
            Self::Undelivered {
                published_at,
                ready,
                line,
            } => {
                let since = short_time(now.since(*published_at));
                format!("{}; {}", in_the_broker(&since, *ready), place(line))
            }
            Self::Running {
                worker,
                since,
                attempt,
                lease_until,
            } => {
                let since =
                    since.map_or_else(String::new, |at| format!(" for {}", short_time(now.since(at))));
                let lease = lease_until.map_or_else(String::new, |at| {
                    format!("; its lease holds {}", short_time(at.since(now)))
                });
                format!(
                    "it runs{since} on {} (attempt {attempt}){lease}",
                    name(worker.as_ref())
                )
            }
            Self::LeaseOver { worker, lease_until } => format!(
                "its worker {} has not beaten; the lease ended {} ago",
                name(worker.as_ref()),
                short_time(now.since(*lease_until))
            ),
            Self::BeingCancelled {
                worker,
                cancel_reason,
            } => format!(
                "it runs on {} and was asked to stop: {cancel_reason}",
                name(worker.as_ref())
            ),
            Self::Expired { finished_at } => {
                format!("it expired{} before it completed", when(*finished_at, now))
            }
            Self::Finished {
                ended,
                finished_at,
                detail,
            } => {
                let detail = detail
                    .as_ref()
                    .map_or_else(String::new, |detail| format!(": {detail}"));
                format!("it ended{}, {ended}{detail}", when(*finished_at, now))
            }
            Self::Pruned { ended } => {
                format!("it ended, {ended}; its record was deleted when its retention was over")
            }
            _ => "no job with this id is known".to_owned(),
        }
    }

    fn remedy(&self, now: Timestamp) -> String {
        let known = match self {
            Self::WaitsForParents { parents, .. } => return of_parents(parents),
            Self::QueuePaused { queue } => return format!("resume it: `longshore queue resume {queue}`"),
            Self::Parked { function_name } => {
                return format!(
                    "start a worker that has the function {function_name}; where one runs, the job is released within seconds"
                );
            }
            Self::NoWorkerHasFunction { function_name, .. } => {
                return format!("start a worker that has the function {function_name}");
            }
            Self::NoWorkerHasQueue { queue, .. } => {
                return format!("let a worker that has the function consume the queue {queue} too");
            }
            Self::DueLater { .. } | Self::InBackoff { .. } => {
                "nothing to do; the scheduler queues it when it is due"
            }
            Self::Overdue { .. } => "see that a scheduler runs and reaches the store",
            Self::BrokerUnreachable { .. } => {
                "bring the broker back; nothing is lost, and what waits is published then"
            }
            Self::StoreUnreachable { .. } => "bring the store back, then ask again",
            Self::InOutbox { publish_at } if publish_at.is_some_and(|at| at > now) => {
                "nothing to do while a scheduler runs and the broker answers"
            }
            Self::InOutbox { .. } => "see that a scheduler runs and reaches the broker",
            Self::SlotsBusy { .. } => "wait, start another worker, or give the workers more slots",
            Self::Undelivered { .. } => {
                "it should start within seconds; a lost message is found and published again by the scheduler"
            }
            Self::Running { .. } => "nothing to do; `longshore job watch` follows it",
            Self::LeaseOver { .. } => "a scheduler gives it to another worker; see that one runs",
            Self::BeingCancelled { .. } => {
                "it ends when its handler notices; one that does not listen is aborted after `worker.cancel_grace` (10s unless set)"
            }
            Self::Expired { .. } => "enqueue it again, with a later expiry or deadline",
            Self::Finished {
                ended: JobStatus::Failed,
                ..
            } => "mend the cause, then requeue the dead letter",
            Self::Finished { .. } | Self::Pruned { .. } => "enqueue it anew to run it once more",
            Self::Unknown => "check the id, and that this is the right installation: `longshore job ls`",
        };
        known.to_owned()
    }
}

fn name(worker: Option<&WorkerId>) -> String {
    worker.map_or_else(|| "an unnamed worker".to_owned(), ToString::to_string)
}

fn when(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(String::new, |at| format!(" {} ago", short_time(now.since(at))))
}

fn in_the_outbox(publish_at: Option<Timestamp>, now: Timestamp) -> String {
    let next = match publish_at {
        Some(at) if at > now => format!("the scheduler publishes it in {}", short_time(at.since(now))),
        Some(at) => format!(
            "a scheduler should have published it {} ago",
            short_time(now.since(at))
        ),
        None => "the scheduler publishes it".to_owned(),
    };
    format!("it waits in the outbox, unconfirmed by the broker; {next}")
}

fn in_the_broker(since: &str, ready: Option<u64>) -> String {
    let state = match ready {
        Some(0) => "every message of its priority is delivered, so a worker is about to start it",
        Some(_) => "the broker has not delivered it",
        None => "whether it is delivered is not known",
    };
    format!("it was published {since} ago, and slots were free when the workers last beat; {state}")
}

fn place(line: &Line) -> String {
    let more = if line.or_more { " or more" } else { "" };
    let (jobs, are) = if line.ahead == 1 && !line.or_more {
        ("job", "is")
    } else {
        ("jobs", "are")
    };
    format!(
        "about {}{more} {jobs} of its queue {are} before it, by priority",
        line.ahead
    )
}

/// A number with its noun: `1 worker`, `2 workers`.
fn many(number: usize, noun: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{end}")
}

/// A parent that somebody must see to comes before those that end on their own.
fn of_parents(parents: &[Parent]) -> String {
    let dead = |parent: &&Parent| {
        parent.status == Some(JobStatus::Failed) && parent.policy.on_failed == OnFailed::Wait
    };
    let goes_on = |parent: &&Parent| parent.status.is_some_and(|status| !status.is_terminal());
    if let Some(parent) = parents.iter().find(dead) {
        return format!(
            "the parent {} is a dead letter: requeue it, or cancel this job",
            parent.id
        );
    }
    match parents.iter().find(goes_on) {
        Some(parent) => format!("it goes on when they end; ask `longshore job why {}`", parent.id),
        None => "nothing to do; the scheduler tells it of their ends".to_owned(),
    }
}
