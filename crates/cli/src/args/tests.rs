//! What holds for every command.

use std::path::Path;

use clap::{Command, CommandFactory};

use super::Cli;

mod reference;

/// Every command that does something, by the words that call it.
fn leaves(command: &Command, path: &[&str], found: &mut Vec<(Vec<String>, Command)>) {
    let subs: Vec<_> = command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
        .collect();
    if subs.is_empty()
        || command
            .get_arguments()
            .any(|arg| !arg.is_global_set() && arg.get_id() != "help")
    {
        let words = path.iter().map(|word| (*word).to_owned()).collect();
        found.push((words, command.clone()));
    }
    for sub in subs {
        leaves(sub, &[path, &[sub.get_name()]].concat(), found);
    }
}

fn all() -> Vec<(Vec<String>, Command)> {
    let mut command = Cli::command();
    command.build();
    let mut found = Vec::new();
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        leaves(sub, &[sub.get_name()], &mut found);
    }
    found
}

#[test]
fn every_help_has_an_example_that_can_be_typed() {
    let commands = all();
    assert!(commands.len() > 30, "the tree of commands is walked");
    for (path, mut command) in commands {
        let words = path.join(" ");
        let help = command.render_long_help().to_string();
        let examples = help.split("Example").nth(1);
        let examples = examples.unwrap_or_else(|| panic!("`longshore {words} --help` has no example"));
        let call = format!("longshore {words}");
        assert!(
            examples.contains(&call),
            "`{call} --help` has an example of something else: {examples}"
        );
    }
}

/// The calls in the examples of a help text, as a shell would split them; what follows a redirection is not ours.
fn calls(help: &str) -> Vec<Vec<String>> {
    let lines = help.split("Example").nth(1).unwrap_or_default().lines();
    let calls = lines.map(str::trim).filter(|line| line.starts_with("longshore "));
    calls.map(split).collect()
}

fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for char in line.chars() {
        match (char, quote) {
            ('>' | '|', None) => break,
            ('\'' | '"', None) => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (_, Some(open)) if open == char => quote = None,
            (' ', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_example_is_understood() {
    for (path, mut command) in all() {
        let help = command.render_long_help().to_string();
        for call in calls(&help) {
            let parsed = Cli::command().try_get_matches_from(&call);
            assert!(parsed.is_ok(), "{path:?}: {call:?}: {}", parsed.unwrap_err());
        }
    }
}

/// The calls of the binary in the `sh` blocks of a page, by whatever name the page calls it.
fn calls_of(page: &str) -> Vec<String> {
    let (mut calls, mut is_shell) = (Vec::new(), false);
    let joined = page.replace("\\\n", " ");
    for line in joined.lines().map(str::trim) {
        if line.starts_with("```") {
            is_shell = line == "```sh";
        } else if is_shell {
            let line = line
                .strip_prefix("TOKEN=$(")
                .map_or(line, |call| call.trim_end_matches(')'));
            let names = [
                "longshore ",
                "cargo run --release -- ",
                "docker compose run --rm cli ",
            ];
            let arguments = names.iter().find_map(|name| line.strip_prefix(name));
            calls.extend(arguments.map(|arguments| format!("longshore {arguments}")));
        }
    }
    calls
}

#[test]
fn every_call_of_the_pages_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["docs/guide", "docs/reference"].map(|folder| root.join(folder));
    let pages = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path());
    let mut understood = 0;
    for page in pages.chain(["README.md", "helm/longshore/README.md"].map(|page| root.join(page))) {
        if page.extension().is_none_or(|ending| ending != "md") {
            continue;
        }
        for call in calls_of(&std::fs::read_to_string(&page).unwrap()) {
            // What follows is a remark, or puts it into the background.
            let call = call.split(" #").next().unwrap_or_default();
            let words = split(call.trim().trim_end_matches('&').trim());
            // Stand-ins for what a reader puts there.
            let words = words.into_iter().map(|word| match word.as_str() {
                "ID" => "0193f0a1-7c5e-8001-9313-0242ac120002".to_owned(),
                "F" => "0123456789ab".to_owned(),
                "00f1…" => "00f10123456789ab".to_owned(),
                _ => word,
            });
            let words: Vec<_> = words.collect();
            let parsed = Cli::command().try_get_matches_from(&words);
            let is_help = |error: &clap::Error| error.exit_code() == 0;
            assert!(
                parsed.as_ref().err().is_none_or(is_help),
                "{}: {words:?}: {}",
                page.display(),
                parsed.unwrap_err()
            );
            understood += 1;
        }
    }
    assert!(understood > 20, "only {understood} calls were found");
}

#[test]
fn the_reference_page_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md");
    let rendered = reference::render(all());
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == rendered,
        "docs/reference/cli.md is not that of the code; run this test with LONGSHORE_BLESS=1"
    );
}

#[test]
fn the_tree_of_commands_is_sound() {
    Cli::command().debug_assert();
}
