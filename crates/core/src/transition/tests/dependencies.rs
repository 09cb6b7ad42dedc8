//! Parents and children.

use super::*;

fn child(parents: &[(u128, EdgePolicy)]) -> NewJob {
    let parents = parents.iter().map(|(number, policy)| Dependency {
        id: id(*number),
        policy: *policy,
    });
    NewJob {
        parents: parents.collect(),
        ..job()
    }
}

const WAIT: EdgePolicy = EdgePolicy {
    on_failed: OnFailed::Wait,
    on_cancelled: OnCancelled::Cancel,
};
const CANCEL: EdgePolicy = EdgePolicy {
    on_failed: OnFailed::Cancel,
    on_cancelled: OnCancelled::Cancel,
};
const RUN: EdgePolicy = EdgePolicy {
    on_failed: OnFailed::Run,
    on_cancelled: OnCancelled::Run,
};
const DONE: ParentOutcome = ParentOutcome::Completed { result: None };

fn tell(bench: &mut Bench, parent: u128, outcome: &ParentOutcome) -> (EdgeSettled, bool) {
    let (settled, kept) = settle_edge(&mut bench.slot, id(parent), outcome, secs(5), bench.now);
    (settled, kept.is_some())
}

#[test]
fn the_last_parent_releases_the_child() {
    let mut bench = Bench::new(&child(&[(2, WAIT), (3, WAIT)]));
    assert_eq!(tell(&mut bench, 2, &DONE), (EdgeSettled::Waiting, true));
    assert_eq!(tell(&mut bench, 2, &DONE), (EdgeSettled::Nothing, false));
    assert_eq!(tell(&mut bench, 9, &DONE), (EdgeSettled::Nothing, false));
    assert_eq!(
        tell(&mut bench, 3, &DONE),
        (EdgeSettled::Released { gen_: 1 }, true)
    );
    assert_eq!(
        (bench.score(Index::Edges), bench.score(Index::Outbox)),
        (None, Some(at(5).millis()))
    );
    assert_eq!(tell(&mut bench, 3, &DONE), (EdgeSettled::Nothing, false));
}

#[test]
fn a_released_child_that_is_not_due_is_scheduled() {
    let mut bench = Bench::new(&NewJob {
        run_at: Some(at(60)),
        ..child(&[(2, WAIT)])
    });
    assert_eq!(tell(&mut bench, 2, &DONE), (EdgeSettled::Scheduled, true));
    assert_eq!(bench.score(Index::Due), Some(at(60).millis()));
    let mut late = Bench::new(&NewJob {
        run_at: Some(at(60)),
        ..child(&[(2, WAIT)])
    });
    assert_eq!(
        tell(late.pass(60), 2, &DONE),
        (EdgeSettled::Released { gen_: 1 }, true)
    );
}

#[test]
fn the_policy_decides_when_a_parent_does_not_complete() {
    let cases = [
        (WAIT, ParentOutcome::Failed, (EdgeSettled::Waiting, false)),
        (CANCEL, ParentOutcome::Failed, (EdgeSettled::Cancelled, true)),
        (
            RUN,
            ParentOutcome::Failed,
            (EdgeSettled::Released { gen_: 1 }, true),
        ),
        (WAIT, ParentOutcome::Cancelled, (EdgeSettled::Cancelled, true)),
        (WAIT, ParentOutcome::Gone, (EdgeSettled::Cancelled, true)),
        (
            RUN,
            ParentOutcome::Cancelled,
            (EdgeSettled::Released { gen_: 1 }, true),
        ),
        (
            RUN,
            ParentOutcome::Gone,
            (EdgeSettled::Released { gen_: 1 }, true),
        ),
    ];
    for (policy, outcome, expected) in cases {
        let mut bench = Bench::new(&child(&[(2, policy)]));
        assert_eq!(tell(&mut bench, 2, &outcome), expected, "{policy:?}, {outcome:?}");
        if expected.0 == EdgeSettled::Cancelled {
            assert!(
                bench
                    .record()
                    .cancel
                    .as_ref()
                    .unwrap()
                    .contains(&id(2).to_string())
            );
        }
    }
}

#[test]
fn only_a_blocked_child_is_aborted_or_failed() {
    let mut queued = Bench::published();
    assert!(!abort(&mut queued.slot));
    assert!(!fail_blocked(
        &mut queued.slot,
        error(),
        START,
        &mut Effects::default()
    ));
    let mut blocked = Bench::new(&child(&[(2, WAIT)]));
    assert!(fail_blocked(
        &mut blocked.slot,
        error(),
        START,
        &mut blocked.effects
    ));
    assert_eq!(
        (blocked.status(), blocked.effects.error.as_ref()),
        (JobStatus::Failed, Some(&error()))
    );
    let mut blocked = Bench::new(&child(&[(2, WAIT)]));
    assert!(abort(&mut blocked.slot));
    assert_eq!(blocked.slot, Slot::Missing);
}

#[test]
fn verified_edges_are_verified_later_and_later() {
    let mut bench = Bench::new(&child(&[(2, WAIT)]));
    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert!(edges_verified(&mut bench.slot, START));
        pauses.push((bench.score(Index::Edges).unwrap() - START.millis()) / 60_000);
    }
    assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 360, 360]);
}

