//! The faults that the protocol names are those of the table in docs/reliability.md, and every test that this names
//! exists.

use std::collections::BTreeSet;

use crate::tree::rust_files;

/// What stands between the markers of a page.
fn between(page: &'static str) -> &'static str {
    let table = page
        .split("<!-- faults -->")
        .nth(1)
        .and_then(|rest| rest.split("<!-- /faults -->").next());
    table.unwrap()
}

/// The names in backticks of the table between the markers, without its head.
fn named() -> Vec<&'static str> {
    let table = between(include_str!("../../docs/reliability.md"));
    table.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_fault_is_made_by_a_test_that_exists() {
    let (named, files) = (named(), rust_files());
    assert!(named.len() > 50, "{named:?}");
    for name in named {
        let function = format!("fn {name}(");
        assert!(
            files.iter().any(|(_, text)| text.contains(&function)),
            "docs/reliability.md names {name}, which no file has"
        );
    }
}

#[test]
fn every_fault_of_the_protocol_has_a_row_and_every_row_is_a_fault_of_it() {
    let named: Vec<_> = between(include_str!("../../docs/reference/protocol.md"))
        .lines()
        .filter_map(|line| line.strip_prefix("- "))
        .collect();
    let rows: Vec<_> = between(include_str!("../../docs/reliability.md"))
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .filter(|name| *name != "fault")
        .collect();
    let once = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(once(&named), once(&rows));
    assert_eq!(
        (named.len(), rows.len()),
        (once(&named).len(), once(&rows).len()),
        "a name stands twice"
    );
    for row in between(include_str!("../../docs/reliability.md")).lines().skip(3) {
        assert!(row.is_empty() || row.contains('`'), "no test: {row}");
    }
}
