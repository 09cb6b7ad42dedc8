//! What deny.toml says about licences, sources and banned crates holds without cargo-deny too.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::arrows::{metadata, text};

fn rules() -> toml::Table {
    include_str!("../../deny.toml").parse().unwrap()
}

/// The packages that are built, with everything optional on.
fn packages(metadata: &Value) -> Vec<&Value> {
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let built: BTreeSet<_> = nodes.iter().map(|node| text(node, "id")).collect();
    let all = metadata["packages"].as_array().unwrap().iter();
    all.filter(|package| built.contains(text(package, "id")))
        .collect()
}

/// Whether an SPDX expression can be met with the licences of `allowed`. `/` is the old spelling of OR.
fn is_met(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let expression = expression.replace(" / ", " OR ").replace('/', " OR ");
    // AND binds tighter than OR, except in brackets, which only ever hold an OR here.
    if let Some((bracket, rest)) = expression
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(") AND "))
    {
        return is_met(bracket, allowed) && is_met(rest, allowed);
    }
    expression
        .split(" OR ")
        .any(|choice| choice.split(" AND ").all(|licence| allowed.contains(licence)))
}

#[test]
fn every_crate_has_an_allowed_licence() {
    let rules = rules();
    let allowed = rules["licenses"]["allow"].as_array().unwrap();
    let allowed: BTreeSet<_> = allowed.iter().map(|licence| licence.as_str().unwrap()).collect();
    for package in packages(&metadata()) {
        let licence = package["license"].as_str().unwrap_or("no licence field");
        assert!(
            is_met(licence, &allowed),
            "{}: {licence} is not among the licences that deny.toml allows",
            text(package, "name")
        );
    }
}

#[test]
fn every_crate_comes_from_the_registry() {
    for package in packages(&metadata()) {
        let source = package["source"].as_str();
        assert!(
            source.is_none_or(|source| source == "registry+https://github.com/rust-lang/crates.io-index"),
            "{} comes from {source:?}",
            text(package, "name")
        );
    }
}

#[test]
fn no_crate_is_banned() {
    let rules = rules();
    let banned = rules["bans"]["deny"].as_array().unwrap();
    let banned: BTreeSet<_> = banned
        .iter()
        .filter(|rule| rule.get("wrappers").is_none())
        .map(|rule| rule["crate"].as_str().unwrap())
        .collect();
    assert!(banned.contains("cron"));
    let metadata = metadata();
    let names: BTreeSet<_> = packages(&metadata)
        .into_iter()
        .map(|package| text(package, "name"))
        .collect();
    assert!(names.contains("ring"));
    assert_eq!(names.intersection(&banned).count(), 0, "{banned:?}");
}

/// rsa's advisory (RUSTSEC-2023-0071) is about private keys, and openidconnect has public ones alone.
#[test]
fn nobody_but_the_openid_client_of_the_gateway_may_use_rsa() {
    let metadata = metadata();
    let users = |wanted: &str| {
        let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
        let uses = |node: &&Value| {
            node["deps"]
                .as_array()
                .unwrap()
                .iter()
                .any(|dep| text(dep, "name") == wanted)
        };
        let ids: BTreeSet<_> = nodes.filter(uses).map(|node| text(node, "id")).collect();
        let named = packages(&metadata)
            .into_iter()
            .filter(|package| ids.contains(text(package, "id")));
        named
            .map(|package| text(package, "name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(users("rsa"), ["openidconnect"]);
    assert_eq!(users("openidconnect"), ["longshore-gateway"]);
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let allowed = BTreeSet::from(["MIT", "ISC"]);
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND ISC", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("(MIT OR ISC) AND GPL-3.0", false),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression}");
    }
}
