//! Random walks: whatever is asked, in whatever order, the record stays sound. The table of transitions is asserted
//! inside every transition.

use super::*;

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// What a walk remembers to judge by.
#[derive(Default)]
struct Seen {
    fence: u64,
    gen_: Gen,
    ended: Option<JobStatus>,
}

#[test]
fn ten_thousand_walks_keep_the_record_sound() {
    for seed in 0..10_000 {
        let mut dice = Dice(seed);
        let mut bench = Bench::new(&random_job(&mut dice));
        let mut seen = Seen::default();
        for step in 0..60 {
            let before = bench.slot.clone();
            let requeued = act(&mut bench, &mut dice);
            if let Slot::Record(record) = &bench.slot {
                check(
                    record,
                    &mut seen,
                    requeued,
                    &format!("seed {seed}, step {step}, from {before:?}"),
                );
            }
        }
    }
}

fn random_job(dice: &mut Dice) -> NewJob {
    NewJob {
        run_at: (dice.roll(3) == 0).then(|| at(dice.roll(60))),
        expires_at: (dice.roll(3) == 0).then(|| at(dice.roll(300))),
        deadline: (dice.roll(3) == 0).then(|| at(dice.roll(600))),
        parents: (0..dice.roll(3))
            .map(|number| id(u128::from(number) + 2).into())
            .collect(),
        ..job()
    }
}

fn random_outcome(dice: &mut Dice) -> Outcome {
    match dice.roll(7) {
        0 => completed(),
        1 => failed(),
        2 | 3 => retry(dice.roll(40)),
        4 => Outcome::Snooze {
            delay: secs(dice.roll(40)),
        },
        5 => Outcome::Released,
        _ => Outcome::Cancelled,
    }
}

/// One random request; answers whether it was a requeue that was done.
fn act(bench: &mut Bench, dice: &mut Dice) -> bool {
    bench.pass(dice.roll(12));
    let now = bench.now;
    let known = bench.slot.record().map_or(0, |record| record.gen_);
    let gen_ = (known + 1).saturating_sub(u32::try_from(dice.roll(8) / 3).unwrap());
    let nonce = u128::from(dice.roll(3));
    bench.paused = dice.roll(10) == 0;
    match dice.roll(18) {
        0 | 1 => drop(bench.claim(gen_, nonce)),
        2 => drop(bench.claim(known, nonce)),
        3 => drop(bench.beat(nonce)),
        4 | 5 => {
            let outcome = random_outcome(dice);
            bench.finish(nonce, outcome);
        }
        6 if dice.roll(4) == 0 => drop(bench.cancel()),
        7 => drop(bench.promote()),
        8 if bench.sweep.look(now).is_none() => drop(bench.expire_lease()),
        9 => drop(expire_waiting(&mut bench.slot, now)),
        10 => drop(mark_published(&mut bench.slot, known, now)),
        11 => drop(lease_outbox(&mut bench.slot, now)),
        12 => {
            let reasons = [
                GiveBackReason::Unstarted,
                GiveBackReason::NotRunnable,
                GiveBackReason::Elsewhere,
                GiveBackReason::Park(FunctionName::new("work").unwrap()),
            ];
            give_back(
                &mut bench.slot,
                gen_,
                &reasons[usize::try_from(dice.roll(4)).unwrap()],
                EPOCH,
                now,
            );
        }
        13 => drop(unpark(&mut bench.slot, now)),
        14 => drop(audit(&mut bench.slot, now, bench.paused, now)),
        15 => {
            let parent = id(u128::from(dice.roll(3)) + 2);
            settle_edge(
                &mut bench.slot,
                parent,
                &ParentOutcome::Completed { result: None },
                secs(0),
                now,
            );
        }
        16 => drop(broker_gave_up(&mut bench.slot, gen_, now, &mut bench.effects)),
        _ => return dice.roll(4) == 0 && requeue(&mut bench.slot, now, now) == DeadLetterChange::Done,
    }
    false
}

fn check(record: &Record, seen: &mut Seen, requeued: bool, context: &str) {
    let places = [
        Index::Due,
        Index::Outbox,
        Index::Ready,
        Index::Parked,
        Index::Running,
        Index::Edges,
        Index::Finished,
    ];
    let rows = record.indexes();
    let held: Vec<_> = places
        .into_iter()
        .filter(|index| rows.score(*index).is_some())
        .collect();
    assert_eq!(held.len(), 1, "{context}: {:?} waits in {held:?}", record.status);
    let running = record.status == JobStatus::Running;
    assert_eq!(
        (record.owner.is_some(), record.worker.is_some()),
        (running, running),
        "{context}"
    );
    assert_eq!(
        record.finished_at.is_some(),
        record.status.is_terminal(),
        "{context}"
    );
    assert_eq!(
        record.open_parents.is_empty(),
        record.status != JobStatus::Blocked,
        "{context}"
    );
    assert!(
        record.fence >= seen.fence && record.gen_ >= seen.gen_,
        "{context}"
    );
    if let Some(ended) = seen.ended.filter(|_| !requeued) {
        assert_eq!(record.status, ended, "{context}: it left a terminal status");
    }
    seen.fence = record.fence;
    seen.gen_ = record.gen_;
    seen.ended = record.status.is_terminal().then_some(record.status);
}
