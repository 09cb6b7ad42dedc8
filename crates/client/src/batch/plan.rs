//! What is written when: ids, edges, levels. Everything that can be wrong with a batch by itself is found here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use longshore_core::limits::{BATCH_JOBS_MAX, SCRIPT_JOBS_MAX};
use longshore_core::port::enqueue::NewJob;
use longshore_core::random::Random;
use longshore_core::shard::Shards;
use longshore_core::spec::{Dependency, InvalidSpec};
use longshore_core::{JobId, Timestamp};

use super::{Batch, Item};
use crate::error::EnqueueError;
use crate::options::chosen_id;
use crate::pipeline::prepare;
use crate::pipeline::stages::Entry;
use crate::pipeline::trips::SCRIPT_BYTES_MAX;

/// Problems that one error lists; a batch of 100,000 may have as many.
const PROBLEMS_MAX: usize = 100;

/// Jobs of one shard for one script call, with their places in the batch.
pub(super) type Chunk = (u16, Vec<(usize, Entry)>);

/// A batch that is right by itself.
pub(super) struct Plan {
    /// Every job's id.
    pub(super) ids: Vec<JobId>,
    /// Parents outside the batch, each with a job that names it.
    pub(super) outer: BTreeMap<JobId, usize>,
    /// Script calls, level by level: a job's parents are in levels before its own.
    pub(super) levels: Vec<Vec<Chunk>>,
}

/// Gives every job that has none an id (which the batch keeps), and plans the writes. `by` is who asks, and the trace
/// context of that.
pub(super) fn plan(
    batch: &mut Batch,
    by: (Option<&str>, Option<&str>),
    shards: Shards,
    now: Timestamp,
    random: &dyn Random,
) -> Result<Plan, EnqueueError> {
    if batch.len() > BATCH_JOBS_MAX {
        return Err(EnqueueError::TooMany { jobs: batch.len() });
    }
    let foreign = |item: &Item| item.inner.iter().any(|(parent, _)| parent.token != batch.token);
    if let Some(index) = batch.items.iter().position(foreign) {
        let problem = "depends_on: a reference belongs to another batch; use its handle or id";
        return Err(EnqueueError::problem(format!(
            "{}: {problem}",
            label(batch, index)
        )));
    }
    let fresh = assign_ids(batch, shards, now, random);
    let ids = unique_ids(batch)?;
    let places: HashMap<JobId, usize> = ids.iter().copied().zip(0..).collect();
    let (parents, outer) = edges(batch, &places);
    let levels = levels(&parents).map_err(|cycle| EnqueueError::Cycle {
        jobs: cycle.into_iter().map(|index| label(batch, index)).collect(),
    })?;
    let jobs = records(batch, &ids, by, now)?;
    let entries = jobs
        .into_iter()
        .zip(fresh)
        .map(|(job, fresh)| Entry { job, fresh })
        .collect();
    Ok(Plan {
        levels: chunks(entries, &levels, shards),
        ids,
        outer,
    })
}

/// How errors call a job of the batch.
pub(super) fn label(batch: &Batch, index: usize) -> String {
    let name = batch.items.get(index).map_or("", |item| item.draft.label());
    format!("job {} ({name})", index + 1)
}

/// Answers which jobs got their ids here. Runs of them share a shard, so that they share script calls and bundles.
fn assign_ids(batch: &mut Batch, shards: Shards, now: Timestamp, random: &dyn Random) -> Vec<bool> {
    let mut given = 0_usize;
    let mut fresh = Vec::with_capacity(batch.len());
    for item in &mut batch.items {
        let chosen = item.draft.spec().is_none_or(|spec| chosen_id(spec).is_some());
        fresh.push(!chosen);
        if chosen {
            continue;
        }
        let shard = (given / SCRIPT_JOBS_MAX) % usize::from(shards.count());
        let id = JobId::generate(now, u16::try_from(shard).unwrap_or(0), random);
        item.draft.set(|spec| spec.id = Some(id));
        given += 1;
    }
    fresh
}

