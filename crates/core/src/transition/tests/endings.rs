//! Beat, finish, expiry, cancel, dead letters, retention.

use super::*;

#[test]
fn only_the_owner_beats() {
    let mut bench = Bench::running();
    assert_eq!(
        bench.pass(10).beat(1),
        Beaten::Alive {
            cancel_requested: false
        }
    );
    assert_eq!(bench.score(Index::Running), Some(at(40).millis()));
    assert_eq!(bench.beat(2), Beaten::Lost);
    bench.cancel();
    assert_eq!(
        bench.beat(1),
        Beaten::Alive {
            cancel_requested: true
        }
    );
    bench.finish(1, completed());
    assert_eq!(bench.beat(1), Beaten::Lost);
    assert_eq!(beat(&mut Slot::Missing, Nonce(1), START), Beaten::Missing);
}

#[test]
fn each_outcome_has_its_status() {
    let outcomes = [
        (completed(), JobStatus::Completed, 1, 0),
        (failed(), JobStatus::Failed, 1, 0),
        (retry(5), JobStatus::Retrying, 1, 1),
        (Outcome::Snooze { delay: secs(5) }, JobStatus::Scheduled, 0, 0),
        (Outcome::Released, JobStatus::Queued, 0, 0),
        (Outcome::Cancelled, JobStatus::Cancelled, 1, 0),
        (Outcome::Expired, JobStatus::Expired, 1, 0),
    ];
    for (outcome, status, attempts, retries) in outcomes {
        let mut bench = Bench::running();
        bench.pass(1);
        assert_eq!(bench.finish(1, outcome.clone()), Finished::Accepted(status));
        let record = bench.record();
        assert_eq!(
            (record.status, record.attempts, record.retries),
            (status, attempts, retries)
        );
        assert_eq!(
            (record.owner, record.lease_until, &record.worker),
            (None, None, &None)
        );
        assert_eq!(record.finished_at, status.is_terminal().then_some(at(1)));
        assert_eq!(
            bench.score(Index::Due).is_some(),
            matches!(outcome, Outcome::Retry { .. } | Outcome::Snooze { .. })
        );
        assert_eq!(
            bench.effects.error.is_some(),
            matches!(outcome, Outcome::Failed { .. } | Outcome::Retry { .. })
        );
        assert_eq!(bench.effects.result.is_some(), status == JobStatus::Completed);
        assert_eq!(
            bench.finish(1, failed()),
            Finished::Accepted(status),
            "the same nonce again"
        );
        assert_eq!(bench.finish(2, completed()), Finished::Lost);
    }
}

#[test]
fn a_cancel_flag_turns_every_outcome_but_success_into_cancelled() {
    for outcome in [
        failed(),
        retry(5),
        Outcome::Snooze { delay: secs(5) },
        Outcome::Released,
        Outcome::Expired,
    ] {
        let mut bench = Bench::running();
        assert_eq!(bench.cancel(), CancelReply::Requested);
        assert_eq!(bench.finish(1, outcome), Finished::Accepted(JobStatus::Cancelled));
        assert_eq!(bench.record().cancel.as_deref(), Some("no"));
    }
    let mut bench = Bench::running();
    bench.cancel();
    assert_eq!(
        bench.finish(1, completed()),
        Finished::Accepted(JobStatus::Completed)
    );
}

#[test]
fn a_finish_is_remembered_beyond_the_record() {
    let mut bench = Bench::running();
    bench.finish(1, completed());
    bench.pass(100);
    prune(&mut bench.slot, secs(1), bench.now);
    assert_eq!(
        bench.finish(1, failed()),
        Finished::Accepted(JobStatus::Completed)
    );
    assert_eq!(bench.finish(2, failed()), Finished::Lost);
    bench.slot = Slot::Missing;
    assert_eq!(bench.finish(1, completed()), Finished::Missing);
}

