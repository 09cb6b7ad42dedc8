//! The dependencies between our crates are those that ARCHITECTURE.md draws, and nobody else sees lapin, redis or fjall.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

type Arrows = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features", "--locked"])
        // Crates of other platforms are not downloaded.
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

/// Normal and build dependencies of each workspace member on names that `keep` takes.
fn dependencies(metadata: &Value, keep: impl Fn(&str) -> bool) -> Arrows {
    let members = metadata["workspace_members"].as_array().unwrap();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| members.contains(&package["id"]))
        .map(|package| {
            let used = package["dependencies"].as_array().unwrap().iter();
            let used = used.filter(|dependency| dependency["kind"].as_str() != Some("dev"));
            let names = used
                .map(|dependency| text(dependency, "name").to_owned())
                .filter(|name| keep(name));
            (text(package, "name").to_owned(), names.collect())
        })
        .collect()
}

/// The table in ARCHITECTURE.md between the markers `<!-- arrows -->` and `<!-- /arrows -->`.
fn documented() -> Arrows {
    let page = include_str!("../../ARCHITECTURE.md");
    let table = page
        .split("<!-- arrows -->")
        .nth(1)
        .and_then(|rest| rest.split("<!-- /arrows -->").next())
        .unwrap();
    table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let mut columns = line.split('|').map(str::trim).skip(1);
            let name = columns.next().unwrap().trim_matches('`').to_owned();
            let _folder = columns.next();
            let used = columns
                .next()
                .unwrap()
                .split(',')
                .map(|one| one.trim().trim_matches('`').to_owned());
            (name, used.filter(|one| !one.is_empty() && one != "—").collect())
        })
        .collect()
}

#[test]
fn crate_arrows_are_those_of_the_architecture_page() {
    let ours = |name: &str| name == "longshore" || name.starts_with("longshore-");
    assert_eq!(dependencies(&metadata(), ours), documented());
}

#[test]
fn only_the_backend_knows_the_servers_clients() {
    let users: BTreeSet<_> = dependencies(&metadata(), |name| ["lapin", "redis", "fjall"].contains(&name))
        .into_iter()
        .filter(|(_, used)| !used.is_empty())
        .map(|(name, _)| name)
        .collect();
    assert_eq!(users, BTreeSet::from(["longshore-backend".to_owned()]));
}
