//! Where values come from: a file, the environment, the command line. Read as they are, without judging them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat, Source, Value, ValueKind};

use super::problem::{Origin, Problem};

mod secret_file;

/// Variables with our prefix that are no settings.
const RESERVED: [&str; 3] = ["LONGSHORE_CONFIG", "LONGSHORE_BLESS", "LONGSHORE_LOG"];
/// Variables that the tests of the project use.
const RESERVED_PREFIX: &str = "LONGSHORE_TEST_";

/// Where to look for values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// A file that was named and must exist (`--config`, `LONGSHORE_CONFIG`).
    pub file: Option<PathBuf>,
    /// Files that may exist; the first that does is read, unless `file` names one.
    pub search: Vec<PathBuf>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// Values from the command line, by dotted key.
    pub flags: BTreeMap<String, String>,
    /// What of the command line is no value; told together with what is wrong with the others.
    pub slips: Vec<String>,
}

impl Sources {
    /// What a process has: its environment (`LONGSHORE_CONFIG` names the file), `./longshore.toml` and
    /// `/etc/longshore/longshore.toml`.
    pub fn process() -> Self {
        let env: BTreeMap<_, _> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            file: env
                .get("LONGSHORE_CONFIG")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            search: vec!["longshore.toml".into(), "/etc/longshore/longshore.toml".into()],
            env,
            flags: BTreeMap::new(),
            slips: Vec::new(),
        }
    }

    /// Reads this file; it must exist.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Sets a key from the command line.
    #[must_use]
    pub fn flag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.flags.insert(key.into(), value.into());
        self
    }

    /// Sets a key from the command line by `KEY=VALUE`. What is not of that form is told when the sources are read.
    #[must_use]
    pub fn pair(mut self, pair: &str) -> Self {
        if let Some((key, value)) = pair.split_once('=') {
            return self.flag(key, value);
        }
        // Where the sign is another one, what follows it may be a secret: the key alone is shown.
        let is_key = |char: &char| char.is_ascii_alphanumeric() || "_-.".contains(*char);
        let shown: String = pair.chars().take_while(is_key).take(64).collect();
        self.slips.push(format!(
            "\"{shown}\" is not KEY=VALUE; use for example worker.max_workers=4"
        ));
        self
    }

    /// Every value of every layer, the weakest layer first.
    pub(super) fn read(&self, problems: &mut Vec<Problem>) -> Vec<Raw> {
        problems.extend(self.slips.iter().map(|slip| Problem {
            key: String::new(),
            origin: Origin::Flag,
            message: slip.clone(),
        }));
        let mut raw = self.read_file(problems);
        raw.extend(self.read_env(problems));
        raw.extend(self.flags.iter().map(|(key, value)| Raw {
            path: key.split('.').map(str::to_owned).collect(),
            value: ValueKind::String(value.clone()),
            origin: Origin::Flag,
        }));
        raw
    }

    fn read_file(&self, problems: &mut Vec<Problem>) -> Vec<Raw> {
        let found = self.file.as_deref().or_else(|| {
            self.search
                .iter()
                .map(PathBuf::as_path)
                .find(|path| path.exists())
        });
        let Some(path) = found else { return Vec::new() };
        let origin = Origin::File(path.to_owned());
        match parse(path) {
            Ok(table) => flatten(&[], table, &origin),
            Err(message) => {
                problems.push(Problem {
                    key: String::new(),
                    origin,
                    message,
                });
                Vec::new()
            }
        }
    }

    fn read_env(&self, problems: &mut Vec<Problem>) -> Vec<Raw> {
        let mut raw = Vec::new();
        for (name, value) in self.env.iter().filter(|(name, _)| is_setting(name)) {
            let one = [(name.clone(), value.clone())].into_iter().collect();
            let source = Environment::with_prefix("LONGSHORE")
                .prefix_separator("_")
                .separator("__");
            match source.source(Some(one)).collect() {
                Ok(table) => {
                    for (key, value) in table {
                        let found = Raw {
                            path: key.split('.').map(str::to_owned).collect(),
                            value: value.kind,
                            origin: Origin::Env(name.clone()),
                        };
                        keep(found, &mut raw, problems);
                    }
                }
                Err(error) => problems.push(Problem {
                    key: String::new(),
                    origin: Origin::Env(name.clone()),
                    message: error.to_string(),
                }),
            }
        }
        raw
    }
}

