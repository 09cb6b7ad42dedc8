//! Histograms add up, quantiles keep their bound, and a window holds what it should.

use std::time::Duration;

use proptest::prelude::*;

use super::happening::{End, Happening};
use super::*;
use crate::clock::Timestamp;
use crate::limits::STATISTICS_ROWS_MAX;
use crate::name::{FunctionName, QueueName};

const DAY: u64 = 86_400_000;
/// A whole hour, long after the epoch.
const START: u64 = 20_000 * DAY;

fn histogram(millis: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    for time in millis {
        histogram.add(Duration::from_millis(*time));
    }
    histogram
}

fn place(function: &str) -> (QueueName, FunctionName) {
    (QueueName::default(), FunctionName::new(function).unwrap())
}

fn count(ledger: &mut Ledger, function: &str, happening: Happening, at: u64) {
    let (queue, function) = place(function);
    ledger.count(&queue, &function, happening, Timestamp(at));
    ledger.turn(Timestamp(at));
}

fn completed(ran: u64) -> Happening {
    Happening::Ended {
        how: End::Completed,
        ran: Some(ran),
    }
}

fn ask(ledger: &Ledger, query: &StatisticsQuery, now: u64) -> Statistics {
    query.check().unwrap();
    Statistics::assemble(query, Timestamp(now), ledger.iter(), &Standing::default())
}

proptest! {
    #[test]
    fn merged_histograms_are_the_histogram_of_all(
        left in prop::collection::vec(0..40 * DAY, 0..200),
        right in prop::collection::vec(0..40 * DAY, 0..200),
    ) {
        let mut merged = histogram(&left);
        merged.merge(&histogram(&right));
        let all: Vec<u64> = left.into_iter().chain(right).collect();
        prop_assert_eq!(merged, histogram(&all));
    }

    #[test]
    fn a_quantile_is_wrong_by_a_sixteenth_at_most(
        mut times in prop::collection::vec(0..40 * DAY, 1..300),
        q in 0.0..=1.0_f64,
    ) {
        let told = histogram(&times).quantile(q).unwrap().as_secs_f64() * 1_000.0;
        times.sort_unstable();
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let rank = ((q * times.len() as f64).ceil() as usize).max(1);
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let exact = times[rank - 1] as f64;
        prop_assert!((told - exact).abs() <= exact * Histogram::ERROR_MAX + 1e-9, "{} for {}", told, exact);
    }

    #[test]
    fn a_time_lies_in_its_bucket(millis in 0..49 * DAY) {
        let one = histogram(&[millis]);
        let (from, until, count) = one.buckets().next().unwrap();
        let time = Duration::from_millis(millis);
        prop_assert!(from <= time && time < until && count == 1);
    }

    #[test]
    fn nothing_is_lost_when_minutes_become_hours(
        gaps in prop::collection::vec(0..DAY / 8, 1..100),
    ) {
        let (mut ledger, mut now) = (Ledger::default(), START);
        for gap in &gaps {
            now += gap;
            count(&mut ledger, "f", completed(5), now);
        }
        let week = StatisticsQuery::over(Duration::from_secs(7 * 86_400));
        let answer = ask(&ledger, &week, now);
        let mut at = START;
        let within = gaps.iter().filter(|gap| { at += *gap; at >= answer.from.millis() }).count() as u64;
        prop_assert_eq!(answer.total.completed, within);
        let in_series: u64 = answer.series.iter().map(|point| point.tally.completed).sum();
        prop_assert_eq!(in_series, within);
        prop_assert!(ledger.iter().count() <= 181 + 194, "{} buckets", ledger.iter().count());
    }
}

#[test]
fn what_is_longer_than_the_last_bucket_counts_in_it() {
    let longest = histogram(&[u64::MAX, 60 * DAY]);
    assert_eq!(longest.buckets().count(), 1);
    assert!(longest.max().unwrap() > Duration::from_secs(46 * 86_400));
}

#[test]
fn an_empty_histogram_has_no_quantile() {
    assert_eq!(Histogram::default().quantile(0.5), None);
    assert_eq!(Tally::default().failure_rate(), None);
}

#[test]
fn a_window_holds_its_steps_and_nothing_before_them() {
    let mut ledger = Ledger::default();
    for minute in 0..10 {
        count(&mut ledger, "f", completed(100), START + minute * 60_000);
    }
    let now = START + 9 * 60_000 + 30_000;
    let answer = ask(&ledger, &StatisticsQuery::over(Duration::from_secs(180)), now);
    // Back from 9:30 by three minutes, to the begin of that minute.
    assert_eq!(answer.from, Timestamp(START + 6 * 60_000));
    assert_eq!(answer.total.completed, 4);
    assert_eq!(answer.series.len(), 4);
    assert!(answer.series.iter().all(|point| point.tally.completed == 1));
    assert_eq!(answer.total.run.count(), 4);
}

