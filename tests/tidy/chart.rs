//! The chart and the settings agree: the schema of its values knows every key that a chart may set, refuses unknown ones
//! everywhere, and no manifest names a variable that means nothing.

use std::path::PathBuf;

use longshore_service::config::keys::{KEYS, Key, Kind};
use serde_json::{Map, Value, json};

use crate::tree;

/// What the chart sets itself, so that nobody sets it twice.
const SET_BY_THE_CHART: [&str; 9] = [
    "amqp_url",
    "redis_url",
    "embedded",
    "health.listen",
    "gateway.listen",
    "worker.max_workers",
    "worker.queues",
    "worker.drain_deadline",
    "worker.cancel_grace",
];
/// Where pools name their functions; a pool has these tables of its own.
const COMMANDS: &str = "worker.commands.*.";
const HTTP: &str = "worker.http.*.";

/// What commands of people need; no process of a chart does.
const OF_COMMANDS: &str = "api.";

fn schema_path() -> PathBuf {
    tree::root().join("helm/longshore/values.schema.json")
}

fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string(schema_path()).unwrap()).unwrap()
}

/// Whether a key holds what must not stand in a `ConfigMap`. The arguments of a cron entry are hidden in logs, but they
/// have no other place.
fn is_secret(key: &Key) -> bool {
    matches!(key.kind, Kind::Server(_) | Kind::Secret) && key.path != "cron.*.args"
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Switch => json!({"type": "boolean"}),
        Kind::Count(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Time(..) => {
            json!({"type": ["string", "number"], "minimum": 0, "pattern": "^[0-9][0-9a-z. ]*$"})
        }
        Kind::Choice(words) => json!({"enum": words}),
        Kind::Queues | Kind::Arguments => json!({"type": "array", "items": {"type": "string"}}),
        Kind::SecretTable => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        _ => json!({"type": "string"}),
    }
}

fn closed() -> Value {
    json!({"type": "object", "additionalProperties": false})
}

/// Puts a key into the schema of its table; `*` is a table whose names the user gives.
fn put(table: &mut Value, path: &[&str], key: &Key) {
    let (name, below) = path.split_first().unwrap();
    let table = table.as_object_mut().unwrap();
    let place = if *name == "*" {
        if table["additionalProperties"] == json!(false) {
            table.insert("additionalProperties".to_owned(), closed());
        }
        &mut table["additionalProperties"]
    } else {
        let properties = table.entry("properties").or_insert_with(|| json!({}));
        properties
            .as_object_mut()
            .unwrap()
            .entry(*name)
            .or_insert_with(closed)
    };
    if below.is_empty() {
        *place = of_kind(key.kind);
        place["description"] = json!(key.meaning);
    } else {
        put(place, below, key);
    }
}

/// The schema of these keys, without the beginning of their paths.
fn table_of(keys: impl Fn(&Key) -> bool, prefix: &str) -> Value {
    let mut table = closed();
    for key in KEYS.iter().filter(|key| keys(key) && !is_secret(key)) {
        let path: Vec<_> = key.path[prefix.len()..].split('.').collect();
        put(&mut table, &path, key);
    }
    table
}

/// What the schema says about settings, made from the table of keys.
fn rendered() -> Vec<(&'static str, Value)> {
    let functions = |key: &Key| key.path.starts_with(COMMANDS) || key.path.starts_with(HTTP);
    vec![
        (
            "config",
            table_of(
                |key| {
                    !functions(key)
                        && !key.path.starts_with(OF_COMMANDS)
                        && !SET_BY_THE_CHART.contains(&key.path)
                },
                "",
            ),
        ),
        (
            "commands",
            table_of(|key| key.path.starts_with(COMMANDS), "worker.commands."),
        ),
        ("http", table_of(|key| key.path.starts_with(HTTP), "worker.http.")),
    ]
}

/// With the names in order, so that a change of one line changes one line of the file.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut names: Vec<_> = map.keys().collect();
            names.sort();
            let pairs = names.into_iter().map(|name| (name.clone(), sorted(&map[name])));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[test]
