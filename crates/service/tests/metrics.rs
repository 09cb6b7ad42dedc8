//! The reference of metrics agrees with the code.

#![cfg(test)]

use std::path::Path;

use longshore_service::metrics::reference;

#[test]
fn the_reference_page_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    let rendered = reference::render();
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == rendered,
        "docs/reference/metrics.md is not that of the code; run this test with LONGSHORE_BLESS=1"
    );
}
