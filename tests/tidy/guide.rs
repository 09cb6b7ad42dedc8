//! The guide and the reference are one book: its contents name every page, its links find their headings, and every
//! program in it is compiled.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::tree;

fn docs() -> PathBuf {
    tree::root().join("docs")
}

fn pages(folder: &str) -> BTreeSet<String> {
    let pages = tree::tracked().into_iter().filter_map(|path| {
        let name = path.strip_prefix(docs()).ok()?.to_str()?.to_owned();
        (name.starts_with(folder) && path.extension().is_some_and(|ending| ending == "md")).then_some(name)
    });
    pages.collect()
}

#[test]
fn the_books_contents_name_every_page() {
    let summary = std::fs::read_to_string(docs().join("SUMMARY.md")).unwrap();
    let mut pages = pages("guide/");
    pages.extend(self::pages("reference/"));
    pages.extend(self::pages("adr/"));
    assert!(pages.len() > 10, "only {pages:?}");
    for page in pages {
        assert!(
            summary.contains(&format!("]({page})")),
            "docs/SUMMARY.md does not name {page}"
        );
    }
}

/// The anchors of a page, as readers of Markdown make them from headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        let heading = line.trim_start_matches('#');
        if is_code || heading == line || !heading.starts_with(' ') {
            continue;
        }
        let kept = heading.trim().to_lowercase();
        let anchor = kept.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            letter if letter.is_alphanumeric() || letter == '-' || letter == '_' => Some(letter),
            _ => None,
        });
        anchors.insert(anchor.collect());
    }
    anchors
}

#[test]
fn links_to_headings_find_them() {
    let mut links = 0;
    for page in tree::tracked() {
        if page.extension().is_none_or(|ending| ending != "md") {
            continue;
        }
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let Some((file, anchor)) = target.split_once('#') else {
                continue;
            };
            if file.contains("://") {
                continue;
            }
            let other = if file.is_empty() {
                text.clone()
            } else {
                std::fs::read_to_string(page.parent().unwrap().join(file)).unwrap_or_default()
            };
            links += 1;
            assert!(
                anchors(&other).contains(anchor),
                "{}: no heading for the link to {target}",
                page.display()
            );
        }
    }
    assert!(links > 5, "only {links} links to headings were found");
}

#[test]
fn every_page_with_a_program_is_compiled() {
    let included = [
        std::fs::read_to_string(tree::root().join("crates/client/src/guide.rs")).unwrap(),
        std::fs::read_to_string(tree::root().join("crates/client/src/lib.rs")).unwrap(),
    ]
    .concat();
    for page in pages("guide/") {
        let text = std::fs::read_to_string(docs().join(&page)).unwrap();
        let is_program = text.lines().any(|line| line.starts_with("```rust"));
        let name = Path::new(&page).file_name().unwrap().to_str().unwrap();
        assert!(
            !is_program || included.contains(&format!("docs/guide/{name}\"")),
            "{page} has a program that nothing compiles; add it to crates/client/src/guide.rs"
        );
    }
}

#[test]
fn the_guide_says_of_every_alert_what_to_do() {
    let rules = std::fs::read_to_string(tree::root().join("helm/longshore/files/rules.yaml")).unwrap();
    let alerts: BTreeSet<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    let page = std::fs::read_to_string(docs().join("guide/operating.md")).unwrap();
    let told: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with("Longshore"))
        .collect();
    assert!(!alerts.is_empty(), "the chart has no alerts");
    assert_eq!(told, alerts);
}

/// The fenced blocks of a page, each with its language.
fn blocks(page: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(page).unwrap();
    let (mut found, mut open) = (Vec::new(), None::<(String, String)>);
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(language), None) => open = Some((language.to_owned(), String::new())),
            (None, Some((_, block))) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// Who tries what: programs are compiled (above), sessions played (crates/cli/tests/guide.rs), configurations read
/// (crates/cli/tests/it/pages.rs), commands understood (crates/cli/src/args/tests.rs), values rendered and Dockerfiles linted
/// (scripts/chart/check), Python played (crates/cli/tests/it/migrating.rs).
#[test]
fn every_snippet_of_the_guide_is_of_a_kind_that_something_tries() {
    let tried = [
        "rust",
        "rust,no_run",
        "console",
        "toml",
        "sh",
        "yaml",
        "dockerfile",
        "html",
        "python",
    ];
    let mut seen = 0;
    for page in pages("guide/") {
        for (language, block) in blocks(&docs().join(&page)) {
            // Drawings and what a page shows of an answer have no language.
            assert!(
                language.is_empty() || language == "text" || tried.contains(&language.as_str()),
                "{page}: nothing tries a snippet in {language}:\n{block}"
            );
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} snippets were found");
}

#[test]
fn what_the_pages_tell_cargo_names_features_that_exist() {
    let read = |path: PathBuf| -> toml::Table { std::fs::read_to_string(path).unwrap().parse().unwrap() };
    let manifest = read(tree::root().join("crates/client/Cargo.toml"));
    let features = manifest["features"].as_table().unwrap();
    let mut tried = 0;
    let pages = pages("guide/").into_iter().map(|page| docs().join(page));
    for page in pages.chain([tree::root().join("README.md")]) {
        for (language, block) in blocks(&page) {
            if language != "toml" || !block.contains("[dependencies]") {
                continue;
            }
            let table: toml::Table = block.parse().unwrap();
            let ours = table["dependencies"]["longshore"].as_table().unwrap();
            let named = ours.get("features").and_then(toml::Value::as_array);
            for feature in named.into_iter().flatten().filter_map(toml::Value::as_str) {
                assert!(features.contains_key(feature), "{}: {feature}", page.display());
            }
            tried += 1;
        }
    }
    assert!(tried >= 3, "only {tried} manifests were found");
}
