//! Enqueue, outbox, promotion, audit, claim, rebuild, give-back.

use super::*;

#[test]
fn a_new_job_is_queued_scheduled_or_blocked() {
    let queued = Bench::new(&job());
    assert_eq!((queued.status(), queued.record().gen_), (JobStatus::Queued, 1));
    assert_eq!(
        queued.score(Index::Outbox),
        Some(START.after(OUTBOX_GRACE).millis())
    );
    let scheduled = Bench::new(&NewJob {
        run_at: Some(at(60)),
        ..job()
    });
    assert_eq!(
        (scheduled.status(), scheduled.record().gen_),
        (JobStatus::Scheduled, 0)
    );
    assert_eq!(scheduled.score(Index::Due), Some(at(60).millis()));
    let past = Bench::new(&NewJob {
        run_at: Some(START),
        ..job()
    });
    assert_eq!((past.status(), past.record().run_at), (JobStatus::Queued, None));
    let blocked = Bench::new(&NewJob {
        parents: vec![id(2).into()],
        run_at: Some(at(60)),
        ..job()
    });
    assert_eq!((blocked.status(), blocked.record().gen_), (JobStatus::Blocked, 0));
    assert_eq!(blocked.score(Index::Edges), Some(at(5).millis()));
}

#[test]
fn a_known_job_is_the_existing_one_or_a_conflict() {
    let mut bench = Bench::new(&job());
    let known = Enqueued::Existing {
        status: JobStatus::Queued,
        gen_: 1,
        unpublished: true,
    };
    assert_eq!(enqueue(&mut bench.slot, &job(), at(1)), known);
    mark_published(&mut bench.slot, 1, at(1));
    let known = Enqueued::Existing {
        status: JobStatus::Queued,
        gen_: 1,
        unpublished: false,
    };
    assert_eq!(enqueue(&mut bench.slot, &job(), at(1)), known);
    let other = NewJob {
        fingerprint: 6,
        ..job()
    };
    assert_eq!(enqueue(&mut bench.slot, &other, at(1)), Enqueued::Conflict);
    bench.start(1, 1);
    bench.finish(1, completed());
    bench.pass(100);
    assert_eq!(prune(&mut bench.slot, secs(10), bench.now), Retained::Deleted);
    let known = Enqueued::Existing {
        status: JobStatus::Completed,
        gen_: 1,
        unpublished: false,
    };
    assert_eq!(enqueue(&mut bench.slot, &job(), bench.now), known);
    assert_eq!(enqueue(&mut bench.slot, &other, bench.now), Enqueued::Conflict);
}

#[test]
fn a_mark_counts_for_a_queued_job_of_that_gen_alone() {
    let mut bench = Bench::new(&job());
    assert!(!mark_published(&mut bench.slot, 2, at(1)));
    assert!(mark_published(&mut bench.slot, 1, at(1)));
    assert_eq!(
        (bench.score(Index::Outbox), bench.score(Index::Ready)),
        (None, Some(at(1).millis()))
    );
    assert!(!mark_published(&mut bench.slot, 1, at(2)));
    bench.start(1, 1);
    assert!(!mark_published(&mut bench.slot, 1, at(1)));
    assert!(!mark_published(&mut Slot::Missing, 1, at(1)));
}

#[test]
fn an_outbox_row_is_leased_when_due_and_its_lease_extended() {
    let mut bench = Bench::new(&job());
    assert!(!lease_outbox(&mut bench.slot, at(4)));
    assert!(lease_outbox(&mut bench.slot, at(5)));
    assert!(!lease_outbox(&mut bench.slot, at(6)));
    assert!(extend_outbox(&mut bench.slot, 1, OUTBOX_LEASE, at(20)));
    assert_eq!(
        bench.score(Index::Outbox),
        Some(at(20).after(OUTBOX_LEASE).millis())
    );
    assert!(!extend_outbox(&mut bench.slot, 2, OUTBOX_LEASE, at(20)));
    mark_published(&mut bench.slot, 1, at(21));
    assert!(!extend_outbox(&mut bench.slot, 1, OUTBOX_LEASE, at(22)));
    assert!(!lease_outbox(&mut bench.slot, at(1_000)));
}

