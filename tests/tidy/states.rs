//! docs/reference/states.md holds exactly the rows of the transition table.

use std::fmt::Write as _;

use longshore_core::JobStatus;
use longshore_core::transition::table::TABLE;

const OPEN: &str = "<!-- transitions -->\n";
const CLOSE: &str = "<!-- /transitions -->";

fn name(status: Option<JobStatus>) -> &'static str {
    status.map_or("—", JobStatus::as_str)
}

fn rendered() -> String {
    let mut rows = String::from("| from | trigger | to |\n|---|---|---|\n");
    for (from, trigger, to) in TABLE {
        writeln!(rows, "| {} | {} | {} |", name(*from), trigger.as_str(), name(*to)).unwrap();
    }
    rows
}

#[test]
fn the_page_of_states_draws_the_transition_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/states.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (head, rest) = page.split_once(OPEN).unwrap();
    let (table, tail) = rest.split_once(CLOSE).unwrap();
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        std::fs::write(path, format!("{head}{OPEN}{}{CLOSE}{tail}", rendered())).unwrap();
        return;
    }
    assert_eq!(
        table,
        rendered(),
        "run with LONGSHORE_BLESS=1 to write the table anew"
    );
}
