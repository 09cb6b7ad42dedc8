//! A session on a page: a fenced block marked `console`.
//!
//! A line that begins with `$ ` is a command; what follows, up to the next one, is what it must print, on stdout and stderr
//! together. `…` stands for any text within a line; a line that is `…` alone stands for any lines. A command must succeed,
//! unless a line `(exit code N)` says otherwise. `NAME=$(command)` keeps what a command printed for those after it.

use std::path::Path;
use std::process::{Command, Stdio};

/// One command and what it must print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) command: String,
    pub(crate) expected: Vec<String>,
    pub(crate) code: i32,
}

/// The steps of a page, block after block.
pub(crate) fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_session = false;
    for (number, line) in page.lines().enumerate() {
        match line.trim_end() {
            "```console" => is_session = true,
            "```" => is_session = false,
            _ if !is_session => {}
            line => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step {
                    line: number + 1,
                    command: command.to_owned(),
                    expected: Vec::new(),
                    code: 0,
                }),
                (None, Some(step)) => match exit_code(line) {
                    Some(code) => step.code = code,
                    None => step.expected.push(line.to_owned()),
                },
                (None, None) => panic!("line {}: a session begins with a command", number + 1),
            },
        }
    }
    steps
}

fn exit_code(line: &str) -> Option<i32> {
    line.strip_prefix("(exit code ")?.strip_suffix(')')?.parse().ok()
}

/// Runs the steps; tells the first that goes otherwise.
pub(crate) fn play(
    page: &str,
    steps: &[Step],
    folder: &Path,
    environment: &[(String, String)],
) -> Result<(), String> {
    let mut environment = environment.to_vec();
    for step in steps {
        let at = format!("{page}.md, line {}: $ {}", step.line, step.command);
        let name = kept(&step.command);
        let script = match name {
            // What it prints is kept; what it says besides is seen.
            Some(name) => format!("{}\nprintf '%s' \"${name}\"", step.command),
            None => format!("{{ {}\n}} 2>&1", step.command),
        };
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{at}: {error}"))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(step.code) {
            return Err(format!(
                "{at}\nended with {:?}:\n{printed}{errors}",
                output.status.code()
            ));
        }
        if let Some(name) = name {
            if printed.is_empty() {
                return Err(format!("{at}\nprinted nothing to keep: {errors}"));
            }
            environment.push((name.to_owned(), printed));
            continue;
        }
        let lines: Vec<&str> = printed.lines().map(str::trim_end).collect();
        let expected: Vec<&str> = step.expected.iter().map(String::as_str).collect();
        if !fits(&expected, &lines) {
            return Err(format!(
                "{at}\nshould print\n{}\nand printed\n{printed}",
                step.expected.join("\n")
            ));
        }
    }
    Ok(())
}

/// The name of `NAME=$(…)`.
fn kept(command: &str) -> Option<&str> {
    let (name, rest) = command.split_once('=')?;
    let is_name = !name.is_empty() && name.chars().all(|char| char.is_ascii_uppercase() || char == '_');
    (is_name && rest.starts_with("$(")).then_some(name)
}

fn fits(expected: &[&str], lines: &[&str]) -> bool {
    match (expected, lines) {
        ([], lines) => lines.is_empty(),
        (["…", rest @ ..], lines) => (0..=lines.len()).any(|skipped| fits(rest, &lines[skipped..])),
        ([first, rest @ ..], [line, more @ ..]) => line_fits(first, line) && fits(rest, more),
        (_, []) => false,
    }
}

fn line_fits(expected: &str, line: &str) -> bool {
    let parts: Vec<&str> = expected.split('…').collect();
    let [first, .., last] = parts.as_slice() else {
        return expected == line;
    };
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    for part in &parts[1..parts.len() - 1] {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn a_page_is_read_as_it_is_written() {
    let page = "# x\n```console\n$ a b\none … three\n…\n$ c\n(exit code 2)\n```\n```sh\n$ no session\n```\n";
    let found = steps(page);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].line, found[0].command.as_str()), (3, "a b"));
    assert_eq!(found[0].expected, ["one … three", "…"]);
    assert_eq!((found[1].expected.len(), found[1].code), (0, 2));
}

#[test]
fn an_output_that_differs_is_seen() {
    for (expected, lines, fit) in [
        (&["a … c"][..], &["a b c"][..], true),
        (&["a … c"], &["a b d"], false),
        (&["a", "…", "z"], &["a", "z"], true),
        (&["a", "…", "z"], &["a", "b", "c", "z"], true),
        (&["a", "…", "z"], &["a", "b"], false),
        (&[], &["a"], false),
        (&["a"], &[], false),
        (&["…b…"], &["abc"], true),
        (&["ab…b"], &["ab"], false),
    ] {
        assert_eq!(fits(expected, lines), fit, "{expected:?} {lines:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let wrong = steps("```console\n$ echo one\ntwo\n```\n");
    assert!(
        play("x", &wrong, folder.path(), &[])
            .unwrap_err()
            .contains("x.md, line 2")
    );
    let fails = steps("```console\n$ false\n```\n");
    assert!(play("x", &fails, folder.path(), &[]).is_err());
    let keeps = steps("```console\n$ A=$(echo one)\n$ echo \"$A two\"\none two\n```\n");
    assert_eq!(play("x", &keeps, folder.path(), &[]), Ok(()));
}