#[test]
fn promotion_waits_for_the_time_and_raises_the_gen() {
    let mut bench = Bench::new(&NewJob {
        run_at: Some(at(60)),
        ..job()
    });
    assert_eq!(bench.pass(59).promote(), Promoted::Nothing);
    assert_eq!(bench.pass(1).promote(), Promoted::Leased);
    assert_eq!((bench.status(), bench.record().gen_), (JobStatus::Queued, 1));
    assert_eq!(bench.score(Index::Outbox), Some(at(90).millis()));
    assert_eq!(bench.promote(), Promoted::Nothing);
}

#[test]
fn promotion_ends_what_is_past_its_time() {
    let mut bench = Bench::new(&NewJob {
        run_at: Some(at(60)),
        deadline: Some(at(61)),
        ..job()
    });
    assert_eq!(bench.pass(61).promote(), Promoted::Ended(JobStatus::Expired));
}

#[test]
fn the_audit_takes_only_what_was_published_before_the_mark_and_keeps_the_gen() {
    let mut bench = Bench::new(&job());
    assert!(
        !audit(&mut bench.slot, at(100), false, at(100)),
        "it was never published"
    );
    mark_published(&mut bench.slot, 1, at(10));
    assert!(!audit(&mut bench.slot, at(10), false, at(100)));
    assert!(!audit(&mut bench.slot, at(11), true, at(100)), "paused");
    assert!(audit(&mut bench.slot, at(11), false, at(100)));
    assert!(!audit(&mut bench.slot, at(11), false, at(100)), "it is leased");
    assert_eq!(
        (bench.record().gen_, bench.score(Index::Outbox)),
        (1, Some(at(130).millis()))
    );
}

#[test]
fn missing_and_tombstoned_deliveries() {
    let mut bench = Bench::published();
    bench.slot = Slot::Missing;
    assert_eq!(bench.claim(1, 1), Claimed::Missing { epoch: EPOCH });
    let mut bench = Bench::running();
    bench.finish(1, completed());
    for _ in 0..2 {
        assert_eq!(
            bench.claim(2, 2),
            Claimed::Over(Over::Ended(JobStatus::Completed))
        );
        bench.pass(100);
        prune(&mut bench.slot, secs(1), bench.now);
    }
    assert!(matches!(bench.slot, Slot::Tombstone(_)));
}

#[test]
fn a_claim_starts_an_attempt_and_a_retried_claim_gets_the_same_answer() {
    let mut bench = Bench::published();
    let grant = bench.start(1, 1);
    assert_eq!(
        (grant.attempt, grant.retries, grant.losts, grant.gen_),
        (1, 0, 0, 1)
    );
    assert_eq!(grant.fence, START.millis() * 1_000);
    assert_eq!(bench.score(Index::Running), Some(START.after(LEASE).millis()));
    assert_eq!(bench.pass(3).start(1, 1), grant);
    assert_eq!(
        bench.pass(100).start(1, 1),
        grant,
        "the owner stays while nobody took over"
    );
}

#[test]
fn a_live_lease_is_busy_whatever_the_gen() {
    let mut bench = Bench::running();
    bench.pass(10);
    for gen_ in 0..3 {
        assert_eq!(bench.claim(gen_, 9), Claimed::Busy { retry_in: secs(20) });
    }
}

#[test]
fn a_lease_that_is_over_is_taken_over() {
    let mut bench = Bench::running();
    let first = bench.record().fence;
    let second = bench.pass(30).start(1, 2);
    assert_eq!((second.attempt, second.losts, second.retries), (2, 1, 0));
    assert!(second.fence > first);
    assert_eq!(bench.beat(1), Beaten::Lost);
    assert_eq!(bench.finish(1, completed()), Finished::Lost);
    assert_eq!(bench.record().history[0].outcome, "lost");
}