fn unique_ids(batch: &Batch) -> Result<Vec<JobId>, EnqueueError> {
    let mut places: HashMap<JobId, usize> = HashMap::with_capacity(batch.len());
    let mut ids = Vec::with_capacity(batch.len());
    for (index, item) in batch.items.iter().enumerate() {
        let Some(id) = item.draft.spec().and_then(chosen_id) else {
            // Without a usable function name there is nothing to give an id to.
            let problems = item.draft.finish(None, []).err().map(|invalid| invalid.problems);
            return Err(invalid(batch, index, problems.unwrap_or_default()));
        };
        if let Some(first) = places.insert(id, index) {
            let (first, second) = (label(batch, first), label(batch, index));
            return Err(EnqueueError::Duplicate { id, first, second });
        }
        ids.push(id);
    }
    Ok(ids)
}

fn invalid(batch: &Batch, index: usize, problems: Vec<String>) -> EnqueueError {
    let label = label(batch, index);
    let problems = problems
        .into_iter()
        .map(|problem| format!("{label}: {problem}"))
        .collect();
    EnqueueError::Invalid(InvalidSpec { problems })
}

/// Each job's parents inside the batch, and the parents outside, each with a job that names it.
fn edges(batch: &Batch, places: &HashMap<JobId, usize>) -> (Vec<Vec<usize>>, BTreeMap<JobId, usize>) {
    let (mut parents, mut outer) = (Vec::with_capacity(batch.len()), BTreeMap::new());
    for (index, item) in batch.items.iter().enumerate() {
        let mut inside: Vec<usize> = item.inner.iter().map(|(parent, _)| parent.index).collect();
        for parent in item.draft.spec().map_or(&[] as &[_], |spec| &spec.depends_on) {
            match places.get(&parent.id) {
                Some(place) => inside.push(*place),
                None => {
                    outer.entry(parent.id).or_insert(index);
                }
            }
        }
        parents.push(inside);
    }
    (parents, outer)
}

/// The edges inside the batch, as ids. The batch keeps its own: they follow an id that is changed.
fn resolved(item: &Item, ids: &[JobId]) -> impl Iterator<Item = Dependency> {
    item.inner.iter().filter_map(|(parent, policy)| {
        let (id, policy) = (*ids.get(parent.index)?, *policy);
        Some(Dependency { id, policy })
    })
}

/// The level of each job: one more than the highest of its parents'. A cycle is answered as the jobs along it, the
/// first again at its end.
fn levels(parents: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
    let mut open: Vec<usize> = parents.iter().map(Vec::len).collect();
    for (child, parents) in parents.iter().enumerate() {
        for parent in parents {
            if let Some(children) = children.get_mut(*parent) {
                children.push(child);
            }
        }
    }
    let mut level = vec![0_usize; parents.len()];
    let mut ready: Vec<usize> = (0..parents.len())
        .filter(|index| open.get(*index) == Some(&0))
        .collect();
    let mut placed = 0;
    while let Some(parent) = ready.pop() {
        placed += 1;
        let next = level.get(parent).map_or(1, |level| level + 1);
        for child in children.get(parent).into_iter().flatten() {
            if let (Some(level), Some(open)) = (level.get_mut(*child), open.get_mut(*child)) {
                *level = next.max(*level);
                *open -= 1;
                if *open == 0 {
                    ready.push(*child);
                }
            }
        }
    }
    if placed == parents.len() {
        Ok(level)
    } else {
        Err(cycle(parents, &open))
    }
}

/// Walks from a job that could not be placed along parents that could not either, until one comes again.
fn cycle(parents: &[Vec<usize>], open: &[usize]) -> Vec<usize> {
    let is_open = |index: &usize| open.get(*index).is_some_and(|open| *open > 0);
    let mut path: Vec<usize> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut at = (0..parents.len()).find(is_open);
    while let Some(index) = at {
        path.push(index);
        if !seen.insert(index) {
            let start = path.iter().position(|earlier| *earlier == index).unwrap_or(0);
            return path.split_off(start);
        }
        at = parents.get(index).into_iter().flatten().copied().find(is_open);
    }
    path
}

