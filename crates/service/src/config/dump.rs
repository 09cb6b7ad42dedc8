//! Writes the effective configuration.

use std::collections::BTreeMap;

use super::Endpoints;
use super::keys::KEYS;
use super::problem::Origin;
use super::read::{Typed, Values};
use super::secret::{Secret, redact_argument};
use crate::duration;

/// The values in force as TOML: plain keys first, then a table for each section.
pub(super) fn dump(values: &Values, endpoints: &Endpoints) -> String {
    let mut sections: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for (section, key, value, origin) in lines(values, endpoints) {
        let origin = if origin == Origin::Default {
            String::new()
        } else {
            format!(" # {origin}")
        };
        sections
            .entry(section)
            .or_default()
            .push(format!("{} = {value}{origin}", quoted(&key)));
    }
    let blocks = sections.into_iter().map(|(section, lines)| {
        let name: Vec<_> = section.iter().map(|part| quoted(part)).collect();
        let head = if name.is_empty() {
            String::new()
        } else {
            format!("[{}]\n", name.join("."))
        };
        format!("{head}{}\n", lines.join("\n"))
    });
    blocks.collect::<Vec<_>>().join("\n")
}

type Line = (Vec<String>, String, String, Origin);

fn lines(values: &Values, endpoints: &Endpoints) -> Vec<Line> {
    let mut lines = Vec::new();
    let embedded = matches!(endpoints, Endpoints::Embedded(_));
    for key in KEYS.iter().filter(|key| !key.path.contains('*')) {
        // The folder that nobody asked for is not in force beside the servers.
        let in_force = key.path != "embedded" || embedded;
        if let Some(value) = values.get(key.path).filter(|_| in_force) {
            let (section, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
            let section = section
                .split('.')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect();
            lines.push((section, name.to_owned(), written(&value), values.origin(key.path)));
        }
    }
    for entry in values.0.values() {
        if let Some((name, (before, after))) = entry.name.as_ref().zip(entry.key.split_once(".*.")) {
            let section = before
                .split('.')
                .map(str::to_owned)
                .chain([name.clone()])
                .collect();
            lines.push((
                section,
                after.to_owned(),
                written(&entry.value),
                entry.origin.clone(),
            ));
        }
    }
    lines
}

fn written(value: &Typed) -> String {
    match value {
        Typed::Secret(secret) => text(secret.shown()),
        Typed::Text(value) => text(value),
        Typed::Path(path) => text(&path.display().to_string()),
        Typed::Switch(switch) => switch.to_string(),
        Typed::Count(count) => count.to_string(),
        Typed::Time(time) => text(&duration::format(*time)),
        Typed::List(items) => list(items.iter().map(|item| text(item))),
        Typed::Arguments(items) => list(items.iter().map(|item| text(&redact_argument(item)))),
        Typed::Table(fields) => {
            let field =
                |(name, value): (&String, &Secret)| format!("{} = {}", quoted(name), text(value.shown()));
            format!(
                "{{ {} }}",
                fields.iter().map(field).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn text(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

/// A key, quoted when TOML needs it.
fn quoted(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "_-".contains(char));
    if bare { key.to_owned() } else { text(key) }
}