#[test]
fn fences_rise_even_when_the_clock_goes_back() {
    let mut bench = Bench::running();
    let first = bench.record().fence;
    bench.finish(1, Outcome::Released);
    bench.now = Timestamp(5);
    assert_eq!(bench.start(2, 2).fence, first + 1);
}

#[test]
fn takeover_and_expiry_pause_when_the_sweep_was_away() {
    let mut bench = Bench::running();
    assert_eq!(bench.sweep.look(START), None);
    assert_eq!(bench.pass(300).claim(1, 2), Claimed::Busy { retry_in: LEASE });
    assert!(matches!(bench.beat(1), Beaten::Alive { .. }));
    assert!(matches!(bench.pass(29).claim(1, 2), Claimed::Busy { .. }));
    assert!(matches!(bench.pass(2).claim(1, 2), Claimed::Run(_)));
}

#[test]
fn a_takeover_ends_what_is_to_be_cancelled_or_was_lost_too_often() {
    let mut bench = Bench::running();
    bench.cancel();
    bench.paused = true;
    assert_eq!(
        bench.pass(30).claim(1, 2),
        Claimed::Over(Over::Ended(JobStatus::Cancelled))
    );
    let mut bench = Bench::running();
    for lost in 1..LOSTS_MAX {
        assert_eq!(bench.pass(30).start(1, u128::from(lost) + 1).losts, lost);
        bench.sweep = Sweep::default();
    }
    assert_eq!(
        bench.pass(30).claim(1, 9),
        Claimed::Over(Over::Ended(JobStatus::Failed))
    );
    assert_eq!(bench.effects.error.as_ref().unwrap().error_type, "worker_lost");
}

#[test]
fn what_waits_elsewhere_or_is_newer_makes_a_message_stale() {
    let mut scheduled = Bench::new(&NewJob {
        run_at: Some(at(60)),
        ..job()
    });
    assert_eq!(scheduled.claim(0, 1), Claimed::Over(Over::Stale));
    let mut blocked = Bench::new(&NewJob {
        parents: vec![id(2).into()],
        ..job()
    });
    assert_eq!(blocked.claim(0, 1), Claimed::Over(Over::Stale));
    let mut retrying = Bench::running();
    retrying.finish(1, retry(60));
    assert_eq!(retrying.claim(1, 2), Claimed::Over(Over::Stale));
    let mut given_back = Bench::published();
    give_back(&mut given_back.slot, 1, &GiveBackReason::Unstarted, EPOCH, START);
    assert_eq!(given_back.claim(1, 2), Claimed::Over(Over::Stale));
}

#[test]
fn a_newer_gen_is_adopted_from_every_waiting_status() {
    let mut retrying = Bench::running();
    retrying.finish(1, retry(60));
    let benches = [
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
        assert_eq!(bench.start(5, 5).gen_, 5);
        assert_eq!(bench.record().gen_, 5);
        assert_eq!((bench.score(Index::Due), bench.score(Index::Edges)), (None, None));
    }
}

#[test]
fn a_claim_respects_pause_expiry_and_deadline() {
    let mut bench = Bench::published();
    bench.paused = true;
    assert_eq!(bench.claim(1, 1), Claimed::Paused);
    assert_eq!(bench.record().attempts, 0);
    for late in [
        NewJob {
            expires_at: Some(at(10)),
            ..job()
        },
        NewJob {
            deadline: Some(at(10)),
            ..job()
        },
    ] {
        let mut bench = Bench::new(&late);
        bench.paused = true;
        assert_eq!(
            bench.pass(10).claim(1, 1),
            Claimed::Over(Over::Ended(JobStatus::Expired))
        );
    }
    let mut started = Bench::new(&NewJob {
        expires_at: Some(at(10)),
        ..job()
    });
    started.start(1, 1);
    started.finish(1, Outcome::Released);
    assert_eq!(started.pass(20).start(2, 2).attempt, 1);
}