#[test]
fn the_history_keeps_the_last_twenty() {
    let mut bench = Bench::running();
    for gen_ in 1..=25 {
        bench.finish(u128::from(gen_), retry(1));
        bench.pass(1).promote();
        bench.start(gen_ + 1, u128::from(gen_) + 1);
    }
    let numbers: Vec<_> = bench
        .record()
        .history
        .iter()
        .map(|attempt| attempt.number)
        .collect();
    assert_eq!(numbers, (6..=25).collect::<Vec<_>>());
    assert_eq!(bench.record().history[0].error, "Broken: it broke");
}

#[test]
fn a_lease_that_is_over_is_expired() {
    let mut bench = Bench::running();
    assert_eq!(bench.pass(29).expire_lease(), Expired::Nothing);
    assert_eq!(bench.pass(1).expire_lease(), Expired::Requeued);
    let record = bench.record();
    assert_eq!(
        (record.gen_, record.losts, record.attempts, record.outbox),
        (2, 1, 1, Some(at(30)))
    );
    bench.start(2, 2);
    bench.cancel();
    assert_eq!(
        bench.pass(30).expire_lease(),
        Expired::Ended(JobStatus::Cancelled)
    );
    assert_eq!(bench.expire_lease(), Expired::Nothing);
}

#[test]
fn the_last_loss_fails_the_job() {
    let mut bench = Bench::running();
    for gen_ in 2..=LOSTS_MAX {
        assert_eq!(bench.pass(30).expire_lease(), Expired::Requeued);
        bench.start(gen_, u128::from(gen_));
    }
    assert_eq!(bench.pass(30).expire_lease(), Expired::Ended(JobStatus::Failed));
    assert_eq!(bench.record().losts, LOSTS_MAX);
}

#[test]
fn a_clock_that_went_back_stretches_no_lease_and_no_outbox_row() {
    let mut bench = Bench::running();
    let earlier = Timestamp(START.millis() - 3_600_000);
    bench.now = earlier;
    assert_eq!(bench.claim(1, 2), Claimed::Busy { retry_in: LEASE });
    assert!(pull_back(&mut bench.slot, earlier) && !pull_back(&mut bench.slot, earlier));
    assert_eq!(bench.record().lease_until, Some(earlier.after(LEASE)));
    let mut queued = Bench::new(&job());
    assert!(!pull_back(&mut queued.slot, START));
    assert!(pull_back(&mut queued.slot, earlier));
    assert_eq!(queued.record().outbox, Some(earlier.after(OUTBOX_AHEAD_MAX)));
}

#[test]
fn waiting_jobs_expire_and_running_ones_do_not() {
    let late = NewJob {
        deadline: Some(at(10)),
        ..job()
    };
    let mut bench = Bench::new(&late);
    assert_eq!(bench.score(Index::Expiring), Some(at(10).millis()));
    assert!(!expire_waiting(&mut bench.slot, at(9)));
    bench.start(1, 1);
    assert_eq!(bench.score(Index::Expiring), None);
    assert!(!expire_waiting(&mut bench.slot, at(11)));
    bench.finish(1, retry(60));
    assert!(expire_waiting(&mut bench.slot, at(11)));
    assert!(!expire_waiting(&mut bench.slot, at(11)));
}

#[test]
fn a_cancel_ends_what_waits() {
    let mut retrying = Bench::running();
    retrying.finish(1, retry(60));
    let benches = [
        Bench::new(&job()),
        Bench::published(),
        Bench::new(&NewJob {
            run_at: Some(at(60)),
            ..job()
        }),
        Bench::new(&NewJob {
            parents: vec![id(2).into()],
            ..job()
        }),
        retrying,
    ];
    for mut bench in benches {
        assert_eq!(bench.cancel(), CancelReply::Cancelled);
        let rows: Vec<_> = bench.record().indexes().rows().map(|(index, _)| index).collect();
        assert_eq!(rows, [Index::Finished]);
        assert_eq!(bench.cancel(), CancelReply::AlreadyFinished(JobStatus::Cancelled));
    }
    assert_eq!(cancel(&mut Slot::Missing, "no", START), CancelReply::Unknown);
}