/// One value as it was found.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) path: Vec<String>,
    pub(super) value: ValueKind,
    pub(super) origin: Origin,
}

impl Raw {
    fn problem(self, message: String) -> Problem {
        Problem {
            key: self.path.join("."),
            origin: self.origin,
            message,
        }
    }
}

/// Adds a value of the environment, read from its file where it is named by one.
fn keep(found: Raw, raw: &mut Vec<Raw>, problems: &mut Vec<Problem>) {
    let wanted = match secret_file::resolve(found) {
        Ok(wanted) => wanted,
        Err(problem) => {
            problems.push(*problem);
            return;
        }
    };
    if raw.iter().any(|other| other.path == wanted.path) {
        problems.push(wanted.problem("is also set without _FILE; set one of the two variables".to_owned()));
    } else {
        raw.push(wanted);
    }
}

fn parse(path: &Path) -> Result<config::Map<String, Value>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    if let Err(error) = text.parse::<toml::Table>() {
        return Err(no_toml(&text, &error));
    }
    // What the parser has read cannot fail here; its words could show the text.
    let parsed = File::from_str(&text, FileFormat::Toml).collect();
    parsed.map_err(|_| "is not TOML".to_owned())
}

/// What is wrong and where. The parser's own display draws the line, and a line may hold a password.
fn no_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error
        .span()
        .and_then(|span| text.get(..span.start))
        .unwrap_or_default();
    let line = before.split('\n').count();
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    let message = error.message().lines().collect::<Vec<_>>().join(" ");
    format!("is not TOML: line {line}, column {column}: {message}")
}

/// Tables become paths; everything else is a value.
fn flatten(prefix: &[String], table: config::Map<String, Value>, origin: &Origin) -> Vec<Raw> {
    let mut raw = Vec::new();
    for (name, value) in table {
        let path = [prefix, &[name]].concat();
        match value.kind {
            ValueKind::Table(table) if !table.is_empty() => raw.extend(flatten(&path, table, origin)),
            // An empty one is judged with the values: a function may be named by it and nothing else.
            value => raw.push(Raw {
                path,
                value,
                origin: origin.clone(),
            }),
        }
    }
    raw.sort_by(|one, other| one.path.cmp(&other.path));
    raw
}

/// Whether a variable is a setting. Kubernetes sets `LONGSHORE_PORT`, `LONGSHORE_SERVICE_HOST` and the like in every
/// container beside a service of our name; those are not.
fn is_setting(name: &str) -> bool {
    let upper = name.to_uppercase();
    let Some(rest) = upper.strip_prefix("LONGSHORE_") else {
        return false;
    };
    let from_kubernetes = rest.ends_with("_SERVICE_HOST")
        || rest == "SERVICE_HOST"
        || rest.contains("SERVICE_PORT")
        || rest == "PORT"
        || rest.ends_with("_PORT")
        || rest.starts_with("PORT_")
        || rest.contains("_PORT_");
    !from_kubernetes && !RESERVED.contains(&upper.as_str()) && !upper.starts_with(RESERVED_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_kubernetes_and_of_the_tools_are_no_settings() {
        for name in [
            "LONGSHORE_PORT",
            "LONGSHORE_PORT_8080_TCP_ADDR",
            "LONGSHORE_SERVICE_HOST",
            "LONGSHORE_GATEWAY_SERVICE_PORT_HTTP",
            "LONGSHORE_CONFIG",
            "LONGSHORE_TEST_CLOCK",
            "PATH",
        ] {
            assert!(!is_setting(name), "{name}");
        }
        assert!(is_setting("LONGSHORE_WORKER__MAX_WORKERS"));
    }
}
