//! The index rows of one shard, in memory. They follow from the records and are made anew when the folder is opened.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::JobStatus;
use longshore_core::id::JobId;
use longshore_core::name::{FunctionName, QueueName};
use longshore_core::priority::Priority;
use longshore_core::record::{Index, Record};

/// Some indexes are kept in groups, so that no sweep looks at rows that it does not want.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// One group only.
    All,
    /// What is to be published: the most urgent first.
    Urgency(std::cmp::Reverse<Priority>),
    /// What is in the broker: a watermark speaks for one queue and priority.
    Queue(QueueName, Priority),
    /// What waits for a worker.
    Function(FunctionName),
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
        Index::Parked => record.parked.clone().map_or(Group::All, Group::Function),
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

    /// As [`Rows::until`], of one group.
    pub(super) fn group_until(&self, index: Index, group: Group, until: u64, limit: usize) -> Vec<JobId> {
        let rows = self.0.get(&(index, group)).into_iter().flatten();
        rows.take_while(|(score, _)| *score <= until)
            .take(limit)
            .map(|(_, id)| *id)
            .collect()
    }
}

fn row(index: Index, score: Option<u64>, record: Option<&Record>) -> Option<(u64, Group)> {
    Some((score?, group(index, record?)))
}
