//! The index rows of one shard, in memory. They follow from the records and are made anew when the folder is opened.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use longshore_core::JobStatus;
use longshore_core::id::JobId;
use longshore_core::name::{FunctionName, QueueName};
use longshore_core::priority::Priority;
use longshore_core::record::{Index, Record};
use serde::{Deserialize, Serialize};

/// Some indexes are kept in groups, so that no sweep looks at rows that it does not want.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Group {
    /// One group only.
    All,
    /// What is to be published: the most urgent first.
    Urgency(std::cmp::Reverse<Priority>),
    /// What is in the broker: a watermark speaks for one queue and priority.
    Queue(QueueName, Priority),
    /// What waits for a worker with this function that consumes this queue.
    Worker(FunctionName, QueueName),
    /// What has ended: retention differs.
    Status(JobStatus),
}

/// The rows of one shard.
#[derive(Debug, Default)]
pub(super) struct Rows(BTreeMap<(Index, Group), BTreeSet<(u64, JobId)>>);

fn group(index: Index, record: &Record) -> Group {
    match index {
        Index::Due | Index::Outbox => Group::Urgency(std::cmp::Reverse(record.priority)),
        Index::Ready => Group::Queue(record.queue.clone(), record.priority),
        Index::Parked => record.parked.clone().map_or(Group::All, |function| {
            Group::Worker(function, record.queue.clone())
        }),
        Index::Finished => Group::Status(record.status),
        Index::Running | Index::Expiring | Index::Edges | Index::Rel | Index::Dead => Group::All,
    }
}

impl Rows {
    /// Makes the rows of a job those that its record must have.
    pub(super) fn update(&mut self, id: JobId, before: Option<&Record>, after: Option<&Record>) {
        let had = before.map(Record::indexes).unwrap_or_default();
        let has = after.map(Record::indexes).unwrap_or_default();
        for index in Index::ALL {
            let old = row(index, had.score(index), before);
            let new = row(index, has.score(index), after);
            if old == new {
                continue;
            }
            if let Some((score, group)) = old {
                self.remove(&(index, group), (score, id));
            }
            if let Some((score, group)) = new {
                self.0.entry((index, group)).or_default().insert((score, id));
            }
        }
    }

    fn remove(&mut self, key: &(Index, Group), row: (u64, JobId)) {
        if let Some(rows) = self.0.get_mut(key) {
            rows.remove(&row);
            if rows.is_empty() {
                self.0.remove(key);
            }
        }
    }

    /// Jobs of an index whose score is at most `until`: group by group, the lowest scores first.
    pub(super) fn until(&self, index: Index, until: u64, limit: usize) -> Vec<JobId> {
        let groups = self
            .0
            .range((index, Group::All)..)
            .take_while(|((at, _), _)| *at == index);
        let rows = groups.flat_map(|(_, rows)| rows.iter().take_while(|(score, _)| *score <= until));
        rows.take(limit).map(|(_, id)| *id).collect()
    }

    /// Jobs of an index whose score is above `score`.
    pub(super) fn after(&self, index: Index, score: u64, limit: usize) -> Vec<JobId> {
        let groups = self
            .0
            .range((index, Group::All)..)
            .take_while(|((at, _), _)| *at == index);
        let rows = groups.flat_map(|(_, rows)| rows.iter().rev().take_while(|(at, _)| *at > score));
        rows.take(limit).map(|(_, id)| *id).collect()
    }

    /// Jobs that are parked for a function and a queue of which this holds.
    pub(super) fn parked(&self, runs: impl Fn(&FunctionName, &QueueName) -> bool) -> Vec<JobId> {
        let groups = self
            .0
            .range((Index::Parked, Group::All)..)
            .take_while(|((at, _), _)| *at == Index::Parked);
        let wanted = groups.filter(|((_, group), _)| match group {
            Group::Worker(function, queue) => runs(function, queue),
            _ => false,
        });
        wanted
            .flat_map(|(_, rows)| rows.iter().map(|(_, id)| *id))
            .collect()
    }

