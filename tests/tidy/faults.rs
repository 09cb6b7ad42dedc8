//! Every test that docs/reliability.md names exists.

use crate::tree::rust_files;

/// The names in backticks of the table between the markers, without its head.
fn named() -> Vec<&'static str> {
    let page = include_str!("../../docs/reliability.md");
    let table = page
        .split("<!-- faults -->")
        .nth(1)
        .and_then(|rest| rest.split("<!-- /faults -->").next())
        .unwrap();
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