fn dead() -> Bench {
    let mut bench = Bench::running();
    bench.finish(1, failed());
    bench.pass(10);
    bench
}

#[test]
fn a_requeue_starts_a_dead_letter_anew_once() {
    let mut bench = dead();
    assert_eq!(
        requeue(&mut bench.slot, START, bench.now),
        DeadLetterChange::NotDead,
        "it died later"
    );
    assert_eq!(
        requeue(&mut bench.slot, bench.now, bench.now),
        DeadLetterChange::Done
    );
    let record = bench.record();
    assert_eq!(
        (record.gen_, record.attempts, record.retries, record.losts),
        (2, 0, 0, 0)
    );
    assert_eq!(
        requeue(&mut bench.slot, bench.now, bench.now),
        DeadLetterChange::NotDead
    );
    assert_eq!(bench.claim(1, 7), Claimed::Over(Over::Stale));
    assert_eq!(bench.start(2, 7).attempt, 1);
}

#[test]
fn a_dead_letter_past_its_deadline_stays_one() {
    let mut bench = Bench::new(&NewJob {
        deadline: Some(at(100)),
        ..job()
    });
    bench.start(1, 1);
    bench.finish(1, failed());
    let before = bench.slot.clone();
    assert_eq!(
        requeue(&mut bench.slot, at(200), at(100)),
        DeadLetterChange::PastDeadline
    );
    assert_eq!(bench.slot, before);
    assert_eq!(requeue(&mut bench.slot, at(200), at(99)), DeadLetterChange::Done);
}

#[test]
fn a_discard_leaves_a_tombstone_and_waits_for_children() {
    let mut bench = dead();
    bench.slot.record_mut().unwrap().children = 1;
    bench.slot.record_mut().unwrap().children_waiting = 1;
    assert_eq!(
        discard(&mut bench.slot, bench.now, bench.now),
        DeadLetterChange::HasChildren
    );
    assert_eq!(
        relation_due(&mut bench.slot, bench.now, || None),
        Some(ParentOutcome::Gone)
    );
    assert!(!relation_told(
        &mut bench.slot,
        &[EdgePolicy::default()],
        bench.now
    ));
    assert_eq!(
        discard(&mut bench.slot, bench.now, bench.now),
        DeadLetterChange::Done
    );
    assert_eq!(bench.slot.status(), Some(JobStatus::Failed));
    assert_eq!(
        discard(&mut bench.slot, bench.now, bench.now),
        DeadLetterChange::NotDead
    );
}

#[test]
fn a_dead_letter_is_copied_once() {
    let mut bench = dead();
    assert!(bench.score(Index::Dead).is_some());
    assert!(!dead_copied(&mut bench.slot, 2));
    assert!(bench.score(Index::Dead).is_some());
    for _ in 0..2 {
        assert!(dead_copied(&mut bench.slot, 1));
        assert_eq!(bench.score(Index::Dead), None);
    }
}

#[test]
fn a_twin_is_kept_dropped_or_makes_the_record_anew() {
    use crate::port::schedule::{DeadLetter, TwinState};
    let mut bench = dead();
    let mut twin = DeadLetter {
        id: id(1),
        gen_: 1,
        epoch: EPOCH,
        dead_at: at(3),
        queue: QueueName::default(),
        envelope: Bytes::new(),
        error: error(),
        attempts: 4,
        history: Vec::new(),
    };
    let effects = &mut Effects::default();
    assert_eq!(
        dead_twin(&mut bench.slot, &twin, EPOCH, || None, at(20), effects),
        TwinState::Keep
    );
    requeue(&mut bench.slot, at(20), at(20));
    assert_eq!(
        dead_twin(&mut bench.slot, &twin, EPOCH, || None, at(20), effects),
        TwinState::Stale
    );
    bench.slot = Slot::Missing;
    assert_eq!(
        dead_twin(&mut bench.slot, &twin, EPOCH, || None, at(20), effects),
        TwinState::Dropped
    );
    twin.epoch += 1;
    assert_eq!(
        dead_twin(&mut bench.slot, &twin, EPOCH, || None, at(20), effects),
        TwinState::Keep
    );
    assert_eq!(
        dead_twin(&mut bench.slot, &twin, EPOCH, || Some(job()), at(20), effects),
        TwinState::Rebuilt
    );
    assert_eq!((bench.status(), bench.record().attempts), (JobStatus::Failed, 4));
    assert_eq!(bench.score(Index::Dead), None);
}