fn the_charts_schema_knows_every_setting() {
    let mut schema = schema();
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        for (name, table) in rendered() {
            schema["$defs"][name] = table;
        }
        let text = serde_json::to_string_pretty(&sorted(&schema)).unwrap();
        // Renamed, so that no other test reads half of it.
        let fresh = schema_path().with_extension("new");
        std::fs::write(&fresh, text + "\n").unwrap();
        std::fs::rename(fresh, schema_path()).unwrap();
        return;
    }
    for (name, table) in rendered() {
        assert!(
            schema["$defs"][name] == table,
            "helm/longshore/values.schema.json: $defs.{name} is not that of the keys; run this test with LONGSHORE_BLESS=1"
        );
    }
}

#[test]
fn the_charts_schema_is_closed_everywhere() {
    let mut objects = 0;
    assert_closed(&schema(), "", &mut objects);
    assert!(objects > 50, "only {objects} objects were found");
}

/// Every object names its properties, or says what those with free names are. What Kubernetes itself checks has no type.
fn assert_closed(value: &Value, path: &str, objects: &mut usize) {
    match value {
        Value::Object(map) => {
            if map.get("type") == Some(&json!("object")) {
                *objects += 1;
                let rest = map.get("additionalProperties");
                assert!(
                    rest == Some(&json!(false)) || rest.is_some_and(Value::is_object),
                    "helm/longshore/values.schema.json: {path} takes any key; add additionalProperties: false"
                );
            }
            for (name, value) in map {
                assert_closed(value, &format!("{path}/{name}"), objects);
            }
        }
        Value::Array(items) => items.iter().for_each(|value| assert_closed(value, path, objects)),
        _ => {}
    }
}

#[test]
fn every_default_of_the_chart_has_a_meaning() {
    let text = std::fs::read_to_string(tree::root().join("helm/longshore/values.yaml")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    for pair in lines.windows(2) {
        let value = pair[1].trim_start();
        let is_leaf = value
            .split_once(": ")
            .is_some_and(|(name, _)| !name.contains(' '));
        let is_told = pair[0].trim_start().starts_with("# -- ");
        let is_known = ["resources", "requests", "limits", "pod"]
            .iter()
            .any(|name| value.starts_with(name));
        assert!(
            !is_leaf || value.starts_with('#') || is_told || is_known,
            "helm/longshore/values.yaml: say with `# -- ` what this is: {value}"
        );
    }
}

/// Files that set variables for our processes.
fn manifests() -> Vec<(PathBuf, String)> {
    let places = ["helm/", "deploy/", "docker-compose.yml", "docs/guide/"];
    let files = tree::tracked().into_iter().filter(|path| {
        let name = path
            .strip_prefix(tree::root())
            .unwrap()
            .to_string_lossy()
            .into_owned();
        places.iter().any(|place| name.starts_with(place))
    });
    files
        .filter_map(|path| Some((path.clone(), std::fs::read_to_string(path).ok()?)))
        .collect()
}

/// Whether a variable is a setting, or the file with a secret one.
fn means_something(name: &str) -> bool {
    let known = |name: &str| {
        KEYS.iter().any(|key| {
            let pattern = key.env_name();
            match pattern.split_once("NAME") {
                Some((before, after)) => name.starts_with(before) && name.ends_with(after),
                None => pattern == name,
            }
        })
    };
    ["LONGSHORE_CONFIG", "LONGSHORE_LOG", "LONGSHORE_BLESS"].contains(&name)
        || known(name)
        || name.strip_suffix("_FILE").is_some_and(known)
}

#[test]
fn no_manifest_sets_a_variable_that_means_nothing() {
    let mut seen = 0;
    for (path, text) in manifests() {
        let is_part = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
        for (at, _) in text.match_indices("LONGSHORE_") {
            let name: String = text[at..].chars().take_while(|letter| is_part(*letter)).collect();
            // A beginning, as in `LONGSHORE_…`.
            if name.ends_with('_') || text[..at].ends_with(is_part) {
                continue;
            }
            seen += 1;
            assert!(
                means_something(&name),
                "{}: {name} is no setting of docs/reference/config.md",
                path.display()
            );
        }
    }
    assert!(seen > 0, "no manifest sets anything");
}
