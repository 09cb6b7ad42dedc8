use std::fmt::Write as _;

use super::super::History;
use super::*;

fn job(name: &str) -> JobId {
    JobId::from_idempotency_key(name)
}

fn started(attempt: u32, fence: u64) -> Event {
    Event::Started { attempt, fence }
}

fn accepted(claim: u64, status: JobStatus) -> Event {
    Event::Accepted { claim, status }
}

fn seen(status: JobStatus, stamp: &str) -> Event {
    Event::Seen {
        status,
        stamp: stamp.to_owned(),
    }
}

fn history(events: impl IntoIterator<Item = Event>) -> History {
    let history = History::default();
    for event in events {
        history.saw(job("a"), event);
    }
    history
}

/// What is broken when every job has completed.
fn broken(events: impl IntoIterator<Item = Event>) -> Vec<Invariant> {
    let ends = |_| Final::of(Some(JobStatus::Completed));
    invariants(&history(events).check(ends, &Ties::default()))
}

fn invariants(verdict: &Verdict) -> Vec<Invariant> {
    verdict.violations.iter().map(|broken| broken.invariant).collect()
}

#[test]
fn a_job_that_is_retried_taken_over_and_completed_breaks_nothing() {
    let events = [
        Event::Acknowledged,
        started(1, 10),
        accepted(10, JobStatus::Retrying),
        started(2, 20),
        // The owner froze; somebody took over.
        started(3, 30),
        accepted(30, JobStatus::Completed),
        seen(JobStatus::Completed, "x"),
        seen(JobStatus::Completed, "x"),
    ];
    assert_eq!(broken(events), []);
}

#[test]
fn a_lost_job_is_told_with_its_history() {
    let history = history([Event::Acknowledged, started(1, 7)]);
    let verdict = history.check(|_| Final::of(None), &Ties::default());
    assert_eq!(invariants(&verdict), [Invariant::Known]);
    assert_eq!((verdict.lost(), verdict.doubled()), (1, 0));
    let text = verdict.to_string();
    assert!(
        text.contains(&job("a").to_string()) && text.contains("started 1 7"),
        "{text}"
    );
}

#[test]
fn a_job_that_hangs_is_lost_unless_it_waits_for_a_person() {
    let history = history([Event::Acknowledged]);
    let mut end = Final::of(Some(JobStatus::Blocked));
    assert_eq!(
        invariants(&history.check(|_| end.clone(), &Ties::default())),
        [Invariant::Ends]
    );
    end.waits_for_a_person = true;
    assert_eq!(invariants(&history.check(|_| end.clone(), &Ties::default())), []);
}

#[test]
fn what_was_never_promised_is_counted_apart() {
    let mut end = Final::of(None);
    end.excused = true;
    let verdict = history([Event::Acknowledged]).check(|_| end.clone(), &Ties::default());
    assert_eq!((verdict.lost(), verdict.excused), (0, 1));
}

#[test]
fn a_job_that_was_never_acknowledged_and_never_ran_may_be_unknown() {
    let verdict = history([Event::CancelTold]).check(|_| Final::of(None), &Ties::default());
    assert_eq!(verdict.violations, []);
}

#[test]
fn a_told_cancel_that_does_not_end_the_job_is_found() {
    let ends = |events: &[Event], status| {
        let verdict = history(events.iter().cloned()).check(|_| Final::of(Some(status)), &Ties::default());
        invariants(&verdict)
    };
    let told = [Event::Acknowledged, started(1, 1), Event::CancelTold];
    assert_eq!(ends(&told, JobStatus::Failed), [Invariant::CancelEnds]);
    assert_eq!(ends(&told, JobStatus::Expired), [Invariant::CancelEnds]);
    assert_eq!(ends(&told, JobStatus::Cancelled), []);
    // Its handler came to its end first.
    assert_eq!(ends(&told, JobStatus::Completed), []);
    let forgotten = [&told[..], &[Event::StoreWentBack]].concat();
    assert_eq!(ends(&forgotten, JobStatus::Failed), []);
}

#[test]
fn two_accepted_finishes_are_found() {
    let twice = [
        started(1, 1),
        started(2, 2),
        accepted(1, JobStatus::Completed),
        accepted(2, JobStatus::Completed),
    ];
    assert_eq!(broken(twice), [Invariant::OneFinish]);
    // The same claim may be told twice: its first answer was lost.
    assert_eq!(
        broken([
            started(1, 1),
            accepted(1, JobStatus::Failed),
            accepted(1, JobStatus::Failed)
        ]),
        []
    );
}

#[test]
fn an_end_that_changes_before_a_readers_eyes_is_found() {
    let changed = [seen(JobStatus::Completed, "x"), seen(JobStatus::Completed, "y")];
    assert_eq!(broken(changed), [Invariant::OneFinish]);
}

#[test]
fn a_store_that_went_back_begins_another_history() {
    let events = [
        started(1, 1),
        accepted(1, JobStatus::Completed),
        Event::StoreWentBack,
        started(2, 2),
        accepted(2, JobStatus::Completed),
    ];
    assert_eq!(broken(events), []);
}