#[test]
fn a_child_whose_edges_were_verified_is_not_aborted() {
    let mut bench = Bench::new(&child(&[(2, WAIT)]));
    edges_verified(&mut bench.slot, START);
    assert!(!abort(&mut bench.slot), "its enqueue was acknowledged");
    assert_eq!(bench.status(), JobStatus::Blocked);
}

#[test]
fn results_of_parents_are_kept_up_to_a_bound() {
    let parents: Vec<_> = (2..70).map(|number| (number, WAIT)).collect();
    let mut bench = Bench::new(&child(&parents));
    let result = Some(Bytes::from(vec![7; PARENT_RESULT_BYTES_MAX]));
    let outcome = ParentOutcome::Completed { result };
    for number in 2..70 {
        let (_, kept) = settle_edge(&mut bench.slot, id(number), &outcome, secs(5), START);
        let within = (number as usize - 1) * PARENT_RESULT_BYTES_MAX <= PARENT_RESULTS_BYTES_MAX;
        assert_eq!(
            kept.unwrap(),
            if within { outcome.clone() } else { DONE },
            "{number}"
        );
    }
    assert_eq!(
        (bench.status(), bench.record().parent_bytes),
        (JobStatus::Queued, 0)
    );
}

#[test]
fn a_parent_takes_a_bounded_number_of_children() {
    let mut bench = Bench::running();
    bench.slot.record_mut().unwrap().children = u32::try_from(CHILDREN_MAX).unwrap();
    assert_eq!(
        register(&mut bench.slot, WAIT, None, no_result),
        ParentState::Full
    );
    let again = register(&mut bench.slot, CANCEL, Some(WAIT), no_result);
    assert_eq!(again, ParentState::Open, "it is one of them already");
    assert_eq!(bench.record().children as usize, CHILDREN_MAX);
}

fn no_result() -> Option<Bytes> {
    None
}

#[test]
fn a_live_parent_takes_the_child_and_tells_it_once_it_ends() {
    let mut parent = Bench::running();
    assert_eq!(
        register(&mut parent.slot, CANCEL, None, no_result),
        ParentState::Open
    );
    assert_eq!(
        register(&mut parent.slot, CANCEL, Some(CANCEL), no_result),
        ParentState::Open
    );
    assert_eq!(
        register(&mut parent.slot, WAIT, None, no_result),
        ParentState::Open
    );
    assert_eq!(
        (parent.record().children, parent.record().children_waiting),
        (2, 1)
    );
    assert_eq!(relation_due(&mut parent.slot, parent.now, no_result), None);
    parent.finish(1, completed());
    let result = || Some(Bytes::from_static(b"r"));
    let told = ParentOutcome::Completed { result: result() };
    assert_eq!(relation_due(&mut parent.slot, parent.now, result), Some(told));
    assert_eq!(
        relation_due(&mut parent.slot, parent.now, result),
        None,
        "it is leased"
    );
    assert!(relation_told(&mut parent.slot, &[CANCEL], parent.now));
    assert!(!relation_told(&mut parent.slot, &[WAIT], parent.now));
    assert_eq!((parent.record().children, parent.score(Index::Rel)), (0, None));
}

#[test]
fn a_failed_parent_keeps_the_children_that_wait_for_a_requeue() {
    let mut parent = Bench::running();
    register(&mut parent.slot, WAIT, None, no_result);
    parent.finish(1, failed());
    assert_eq!(parent.score(Index::Rel), None);
    assert_eq!(
        register(&mut parent.slot, WAIT, None, no_result),
        ParentState::Open
    );
    let settled = ParentState::Settled(ParentOutcome::Failed);
    assert_eq!(register(&mut parent.slot, RUN, None, no_result), settled);
    parent.pass(1);
    requeue(&mut parent.slot, parent.now, parent.now);
    parent.start(2, 2);
    parent.finish(2, completed());
    assert!(parent.score(Index::Rel).is_some());
}

#[test]
fn an_ended_parent_answers_at_once() {
    let mut parent = Bench::running();
    parent.finish(1, completed());
    let large = || Some(Bytes::from(vec![0; crate::limits::PARENT_RESULT_BYTES_MAX + 1]));
    assert_eq!(
        register(&mut parent.slot, WAIT, None, large),
        ParentState::Settled(DONE)
    );
    parent.pass(100);
    prune(&mut parent.slot, secs(1), parent.now);
    assert_eq!(
        register(&mut parent.slot, WAIT, None, no_result),
        ParentState::Settled(DONE)
    );
    assert_eq!(
        register(&mut Slot::Missing, WAIT, None, no_result),
        ParentState::Unknown
    );
    let mut cancelled = Bench::new(&job());
    cancelled.cancel();
    let settled = ParentState::Settled(ParentOutcome::Cancelled);
    assert_eq!(register(&mut cancelled.slot, WAIT, None, no_result), settled);
    let mut dead = Bench::running();
    dead.finish(1, failed());
    dead.pass(1);
    discard(&mut dead.slot, dead.now, dead.now);
    assert_eq!(
        register(&mut dead.slot, WAIT, None, no_result),
        ParentState::Settled(ParentOutcome::Gone)
    );
}