#[test]
fn what_the_broker_gave_up_counts_for_running_jobs_alone() {
    let effects = &mut Effects::default();
    let mut queued = Bench::published();
    assert!(broker_gave_up(&mut queued.slot, 1, at(1), effects));
    assert_eq!((queued.record().gen_, queued.record().losts), (1, 0));
    assert_eq!(queued.score(Index::Outbox), Some(at(1).millis()));
    let mut running = Bench::running();
    for gen_ in 1..=LOSTS_MAX {
        for _ in 0..2 {
            broker_gave_up(&mut running.slot, gen_, at(1), effects);
            assert_eq!(running.record().losts, gen_, "once for each dispatch");
            assert_eq!(running.record().history.len(), 2 * gen_ as usize - 1);
        }
        if gen_ < LOSTS_MAX {
            assert_eq!(running.status(), JobStatus::Running);
            running.finish(u128::from(gen_), retry(0));
            running.promote();
            running.start(gen_ + 1, u128::from(gen_) + 1);
        }
    }
    assert_eq!(running.status(), JobStatus::Failed);
    assert!(!broker_gave_up(&mut Slot::Missing, 1, at(1), effects));
}

#[test]
fn quarantine_fails_queued_jobs_of_its_own_dispatch_alone() {
    let effects = &mut Effects::default();
    let mut queued = Bench::published();
    for other in [0, 2] {
        assert!(!quarantine(&mut queued.slot, other, "bad bytes", at(1), effects));
    }
    assert_eq!(queued.status(), JobStatus::Queued);
    assert!(quarantine(&mut queued.slot, 1, "bad bytes", at(1), effects));
    assert_eq!(queued.status(), JobStatus::Failed);
    let mut running = Bench::running();
    assert!(!quarantine(&mut running.slot, 1, "bad bytes", at(1), effects));
}

#[test]
fn retention_deletes_ended_jobs_without_children() {
    let mut live = Bench::running();
    assert_eq!(prune(&mut live.slot, secs(0), at(100)), Retained::Kept);
    let mut bench = dead();
    assert_eq!(prune(&mut bench.slot, secs(11), at(10)), Retained::Kept);
    bench.slot.record_mut().unwrap().children = 1;
    assert_eq!(prune(&mut bench.slot, secs(10), at(10)), Retained::HeldByChildren);
    assert_eq!(
        relation_due(&mut bench.slot, at(10), || None),
        Some(ParentOutcome::Gone)
    );
    relation_told(
        &mut bench.slot,
        &[EdgePolicy {
            on_failed: OnFailed::Run,
            ..EdgePolicy::default()
        }],
        at(10),
    );
    assert_eq!(prune(&mut bench.slot, secs(10), at(10)), Retained::Deleted);
}

#[test]
fn a_record_reads_back_from_its_stored_form() {
    let mut bench = Bench::new(&NewJob {
        parents: vec![id(2).into()],
        tags: vec!["a".to_owned()],
        deadline: Some(at(500)),
        ..job()
    });
    settle_edge(
        &mut bench.slot,
        id(2),
        &ParentOutcome::Completed { result: None },
        secs(0),
        START,
    );
    bench.start(1, u128::MAX);
    bench.finish(u128::MAX, retry(1));
    let bytes = rmp_serde::to_vec(bench.record()).unwrap();
    assert_eq!(&rmp_serde::from_slice::<Record>(&bytes).unwrap(), bench.record());
}
