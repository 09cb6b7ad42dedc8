//! The conformance suite against every backend.
//!
//! Against the embedded store each case is a test of its own. Against real servers the cases of an area share a test,
//! one after the other, each with empty servers: starting RabbitMQ for each case would take hours.
#![cfg(test)]

use std::collections::BTreeSet;

use longshore_testkit::conformance::harness::{Embedded, Fleet};
use longshore_testkit::conformance::{Harness, ROWS, cases};

#[macro_use]
mod names;
mod embedded;
mod servers;

macro_rules! names {
    ($($name:ident)*) => { &[$(stringify!($name)),*] };
}

macro_rules! areas {
    ($($name:ident $area:ident)*) => { &[$(longshore_testkit::conformance::Area::$area),*] };
}

#[test]
fn every_case_of_the_suite_is_run() {
    let listed: &[&str] = each_case!(names);
    let suite: Vec<_> = cases().iter().map(|case| case.name).collect();
    // Not two lists of hundreds of names: the first that differ.
    let differ = listed.iter().zip(&suite).find(|(listed, case)| listed != case);
    assert_eq!(
        differ, None,
        "tests/conformance/names.rs lists the suite's cases in its order"
    );
    assert_eq!(
        listed.len(),
        suite.len(),
        "tests/conformance/names.rs lists the suite's cases"
    );
    let unique: BTreeSet<_> = suite.iter().collect();
    assert_eq!(unique.len(), suite.len(), "two cases have the same name");
}

#[test]
fn every_area_of_the_suite_is_run() {
    let listed: &[longshore_testkit::conformance::Area] = each_area!(areas);
    for case in cases() {
        assert!(
            listed.contains(&case.area),
            "{:?}, of {}, is not listed",
            case.area,
            case.name
        );
    }
}

#[test]
fn every_row_of_the_protocol_is_covered_by_a_case() {
    let covered: BTreeSet<_> = cases()
        .iter()
        .flat_map(|case| case.covers.iter().copied())
        .collect();
    let rows: BTreeSet<_> = ROWS.iter().copied().collect();
    let missing: Vec<_> = rows.difference(&covered).collect();
    let unknown: Vec<_> = covered.difference(&rows).collect();
    assert!(missing.is_empty(), "no case covers {missing:#?}");
    assert!(unknown.is_empty(), "not in the list of rows: {unknown:#?}");
}

/// Rows of the table under a header line.
fn table(header: &str) -> Vec<&'static str> {
    let page = include_str!("../../docs/reference/protocol.md");
    let mut lines = page.lines().skip_while(|line| *line != header);
    assert!(lines.next().is_some(), "no table {header}");
    lines.skip(1).take_while(|line| line.starts_with('|')).collect()
}

fn rows_of(name: &str) -> usize {
    ROWS.iter()
        .filter(|row| row.split(':').next() == Some(name))
        .count()
}

#[test]
fn the_list_of_rows_is_that_of_the_page() {
    for row in table("| script | guard → effect |") {
        let name = row.trim_start_matches("| `").split(['(', '`']).next().unwrap();
        assert!(rows_of(name) > 0, "the script {name} is in no row");
    }
    assert_eq!(table("| the record is | then |").len(), rows_of("delivery"));
    let page = include_str!("../../docs/reference/protocol.md");
    let section = page.split("## Dependencies across shards").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
    assert_eq!(lines.count(), rows_of("dependencies"));
}

#[test]
fn what_a_backend_cannot_do_names_existing_cases() {
    let suite: BTreeSet<_> = cases().iter().map(|case| case.name).collect();
    for (name, reason) in [Embedded.cannot(), Fleet::CANNOT].concat() {
        assert!(suite.contains(name), "{name} is no case");
        assert!(reason.len() > 20, "{name}: say why");
    }
}
