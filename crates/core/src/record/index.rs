//! Which index rows a record must have. A store compares them before and after a transition and changes the
//! difference: index equals status by construction.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::status::JobStatus;

/// The indexes of a shard. Each holds at most one row a job, with a score in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Index {
    /// Scheduled and Retrying jobs, by due time.
    Due = 0,
    /// Queued jobs to be published, by next try.
    Outbox = 1,
    /// Queued jobs that the broker has, by publish time.
    Ready = 2,
    /// Queued jobs whose function no live worker has; score 0.
    Parked = 3,
    /// Running jobs, by end of lease.
    Running = 4,
    /// Jobs that wait and have an expiry or a deadline, by the earlier of these that counts.
    Expiring = 5,
    /// Blocked jobs, by next verification of their edges.
    Edges = 6,
    /// Ended jobs with children to tell, by next try.
    Rel = 7,
    /// Ended jobs, by end.
    Finished = 8,
    /// Failed jobs without a durable twin, by end.
    Dead = 9,
}

/// The rows of one record: at most one an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indexes([Option<u64>; Index::ALL.len()]);

impl Index {
    /// Every index.
    pub const ALL: [Self; 10] = [
        Self::Due,
        Self::Outbox,
        Self::Ready,
        Self::Parked,
        Self::Running,
        Self::Expiring,
        Self::Edges,
        Self::Rel,
        Self::Finished,
        Self::Dead,
    ];

    /// Its name, as stores write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Outbox => "outbox",
            Self::Ready => "ready",
            Self::Parked => "parked",
            Self::Running => "running",
            Self::Expiring => "expiring",
            Self::Edges => "edges",
            Self::Rel => "rel",
            Self::Finished => "finished",
            Self::Dead => "dead",
        }
    }
}

impl Indexes {
    /// The score in this index, when there is a row.
    pub fn score(&self, index: Index) -> Option<u64> {
        self.0.get(index as usize).copied().flatten()
    }

    /// Every row.
    pub fn rows(&self) -> impl Iterator<Item = (Index, u64)> + '_ {
        Index::ALL
            .into_iter()
            .filter_map(|index| self.score(index).map(|score| (index, score)))
    }

    /// Rows that are not the same in `after`: index, score here, score there.
    pub fn changes(&self, after: &Self) -> impl Iterator<Item = (Index, Option<u64>, Option<u64>)> {
        let (before, after) = (*self, *after);
        Index::ALL
            .into_iter()
            .map(move |index| (index, before.score(index), after.score(index)))
            .filter(|(_, before, after)| before != after)
    }

    fn set(&mut self, index: Index, score: Option<crate::Timestamp>) {
        if let Some(row) = self.0.get_mut(index as usize) {
            *row = score.map(crate::Timestamp::millis);
        }
    }
}

impl Record {
    /// The index rows that this record must have, and no others.
    pub fn indexes(&self) -> Indexes {
        let mut rows = Indexes::default();
        match self.status {
            JobStatus::Blocked => rows.set(Index::Edges, self.edges_at),
            JobStatus::Scheduled | JobStatus::Retrying => rows.set(Index::Due, self.run_at),
            JobStatus::Queued if self.parked.is_some() => {
                rows.set(Index::Parked, Some(crate::Timestamp::ZERO));
            }
            JobStatus::Queued if self.outbox.is_some() => rows.set(Index::Outbox, self.outbox),
            JobStatus::Queued => rows.set(Index::Ready, self.published_at),
            JobStatus::Running => rows.set(Index::Running, self.lease_until),
            JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled | JobStatus::Expired => {
                rows.set(Index::Finished, self.finished_at);
                rows.set(Index::Rel, self.rel.map(|rel| rel.at));
            }
        }
        if self.status == JobStatus::Failed && !self.dead_copied {
            rows.set(Index::Dead, self.finished_at);
        }
        if !self.status.is_terminal() && self.status != JobStatus::Running {
            rows.set(Index::Expiring, self.gives_up_at());
        }
        rows
    }
}
