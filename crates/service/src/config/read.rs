//! Turns values as they were found into values of their kinds. Everything that is wrong is told at once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use config::ValueKind;
use longshore_core::{FunctionName, QueueName};

use super::Judge;
use super::keys::{KEYS, Key, Kind, shown};
use super::problem::{Origin, Problem};
use super::secret::Secret;
use super::sources::Raw;
use super::suggest::nearest;
use crate::duration;

/// A value of its kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Typed {
    Secret(Secret),
    Text(String),
    Path(PathBuf),
    Switch(bool),
    Count(u64),
    Time(Duration),
    List(Vec<String>),
    /// Arguments of a program; a password may stand among them.
    Arguments(Vec<String>),
    Table(BTreeMap<String, Secret>),
}

/// A key with its value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: &'static str,
    /// What stands for `*` in the key.
    pub(super) name: Option<String>,
    pub(super) value: Typed,
    pub(super) origin: Origin,
}

/// The values in force, by full key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Values(pub(super) BTreeMap<String, Entry>);

impl Values {
    /// Reads layers, the weakest first; a value of a later one replaces the earlier.
    pub(super) fn read(layers: Vec<Raw>, judge: Judge<'_>, problems: &mut Vec<Problem>) -> Self {
        let mut values = Self::default();
        for raw in layers {
            let full = raw.path.join(".");
            match place(&raw.path) {
                Some((key, name, field)) => {
                    let at = if field.is_some() {
                        without_last(&raw.path)
                    } else {
                        full.clone()
                    };
                    let judge = |text: &str| judge(key.path, field.as_deref(), text);
                    match typed(key.kind, field.clone(), &raw.value, &judge) {
                        Ok(value) => values.put(
                            at,
                            Entry {
                                key: key.path,
                                name,
                                value,
                                origin: raw.origin,
                            },
                        ),
                        Err(message) => problems.push(Problem {
                            key: full,
                            origin: raw.origin,
                            message,
                        }),
                    }
                }
                None => problems.push(Problem {
                    message: unknown(&raw.path),
                    key: full,
                    origin: raw.origin,
                }),
            }
        }
        values
    }

    fn put(&mut self, at: String, entry: Entry) {
        // Tables of texts are merged, field by field.
        if let (
            Typed::Table(new),
            Some(Entry {
                value: Typed::Table(known),
                origin,
                ..
            }),
        ) = (&entry.value, self.0.get_mut(&at))
        {
            known.extend(new.clone());
            *origin = entry.origin;
        } else {
            self.0.insert(at, entry);
        }
    }

    /// The value of a key, or its default.
    pub(super) fn get(&self, key: &str) -> Option<Typed> {
        self.0
            .get(key)
            .map(|entry| entry.value.clone())
            .or_else(|| default(key))
    }

    /// Where a key's value came from.
    pub(super) fn origin(&self, key: &str) -> Origin {
        self.0
            .get(key)
            .map_or(Origin::Default, |entry| entry.origin.clone())
    }

    pub(super) fn secret(&self, key: &str) -> Option<Secret> {
        if let Some(Typed::Secret(secret)) = self.get(key) {
            Some(secret)
        } else {
            None
        }
    }

    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        if let Some(Typed::Path(path)) = self.get(key) {
            Some(path)
        } else {
            None
        }
    }

    pub(super) fn text(&self, key: &str) -> String {
        if let Some(Typed::Text(text)) = self.get(key) {
            text
        } else {
            String::new()
        }
    }

    pub(super) fn switch(&self, key: &str) -> bool {
        matches!(self.get(key), Some(Typed::Switch(true)))
    }

    pub(super) fn count<T: TryFrom<u64>>(&self, key: &str) -> Option<T> {
        if let Some(Typed::Count(count)) = self.get(key) {
            T::try_from(count).ok()
        } else {
            None
        }
    }

    pub(super) fn time(&self, key: &str) -> Option<Duration> {
        if let Some(Typed::Time(time)) = self.get(key) {
            Some(time)
        } else {
            None
        }
    }

    pub(super) fn list(&self, key: &str) -> Vec<String> {
        if let Some(Typed::List(list) | Typed::Arguments(list)) = self.get(key) {
            list
        } else {
            Vec::new()
        }
    }

    pub(super) fn table(&self, key: &str) -> BTreeMap<String, Secret> {
        if let Some(Typed::Table(table)) = self.get(key) {
            table
        } else {
            BTreeMap::new()
        }
    }

    /// The names that stand for `*` under this prefix, with the origin of one of their values.
    pub(super) fn names(&self, prefix: &str) -> BTreeMap<String, Origin> {
        let under = self.0.values().filter(|entry| entry.key.starts_with(prefix));
        under
            .filter_map(|entry| Some((entry.name.clone()?, entry.origin.clone())))
            .collect()
    }
}

