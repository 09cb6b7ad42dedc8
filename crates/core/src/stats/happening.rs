//! What a change of a record was, for the statistics.

use crate::clock::Timestamp;
use crate::record::Record;
use crate::status::JobStatus;

/// One thing that happened to a job. Times are in milliseconds of the store's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It was enqueued.
    Enqueued,
    /// An attempt started.
    Started {
        /// Since it could run; `None` when that was not written down.
        waited: Option<u64>,
    },
    /// It ended.
    Ended {
        /// How.
        how: End,
        /// How long the attempt took that ended it; `None` when none did: it waited, or its worker was lost.
        ran: Option<u64>,
    },
    /// An attempt failed, and another follows.
    Retried {
        /// How long it took.
        ran: Option<u64>,
    },
    /// Its handler put it off.
    Snoozed,
    /// Its worker stopped and handed it back.
    Released,
    /// Its worker was lost.
    Lost,
    /// It was given up, and is queued again.
    Requeued,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Well.
    Completed,
    /// Given up.
    Failed,
    /// Cancelled.
    Cancelled,
    /// Its time had passed.
    Expired,
}

impl Happening {
    /// The letter under which stores count it.
    pub const fn code(self) -> char {
        match self {
            Self::Enqueued => 'n',
            Self::Started { .. } => 'w',
            Self::Ended { how, .. } => match how {
                End::Completed => 'c',
                End::Failed => 'f',
                End::Cancelled => 'x',
                End::Expired => 'e',
            },
            Self::Retried { .. } => 'r',
            Self::Snoozed => 's',
            Self::Released => 'u',
            Self::Lost => 'l',
            Self::Requeued => 'q',
        }
    }
}

/// What happened when a record changed from `before` to `after` at `now`: at most three things, in their order.
pub fn happened(
    before: Option<&Record>,
    after: Option<&Record>,
    now: Timestamp,
) -> impl Iterator<Item = Happening> {
    let things = match (before, after) {
        (None, Some(after)) => made(after),
        (Some(before), Some(after)) => changed(before, after, now),
        _ => [None; 3],
    };
    things.into_iter().flatten()
}

/// A record was made: by an enqueue, or anew from a message. One that is made anew from a dead letter's twin is old news.
fn made(after: &Record) -> [Option<Happening>; 3] {
    if after.status == JobStatus::Failed {
        return [None; 3];
    }
    let next = if after.status == JobStatus::Running {
        Some(started(after))
    } else {
        end(after.status).map(|how| Happening::Ended { how, ran: None })
    };
    [Some(Happening::Enqueued), next, None]
}

fn changed(before: &Record, after: &Record, now: Timestamp) -> [Option<Happening>; 3] {
    let lost = (after.losts > before.losts).then_some(Happening::Lost);
    let starts = after.status == JobStatus::Running
        && (before.status != JobStatus::Running || before.fence != after.fence);
    let next = if starts {
        Some(started(after))
    } else if before.status == JobStatus::Failed && !after.status.is_terminal() {
        Some(Happening::Requeued)
    } else if before.status == after.status || before.status.is_terminal() {
        None
    } else if before.status != JobStatus::Running {
        end(after.status).map(|how| Happening::Ended { how, ran: None })
    } else {
        let ran = before
            .started_at
            .filter(|_| lost.is_none())
            .map(|at| now.millis().saturating_sub(at.millis()));
        attempt_ended(after.status, ran, lost.is_some())
    };
    [lost, next, None]
}

fn attempt_ended(to: JobStatus, ran: Option<u64>, was_lost: bool) -> Option<Happening> {
    match to {
        JobStatus::Retrying => Some(Happening::Retried { ran }),
        JobStatus::Scheduled => Some(Happening::Snoozed),
        JobStatus::Queued if !was_lost => Some(Happening::Released),
        to => end(to).map(|how| Happening::Ended { how, ran }),
    }
}

fn started(after: &Record) -> Happening {
    let waited = after.ready_since.zip(after.started_at);
    let waited = waited.map(|(since, at)| at.millis().saturating_sub(since.millis()));
    Happening::Started { waited }
}

const fn end(status: JobStatus) -> Option<End> {
    match status {
        JobStatus::Completed => Some(End::Completed),
        JobStatus::Failed => Some(End::Failed),
        JobStatus::Cancelled => Some(End::Cancelled),
        JobStatus::Expired => Some(End::Expired),
        _ => None,
    }
}
