//! What people see.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use longshore_core::clock::Timestamp;
use longshore_core::dead::Operation;
use longshore_core::id::JobId;
use longshore_core::limits::{BEAT, LIST_PAGE_MAX};
use longshore_core::name::QueueName;
use longshore_core::outcome::Progress;
use longshore_core::port::attempt::Hint;
use longshore_core::port::inspect::{InspectPort, QuarantineEntry, Wakes};
use longshore_core::port::{self, Reply};
use longshore_core::record::Record;
use longshore_core::stats::{Standing, Statistics, StatisticsQuery};
use longshore_core::view::{Cursor, Detail, FullView, JobFilter, JobPage, JobView, QueueView, WorkerView};
use serde::de::DeserializeOwned;

use super::core::Core;
use super::disk::{Disk, Part};
use super::load::paused_key;
use super::people;
use super::state::State;
use super::statistics;
use super::stored;

/// Records that one call of a listing looks at.
const LOOK_MAX: usize = 10_000;

/// What is read of a job under the lock; the rest comes from the disk after it.
struct Seen {
    id: JobId,
    record: Record,
    progress: Option<Progress>,
}

impl InspectPort for Core {
    fn jobs(&self, _shard: u16, ids: Vec<JobId>, detail: Detail) -> Reply<'_, Vec<Option<JobView>>> {
        Box::pin(std::future::ready(self.look_up(&ids, detail)))
    }

    fn list(&self, filter: JobFilter, after: Option<Cursor>, limit: usize) -> Reply<'_, JobPage> {
        Box::pin(std::future::ready(self.page(&filter, after, limit)))
    }

    fn queues(&self) -> Reply<'_, BTreeMap<QueueName, QueueView>> {
        Box::pin(std::future::ready(self.read(queues)))
    }

    fn set_paused(&self, queue: QueueName, paused: bool) -> Reply<'_, ()> {
        Box::pin(self.write(move |state, tx| {
            let key = paused_key(&queue);
            if paused {
                tx.batch.meta(&key, &[]);
                state.paused.insert(queue);
            } else {
                tx.batch.forget_meta(&key);
                state.paused.remove(&queue);
            }
            tx.hints.push(Hint::QueuesChanged);
        }))
    }

    fn workers(&self) -> Reply<'_, Vec<WorkerView>> {
        let now = self.clock.now();
        let live = self.read(|state| {
            let live = state.workers.values().filter(|worker| is_live(worker, now));
            live.cloned().collect()
        });
        Box::pin(std::future::ready(live))
    }

    fn statistics(&self, query: StatisticsQuery) -> Reply<'_, Statistics> {
        Box::pin(std::future::ready(self.statistics_of(&query)))
    }

    fn standing(&self) -> Reply<'_, Standing> {
        Box::pin(std::future::ready(self.read(statistics::standing)))
    }

    fn watch(&self, ids: Vec<JobId>) -> Reply<'_, Box<dyn Wakes>> {
        Box::pin(std::future::ready(self.disk().map(|_| self.watches.watch(ids))))
    }

    fn quarantined(&self, after: Option<String>, limit: usize) -> Reply<'_, Vec<QuarantineEntry>> {
        Box::pin(std::future::ready(self.quarantine_page(after.as_deref(), limit)))
    }

    fn drop_quarantined(&self, message_ids: Vec<String>) -> Reply<'_, Vec<bool>> {
        Box::pin(async move {
            self.write(move |_, tx| people::drop_quarantined(tx, &message_ids))
                .await?
        })
    }

    fn begin_operation(&self, operation: Operation) -> Reply<'_, Operation> {
        Box::pin(async move { self.write(move |_, tx| people::begin(tx, operation)).await? })
    }

    fn save_operation(&self, operation: Operation) -> Reply<'_, ()> {
        Box::pin(self.write(move |_, tx| people::save(tx, &operation)))
    }

    fn operations(&self) -> Reply<'_, Vec<Operation>> {
        Box::pin(std::future::ready(self.all_operations()))
    }

    fn ping(&self) -> Reply<'_, ()> {
        Box::pin(std::future::ready(self.read(|_| ())))
    }
}

/// Whether a worker has beaten within three beats.
pub(super) fn is_live(worker: &WorkerView, now: Timestamp) -> bool {
    now.since(worker.seen_at) <= BEAT * 3
}

impl Core {
    fn look_up(&self, ids: &[JobId], detail: Detail) -> Result<Vec<Option<JobView>>, port::Error> {
        let disk = self.disk()?;
        let seen: Vec<_> = self.read(|state| ids.iter().map(|id| see(state, *id)).collect())?;
        seen.into_iter()
            .map(|seen| seen.map(|seen| view(&disk, seen, detail)).transpose())
            .collect()
    }