/// The records of all jobs, or every problem of their fields.
fn records(
    batch: &Batch,
    ids: &[JobId],
    (created_by, traceparent): (Option<&str>, Option<&str>),
    now: Timestamp,
) -> Result<Vec<NewJob>, EnqueueError> {
    let (mut jobs, mut problems) = (Vec::with_capacity(ids.len()), Vec::new());
    let mut found = 0_usize;
    for (index, (item, id)) in batch.items.iter().zip(ids).enumerate() {
        let job = item
            .draft
            .finish(created_by, resolved(item, ids))
            .map_err(EnqueueError::Invalid)
            .and_then(|mut spec| {
                spec.traceparent = spec.traceparent.or_else(|| traceparent.map(str::to_owned));
                prepare(&spec, *id, now)
            });
        match job {
            Ok(job) => jobs.push(job),
            Err(error) => {
                let of_job = match error {
                    EnqueueError::Invalid(invalid) => invalid.problems,
                    other => vec![other.to_string()],
                };
                found += of_job.len();
                let room = PROBLEMS_MAX.saturating_sub(problems.len());
                let label = label(batch, index);
                problems.extend(
                    of_job
                        .into_iter()
                        .take(room)
                        .map(|problem| format!("{label}: {problem}")),
                );
            }
        }
    }
    if found == 0 {
        return Ok(jobs);
    }
    if found > problems.len() {
        problems.push(format!("and {} more", found - problems.len()));
    }
    Err(EnqueueError::Invalid(InvalidSpec { problems }))
}

/// Script calls: jobs of one level and shard together, within the bounds of a call.
fn chunks(entries: Vec<Entry>, levels: &[usize], shards: Shards) -> Vec<Vec<Chunk>> {
    let mut grouped: BTreeMap<usize, BTreeMap<u16, Vec<(usize, Entry)>>> = BTreeMap::new();
    for (index, (entry, level)) in entries.into_iter().zip(levels).enumerate() {
        let shard = shards.of(&entry.job.id);
        let of_shard = grouped.entry(*level).or_default().entry(shard).or_default();
        of_shard.push((index, entry));
    }
    let split = |(shard, entries): (u16, Vec<(usize, Entry)>)| {
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut bytes = 0;
        for (index, entry) in entries {
            let size = entry.job.envelope.len();
            match chunks.last_mut() {
                Some((_, chunk)) if chunk.len() < SCRIPT_JOBS_MAX && bytes + size <= SCRIPT_BYTES_MAX => {
                    bytes += size;
                    chunk.push((index, entry));
                }
                _ => {
                    bytes = size;
                    chunks.push((shard, vec![(index, entry)]));
                }
            }
        }
        chunks
    };
    grouped
        .into_values()
        .map(|by_shard| by_shard.into_iter().flat_map(split).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_the_longest_way_from_a_job_without_parents() {
        // 0 ← 1 ← 2, and 3 waits for 0 and 2.
        assert_eq!(
            levels(&[vec![], vec![0], vec![1], vec![0, 2], vec![]]),
            Ok(vec![0, 1, 2, 3, 0])
        );
    }

    #[test]
    fn a_cycle_is_found_behind_jobs_that_merely_wait_for_it() {
        // 0 waits for the cycle 1 → 3 → 2 → 1.
        let cycle = levels(&[vec![1], vec![3], vec![1], vec![2], vec![]]).unwrap_err();
        assert_eq!(cycle.first(), cycle.last());
        assert_eq!(cycle.len(), 4);
        assert!(!cycle.contains(&0) && !cycle.contains(&4), "{cycle:?}");
        assert_eq!(levels(&[vec![0]]), Err(vec![0, 0]));
    }
}
