//! What happened, counted where records change. It is in memory, and follows on the disk about once a second: the death
//! of the process takes what was counted since.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use longshore_core::JobStatus;
use longshore_core::clock::Timestamp;
use longshore_core::limits::STATISTICS_LOOK;
use longshore_core::name::QueueName;
use longshore_core::port;
use longshore_core::priority::Priority;
use longshore_core::record::{Index, Record};
use longshore_core::stats::happening::happened;
use longshore_core::stats::{Bucket, Ledger, Span, Standing, Statistics, StatisticsQuery};

use super::core::Core;
use super::disk::{Batch, SERVER};
use super::rows::Group;
use super::state::State;
use super::stored;

/// Keys of the keyspace `meta`.
const MINUTE: &str = "statistics/minute/";
const HOUR: &str = "statistics/hour/";

/// How long what was counted waits for the disk.
const WRITE_AFTER: Duration = Duration::from_secs(1);

/// What happened, and what of it is not on the disk yet.
#[derive(Debug, Default)]
pub(super) struct Counted {
    ledger: Ledger,
    unwritten: BTreeSet<Span>,
    /// When it was written last.
    written: Timestamp,
    /// The minute in which old ones were added to their hours.
    turned: Option<Span>,
}

impl Counted {
    /// Counts what a change of a record was.
    pub(super) fn note(&mut self, before: Option<&Record>, after: Option<&Record>, now: Timestamp) {
        for happening in happened(before, after, now) {
            let Some(record) = after.or(before) else { return };
            let span = self
                .ledger
                .count(&record.queue, &record.function_name, happening, now);
            self.unwritten.insert(span);
            if self.turned != Some(span) {
                self.turned = Some(span);
                self.unwritten.extend(self.ledger.turn(now));
            }
        }
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        self.unwritten.extend(self.ledger.iter().map(|(span, _)| span));
        self.ledger = Ledger::default();
    }

    /// Puts what is not on the disk into a batch, when it has waited long enough.
    pub(super) fn write_if_due(&mut self, batch: &mut Batch<'_>, now: Timestamp) {
        // A clock that went back holds nothing up.
        let is_due = now < self.written || now.since(self.written) >= WRITE_AFTER;
        if is_due && !self.unwritten.is_empty() {
            self.write(batch, now);
        }
    }

    /// Puts what is not on the disk into a batch.
    pub(super) fn write(&mut self, batch: &mut Batch<'_>, now: Timestamp) {
        self.written = now;
        for span in std::mem::take(&mut self.unwritten) {
            match self.ledger.bucket(span) {
                Some(bucket) => batch.meta_of(&key(span), "statistics", bucket),
                None => batch.forget_meta(&key(span)),
            }
        }
    }
}

fn key(span: Span) -> String {
    match span {
        Span::Minute(number) => format!("{MINUTE}{number}"),
        Span::Hour(number) => format!("{HOUR}{number}"),
    }
}

/// Takes an entry of `meta` in. Answers whether it was one of statistics; `None` when it cannot be read.
pub(super) fn load(key: &str, value: &[u8], counted: &mut Counted) -> Option<bool> {
    let span = if let Some(number) = key.strip_prefix(MINUTE) {
        Span::Minute(number.parse().ok()?)
    } else if let Some(number) = key.strip_prefix(HOUR) {
        Span::Hour(number.parse().ok()?)
    } else {
        return Some(false);
    };
    let bucket = stored::decode::<Bucket>("statistics", value).ok()?;
    counted.ledger.restore(span, bucket);
    Some(true)
}

impl Core {
    pub(super) fn statistics_of(&self, query: &StatisticsQuery) -> Result<Statistics, port::Error> {
        query.check().map_err(|error| port::Error::Refused {
            server: SERVER,
            reason: error.to_string(),
        })?;
        let now = self.clock.now();
        self.read(|state| {
            let buckets = state.counted.ledger.iter();
            Statistics::assemble(query, now, buckets, &standing(state))
        })
    }
}

/// How jobs stand, from counters and indexes.
pub(super) fn standing(state: &State) -> Standing {
    let mut oldest = BTreeMap::new();
    let waits = |counts: &BTreeMap<JobStatus, u64>| counts.contains_key(&JobStatus::Queued);
    let waiting: Vec<_> = state
        .counts
        .iter()
        .filter(|(_, counts)| waits(counts))
        .map(|(place, _)| place)
        .collect();
    let mut looks = Vec::new();
    for priority in Priority::DESCENDING {
        looks.push((Index::Outbox, Group::Urgency(std::cmp::Reverse(priority))));
        let queues: BTreeSet<&QueueName> = waiting.iter().map(|(queue, _)| queue).collect();
        for queue in queues {
            looks.push((Index::Ready, Group::Queue(queue.clone(), priority)));
        }
    }
    let mut parked: BTreeMap<_, u64> = BTreeMap::new();
    for (queue, function) in waiting {
        let group = Group::Worker(function.clone(), queue.clone());
        let jobs = rows_of(state, Index::Parked, &group);
        if jobs > 0 {
            *parked.entry(function.clone()).or_default() += jobs;
        }
        looks.push((Index::Parked, group));
    }
    for shard in state.shard_numbers() {
        for (index, group) in &looks {
            look(state, shard, *index, group, &mut oldest);
        }
    }
    Standing {
        jobs: state.counts.clone(),
        paused: state.paused.iter().cloned().collect(),
        oldest,
        parked,
    }
}

/// Rows of an index in every shard.
fn rows_of(state: &State, index: Index, group: &Group) -> u64 {
    let of_shard = |shard| {
        let rows = state.rows(shard);
        rows.map_or(0, |rows| rows.group_len(index, group.clone()))
    };
    state.shard_numbers().into_iter().map(of_shard).sum()
}

/// The first rows of an index: since when the oldest of them could run, by queue.
fn look(state: &State, shard: u16, index: Index, group: &Group, oldest: &mut BTreeMap<QueueName, Timestamp>) {
    let Some(rows) = state.rows(shard) else { return };
    for id in rows.group_until(index, group.clone(), u64::MAX, STATISTICS_LOOK) {
        let Some(record) = state.record(id) else { continue };
        if let Some(since) = record.ready_since {
            let known = oldest.entry(record.queue.clone()).or_insert(since);
            *known = since.min(*known);
        }
    }
}