#[test]
fn a_query_for_one_function_leaves_the_others_out() {
    let mut ledger = Ledger::default();
    count(&mut ledger, "mine", completed(1), START);
    count(&mut ledger, "theirs", completed(1), START);
    let query = StatisticsQuery {
        function: Some(FunctionName::new("mine").unwrap()),
        ..StatisticsQuery::default()
    };
    let answer = ask(&ledger, &query, START);
    assert_eq!(answer.total.completed, 1);
    assert_eq!(answer.functions.len(), 1);
}

#[test]
fn functions_that_find_no_room_share_a_row() {
    let mut ledger = Ledger::default();
    for number in 0..STATISTICS_ROWS_MAX + 7 {
        count(&mut ledger, &format!("f{number:04}"), completed(1), START);
    }
    // One that has a row keeps it.
    count(&mut ledger, "f0000", completed(1), START);
    let answer = ask(&ledger, &StatisticsQuery::default(), START);
    assert_eq!(answer.functions.len(), STATISTICS_ROWS_MAX + 1);
    let last = answer.functions.last().unwrap();
    assert_eq!((last.function.as_ref(), last.tally.completed), (None, 7));
    assert_eq!(answer.functions[0].tally.completed, 2);
}

#[test]
fn a_query_out_of_its_bounds_names_the_field() {
    let over = |seconds| StatisticsQuery::over(Duration::from_secs(seconds));
    assert_eq!(over(59).check().unwrap_err().field, "window");
    assert_eq!(over(8 * 86_400).check().unwrap_err().field, "window");
    let step = |window, seconds| StatisticsQuery {
        step: Some(Duration::from_secs(seconds)),
        ..over(window)
    };
    assert_eq!(step(600, 90).check().unwrap_err().field, "step");
    assert_eq!(step(3 * 3_600, 600).check().unwrap_err().field, "step");
    assert_eq!(step(600, 0).check().unwrap_err().field, "step");
    let longer = step(600, 660).check().unwrap_err();
    assert_eq!(longer.field, "step");
    assert!(longer.problem.contains("longer than the window"), "{longer}");
    assert_eq!(step(600, 600).check(), Ok(()));
    let long = step(2 * 3_600, 3_660).check().unwrap_err();
    assert!(long.problem.contains("at most 1 hour"), "{long}");
    assert_eq!(step(2 * 3_600, 3_600).check(), Ok(()));
    assert_eq!(step(3 * 3_600, 4 * 3_600).check().unwrap_err().field, "step");
    assert_eq!(step(7 * 86_400, 3_600).check(), Ok(()));
}

#[test]
fn every_happening_is_counted_under_its_code() {
    let ends = [End::Completed, End::Failed, End::Cancelled, End::Expired];
    let others = [
        Happening::Enqueued,
        Happening::Started { waited: Some(3) },
        Happening::Retried { ran: Some(3) },
        Happening::Snoozed,
        Happening::Released,
        Happening::Lost,
    ];
    let ends = ends.map(|how| Happening::Ended { how, ran: Some(3) });
    let mut tally = Tally::default();
    for happening in others.into_iter().chain(ends) {
        tally.count(happening);
    }
    assert_eq!(tally.ended(), 4);
    assert_eq!((tally.wait.count(), tally.run.count()), (1, 5));
    let rest = [
        tally.enqueued,
        tally.started,
        tally.retried,
        tally.snoozed,
        tally.released,
        tally.lost,
    ];
    assert_eq!(rest, [1; 6]);
}

#[test]
fn what_is_parked_is_shared_among_the_queues_of_its_function() {
    let queue = |name: &str| QueueName::new(name).unwrap();
    let function = |name: &str| FunctionName::new(name).unwrap();
    let queued = |count| [(crate::JobStatus::Queued, count)].into();
    let standing = Standing {
        jobs: [
            ((queue("mail"), function("rare")), queued(30)),
            ((queue("slow"), function("rare")), queued(10)),
            ((queue("slow"), function("known")), queued(500)),
        ]
        .into(),
        parked: [(function("rare"), 20), (function("gone"), 5)].into(),
        ..Standing::default()
    };
    assert_eq!(
        standing.parked_by_queue(),
        [(queue("mail"), 15), (queue("slow"), 5)].into()
    );
    let statistics = Statistics::assemble(
        &StatisticsQuery::default(),
        Timestamp(START),
        std::iter::empty(),
        &standing,
    );
    let parked: Vec<_> = statistics.queues.iter().map(|row| row.parked).collect();
    assert_eq!(parked, [15, 5]);
}
