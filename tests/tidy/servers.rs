//! The users of deploy/ fit the code: Redis' may call what our scripts and the client call, RabbitMQ's reach what our
//! topology is named.

use std::collections::BTreeSet;

use crate::tree;

/// What Redis must never let our users do, whatever a script might want.
const FORBIDDEN: [&str; 8] = [
    "flushall", "flushdb", "keys", "config", "debug", "shutdown", "monitor", "acl",
];

fn read(path: &str) -> String {
    std::fs::read_to_string(tree::root().join(path)).unwrap()
}

fn allowed() -> BTreeSet<String> {
    let text = read("deploy/redis/commands.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(str::split_whitespace).map(|word| {
        let command = word.strip_prefix('+').expect("each begins with +");
        command.split('|').next().unwrap().to_owned()
    });
    words.collect()
}

/// The words in capitals that follow one of these beginnings.
fn words_after(text: &str, beginnings: &[&str]) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for beginning in beginnings {
        for rest in text.split(beginning).skip(1) {
            let is_of_it = |letter: &char| letter.is_ascii_uppercase() || *letter == '_';
            let word: String = rest.chars().take_while(is_of_it).collect();
            if !word.is_empty() {
                words.insert(word.to_lowercase());
            }
        }
    }
    words
}

#[test]
fn the_users_of_redis_may_call_what_the_code_calls() {
    let allowed = allowed();
    let mut called = BTreeSet::new();
    for path in tree::tracked() {
        let name = path
            .strip_prefix(tree::root())
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if !name.starts_with("crates/backend/src/redis") || name.contains("test") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        called.extend(words_after(&text, &["call('", "call(\"", "cmd(\""]));
    }
    assert!(called.len() > 30, "only {called:?}");
    // Asked once at the start; who may not is warned, or has another server.
    let optional = ["config", "sentinel", "client", "wait"];
    let missing: Vec<_> = called
        .iter()
        .filter(|command| !allowed.contains(*command) && !optional.contains(&command.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "deploy/redis/commands.txt lacks {missing:?}; add them with a + each"
    );
    for command in FORBIDDEN {
        assert!(
            !allowed.contains(command),
            "deploy/redis/commands.txt has {command}"
        );
    }
}

#[test]
fn the_users_of_rabbitmq_reach_what_the_topology_is_named() {
    let topology = read("crates/backend/src/amqp/topology.rs");
    let definitions = read("deploy/rabbitmq/definitions.json.in").replace("\\\\", "\\");
    for line in topology
        .lines()
        .filter(|line| line.starts_with("pub(super) const "))
    {
        let Some(name) = line.split('"').nth(1) else {
            continue;
        };
        let last = name.strip_prefix("longshore.").expect("every name begins so");
        let pattern = last.replace('.', "\\.");
        assert!(
            definitions.contains(&pattern),
            "deploy/rabbitmq/definitions.json.in knows no {name}"
        );
    }
    assert!(topology.contains("format!(\"jobs.{logical}"));
    assert!(definitions.contains("jobs\\..+"));
}
