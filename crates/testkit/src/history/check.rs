//! The invariants that can be decided from what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use longshore_core::{JobId, JobStatus};

use super::{Event, Final, Ties};

/// A promise of the protocol (`docs/reference/protocol.md`). I4 and I9 are about indexes and the broker; the tests
/// look at those themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// I1: every acknowledged job ends.
    Ends,
    /// I2: at most one accepted finish per job and history of the store.
    OneFinish,
    /// I3: no start after a terminal state was seen.
    NoStartAfterEnd,
    /// I5: fences increase.
    FencesIncrease,
    /// Starts and their numbers add up: a job starts again by a number above the last, or because that start was undone.
    StartsAddUp,
    /// I6: a child starts after all its parents.
    ChildAfterParents,
    /// I7: one job for each tick of a cron entry.
    OneJobPerTick,
    /// I8: a job that was acknowledged, or ran, is known.
    Known,
    /// A cancel that was told ends the job, unless its handler completed it.
    CancelEnds,
}

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// The job.
    pub job: JobId,
    /// What is wrong.
    pub what: String,
    /// Everything that was seen of the job.
    pub events: Vec<Event>,
}

/// What a history shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Jobs whose enqueue was acknowledged.
    pub acknowledged: usize,
    /// Starts of handlers.
    pub starts: usize,
    /// Acknowledged jobs that the store lost while they waited in it: not promised, and counted apart.
    pub excused: usize,
    /// What was broken, in the order of the jobs.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// Acknowledged jobs that never ended or are not known.
    pub fn lost(&self) -> usize {
        self.jobs_with(&[Invariant::Ends, Invariant::Known])
    }

    /// Jobs that ended twice, or that ran on after their end.
    pub fn doubled(&self) -> usize {
        self.jobs_with(&[
            Invariant::OneFinish,
            Invariant::NoStartAfterEnd,
            Invariant::OneJobPerTick,
        ])
    }

    fn jobs_with(&self, which: &[Invariant]) -> usize {
        let found = self
            .violations
            .iter()
            .filter(|broken| which.contains(&broken.invariant));
        found.map(|broken| broken.job).collect::<BTreeSet<_>>().len()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} jobs acknowledged, {} starts, {} lost, {} doubled, {} beyond the promise",
            self.acknowledged,
            self.starts,
            self.lost(),
            self.doubled(),
            self.excused
        )?;
        for broken in &self.violations {
            write!(f, "\n{:?}: job {}: {}", broken.invariant, broken.job, broken.what)?;
            for event in &broken.events {
                write!(f, "\n    {event}")?;
            }
        }
        Ok(())
    }
}

pub(super) fn check(events: &[(JobId, Event)], ends: impl Fn(JobId) -> Final, ties: &Ties) -> Verdict {
    let mut verdict = Verdict::default();
    let mut jobs: BTreeMap<JobId, Vec<(usize, &Event)>> = BTreeMap::new();
    for (at, (job, event)) in events.iter().enumerate() {
        jobs.entry(*job).or_default().push((at, event));
        verdict.starts += usize::from(matches!(event, Event::Started { .. }));
    }
    // Handlers that are other processes do not hear of them.
    let ends_are_told = events
        .iter()
        .any(|(_, event)| matches!(event, Event::Accepted { .. }));
    let first_ends = first_ends(events);
    for (job, seen) in &jobs {
        let mut broken = Vec::new();
        let end = ends(*job);
        let acknowledged = seen.iter().any(|(_, event)| **event == Event::Acknowledged);
        verdict.acknowledged += usize::from(acknowledged);
        verdict.excused += usize::from(acknowledged && end.excused);
        came_to_an_end(acknowledged, seen, &end, &mut broken);
        told_cancels(seen, &end, &mut broken);
        finishes(seen, &mut broken);
        starts(seen, &mut broken);
        if ends_are_told {
            numbers(seen, &mut broken);
        }
        after_parents(
            ties.parents.get(job).map_or(&[], Vec::as_slice),
            seen,
            &first_ends,
            &mut broken,
        );
        verdict
            .violations
            .extend(broken.into_iter().map(|(invariant, what)| Violation {
                invariant,
                job: *job,
                what,
                events: seen.iter().map(|(_, event)| (*event).clone()).collect(),
            }));
    }
    for ((entry, tick), made) in &ties.ticks {
        if let [_, second, ..] = made.as_slice() {
            verdict.violations.push(Violation {
                invariant: Invariant::OneJobPerTick,
                job: *second,
                what: format!("tick {tick} of {entry} made {} jobs", made.len()),
                events: Vec::new(),
            });
        }
    }
    verdict
}

type Broken = Vec<(Invariant, String)>;
type Seen<'a> = [(usize, &'a Event)];

/// Where each job was first seen or reported to have ended well or otherwise.
fn first_ends(events: &[(JobId, Event)]) -> BTreeMap<JobId, usize> {
    let mut ends = BTreeMap::new();
    for (at, (job, event)) in events.iter().enumerate() {
        let ended = match event {
            Event::Ended { .. } => true,
            Event::Accepted { status, .. } | Event::Seen { status, .. } => status.is_terminal(),
            _ => false,
        };
        if ended {
            ends.entry(*job).or_insert(at);
        }
    }
    ends
}

fn came_to_an_end(acknowledged: bool, seen: &Seen<'_>, end: &Final, broken: &mut Broken) {
    if end.excused {
        return;
    }
    match end.status {
        None if acknowledged => {
            broken.push((
                Invariant::Known,
                "it was acknowledged, and nobody knows it".to_owned(),
            ));
        }
        None if seen
            .iter()
            .any(|(_, event)| matches!(event, Event::Started { .. })) =>
        {
            broken.push((Invariant::Known, "it ran, and nobody knows it".to_owned()));
        }
        Some(status) if !status.is_terminal() && !end.waits_for_a_person => {
            broken.push((
                Invariant::Ends,
                format!("it is {status} when everything is at rest"),
            ));
        }
        _ => {}
    }
}

