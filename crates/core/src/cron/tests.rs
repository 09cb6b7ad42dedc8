//! Tests of recurring jobs.

use std::collections::BTreeSet;

use chrono::DateTime;

use super::*;
use crate::clock::Timestamp;

mod bad_input;
mod definition;
mod plan;
mod properties;

fn at(text: &str) -> Timestamp {
    let time = DateTime::parse_from_rfc3339(text).unwrap();
    Timestamp(time.timestamp_millis().try_into().unwrap())
}

fn schedule(expression: &str, zone: &str) -> Schedule {
    Schedule {
        expression: expression.parse().unwrap(),
        zone: zone.parse().unwrap(),
    }
}

#[test]
fn expressions_tick_as_the_table_says() {
    let rows = include_str!("tests/ticks.txt").lines();
    let (mut expressions, mut zones) = (BTreeSet::new(), BTreeSet::new());
    for row in rows.filter(|row| !row.starts_with('#')) {
        let columns: Vec<&str> = row.split(" | ").collect();
        let [expression, zone, after, ticks] = columns[..] else {
            panic!("a row has four columns: {row}");
        };
        let expected: Vec<&str> = ticks.split(' ').collect();
        let schedule = schedule(expression, zone);
        let found = schedule.ticks(at(after)).take(expected.len());
        let found: Vec<String> = found.map(|tick| schedule.zone.show(tick)).collect();
        assert_eq!(found, expected, "{row}");
        expressions.insert(expression);
        zones.insert(zone);
    }
    assert!(expressions.len() >= 60, "{} expressions", expressions.len());
    assert!(zones.len() >= 12, "{} zones", zones.len());
}

#[test]
fn a_tick_is_not_its_own_next() {
    let schedule = schedule("0 3 * * *", "Europe/Berlin");
    let tick = at("2026-01-01T03:00:00+01:00");
    assert_eq!(schedule.next(Timestamp(tick.millis() - 1)), Some(tick));
    assert_eq!(schedule.next(tick), Some(at("2026-01-02T03:00:00+01:00")));
}

#[test]
fn an_expression_has_no_tick_after_the_last_year_that_it_knows() {
    let schedule = schedule("0 0 29 2 *", "UTC");
    assert_eq!(schedule.next(at("4997-01-01T00:00:00Z")), None);
    assert_eq!(schedule.next(Timestamp(u64::MAX)), None);
}

#[test]
fn an_expression_keeps_what_was_written() {
    let expression: Expression = "  0  9 * * mon-fri ".parse().unwrap();
    assert_eq!(expression.as_str(), "0 9 * * mon-fri");
    assert!(expression.is_fixed());
    assert!(!"*/5 9 * * *".parse::<Expression>().unwrap().is_fixed());
    assert_eq!(schedule("@daily", "Asia/Tokyo").to_string(), "@daily Asia/Tokyo");
}

#[test]
fn policies_are_read_as_they_are_shown() {
    for text in ["skip", "once", "all:7", "all:1000"] {
        assert_eq!(text.parse::<Misfire>().unwrap().to_string(), text);
    }
    assert_eq!("all".parse(), Ok(Misfire::All(100)));
    for text in ["allow", "skip", "cancel-previous"] {
        assert_eq!(text.parse::<Overlap>().unwrap().to_string(), text);
    }
}