#[test]
fn a_lost_record_is_made_anew_and_a_running_attempt_keeps_its_number() {
    for (then, attempt) in [(Then::Claim, 3), (Then::GoOn, 2)] {
        let mut bench = Bench::published();
        bench.slot = Slot::Missing;
        let ask = Rebuild {
            job: job(),
            gen_: 4,
            attempts: 2,
            retries: 1,
            losts: 1,
            nonce: Nonce(8),
            worker: WorkerId("w".to_owned()),
            then,
        };
        let mut gate = Gate {
            paused: then == Then::GoOn,
            sweep: &mut bench.sweep,
        };
        let first = rebuild(&mut bench.slot, &ask, &mut gate, EPOCH, START, &mut bench.effects);
        let Claimed::Run(grant) = &first else {
            panic!("{first:?}")
        };
        assert_eq!(
            (grant.attempt, grant.retries, grant.losts, grant.gen_),
            (attempt, 1, 1, 4)
        );
        let mut gate = Gate {
            paused: false,
            sweep: &mut bench.sweep,
        };
        let again = rebuild(&mut bench.slot, &ask, &mut gate, EPOCH, START, &mut bench.effects);
        assert_eq!(again, first);
    }
}

#[test]
fn a_give_back_counts_for_a_queued_job_of_that_gen_or_of_an_older_one() {
    let back =
        |bench: &mut Bench, gen_| give_back(&mut bench.slot, gen_, &GiveBackReason::Unstarted, EPOCH, START);
    let mut bench = Bench::published();
    assert_eq!(back(&mut bench, 1), GivenBack::Back);
    assert_eq!(back(&mut bench, 1), GivenBack::Stale);
    assert_eq!(
        (bench.record().gen_, bench.score(Index::Outbox)),
        (2, Some(START.millis()))
    );
    assert_eq!(back(&mut bench, 7), GivenBack::Back);
    assert_eq!(bench.record().gen_, 8, "the store had gone back in time");
    assert_eq!(back(&mut Bench::running(), 9), GivenBack::Stale);
    bench.slot = Slot::Missing;
    assert_eq!(back(&mut bench, 1), GivenBack::Missing { epoch: EPOCH });
}

#[test]
fn a_job_that_cannot_run_comes_back_later_and_later_up_to_a_minute() {
    let delays_of = |reason| {
        let mut bench = Bench::published();
        let mut delays = Vec::new();
        for gen_ in 1..=12 {
            give_back(&mut bench.slot, gen_, &reason, EPOCH, START);
            delays.push(bench.score(Index::Outbox).unwrap() - START.millis());
        }
        assert_eq!(bench.start(13, 1).attempt, 1);
        assert_eq!(bench.record().give_backs, 0);
        delays
    };
    let delays = delays_of(GiveBackReason::NotRunnable);
    assert_eq!(delays[..3], [200, 400, 800]);
    assert_eq!(delays[8..], [51_200, 60_000, 60_000, 60_000]);
    assert_eq!(delays_of(GiveBackReason::Elsewhere)[..4], [200, 400, 800, 1_000]);
}

#[test]
fn a_parked_job_waits_until_it_is_unparked() {
    let mut bench = Bench::published();
    let park = GiveBackReason::Park(FunctionName::new("work").unwrap());
    give_back(&mut bench.slot, 1, &park, EPOCH, START);
    assert_eq!(
        (bench.score(Index::Parked), bench.score(Index::Outbox)),
        (Some(0), None)
    );
    assert!(!lease_outbox(&mut bench.slot, at(1_000)));
    assert!(unpark(&mut bench.slot, at(1)));
    assert!(!unpark(&mut bench.slot, at(1)));
    assert_eq!(bench.score(Index::Outbox), Some(at(1).millis()));
}
