//! Rules about files: sizes, module layout, links.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file that git tracks.
pub(crate) fn tracked() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let names = String::from_utf8(output.stdout).unwrap();
    names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(|name| root().join(name))
        .filter(|path| path.is_file())
        .collect()
}

pub(crate) fn rust_files() -> Vec<(PathBuf, String)> {
    let rust = tracked()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    rust.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn modules_live_beside_their_folders_and_none_is_a_drawer() {
    for (path, _) in rust_files() {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            !["mod", "common", "util", "utils", "helpers", "models"].contains(&stem),
            "{}: name the module after what lives in it",
            path.display()
        );
    }
}

#[test]
fn files_are_short_enough_to_read() {
    for (path, text) in rust_files() {
        let lines = text.lines().count();
        assert!(
            lines <= 700,
            "{}: {lines} lines; split it by concept",
            path.display()
        );
    }
}

#[test]
fn lints_are_expected_with_a_reason_and_allowed_only_in_macros() {
    // What a macro expands to may or may not trip a lint: there, and only there, `expect` cannot be fulfilled.
    for (path, text) in rust_files() {
        let needle = concat!("#[al", "low(");
        let lines = text.lines().filter(|line| line.contains(needle));
        for line in lines {
            assert!(
                text.contains("macro_rules!") && line.contains("reason ="),
                "{}: use #[expect(…, reason = …)]",
                path.display()
            );
        }
    }
}

#[test]
fn lua_scripts_open_with_what_they_take_and_why_they_are_atomic() {
    let scripts: Vec<_> = tracked()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "lua"))
        // Parts of every script, not scripts.
        .filter(|path| {
            path.file_stem().is_some_and(|stem| {
                !["base", "count", "direct", "due", "lib", "record"]
                    .iter()
                    .any(|part| stem == *part)
            })
        })
        .collect();
    assert!(!scripts.is_empty());
    for path in scripts {
        let text = std::fs::read_to_string(&path).unwrap();
        for heading in ["KEYS", "ARGV", "Returns", "Atomic because"] {
            let head: String = text.lines().take(40).collect::<Vec<_>>().join("\n");
            assert!(
                head.contains(heading),
                "{}: the opening comment lacks {heading}",
                path.display()
            );
        }
    }
}

#[test]
fn links_between_our_pages_lead_somewhere() {
    for page in tracked()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
    {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            assert!(
                page.parent().unwrap().join(file).exists(),
                "{}: broken link to {target}",
                page.display()
            );
        }
    }
}