/// The key of a path, the name in it, and the field when the key holds a table.
fn place(path: &[String]) -> Option<(&'static Key, Option<String>, Option<String>)> {
    if let Some((key, name)) = Key::find(path).filter(|(key, _)| !key.is_table()) {
        return Some((key, name, None));
    }
    let (field, parent) = path.split_last()?;
    let (key, name) = Key::find(parent).filter(|(key, _)| key.is_table())?;
    Some((key, name, Some(field.clone())))
}

fn without_last(path: &[String]) -> String {
    path.split_last()
        .map(|(_, parent)| parent.join("."))
        .unwrap_or_default()
}

/// The default of a key without a `*`.
fn default(key: &str) -> Option<Typed> {
    let key = KEYS
        .iter()
        .find(|known| known.path == key && !known.default.is_empty())?;
    let text = ValueKind::String(key.default.to_owned());
    typed(key.kind, None, &text, &|_| Ok(())).ok()
}

fn unknown(path: &[String]) -> String {
    let whole = path.join(".");
    // A known key under the same name: `worker.commands.resize.progam`.
    let section = path.first().map(String::as_str);
    let named = match section {
        Some("worker") if path.len() > 3 => path.get(2),
        Some("cron") if path.len() > 2 => path.get(1),
        _ => None,
    };
    let candidates: Vec<String> = KEYS
        .iter()
        .filter_map(|key| match (named, key.path.contains('*')) {
            (Some(name), true) if key.path.split('.').next() == section => {
                Some(key.path.replacen('*', name, 1))
            }
            (_, true) => None,
            (_, false) => Some(key.path.to_owned()),
        })
        .collect();
    match nearest(&whole, candidates.iter().map(String::as_str)) {
        Some(near) => format!("is not a known key; did you mean {near}?"),
        None => "is not a known key; docs/reference/config.md lists every key".to_owned(),
    }
}

/// The value as text, when it is a scalar.
fn scalar(value: &ValueKind) -> Option<String> {
    match value {
        ValueKind::String(text) => Some(text.trim().to_owned()),
        ValueKind::I64(number) => Some(number.to_string()),
        ValueKind::I128(number) => Some(number.to_string()),
        ValueKind::U64(number) => Some(number.to_string()),
        ValueKind::U128(number) => Some(number.to_string()),
        ValueKind::Float(number) => Some(number.to_string()),
        ValueKind::Boolean(switch) => Some(switch.to_string()),
        ValueKind::Nil | ValueKind::Table(_) | ValueKind::Array(_) => None,
    }
}

fn typed(
    kind: Kind,
    field: Option<String>,
    value: &ValueKind,
    judge: &dyn Fn(&str) -> Result<(), String>,
) -> Result<Typed, String> {
    if let Kind::Queues | Kind::Arguments = kind {
        return list(kind, value);
    }
    let text = scalar(value).ok_or_else(|| format!("is a list or table; use {}", wanted(kind)))?;
    if text.is_empty() {
        return Err(format!("is empty; use {}, or leave the key out", wanted(kind)));
    }
    judge(&text)?;
    match kind {
        Kind::Server(_) => Ok(Typed::Secret(Secret::url(text))),
        Kind::Endpoint => Ok(Typed::Secret(Secret::endpoint(text))),
        Kind::Secret => Ok(Typed::Secret(Secret::new(text))),
        Kind::Path => Ok(Typed::Path(text.into())),
        Kind::Text(_) => Ok(Typed::Text(text)),
        Kind::Filter => match crate::telemetry::log::filter(&text) {
            Ok(_) => Ok(Typed::Text(text)),
            Err(_) => Err(format!("\"{text}\" is not a log filter; use {}", wanted(kind))),
        },
        Kind::Switch => match text.to_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Typed::Switch(true)),
            "false" | "no" | "off" | "0" => Ok(Typed::Switch(false)),
            _ => Err(format!("\"{text}\" is neither true nor false")),
        },
        Kind::Count(min, max) => count(&text, min, max),
        Kind::Time(min, max) => time(&text, min, max),
        Kind::Ratio => ratio(&text),
        Kind::Choice(words) => choice(&text, words),
        Kind::SecretTable => Ok(Typed::Table(BTreeMap::from([(
            field.unwrap_or_default(),
            Secret::new(text),
        )]))),
        Kind::Queues | Kind::Arguments => list(kind, value),
    }
}