/// What ended otherwise had no cancel that was told. A store that went back has forgotten it, and who queues a job again
/// wants it to run.
fn told_cancels(seen: &Seen<'_>, end: &Final, broken: &mut Broken) {
    let told = seen.iter().rev().find_map(|(_, event)| match event {
        Event::CancelTold => Some(true),
        Event::StoreWentBack | Event::Requeued => Some(false),
        _ => None,
    });
    let Some(status) = end.status.filter(|_| told == Some(true) && !end.excused) else {
        return;
    };
    if !matches!(status, JobStatus::Cancelled | JobStatus::Completed) {
        broken.push((
            Invariant::CancelEnds,
            format!("it is {status}, and somebody was told that it is cancelled"),
        ));
    }
}

/// One end in each history of the store: by what workers were told, and by what readers saw.
fn finishes(seen: &Seen<'_>, broken: &mut Broken) {
    let (mut claims, mut stamps): (BTreeSet<u64>, BTreeSet<(String, &str)>) = Default::default();
    for (_, event) in seen {
        match event {
            Event::Accepted { claim, status } if status.is_terminal() => {
                claims.insert(*claim);
            }
            Event::Seen { status, stamp } if status.is_terminal() => {
                stamps.insert((status.to_string(), stamp));
            }
            Event::StoreWentBack | Event::Requeued => {
                claims.clear();
                stamps.clear();
            }
            _ => {}
        }
        if claims.len() > 1 {
            broken.push((
                Invariant::OneFinish,
                format!("finishes of {} claims were accepted", claims.len()),
            ));
            return;
        }
        if stamps.len() > 1 {
            broken.push((Invariant::OneFinish, format!("it was seen to end as {stamps:?}")));
            return;
        }
    }
}

/// No start once its end was seen, and no two claims in the wrong order. A worker that froze after its claim may start
/// late, with an attempt and a fence below those of its successor, and even after that one's end: that is what the fence is
/// for.
fn starts(seen: &Seen<'_>, broken: &mut Broken) {
    let (mut ended, mut before): (Option<JobStatus>, Vec<(u32, u64)>) = (None, Vec::new());
    for (_, event) in seen {
        match event {
            Event::Seen { status, .. } | Event::Accepted { status, .. } if status.is_terminal() => {
                ended = Some(*status);
            }
            Event::StoreWentBack | Event::Requeued => {
                ended = None;
                before.clear();
            }
            Event::Started { attempt, fence } => {
                let superseded = before.iter().any(|(_, other)| other > fence);
                if let Some(status) = ended.filter(|_| !superseded) {
                    broken.push((
                        Invariant::NoStartAfterEnd,
                        format!("attempt {attempt} started after it was {status}"),
                    ));
                }
                let wrong = |(earlier, other): &&(u32, u64)| {
                    other == fence || (earlier < attempt) != (other < fence) && earlier != attempt
                };
                if let Some((earlier, other)) = before.iter().find(wrong) {
                    broken.push((
                        Invariant::FencesIncrease,
                        format!("attempt {attempt} has fence {fence}, and attempt {earlier} had {other}"),
                    ));
                }
                before.push((*attempt, *fence));
            }
            _ => {}
        }
    }
}

/// Each start has a number one above that of the last, unless an accepted end has undone that one, as a snooze or a worker's
/// stop does: a job that snoozes starts as often as it likes, and nothing else starts twice by one number. Starts that nobody
/// saw, and workers that were lost, are counted in the numbers.
fn numbers(seen: &Seen<'_>, broken: &mut Broken) {
    let (mut by_fence, mut undone): (BTreeMap<u64, u32>, BTreeSet<u64>) = Default::default();
    for (_, event) in seen {
        match event {
            Event::StoreWentBack | Event::Requeued => {
                by_fence.clear();
                undone.clear();
            }
            Event::Accepted {
                claim,
                status: JobStatus::Scheduled | JobStatus::Queued,
            } => {
                undone.insert(*claim);
            }
            Event::Started { attempt, fence } => {
                by_fence.insert(*fence, *attempt);
                let again = uncounted(by_fence.values());
                if again > undone.len() {
                    broken.push((
                        Invariant::StartsAddUp,
                        format!(
                            "attempt {attempt}, fence {fence}: {again} starts are counted in no number, and {} were \
                             undone",
                            undone.len()
                        ),
                    ));
                    return;
                }
            }
            _ => {}
        }
    }
}

/// How many starts, of those with these numbers one after the other, are more than the numbers tell: the most of any stretch.
fn uncounted<'a>(numbers: impl Iterator<Item = &'a u32>) -> usize {
    let (mut before, mut more, mut most) = (0_u32, 0_u32, 0);
    for number in numbers {
        more = (more + 1).saturating_sub(number.saturating_sub(before));
        most = most.max(more);
        before = *number;
    }
    most as usize
}

fn after_parents(parents: &[JobId], seen: &Seen<'_>, ends: &BTreeMap<JobId, usize>, broken: &mut Broken) {
    let first = seen
        .iter()
        .find(|(_, event)| matches!(event, Event::Started { .. }));
    let Some((start, _)) = first else { return };
    for parent in parents {
        if ends.get(parent).is_none_or(|end| end > start) {
            broken.push((
                Invariant::ChildAfterParents,
                format!("it started before its parent {parent} had ended"),
            ));
        }
    }
}

#[cfg(test)]
mod tests;