    fn page(&self, filter: &JobFilter, after: Option<Cursor>, limit: usize) -> Result<JobPage, port::Error> {
        let disk = self.disk()?;
        let limit = limit.clamp(1, LIST_PAGE_MAX);
        let (seen, next) = self.read(|state| walk(state, filter, after, limit))?;
        let views = seen.into_iter().map(|seen| view(&disk, seen, Detail::Summary));
        Ok(JobPage {
            jobs: views.collect::<Result<_, _>>()?,
            next,
        })
    }
}

fn see(state: &State, id: JobId) -> Option<Seen> {
    let record = state.record(id)?.clone();
    Some(Seen {
        id,
        record,
        progress: state.progress.get(&id).cloned(),
    })
}

/// Walks from the newest job backwards.
fn walk(
    state: &State,
    filter: &JobFilter,
    after: Option<Cursor>,
    limit: usize,
) -> (Vec<Seen>, Option<Cursor>) {
    let lowest = JobId::from_uuid(uuid::Uuid::nil());
    let from = filter.created_from.map_or(Timestamp::ZERO, |from| from);
    let until = filter.created_until.map(|until| (until, lowest));
    let cursor = after.map(|cursor| (cursor.created_at, cursor.id));
    let end = match (until, cursor) {
        (Some(until), Some(cursor)) => Bound::Excluded(until.min(cursor)),
        (Some(end), None) | (None, Some(end)) => Bound::Excluded(end),
        (None, None) => Bound::Unbounded,
    };
    if matches!(end, Bound::Excluded(end) if end <= (from, lowest)) {
        return (Vec::new(), None);
    }
    let mut seen = Vec::new();
    let range = state.created.range((Bound::Included((from, lowest)), end));
    for (looked, (created_at, id)) in range.rev().enumerate() {
        if state.record(*id).is_some_and(|record| matches(filter, record)) {
            seen.extend(see(state, *id));
        }
        if seen.len() == limit || looked + 1 == LOOK_MAX {
            return (
                seen,
                Some(Cursor {
                    created_at: *created_at,
                    id: *id,
                }),
            );
        }
    }
    (seen, None)
}

/// As [`JobFilter::matches`], without making a view of every record.
fn matches(filter: &JobFilter, record: &Record) -> bool {
    (filter.statuses.is_empty() || filter.statuses.contains(&record.status))
        && filter
            .function_name
            .as_ref()
            .is_none_or(|function| *function == record.function_name)
        && filter.queue.as_ref().is_none_or(|queue| *queue == record.queue)
        && filter.tags.iter().all(|tag| record.tags.contains(tag))
}

fn view(disk: &Disk, seen: Seen, detail: Detail) -> Result<JobView, port::Error> {
    let Seen { id, record, progress } = seen;
    let progress = match progress {
        Some(progress) => Some(progress),
        // A job that has never started has none to be read.
        None if record.started_at.is_some() => read(disk, id, Part::Progress, "progress")?,
        None => None,
    };
    // A job that runs for the first time may have one all the same: it was a dead letter that never ran.
    let error = read(disk, id, Part::Error, "error")?;
    let full = match detail {
        Detail::Summary => None,
        Detail::Full => Some(FullView {
            envelope: disk.part(id, Part::Envelope)?.unwrap_or_else(Bytes::new),
            result: disk.part(id, Part::Result)?,
            history: Vec::new(),
        }),
    };
    Ok(record.view(id, progress.unwrap_or_default(), error, full))
}

fn read<T: DeserializeOwned>(
    disk: &Disk,
    id: JobId,
    part: Part,
    what: &'static str,
) -> Result<Option<T>, port::Error> {
    let Some(bytes) = disk.part(id, part)? else {
        return Ok(None);
    };
    let value = stored::decode(what, &bytes);
    value
        .map(Some)
        .map_err(|error| port::Error::Corrupt(format!("job {id}: {error}")))
}

fn queues(state: &State) -> BTreeMap<QueueName, QueueView> {
    let mut queues: BTreeMap<QueueName, QueueView> = BTreeMap::new();
    for ((name, _), counts) in &state.counts {
        let view = queues.entry(name.clone()).or_default();
        for (status, count) in counts {
            *view.counts.entry(*status).or_default() += count;
        }
    }
    for name in &state.paused {
        queues.entry(name.clone()).or_default().paused = true;
    }
    queues
}