#[test]
fn a_start_after_the_end_is_found_unless_somebody_requeued() {
    let again = [started(1, 1), seen(JobStatus::Failed, "x"), started(2, 2)];
    assert_eq!(broken(again), [Invariant::NoStartAfterEnd]);
    let requeued = [
        started(1, 1),
        seen(JobStatus::Failed, "x"),
        Event::Requeued,
        started(1, 2),
    ];
    assert_eq!(broken(requeued), []);
}

#[test]
fn a_late_start_after_the_end_is_forgiven_to_who_was_superseded_alone() {
    let end = seen(JobStatus::Completed, "x");
    assert_eq!(broken([started(2, 20), end.clone(), started(1, 10)]), []);
    assert_eq!(
        broken([started(1, 10), end, started(2, 20)]),
        [Invariant::NoStartAfterEnd]
    );
}

#[test]
fn a_fence_that_stands_still_is_found() {
    assert_eq!(
        broken([started(1, 5), started(2, 5)]),
        [Invariant::FencesIncrease]
    );
}

#[test]
fn a_start_that_was_undone_leaves_its_number_to_the_next() {
    let events = [
        started(1, 10),
        accepted(10, JobStatus::Scheduled),
        started(1, 20),
        accepted(20, JobStatus::Queued),
        started(1, 30),
        accepted(30, JobStatus::Retrying),
        started(2, 40),
        // Nobody saw the third start; its owner was lost.
        started(4, 60),
        accepted(60, JobStatus::Scheduled),
        started(4, 70),
        // The one that nobody had seen comes late.
        started(3, 50),
        accepted(70, JobStatus::Completed),
    ];
    assert_eq!(broken(events), []);
}

#[test]
fn a_start_by_a_number_that_counts_already_is_found() {
    let again = |before: &[Event], start| broken([before, &[start]].concat());
    let retried = [started(1, 10), accepted(10, JobStatus::Retrying)];
    assert_eq!(again(&retried, started(1, 20)), [Invariant::StartsAddUp]);
    assert_eq!(again(&retried, started(2, 20)), []);
    // An end that is told twice has undone one start.
    let snoozed = [
        started(1, 10),
        accepted(10, JobStatus::Scheduled),
        accepted(10, JobStatus::Scheduled),
        started(1, 20),
    ];
    assert_eq!(again(&snoozed, started(1, 30)), [Invariant::StartsAddUp]);
    assert_eq!(again(&snoozed, started(2, 30)), []);
    // What was undone is that of the history before.
    let requeued = [&snoozed[..2], &[Event::Requeued, started(1, 20)]].concat();
    assert_eq!(again(&requeued, started(1, 30)), [Invariant::StartsAddUp]);
    // A number that nobody saw makes no room for one before it.
    let skipped = [&retried[..], &[started(3, 30)]].concat();
    assert_eq!(again(&skipped, started(3, 40)), [Invariant::StartsAddUp]);
}

#[test]
fn where_nobody_tells_of_accepted_ends_a_number_may_come_again() {
    assert_eq!(broken([started(1, 10), started(1, 20)]), []);
}

#[test]
fn a_child_that_overtakes_its_parent_is_found() {
    let ties = Ties {
        parents: BTreeMap::from([(job("child"), vec![job("a")])]),
        ..Ties::default()
    };
    let completed = |_| Final::of(Some(JobStatus::Completed));
    let history = history([started(1, 1)]);
    history.saw(job("child"), started(1, 2));
    history.saw(job("a"), Event::Ended { attempt: 1 });
    let verdict = history.check(completed, &ties);
    assert_eq!(invariants(&verdict), [Invariant::ChildAfterParents]);
    assert_eq!(verdict.violations[0].job, job("child"));
}

#[test]
fn a_tick_with_two_jobs_is_found() {
    let ties = Ties {
        ticks: BTreeMap::from([(("nightly".to_owned(), 60), vec![job("a"), job("b")])]),
        ..Ties::default()
    };
    let verdict = History::default().check(|_| Final::of(None), &ties);
    assert_eq!(invariants(&verdict), [Invariant::OneJobPerTick]);
}

#[test]
fn events_travel_as_lines_and_a_line_that_was_cut_is_left_out() {
    let all = [
        Event::Acknowledged,
        started(1, 17),
        Event::Ended { attempt: 1 },
        accepted(17, JobStatus::Retrying),
        seen(JobStatus::Completed, "a b"),
        Event::CancelTold,
        Event::Requeued,
        Event::StoreWentBack,
    ];
    let id = job("a");
    let mut text = String::new();
    for event in &all {
        writeln!(text, "{id} {event}").unwrap();
    }
    text.push_str("0193f0a1-7c5e star");
    let read = History::default();
    read.read(&text).unwrap();
    assert_eq!(read.by_job()[&id], all);
    assert!(read.read("nonsense\n").is_err());
    assert_eq!(read.len(), all.len());
}
