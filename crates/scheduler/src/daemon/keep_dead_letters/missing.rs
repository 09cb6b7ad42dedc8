//! What the archive has lost: its queue was purged, or deleted and made anew. The records are the truth, so that their
//! dead letters are copied again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use longshore_core::message::Epoch;
use longshore_core::port;
use longshore_core::port::schedule::DeadLetter;
use longshore_core::record::Index;
use longshore_core::view::{Detail, JobFilter, JobView};
use longshore_core::{JobId, JobStatus, Timestamp};

use super::lap::Key;
use crate::context::Context;
use crate::error::Error;
use crate::publisher;

/// How often dead letters and twins are counted.
const COUNT_EVERY: Duration = Duration::from_secs(60);
/// Jobs of one page.
const PAGE: usize = 100;

/// When was counted, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    at: Option<Timestamp>,
    was_short: bool,
}

impl Counts {
    /// Whether twins are missing, and before which time of the store their letters were given up. Two counts in a row
    /// must say so: at a handover another replica may hold the archive for a moment.
    ///
    /// # Errors
    /// When the store or the broker does not answer.
    pub(super) async fn are_short(&mut self, cx: &Context) -> Result<Option<Timestamp>, Error> {
        let now = cx.clock.now();
        if self.at.is_some_and(|at| at <= now && now.since(at) < COUNT_EVERY) {
            return Ok(None);
        }
        let short = count(cx).await?;
        self.at = Some(now);
        let before = std::mem::replace(&mut self.was_short, short.is_some());
        Ok(short.filter(|_| before))
    }
}

/// The time of the count, when there are fewer twins than letters. Letters that have yet to get one come first.
async fn count(cx: &Context) -> Result<Option<Timestamp>, Error> {
    let archived = cx.ports.consume.archived().await?;
    let mut now = Timestamp::ZERO;
    for shard in cx.ports.enqueue.shards().all() {
        let state = cx.ports.checkup.shard_state(shard).await?;
        if state.heads.iter().any(|head| head.index == Index::Dead) {
            return Ok(None);
        }
        now = now.max(state.now);
    }
    let queues = cx.ports.inspect.queues().await?;
    let dead = queues
        .values()
        .filter_map(|view| view.counts.get(&JobStatus::Failed));
    let dead: u64 = dead.sum();
    Ok((archived < dead).then_some(now))
}

/// Copies the letters that a whole lap has not seen. Answers how many.
///
/// # Errors
/// When the store or the broker does not answer. What was copied twice goes with the next lap.
pub(super) async fn copy(
    cx: &Context,
    epochs: &[Epoch],
    seen: &BTreeSet<Key>,
    until: Timestamp,
) -> Result<u64, Error> {
    let filter = JobFilter {
        statuses: vec![JobStatus::Failed],
        ..JobFilter::default()
    };
    let (mut after, mut copied) = (None, 0);
    loop {
        let page = cx.ports.inspect.list(filter.clone(), after, PAGE).await?;
        let is_lost = |job: &&JobView| {
            job.finished_at.is_some_and(|at| at <= until) && !seen.contains(&(job.id, job.gen_))
        };
        let lost = page.jobs.iter().filter(is_lost).map(|job| job.id).collect();
        copied += copy_page(cx, epochs, lost).await?;
        after = page.next;
        if after.is_none() || cx.is_stopping() {
            break;
        }
    }
    if copied > 0 {
        tracing::warn!(
            copied,
            "the archive had lost copies of dead letters; they are made anew"
        );
    }
    Ok(copied)
}

async fn copy_page(cx: &Context, epochs: &[Epoch], ids: Vec<JobId>) -> Result<u64, Error> {
    let shards = cx.ports.enqueue.shards();
    let mut by_shard: BTreeMap<u16, Vec<JobId>> = BTreeMap::new();
    for id in ids {
        by_shard.entry(shards.of(&id)).or_default().push(id);
    }
    let mut copied = 0;
    for (shard, ids) in by_shard {
        let epoch = epochs.get(usize::from(shard)).copied().unwrap_or_default();
        let letters: Vec<_> = views(cx, shard, ids)
            .await?
            .into_iter()
            .filter_map(|job| letter(job, epoch))
            .collect();
        if letters.is_empty() {
            continue;
        }
        let answers = cx.ports.publish.archive(letters).await;
        copied += answers.iter().filter(|answer| answer.is_confirmed()).count() as u64;
        publisher::check(&answers)?;
    }
    Ok(copied)
}

/// The jobs that are there. One that cannot be read keeps no other from its copy.
async fn views(cx: &Context, shard: u16, ids: Vec<JobId>) -> Result<Vec<JobView>, Error> {
    let inspect = &cx.ports.inspect;
    match inspect.jobs(shard, ids.clone(), Detail::Full).await {
        Err(port::Error::Corrupt(_)) => {}
        all => return Ok(all?.into_iter().flatten().collect()),
    }
    let mut views = Vec::new();
    for id in ids {
        match inspect.jobs(shard, vec![id], Detail::Full).await {
            Err(port::Error::Corrupt(what)) => {
                tracing::warn!(%id, what, "a dead letter cannot be read, nor copied");
            }
            one => views.extend(one?.into_iter().flatten()),
        }
    }
    Ok(views)
}

/// The twin of a job that is a dead letter still.
fn letter(job: JobView, epoch: Epoch) -> Option<DeadLetter> {
    let dead_at = job.finished_at.filter(|_| job.status == JobStatus::Failed)?;
    let full = job.full?;
    Some(DeadLetter {
        id: job.id,
        gen_: job.gen_,
        epoch,
        dead_at,
        queue: job.queue,
        envelope: full.envelope,
        error: job.error.unwrap_or_default(),
        attempts: job.attempts,
        history: full.history,
    })
}