    /// How many rows a group has.
    pub(super) fn group_len(&self, index: Index, group: Group) -> u64 {
        self.0.get(&(index, group)).map_or(0, |rows| rows.len() as u64)
    }

    /// As [`Rows::until`], of one group.
    pub(super) fn group_until(&self, index: Index, group: Group, until: u64, limit: usize) -> Vec<JobId> {
        let rows = self.0.get(&(index, group)).into_iter().flatten();
        rows.take_while(|(score, _)| *score <= until)
            .take(limit)
            .map(|(_, id)| *id)
            .collect()
    }
}

/// A place among all rows: the index, its group, the score, the job.
pub(super) type Place = (Index, Group, u64, JobId);

impl Rows {
    /// Rows after this place, in their order: at most `limit`.
    pub(super) fn page(&self, after: Option<&Place>, limit: usize) -> Vec<Place> {
        let from = after.map(|(index, group, _, _)| (*index, group.clone()));
        let groups = self.0.range((
            from.clone().map_or(Bound::Unbounded, Bound::Included),
            Bound::Unbounded,
        ));
        let rows = groups.flat_map(|(key, rows)| {
            let start = match (&from, after) {
                (Some(from), Some((_, _, score, id))) if from == key => Bound::Excluded((*score, *id)),
                _ => Bound::Unbounded,
            };
            let rows = rows.range((start, Bound::Unbounded));
            rows.map(|(score, id)| (key.0, key.1.clone(), *score, *id))
        });
        rows.take(limit).collect()
    }

    /// The row that a record must have in an index, and whether it is there.
    pub(super) fn has(&self, index: Index, id: JobId, record: &Record) -> Option<(Group, u64, bool)> {
        let (score, group) = row(index, record.indexes().score(index), Some(record))?;
        let rows = self.0.get(&(index, group.clone()));
        Some((group, score, rows.is_some_and(|rows| rows.contains(&(score, id)))))
    }

    /// Whether a record must have this row.
    pub(super) fn belongs(place: &Place, record: Option<&Record>) -> bool {
        let (index, group, score, _) = place;
        let wanted = record.and_then(|record| row(*index, record.indexes().score(*index), Some(record)));
        wanted.is_some_and(|(at, of)| at == *score && of == *group)
    }

    /// Puts a row where it belongs.
    pub(super) fn put(&mut self, (index, group, score, id): Place) {
        self.0.entry((index, group)).or_default().insert((score, id));
    }

    /// Takes a row away.
    pub(super) fn drop_row(&mut self, (index, group, score, id): Place) {
        self.remove(&(index, group), (score, id));
    }

    /// The first row of every group: index, group, rows, score, job.
    pub(super) fn heads(&self) -> impl Iterator<Item = (Index, &Group, usize, u64, JobId)> {
        self.0.iter().filter_map(|((index, group), rows)| {
            let (score, id) = rows.first()?;
            Some((*index, group, rows.len(), *score, *id))
        })
    }

    /// Jobs of a queue that are in the broker, the most urgent first, at most `limit`.
    pub(super) fn in_line(&self, queue: &QueueName, limit: usize) -> Vec<JobId> {
        let lanes = Priority::DESCENDING.into_iter().filter_map(|priority| {
            let group = Group::Queue(queue.clone(), priority);
            self.0.get(&(Index::Ready, group))
        });
        lanes.flatten().take(limit).map(|(_, id)| *id).collect()
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Urgency(std::cmp::Reverse(priority)) => write!(f, ":{priority}"),
            Self::Queue(queue, priority) => write!(f, ":{queue}:{priority}"),
            Self::Worker(function, _) => write!(f, ":{function}"),
            Self::Status(status) => write!(f, ":{status}"),
        }
    }
}

fn row(index: Index, score: Option<u64>, record: Option<&Record>) -> Option<(u64, Group)> {
    Some((score?, group(index, record?)))
}
