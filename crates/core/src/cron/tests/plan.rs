//! Which ticks fire, and which comes next.

use super::*;

/// Hours of 1 January, as times.
fn hour(hours: u64) -> Timestamp {
    Timestamp(at("2026-01-01T00:00:00Z").millis() + hours * 3_600_000)
}

/// The plan as hours: tick, next, fires.
fn planned(misfire: Misfire, expected: u64, now: Timestamp) -> Vec<(u64, u64, bool)> {
    let start = hour(0).millis();
    let hours = |tick: Timestamp| (tick.millis() - start) / 3_600_000;
    plan(&schedule("0 * * * *", "UTC"), misfire, hour(expected), now)
        .into_iter()
        .map(|step| (hours(step.tick), hours(step.next), step.fires))
        .collect()
}

const POLICIES: [Misfire; 3] = [Misfire::Skip, Misfire::Once, Misfire::All(3)];

fn seconds_after(hours: u64, seconds: u64) -> Timestamp {
    Timestamp(hour(hours).millis() + seconds * 1_000)
}

#[test]
fn nothing_is_planned_before_the_tick() {
    for misfire in POLICIES {
        assert_eq!(planned(misfire, 2, Timestamp(hour(2).millis() - 1)), []);
    }
}

#[test]
fn a_tick_fires_on_time_whatever_the_policy() {
    for misfire in POLICIES {
        assert_eq!(planned(misfire, 2, hour(2)), [(2, 3, true)]);
        assert_eq!(planned(misfire, 2, seconds_after(2, 60)), [(2, 3, true)]);
    }
}

#[test]
fn missed_ticks_are_skipped() {
    assert_eq!(planned(Misfire::Skip, 2, seconds_after(2, 61)), [(2, 3, false)]);
    assert_eq!(
        planned(Misfire::Skip, 2, seconds_after(9, 1_000)),
        [(2, 10, false)]
    );
}

#[test]
fn missed_ticks_are_made_up_for_once() {
    assert_eq!(planned(Misfire::Once, 2, seconds_after(2, 61)), [(2, 3, true)]);
    assert_eq!(
        planned(Misfire::Once, 2, seconds_after(9, 1_000)),
        [(2, 10, true)]
    );
}

#[test]
fn a_tick_on_time_stands_for_the_missed_ones() {
    for misfire in [Misfire::Skip, Misfire::Once] {
        let steps = planned(misfire, 2, seconds_after(9, 10));
        assert_eq!(steps, [(2, 9, false), (9, 10, true)]);
    }
}

#[test]
fn the_newest_missed_ticks_are_caught_up() {
    let steps = planned(Misfire::All(3), 2, seconds_after(9, 1_000));
    assert_eq!(steps, [(2, 7, false), (7, 8, true), (8, 9, true), (9, 10, true)]);
    let steps = planned(Misfire::All(3), 8, seconds_after(9, 1_000));
    assert_eq!(steps, [(8, 9, true), (9, 10, true)]);
    let steps = planned(Misfire::All(2), 2, seconds_after(9, 10));
    assert_eq!(steps, [(2, 7, false), (7, 8, true), (8, 9, true), (9, 10, true)]);
}

#[test]
fn a_scheduler_that_goes_on_fires_no_more_than_the_policy_says() {
    let now = seconds_after(9, 1_000);
    let whole = planned(Misfire::All(3), 2, now);
    for (done, step) in whole.iter().enumerate() {
        let rest = planned(Misfire::All(3), step.0, now);
        assert_eq!(rest, whole[done..]);
    }
}

#[test]
fn a_year_of_missed_seconds_costs_no_year_of_seconds() {
    let schedule = schedule("* * * * * *", "UTC");
    let now = at("2027-01-01T00:00:00Z");
    let steps = plan(&schedule, Misfire::All(1_000), hour(0), now);
    // The move to the first that fires, a thousand, and the 61 of the last minute.
    assert_eq!(steps.len(), 1 + 1_000 + 61);
    assert_eq!(steps.last().unwrap().next, Timestamp(now.millis() + 1_000));
    assert_eq!(steps.iter().filter(|step| !step.fires).count(), 1);
}

#[test]
fn an_entry_without_a_next_tick_is_looked_at_in_ten_years() {
    let schedule = schedule("0 0 29 2 *", "UTC");
    let tick = at("4996-02-29T00:00:00Z");
    let steps = plan(&schedule, Misfire::Once, tick, tick);
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].next, tick.after(crate::limits::DURATION_MAX));
}