fn wanted(kind: Kind) -> String {
    match kind {
        Kind::Server(_) | Kind::Endpoint => "a URL".to_owned(),
        Kind::Secret => "a text".to_owned(),
        Kind::Path => "a path".to_owned(),
        Kind::Filter => "error, warn, info, debug, trace, or target=level pairs".to_owned(),
        Kind::Text(name) => format!("a text ({name})"),
        Kind::Switch => "true or false".to_owned(),
        Kind::Count(min, max) => format!("a whole number from {min} to {max}"),
        Kind::Time(..) => duration::FORMS.to_owned(),
        Kind::Ratio => "a number from 0 to 1, such as 0.1".to_owned(),
        Kind::Choice(words) => words.join(" or "),
        Kind::Queues | Kind::Arguments => "a list such as [\"a\", \"b\"]".to_owned(),
        Kind::SecretTable => "texts by name".to_owned(),
    }
}

fn choice(text: &str, words: &[&str]) -> Result<Typed, String> {
    if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        return Ok(Typed::Text((*word).to_owned()));
    }
    let near = nearest(text, words.iter().copied());
    let near = near
        .map(|word| format!("; did you mean {word}?"))
        .unwrap_or_default();
    Err(format!(
        "\"{text}\" is not known; use {}{near}",
        words.join(" or ")
    ))
}

fn ratio(text: &str) -> Result<Typed, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(Typed::Text(text.to_owned())),
        Ok(_) => Err(format!("{text} is out of range; use {}", wanted(Kind::Ratio))),
        Err(_) => Err(format!("\"{text}\" is not a number; use {}", wanted(Kind::Ratio))),
    }
}

fn count(text: &str, min: u64, max: u64) -> Result<Typed, String> {
    match text.parse::<u64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(Typed::Count(number)),
        Ok(number) => Err(format!("{number} is out of range; use {min} to {max}")),
        Err(_) if text.starts_with('-') && text.parse::<f64>().is_ok() => {
            Err(format!("{text} is negative; use {min} to {max}"))
        }
        Err(_) => Err(format!("\"{text}\" is not a whole number; use {min} to {max}")),
    }
}

fn time(text: &str, min: u64, max: u64) -> Result<Typed, String> {
    let time = duration::parse(text).map_err(|error| error.to_string())?;
    let (shortest, longest) = (Duration::from_millis(min), Duration::from_millis(max));
    if (shortest..=longest).contains(&time) {
        Ok(Typed::Time(time))
    } else {
        Err(format!(
            "{text} is out of range; use {} to {}",
            shown(min),
            shown(max)
        ))
    }
}

/// A list, or a text with commas as the environment and the command line give it.
fn list(kind: Kind, value: &ValueKind) -> Result<Typed, String> {
    let items: Option<Vec<String>> = match value {
        ValueKind::Array(items) => items.iter().map(|item| scalar(&item.kind)).collect(),
        other => scalar(other).map(|text| text.split(',').map(|item| item.trim().to_owned()).collect()),
    };
    let items = items.ok_or_else(|| format!("is not {}", wanted(kind)))?;
    if kind != Kind::Queues {
        return Ok(Typed::Arguments(items));
    }
    if items.iter().all(String::is_empty) {
        return Err("names no queue; name at least one".to_owned());
    }
    let bad: Vec<_> = items
        .iter()
        .filter_map(|item| QueueName::new(item).err())
        .collect();
    match bad.first() {
        Some(error) => Err(error.to_string().trim_start_matches("queue: ").to_owned()),
        None => Ok(Typed::List(items)),
    }
}

/// A function's name, as the user wrote it.
///
/// # Errors
/// What is wrong with it, without the field's name.
pub(super) fn function(name: &str) -> Result<FunctionName, String> {
    FunctionName::new(name)
        .map_err(|error| error.to_string().trim_start_matches("function_name: ").to_owned())
}
