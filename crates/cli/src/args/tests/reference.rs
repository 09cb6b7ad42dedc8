//! The reference of every command, rendered from the tree that parses the command line.

use std::fmt::Write as _;

use clap::builder::PossibleValue;
use clap::{Arg, Command, CommandFactory};
use longshore_service::exit::ExitCode;

use crate::args::Cli;

const HEAD: &str = "\
# The command line

`longshore` talks to RabbitMQ and Redis, or to the embedded store in a folder; `longshore dev` makes that one. Where servers
and settings come from is in [config.md](config.md).

Output is a table for people, and with `-o json` one document, with `-o jsonl` one document a line. In a pipe nothing is cut
and nothing is coloured; `NO_COLOR` turns colours off on a terminal too. What is deleted or cancelled in bulk asks first; `--yes`
answers, and is needed where stdin is no terminal; `--dry-run` tells how many it would be.

`longshore completions SHELL` prints a completion script, `longshore man --out DIR` writes the manual pages.

This page is rendered from the code; a test holds it equal.
";

/// The page.
pub(super) fn render(commands: Vec<(Vec<String>, Command)>) -> String {
    let mut page = HEAD.to_owned();
    page += "\n## Exit codes\n\n| code | meaning |\n|---|---|\n";
    for code in ExitCode::ALL {
        writeln!(page, "| {} | {} |", code.code(), code.meaning()).unwrap();
    }
    page += "\n## Options of every command\n\n";
    let cli = Cli::command();
    options(&mut page, cli.get_arguments().filter(|arg| arg.is_global_set()));
    for (path, command) in commands {
        section(&mut page, &path.join(" "), command);
    }
    page
}

fn section(page: &mut String, words: &str, mut command: Command) {
    writeln!(page, "\n## longshore {words}\n").unwrap();
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    writeln!(page, "{}.\n", about.trim_end_matches('.')).unwrap();
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let usage: Vec<_> = usage.lines().map(str::trim).collect();
    writeln!(page, "```text\n{}\n```\n", usage.join("\n")).unwrap();
    let own = command
        .get_arguments()
        .filter(|arg| !arg.is_global_set() && arg.get_id() != "help" && arg.get_id() != "version");
    options(page, own);
    if let Some(after) = command.get_after_help() {
        let after = after.to_string();
        let (text, examples) = after.split_once("Example").unwrap_or((&after, ""));
        if !text.trim().is_empty() {
            writeln!(page, "\n{}", escaped(text.trim())).unwrap();
        }
        let lines = examples.lines().skip(1).map(str::trim);
        let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        writeln!(page, "\n```sh\n{}\n```", lines.join("\n")).unwrap();
    }
}

fn options<'a>(page: &mut String, args: impl Iterator<Item = &'a Arg>) {
    let rows: Vec<String> = args.filter(|arg| !arg.is_hide_set()).map(row).collect();
    if !rows.is_empty() {
        writeln!(page, "| option | meaning |\n|---|---|\n{}", rows.join("\n")).unwrap();
    }
}

fn row(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let takes = arg.get_action().takes_values();
    let names = arg.get_value_names().unwrap_or_default();
    let value = names
        .iter()
        .map(|name| format!("<{name}>"))
        .collect::<Vec<_>>()
        .join(" ");
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    let call = match (flags.is_empty(), takes) {
        (true, _) => value,
        (false, true) => format!("{} {value}", flags.join(", ")),
        (false, false) => flags.join(", "),
    };
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let mut meaning = escaped(&help.map(ToString::to_string).unwrap_or_default());
    let values: Vec<PossibleValue> = if takes {
        arg.get_possible_values()
    } else {
        Vec::new()
    };
    if !values.is_empty() {
        let values: Vec<_> = values
            .iter()
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        write!(meaning, " ({})", values.join(", ")).unwrap();
    }
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    if takes && !defaults.is_empty() {
        write!(meaning, " [default: {}]", defaults.join(" ")).unwrap();
    }
    format!("| `{}` | {meaning} |", call.replace('|', "\\|"))
}

/// Help texts are no Markdown.
fn escaped(text: &str) -> String {
    let lines: Vec<_> = text.split_whitespace().collect();
    lines
        .join(" ")
        .replace('|', "\\|")
        .replace('*', "\\*")
        .replace('<', "\\<")
        .replace('_', "\\_")
}
